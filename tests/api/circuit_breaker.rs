//! While the database does not answer, requests do not wait for it one after the other.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_attempt_to_connect_that_timed_out_requests_are_refused_at_once() {
    let app = Spawn::new().behind_black_hole().start().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    let path = format!("/v1/orders/{}", document.id());
    app.black_hole().drop_bytes(true);

    // The first of them find out, at the price of a time-out each; from then on a wave has no wait in it, but for one probe.
    let refused_at_once = async || {
        let answers = join_all((0..12).map(|_| async {
            let begun = Instant::now();
            let answer = app.get(&path).await;
            answer.problem(503, "database_unavailable");
            answer.retry_after();
            begun.elapsed()
        }))
        .await;
        answers.iter().filter(|took| **took < Duration::from_millis(500)).count()
    };
    eventually("most are refused at once", async || (refused_at_once().await >= 8).then_some(())).await;

    app.black_hole().drop_bytes(false);
    app.until_reads_succeed(document.id()).await;
    assert_eq!(app.read(document.id()).await, document);
    app.place(&order(&[2])).await.created_or_accepted();
    app.finish().await;
}
