//! A whole run while Notification is out of order: nothing waits for it, and nothing is lost.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream;

use crate::support::*;

/// Places orders for these seats of event 106, ten at a time: each is confirmed when it is answered.
async fn all_are_confirmed(app: &App, seats: std::ops::Range<i64>) -> BTreeSet<String> {
    let order_requests: Vec<OrderRequest> = seats.map(|seat| order(&[seat]).event(106)).collect();
    let placed =
        stream::iter(&order_requests).map(|order_request| app.place(order_request)).buffer_unordered(10);
    placed
        .map(|answer| {
            let document = answer.created();
            document.assert_is("CONFIRMED", "done");
            document.id().to_owned()
        })
        .collect()
        .await
}

/// The ids of the orders and of the messages in the outbox.
async fn waiting(app: &App) -> BTreeSet<(String, String)> {
    let rows = app.store.rows("SELECT order_id, id FROM outbox WHERE dead_at IS NULL").await;
    let text = |row: &Value, name: &str| row[name].as_str().expect("an id").to_owned();
    rows.iter().map(|row| (text(row, "order_id"), text(row, "id"))).collect()
}

/// The ids of the orders and of the messages that Notification has taken; how often it took one does not matter.
async fn taken(app: &App) -> BTreeSet<(String, String)> {
    let state = app.peers.state().await.unwrap();
    let text = |message: &Value, name: &str| message[name].as_str().expect("an id").to_owned();
    state.notifications.iter().map(|message| (text(message, "order_id"), text(message, "id"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_notification_is_down_150_orders_confirm_and_every_message_arrives_when_it_is_up() {
    let app = Spawn::new().replicas(2).start().await;
    app.take_peer_down(Peer::Notification).await;
    let orders = all_are_confirmed(&app, 3001..3151).await;
    for _ in 0..2 {
        app.expire_waits().await;
        app.sweep().await;
    }
    assert_eq!(taken(&app).await.len(), 0);
    let messages = waiting(&app).await;
    let told: BTreeSet<String> = messages.iter().map(|(order, _)| order.clone()).collect();
    assert_eq!((messages.len(), &told), (150, &orders));
    app.take_peer_up(Peer::Notification).await;
    app.quiesce().await;
    assert_eq!(taken(&app).await, messages);
    let state = app.peers.state().await.unwrap();
    assert_eq!(state.notifications.len(), 150, "each is sent once when it is taken at once");
    crate::metrics::assert_agrees(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_notification_says_nothing_150_orders_confirm_and_every_message_arrives_when_it_does() {
    let app = Spawn::new().replicas(2).start().await;
    app.fault(stall(CallName::Notify, 3_600_000, Moment::After).always()).await;
    let orders = all_are_confirmed(&app, 3001..3151).await;
    let messages = waiting(&app).await;
    assert_eq!((messages.len(), orders.len()), (150, 150));
    app.peers.clear_faults().await.unwrap();
    // Notification never comes to the calls that it has.
    app.peers.clear_calls().await.unwrap();
    app.quiesce().await;
    assert_eq!(taken(&app).await, messages);
    app.finish().await;
}
