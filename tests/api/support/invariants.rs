//! Invariants of the database and the peers after the service has quiesced.

use std::collections::{BTreeMap, HashMap};

use order_dev::peers::{Payment, PaymentStatus, SandboxState, SeatStatus};
use serde_json::{Value, json};

use super::app::App;
use super::logs;

/// Orders that this service placed; inherited ones (without a request hash) have no invariants.
const ORDERS: &str = "
    SELECT o.id, o.status, o.phase, o.seats, o.user_id, o.event_id, o.currency, o.version,
           o.subtotal_cents, o.tax_cents, o.total_cents, o.payment_id, o.payment_status,
           o.expires_at <= timezone('utc', clock_timestamp()) AS lapsed,
           o.due_at <= timezone('utc', clock_timestamp()) AS due,
           o.valid_tickets, o.claimed, o.payment_unsure, o.watch_at IS NOT NULL AS watched, o.parked_at IS NOT NULL AS parked,
           (SELECT to_jsonb(r) FROM refunds r WHERE r.order_id = o.id) AS refund,
           (SELECT coalesce(sum(seat_price_cents), 0) FROM order_items i WHERE i.order_id = o.id) AS item_cents,
           (SELECT coalesce(jsonb_agg(seat_id ORDER BY seat_id), '[]') FROM order_items i WHERE i.order_id = o.id) AS items,
           (SELECT coalesce(jsonb_agg(seat_id ORDER BY seat_id), '[]') FROM tickets t WHERE t.order_id = o.id AND voided_at IS NULL) AS valid,
           (SELECT count(*) FROM tickets t WHERE t.order_id = o.id) AS tickets,
           (SELECT coalesce(jsonb_agg(seat_id ORDER BY seat_id), '[]') FROM seat_claims c WHERE c.order_id = o.id AND c.event_id = o.event_id) AS claims,
           (SELECT coalesce(jsonb_agg(jsonb_build_array(e.seq, e.count) ORDER BY e.seq), '[]') FROM order_events e WHERE e.order_id = o.id) AS journal
    FROM orders o WHERE o.request_hash IS NOT NULL";

/// Rows of no order. The journal, the claims, the items and the deliveries have no foreign keys (migrations/0017_cheaper_writes.sql).
pub const ORPHANS: &str = "SELECT count(*) FROM (
    SELECT order_id FROM order_items UNION SELECT order_id FROM tickets UNION SELECT order_id FROM seat_claims
    UNION SELECT order_id FROM order_events UNION SELECT order_id FROM refunds UNION SELECT order_id FROM event_deliveries
    EXCEPT SELECT id FROM orders) x";

impl App {
    /// Orders, money, seats and messages agree.
    pub async fn check_invariants(&self) {
        let orders = self.store.rows(ORDERS).await;
        let sandbox = self.peers.state().await.expect("the sandbox's state");
        let calls = self.peers.calls().await.expect("the calls");
        assert_eq!(calls.counts.get("seating.availability"), None, "the availability list is never fetched");

        let mut payments: HashMap<&str, &Payment> = HashMap::new();
        for payment in sandbox.payments.iter().filter(|payment| !payment.charged_elsewhere) {
            assert_eq!(payment.idempotency_key, payment.order_id, "an order's key is its id");
            let other = payments.insert(&payment.order_id, payment);
            assert!(other.is_none(), "two charges for one order: {payment:?}, {other:?}");
        }
        for payment in sandbox.payments.iter().filter(|payment| payment.charged_elsewhere) {
            let order = orders.iter().find(|order| order["id"] == payment.order_id);
            if order.is_some_and(|order| order["payment_id"] == payment.id) {
                payments.insert(&payment.order_id, payment);
            }
            assert!(payment.returned <= 1, "it went back more than once: {payment:?}");
        }
        for payment in &sandbox.payments {
            let is_the_orders =
                payments.get(&*payment.order_id).is_some_and(|orders| orders.id == payment.id);
            let is_kept = payment.status == PaymentStatus::Success;
            assert!(is_the_orders || !is_kept, "an order is paid twice: {payment:?}");
        }
        for order in &orders {
            check_order(order, payments.get(order["id"].as_str().unwrap_or_default()).copied());
        }
        check_seats(&orders, &sandbox);
        for order in &orders {
            check_refund(order, payments.get(order["id"].as_str().unwrap_or_default()).copied());
            check_quiescent(order);
        }
        self.check_counts().await;

        let stray = "SELECT count(*) FROM seat_claims c JOIN orders o ON o.id = c.order_id
                     WHERE o.status NOT IN ('PENDING', 'CONFIRMED') OR o.event_id <> c.event_id";
        assert_eq!(self.store.count(stray).await, 0, "claims of dead orders");
        assert_eq!(self.store.count(ORPHANS).await, 0, "rows of no order");
        // Events are numbered from 1 on without gaps, as many as the order has had.
        let misnumbered = "SELECT count(*) FROM (
                SELECT e.order_id, e.sequence + i AS sequence, row_number() OVER (PARTITION BY e.order_id ORDER BY e.seq, i) AS number
                FROM order_events e CROSS JOIN generate_series(0, jsonb_array_length(e.events) - 1) i) x WHERE sequence <> number";
        assert_eq!(self.store.count(misnumbered).await, 0, "orders whose events have gaps");
        let dead = "SELECT count(*) FROM outbox WHERE dead_at IS NOT NULL";
        assert_eq!(self.store.count(dead).await, self.dead_letters, "dead letters");
    }

    /// What the service counts agrees with the rows, and it has nothing to tell the operator.
    async fn check_counts(&self) {
        let miscounted = "
            SELECT count(*) FROM orders o
            WHERE o.valid_tickets <> (SELECT count(*) FROM tickets t WHERE t.order_id = o.id AND t.voided_at IS NULL)
               OR o.claimed <> (SELECT count(*) FROM seat_claims c WHERE c.order_id = o.id)";
        assert_eq!(
            self.store.count(miscounted).await,
            0,
            "valid_tickets or claimed is not what the rows are"
        );
        if self.token.is_some() && self.dead_letters == 0 {
            let stuck = self.stuck().await;
            assert!(stuck.orders.is_empty() && stuck.messages.is_empty(), "{stuck:?}");
        }
    }

    /// Nothing panicked, every line is what a collector of logs can read, and nobody is woken up for nothing.
    pub fn check_output(&self) {
        for host in &self.hosts {
            assert_eq!(host.error_output(), "", "the component writes nothing to standard error");
            let lines = host.log_lines();
            logs::check_lines(&lines);
            let errors = logs::errors(&lines);
            assert!(errors.is_empty() || self.may_log_errors, "{errors:?}");
        }
    }
}

#[track_caller]
fn check_order(order: &Value, payment: Option<&Payment>) {
    let seats = &order["seats"];
    let none = json!([]);
    let taken = payment.is_some_and(|payment| payment.status == PaymentStatus::Success);
    let shown = || format!("{order}\n{payment:?}");
    assert_ne!(order["due"], true, "an order is due: {}", shown());

    check_journal(order);
    if !order["subtotal_cents"].is_null() {
        let cents = |name: &str| order[name].as_i64().unwrap_or_default();
        assert_eq!(cents("subtotal_cents") + cents("tax_cents"), cents("total_cents"), "{}", shown());
        assert_eq!((&order["items"], cents("item_cents")), (seats, cents("subtotal_cents")), "{}", shown());
    }
    if let Some(payment) = payment {
        assert_eq!(order["total_cents"], payment.amount_cents, "{}", shown());
        assert_eq!(order["currency"], payment.currency, "{}", shown());
        assert!(order["payment_id"].is_null() || order["payment_id"] == payment.id, "{}", shown());
    }

    let is_free = order["total_cents"] == 0;
    match order["status"].as_str().unwrap_or_default() {
        "CONFIRMED" => {
            let paid = taken && order["payment_status"] == "SUCCESS";
            assert!(paid || is_free && payment.is_none(), "tickets without money: {}", shown());
            assert_eq!((&order["valid"], &order["claims"]), (seats, seats), "{}", shown());
            assert_eq!(order["tickets"], seats.as_array().map_or(0, Vec::len), "{}", shown());
        }
        "PENDING" => {
            assert!(!taken, "money without tickets: {}", shown());
            assert_eq!((&order["claims"], &order["tickets"]), (seats, &json!(0)), "{}", shown());
        }
        dead => {
            assert!(!taken, "money without tickets: {}", shown());
            assert_eq!((&order["claims"], &order["valid"]), (&none, &none), "{}", shown());
            assert!(dead != "REFUNDED" || is_free || order["payment_status"] == "REFUNDED", "{}", shown());
            assert_eq!(order["phase"], "done", "{}", shown());
        }
    }
}

/// The journal has an entry for each version. One that stands for several has the number of its first, and the others are numbers
/// that no entry has.
#[track_caller]
fn check_journal(order: &Value) {
    let entries = order["journal"].as_array().expect("a list of entries");
    let mut versions = 0;
    for entry in entries {
        let (seq, count) = (entry[0].as_i64().unwrap_or_default(), entry[1].as_i64().unwrap_or_default());
        assert!(count > 0 && (1..=versions + 1).contains(&seq), "the journal has gaps: {order}");
        versions += count;
    }
    assert_eq!(order["version"], versions, "the journal has gaps: {order}");
}

/// Every payment that went back has its row, which is settled, and no row stays open.
#[track_caller]
fn check_refund(order: &Value, payment: Option<&Payment>) {
    let refund = &order["refund"];
    assert!(order["payment_status"] != "REFUNDED" || refund["outcome"] == "REFUNDED", "{order}");
    if refund.is_null() {
        return;
    }
    let payment = payment.expect("what goes back was paid");
    assert!(!refund["settled_at"].is_null(), "a refund is open: {order}");
    assert_eq!(refund["outcome"], json!(payment.status), "{order}");
    assert_eq!(refund["payment_id"], payment.id, "{order}");
    assert_eq!(refund["amount_cents"], payment.amount_cents, "{order}");
}

/// An order at rest is asked about exactly as long as its payment is undecided, and nobody has to look at it.
#[track_caller]
fn check_quiescent(order: &Value) {
    assert_eq!(order["payment_unsure"], false, "{order}");
    let undecided = order["phase"] == "done" && order["payment_status"] == "PENDING";
    assert_eq!(order["watched"], undecided, "{order}");
    assert!(order["parked"] == false, "an order is parked, and nothing is left to do: {order}");
}

/// Seating agrees with us: a confirmed order has its seats, and a dead one holds none beyond Seating's own expiry.
#[track_caller]
fn check_seats(orders: &[Value], sandbox: &SandboxState) {
    let by_id: BTreeMap<i64, _> = sandbox.seats.iter().map(|seat| (seat.id, seat)).collect();
    let seats_of = |order: &Value| -> Vec<i64> {
        order["seats"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
    };
    let live: Vec<i64> =
        orders.iter().filter(|order| order["claims"] != json!([])).flat_map(&seats_of).collect();
    for order in orders {
        for id in seats_of(order) {
            let seat = by_id.get(&id);
            let ours = seat.is_some_and(|seat| seat.order_id.as_deref() == order["id"].as_str());
            let shown = || format!("{order}\n{seat:?}");
            if order["status"] == "CONFIRMED" {
                assert!(ours, "a seat was sold, and Seating does not know: {}", shown());
                continue;
            }
            assert!(!ours, "a seat is allocated to an order that is not confirmed: {}", shown());
            let dead = order["status"] != "PENDING" && order["lapsed"] == false && !live.contains(&id);
            let held = seat.is_some_and(|seat| {
                seat.status == SeatStatus::Reserved && seat.reserved_by == order["user_id"].as_i64()
            });
            assert!(!(dead && held), "a dead order holds a seat: {}", shown());
        }
    }
}
