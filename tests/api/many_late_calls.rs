//! Many waits end at the same time. The host has a fiber for each instance, and one more for each call that is cancelled: an
//! instance that finds none traps, and answers every request in it with an empty 500.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::support::*;

/// More than the fibers that the host has.
const MANY: usize = 1_200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_and_many_reads_at_once_are_only_503() {
    let mut app = Spawn::new().own_postgres().start().await;
    let document = app.place(&order(&[1])).await.created();
    app.come_to_rest().await;
    let path = format!("/v1/orders/{}", document.id());

    let frozen = app.freeze_postgres().await;
    assert_eq!(statuses(&read_many(&app, &path).await), BTreeMap::from([(503, MANY)]));
    drop(frozen);
    all_is_well_again(&app, &document).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_swallows_everything_and_many_reads_at_once_are_only_503() {
    let app = Spawn::new().behind_black_hole().start().await;
    let document = app.place(&order(&[1])).await.created();
    app.come_to_rest().await;
    let path = format!("/v1/orders/{}", document.id());

    app.black_hole().swallow(true);
    assert_eq!(statuses(&read_many(&app, &path).await), BTreeMap::from([(503, MANY)]));
    app.black_hole().swallow(false);
    all_is_well_again(&app, &document).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_seating_hangs_many_orders_at_once_are_only_under_way() {
    let app = spawn().await;
    app.place(&order(&[160])).await.created();
    let seating = app.fault(stall(CallName::Reserve, 20_000, Moment::Before).always()).await;
    let placings: Vec<Placing> = (1..=150).map(|seat| order(&[seat])).collect();
    for answer in join_all(placings.iter().map(|placing| app.place(placing))).await {
        answer.under_way();
    }
    app.mend(seating).await;
    app.place(&order(&[161])).await.created();
    app.finish().await;
}

async fn read_many(app: &App, path: &str) -> Vec<Answer> {
    join_all((0..MANY).map(|_| app.get(path))).await
}

fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    answers.iter().fold(BTreeMap::new(), |mut counts, answer| {
        *counts.entry(answer.status).or_default() += 1;
        counts
    })
}

/// A moment later every read succeeds, and orders can be placed.
async fn all_is_well_again(app: &App, document: &Document) {
    let path = format!("/v1/orders/{}", document.id());
    eventually("every read succeeds", async || {
        let reads = join_all((0..40).map(|_| app.get(&path))).await;
        assert!(reads.iter().all(|read| matches!(read.status, 200 | 503)), "{:?}", statuses(&reads));
        reads.iter().all(|read| read.status == 200).then_some(())
    })
    .await;
    app.place_when_possible(&order(&[2])).await;
}
