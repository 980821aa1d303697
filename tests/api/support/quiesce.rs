//! Quiesces the service: sweeps until no work is pending.

use super::app::App;
use super::poll::eventually;

/// Pending work: every order that is neither `done` nor waits for its payment until it expires, and every order whose payment
/// is unsure. A payment that is merely pending is no pending work, it may stay so for days: see [`App::watch`].
const PENDING: &str =
    "(payment_unsure OR phase <> 'done') AND NOT (phase = 'awaiting_payment' AND due_at >= expires_at
                    AND expires_at > timezone('utc', clock_timestamp()))";

const NOW: &str = "timezone('utc', clock_timestamp())";

impl App {
    /// Has nothing sent to any sink of events, until [`Self::resume_sinks`].
    pub async fn pause_sinks(&self) {
        self.store
            .run("UPDATE event_sinks SET paused_until = timezone('utc', clock_timestamp()) + interval '1 hour'")
            .await;
    }

    /// Ends every pause of the sinks.
    pub async fn resume_sinks(&self) {
        self.store.run("UPDATE event_sinks SET paused_until = NULL").await;
    }

    /// Sweeps until no work is pending and no call to a peer is open. What waits for a time (a back-off, the lease of a host
    /// that was killed) is made due at once, so that tests need not wait for it.
    pub async fn quiesce(&self) {
        let mut before = String::new();
        eventually("nothing is left to do", async || {
            self.sweep().await;
            let left = self.pending_work().await;
            let busy = self.has_open_peer_calls().await;
            if left.is_empty() && !busy {
                return Some(());
            }
            if left == before && !busy {
                self.expire_waits().await;
            }
            if left != before {
                println!("left to do: {left}");
            }
            before = left;
            None
        })
        .await;
    }

    /// Lists pending orders and outbox messages; empty when there are none.
    pub async fn pending_work(&self) -> String {
        let orders =
            format!("SELECT format('order %s %s v%s', id, phase, version) AS t FROM orders WHERE {PENDING}");
        let messages = "SELECT format('message %s %s: %s', id, attempts, last_error) AS t FROM outbox WHERE dead_at IS NULL";
        let refunds = "SELECT format('payment %s %s', payment_id, attempts) FROM payment_refunds WHERE due_at IS NOT NULL AND (NOT undecided OR payment_id IS NULL AND NOT watched)";
        let events = "SELECT format('events %s %s %s: %s', sink, order_id, attempts, tried) FROM event_deliveries WHERE due_at IS NOT NULL";
        let all = format!(
            "SELECT coalesce(string_agg(t, ', ' ORDER BY t), '') FROM ({orders} UNION ALL {messages} UNION ALL {refunds} UNION ALL {events}) x"
        );
        self.store.value(&all).await.as_str().unwrap_or_default().to_owned()
    }

    /// Whether a call to a peer is open: the task that made it may be alive, and its lease must not be expired.
    async fn has_open_peer_calls(&self) -> bool {
        let calls = self.peers.calls().await.expect("the calls");
        calls.calls.iter().any(|call| call.took_ms.is_none())
    }

    /// Makes everything due that waits for a time. `in_flight_until` only when no call is open: a request to Seating without an
    /// answer may take effect as long as Seating works on it.
    pub async fn expire_waits(&self) {
        if !self.has_open_peer_calls().await {
            let sql = format!("UPDATE orders SET in_flight_until = {NOW} WHERE in_flight_until > {NOW}");
            self.store.run(&sql).await;
        }
        let sql = format!(
            "UPDATE orders SET due_at = {NOW} WHERE {PENDING} AND due_at > {NOW};
             UPDATE orders SET watch_at = {NOW} WHERE payment_unsure AND watch_at > {NOW};
             UPDATE payment_refunds SET due_at = {NOW} WHERE due_at > {NOW} AND (NOT undecided OR payment_id IS NULL AND NOT watched);
             UPDATE outbox SET due_at = {NOW} WHERE dead_at IS NULL AND due_at > {NOW};
             UPDATE event_deliveries SET due_at = {NOW} WHERE due_at > {NOW};
             UPDATE event_sinks SET paused_until = NULL;"
        );
        self.store.run(&sql).await;
    }

    /// Makes all payment watches due and sweeps: Payment is polled for pending payments.
    pub async fn watch(&self) {
        self.store
            .run(&format!(
                "UPDATE orders SET watch_at = {NOW} WHERE watch_at IS NOT NULL;
                 UPDATE payment_refunds SET due_at = {NOW} WHERE undecided AND due_at IS NOT NULL;"
            ))
            .await;
        self.sweep().await;
        self.quiesce().await;
    }
}
