//! Shortcuts to the control API of the sandbox peers, which is `app.peers`.

use std::time::Duration;

use order_dev::peers::{
    Action, CallName, CallbackFault, CallbackRecord, CallbackRule, FaultRule, Matching, Mode, Moment, Page,
    Payment, PaymentStatus, Peer, RefundMode, SeatSpec, SeatStatus, SeatView,
};
use serde_json::Value;

use super::app::App;
use super::document::Document;
use super::poll::eventually;

impl App {
    /// Adds a fault rule.
    pub async fn fault(&self, rule: FaultRule) -> u64 {
        self.peers.add_fault(rule).await.expect("a fault")
    }

    /// Removes a fault rule.
    pub async fn remove_fault(&self, fault: u64) {
        self.peers.remove_fault(fault).await.expect("the fault is there");
    }

    /// Waits until a fault rule has its first hit.
    pub async fn until_fault_hit(&self, fault: u64) {
        let disturbed = async || self.peers.fault_hits(fault).await.expect("the fault is there") > 0;
        eventually("the call is disturbed", async || disturbed().await.then_some(())).await;
    }

    /// Takes a peer down.
    pub async fn take_peer_down(&self, peer: Peer) {
        self.peers.set_down(peer, true).await.expect("the sandbox answers");
    }

    /// Takes a peer up again.
    pub async fn take_peer_up(&self, peer: Peer) {
        self.peers.set_down(peer, false).await.expect("the sandbox answers");
    }

    /// How often a peer was called, by names like `payment.charge`.
    pub async fn calls(&self, call: &str) -> u64 {
        let calls = self.peers.calls().await.expect("the calls");
        calls.counts.get(call).copied().unwrap_or(0)
    }

    /// Whether such a call is open.
    pub async fn has_open_call(&self, call: CallName) -> bool {
        let calls = self.peers.calls().await.expect("the calls");
        calls.of(call).any(|call| call.took_ms.is_none())
    }

    /// How many such calls have been answered.
    pub async fn answers(&self, call: CallName) -> usize {
        let calls = self.peers.calls().await.expect("the calls");
        calls.of(call).filter(|call| call.took_ms.is_some()).count()
    }

    /// No peer was called since the last `clear_calls`.
    pub async fn assert_no_calls(&self) {
        let calls = self.peers.calls().await.expect("the calls");
        assert!(calls.calls.is_empty(), "{calls:?}");
    }

    /// A seat as Seating has it.
    pub async fn seat(&self, id: i64) -> SeatView {
        self.peers.seat(id).await.expect("the seat is there")
    }

    /// Adds or replaces a seat of event 101.
    pub async fn put_seat(&self, seat: SeatSpec) {
        self.peers.put_seats(101, &[seat]).await.expect("the seat is taken");
    }

    /// Seating's job frees the seats whose hold is over, which it does once a minute.
    pub async fn free_lapsed_holds(&self) {
        self.peers.free_lapsed_holds().await.expect("the sandbox answers");
    }

    /// Adds or changes an event.
    pub async fn put_event(&self, id: i64, status: &str) {
        self.peers.put_event(id, status).await.expect("the event is taken");
    }

    /// Sets the outcome of all charges from now on.
    pub async fn set_payment_mode(&self, mode: Mode) {
        self.peers.payment_mode(mode).await.expect("the mode is taken");
    }

    /// Sets the outcome of one user's charges from now on.
    pub async fn set_payment_mode_of_user(&self, user: i64, mode: Mode) {
        let only = Matching { user_id: Some(user), ..Matching::default() };
        let done = self.peers.payment_mode_for(only, mode).await;
        done.expect("the mode is taken");
    }

    /// Sets what becomes of refunds from now on.
    pub async fn set_refund_mode(&self, mode: RefundMode) {
        self.peers.refund_mode(mode).await.expect("the mode is taken");
    }

    /// Keeps reserves from failing because they overlap in time, for a test that is about something else.
    pub async fn never_fail_overlapping_reserves(&self) {
        self.peers.set_serializable(false).await.expect("the sandbox answers");
    }

    /// How long a reserve takes: those that are sent within it overlap.
    pub async fn set_reserve_time(&self, time: Duration) {
        self.peers.set_reserve_time(time).await.expect("the sandbox answers");
    }

    /// A gateway in front of us answers the callback about this user's next charge.
    pub async fn answer_callback_of_user(&self, user: i64, status: u16, arrives: bool) {
        let only = Matching { user_id: Some(user), ..Matching::default() };
        let rule = CallbackRule { only, fault: CallbackFault::Gateway { status, arrives } };
        self.peers.add_callback_fault(&rule).await.expect("the rule is taken");
    }

    /// Payment forgets a payment, or remembers it.
    pub async fn forget_payment(&self, payment_id: &str, forgotten: bool) {
        self.peers.forget_payment(payment_id, forgotten).await.expect("there is such a payment");
    }

    /// Decides an order's payment and sends the callback, which must be taken.
    pub async fn settle(&self, order: &Document, status: PaymentStatus) -> CallbackRecord {
        let settled = self.peers.settle(order.id(), status).await;
        let record = settled.expect("the order has a payment").callback;
        let record = record.expect("a callback is sent");
        assert_eq!(record.status, Some(200), "{record:?}");
        record
    }

    /// Settles an order's payment without a callback.
    pub async fn settle_silently(&self, order: &Document, status: PaymentStatus) -> Payment {
        let settled = self.peers.settle_silently(order.id(), status).await;
        settled.expect("the order has a payment").payment
    }

    /// What Notification was sent about an order.
    pub async fn notifications(&self, order_id: &str) -> Vec<Value> {
        let state = self.peers.state().await.expect("the sandbox's state");
        state.notifications_of(order_id).into_iter().cloned().collect()
    }
}

/// The next call takes so much longer.
pub fn stall(call: CallName, ms: u64, effect: Moment) -> FaultRule {
    FaultRule::on(call, Action::Stall { ms, effect })
}

/// Nothing is done, and this status is answered.
pub fn fail(status: u16) -> Action {
    Action::Fail { status, body: None }
}

/// This body with status 200.
pub fn garbage(body: &str, effect: bool) -> Action {
    garbage_with(200, body, effect)
}

/// This body with this status; done or not.
pub fn garbage_with(status: u16, body: &str, effect: bool) -> Action {
    let is_html = body.starts_with('<');
    Action::Garbage {
        body: body.to_owned(),
        content_type: if is_html { "text/html" } else { "application/json" }.to_owned(),
        status,
        effect,
    }
}

/// Something in front of the peer answers for it, and nothing is done.
pub fn gateway(status: u16, page: Page) -> Action {
    Action::gateway(status, page)
}

/// A proxy answers with this status, and the call does its work so many milliseconds later.
pub fn late_effect(status: u16, ms: u64) -> Action {
    Action::late_effect(status, Page::Html, ms)
}

/// A seat that a user has held for a while, without our doing.
pub fn seat_held_since(id: i64, user: i64, ms_ago: i64) -> SeatSpec {
    SeatSpec { reserved_ms_ago: Some(ms_ago), ..seat_of_somebody(id, SeatStatus::Reserved, user) }
}

/// A seat that somebody else has.
pub fn seat_of_somebody(id: i64, status: SeatStatus, user: i64) -> SeatSpec {
    SeatSpec { status: Some(status), reserved_by: Some(user), ..SeatSpec::priced(id, "150.00") }
}

/// A seat that Seating has allocated to an order.
pub fn seat_sold_to(id: i64, order_id: &str) -> SeatSpec {
    SeatSpec {
        status: Some(SeatStatus::Allocated),
        order_id: Some(order_id.to_owned()),
        ..SeatSpec::priced(id, "150.00")
    }
}
