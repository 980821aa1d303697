//! The call recorder.

use super::*;

#[tokio::test]
async fn calls_are_recorded_with_what_they_are_about() {
    let s = sandbox().await;
    s.reserve(&[1, 2]).await;
    s.charge().await;
    s.get("/catalog/v1/nothing").await;
    let calls = s.control.calls().await.unwrap();
    assert_eq!((calls.counts["seating.reserve"], calls.counts["catalog.unknown"]), (1, 1));
    let charge = calls.of(CallName::Charge).next().unwrap();
    assert_eq!((charge.order_id.as_deref(), charge.status), (Some(ORDER), Some(201)));
    assert_eq!(charge.seat_ids, [1, 2]);
    assert_eq!(calls.about(ORDER).calls.len(), 2);
    let (_, filtered) = s.get("/control/calls?call=reserve&peer=seating").await;
    assert_eq!(filtered["calls"].as_array().unwrap().len(), 1);
    s.control.clear_calls().await.unwrap();
    assert!(s.control.calls().await.unwrap().calls.is_empty());
}

#[tokio::test]
async fn what_was_sold_stays_sold_after_a_restart() {
    let file = std::env::temp_dir().join(format!("order-service-sandbox-{}.json", uuid::Uuid::new_v4()));
    let options = Options { state_file: Some(file.clone()), ..Options::default() };
    let peers = Peers::start(options.clone()).await.unwrap();
    let s = Sandboxed { control: peers.control(), peers, client: reqwest::Client::new() };
    s.control.put_seats(101, &[SeatSpec::priced(9000, "12.345")]).await.unwrap();
    s.reserve(&[1, 9000]).await;
    s.allocate(&[1, 9000]).await;
    let payment = s.charge().await.1;
    s.peers.stop().unwrap();
    let peers = Peers::start(options).await.unwrap();
    let s = Sandboxed { control: peers.control(), peers, client: reqwest::Client::new() };
    assert_eq!(s.get(&format!("/seating/v1/seats/order/{ORDER}")).await.1[1]["price"], 12.345);
    assert_eq!(s.charge().await.1, payment);
    std::fs::remove_file(file).unwrap();
}
