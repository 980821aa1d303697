//! Driving the service until nothing is left to do.

use super::app::App;
use super::poll::eventually;

/// An order at rest is done, or waits for its payment until it expires. Everything else is left to do; so is an order
/// that is done, when what it knows of its payment is in doubt. A payment that is merely undecided may stay so for
/// days: see [`App::watch`].
const LEFT: &str =
    "(payment_unsure OR phase <> 'done') AND NOT (phase = 'awaiting_payment' AND due_at >= expires_at
                    AND expires_at > timezone('utc', clock_timestamp()))";

const NOW: &str = "timezone('utc', clock_timestamp())";

impl App {
    /// Sweeps until nothing is left to do and no peer is at work. What waits for a while (a back-off, or the lease of a
    /// host that was killed) is made due at once, so that nobody has to wait for the clock.
    pub async fn come_to_rest(&self) {
        let mut before = String::new();
        eventually("nothing is left to do", async || {
            self.sweep().await;
            let left = self.left_to_do().await;
            let busy = self.peers_at_work().await;
            if left.is_empty() && !busy {
                return Some(());
            }
            if left == before && !busy {
                self.make_due().await;
            }
            if left != before {
                println!("left to do: {left}");
            }
            before = left;
            None
        })
        .await;
    }

    /// What is left to do, in words; empty when there is nothing.
    pub async fn left_to_do(&self) -> String {
        let orders =
            format!("SELECT format('order %s %s v%s', id, phase, version) AS t FROM orders WHERE {LEFT}");
        let messages = "SELECT format('message %s %s: %s', id, attempts, last_error) AS t FROM outbox WHERE dead_at IS NULL";
        let all = format!(
            "SELECT coalesce(string_agg(t, ', ' ORDER BY t), '') FROM ({orders} UNION ALL {messages}) x"
        );
        self.store.value(&all).await.as_str().unwrap_or_default().to_owned()
    }

    /// Whether a peer has a call that it has not answered: whoever made it may be alive, and must not be overtaken.
    async fn peers_at_work(&self) -> bool {
        let calls = self.peers.calls().await.expect("the calls");
        calls.calls.iter().any(|call| call.took_ms.is_none())
    }

    /// Ends every wait for a time to come. A request to Seating that had no answer may take effect for as long as
    /// Seating is at it.
    pub async fn make_due(&self) {
        if !self.peers_at_work().await {
            let sql = format!("UPDATE orders SET in_flight_until = {NOW} WHERE in_flight_until > {NOW}");
            self.store.run(&sql).await;
        }
        let sql = format!(
            "UPDATE orders SET due_at = {NOW} WHERE {LEFT} AND due_at > {NOW};
             UPDATE orders SET watch_at = {NOW} WHERE payment_unsure AND watch_at > {NOW};
             UPDATE outbox SET due_at = {NOW} WHERE dead_at IS NULL AND due_at > {NOW};"
        );
        self.store.run(&sql).await;
    }

    /// The time has come to ask Payment about the payments that it has not decided, and a sweep does.
    pub async fn watch(&self) {
        self.store.run(&format!("UPDATE orders SET watch_at = {NOW} WHERE watch_at IS NOT NULL")).await;
        self.sweep().await;
        self.come_to_rest().await;
    }
}
