//! Many waits end at the same time. The host has a fiber for each instance, and one more for each call that is cancelled: an
//! instance that finds none traps, and answers every request in it with an empty 500.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::slow_clients::HalfSent;
use crate::support::*;

/// More reads than the host has fibers.
const READS: usize = 1_200;
const ORDERS: i64 = 150;
const BODIES: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_and_many_reads_at_once_are_only_503() {
    frozen_database(READS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_swallows_everything_and_many_reads_at_once_are_only_503() {
    swallowing_database(READS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_seating_hangs_many_orders_at_once_are_only_under_way() {
    hanging_seating(ORDERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_half_sent_bodies_are_only_408() {
    half_sent_bodies(BODIES).await;
}

/// One after the other, because each takes all that the machine has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and many thousand sockets: cargo test --test api -- --ignored full_size"]
async fn the_same_at_full_size() {
    let recoveries = [
        ("frozen database", frozen_database(3_000).await),
        ("database behind a black hole", swallowing_database(3_000).await),
        ("hanging Seating", hanging_seating(400).await),
        ("half-sent bodies", half_sent_bodies(900).await),
    ];
    for (fault, recovery) in recoveries {
        println!("{fault}: all was well after {recovery:?}");
        assert!(recovery < Duration::from_secs(5), "{fault}: {recovery:?}");
    }
}

async fn frozen_database(many: usize) -> Duration {
    let mut app = Spawn::new().own_postgres().start().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    let path = format!("/v1/orders/{}", document.id());

    let frozen = app.suspend_postgres().await;
    assert_eq!(statuses(&read_many(&app, &path, many).await), BTreeMap::from([(503, many)]));
    drop(frozen);
    let recovery = all_is_well_again(&app, &document).await;
    app.finish().await;
    recovery
}

async fn swallowing_database(many: usize) -> Duration {
    let app = Spawn::new().behind_black_hole().start().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    let path = format!("/v1/orders/{}", document.id());

    app.black_hole().drop_bytes(true);
    assert_eq!(statuses(&read_many(&app, &path, many).await), BTreeMap::from([(503, many)]));
    app.black_hole().drop_bytes(false);
    let recovery = all_is_well_again(&app, &document).await;
    app.finish().await;
    recovery
}

async fn hanging_seating(many: i64) -> Duration {
    let app = spawn().await;
    let seats: Vec<SeatSpec> = (1..=many + 2).map(|id| SeatSpec::priced(id, "150.00")).collect();
    app.peers.put_seats(101, &seats).await.expect("the seats are taken");
    app.place(&order(&[many + 1])).await.created();
    // All of its calls: a look would find the seats reserved.
    let hangs = Action::Stall { ms: 20_000, effect: Moment::Before };
    let seating = app.fault(FaultRule::on_any(Peer::Seating, hangs).always()).await;
    let order_requests: Vec<OrderRequest> = (1..=many).map(|seat| order(&[seat])).collect();
    for answer in join_all(order_requests.iter().map(|order_request| app.place(order_request))).await {
        answer.accepted();
    }
    app.remove_fault(seating).await;
    let begun = Instant::now();
    app.place(&order(&[many + 2])).await.created();
    let recovery = begun.elapsed();
    app.finish().await;
    recovery
}

async fn half_sent_bodies(many: usize) -> Duration {
    let app = spawn().await;
    let half_sent = join_all((0..many).map(|_| HalfSent::to(&app))).await;
    // The others are served meanwhile.
    app.place(&order(&[1])).await.created();
    for answer in join_all(half_sent.into_iter().map(HalfSent::answer)).await {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    let begun = Instant::now();
    app.place(&order(&[2])).await.created();
    let recovery = begun.elapsed();
    app.finish().await;
    recovery
}

async fn read_many(app: &App, path: &str, many: usize) -> Vec<Answer> {
    join_all((0..many).map(|_| app.get(path))).await
}

fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    answers.iter().fold(BTreeMap::new(), |mut counts, answer| {
        *counts.entry(answer.status).or_default() += 1;
        counts
    })
}

/// A moment later every read succeeds, and orders can be placed; how long that took.
async fn all_is_well_again(app: &App, document: &Document) -> Duration {
    let begun = Instant::now();
    app.until_reads_succeed(document.id()).await;
    assert_eq!(app.read(document.id()).await, *document);
    app.place(&order(&[2])).await.created_or_accepted();
    begun.elapsed()
}
