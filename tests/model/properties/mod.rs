//! Properties: safety (invariants of every state) and liveness.

pub mod liveness;

use super::order::{Issued, OrderIndex, When};
use super::rules::Model;
use super::state::{
    InFlightRequest, ModelState, NextBuyer, PaymentState, ProgramCounter, Seat, SeatOwner, Stranger,
};
use order_service::domain::order::{PaymentStatus, Phase, Status};

/// A property of one order in one state.
type OfOrder = (&'static str, fn(&ModelState, OrderIndex) -> bool);

/// Seats, by Seating's own account.
pub const ALLOCATED: &str = "a confirmed order's seat is allocated to it";
/// A cancel holds.
pub const CANCELLED: &str = "what the buyer cancelled is never confirmed";
/// No refund twice.
pub const REFUNDED_ONCE: &str = "money goes back at most once";
/// Seats, by Seating's own account.
pub const HELD: &str = "at rest: nothing is held for a dead order";
/// An operator's word holds.
pub const DENIED: &str = "what an operator said was not paid is never confirmed";

/// Late money for a cancelled event.
pub const EVENT: &str = "money that came after its event was cancelled confirms nothing";
/// Payment and what costs nothing.
pub const FREE: &str = "Payment hears nothing of an order that costs nothing";
/// An operator and what nobody knows.
pub const OPERATOR: &str = "an operator hears of what Payment does not know, at rest or to be refunded, of an unknown status at rest, and of a refund that is repeated";

/// A refund that Payment has accepted.
pub const ONCE_MORE: &str = "a refund that Payment has accepted is asked for once more at most";

/// The time to pay.
pub const IN_TIME: &str = "an order that its buyer has not cancelled does not expire before its time";

/// Seats that are lost.
pub const LOST: &str = "a seat counts as lost only when Seating has not allocated it to the order, nor holds it within the hold window";

/// Whose a payment is.
pub const ONE_ORDER: &str = "a payment is of one order";

/// The order's payment at Payment.
fn paid(state: &ModelState, order: OrderIndex) -> PaymentState {
    *state.payment(order, state.rows[order].which)
}

/// In every state, at every moment.
pub const ALWAYS: &[OfOrder] = &[
    ("valid tickets are for a seat that the order has claimed", |w, o| {
        w.rows[o].tickets != Issued::Valid || w.claim == Some(SeatOwner::Order(o))
    }),
    (ALLOCATED, |w, o| {
        !(w.rows[o].status == Status::Confirmed && w.rows[o].phase == Phase::Done)
            || w.seat == Seat::Allocated(SeatOwner::Order(o))
    }),
    (CANCELLED, |w, o| {
        !w.cancelled[o] || w.rows[o].status != Status::Confirmed && w.rows[o].tickets == Issued::None
    }),
    (REFUNDED_ONCE, |w, o| w.payments[o].iter().all(|pay| pay.refunds <= 1)),
    (ONE_ORDER, |w, o| w.rows[o].payment.is_none() || !w.is_foreign(o, w.rows[o].which)),
    (EVENT, |w, o| !w.too_late[o] || w.rows[o].status != Status::Confirmed),
    (DENIED, |w, o| !w.denied[o] || w.rows[o].status != Status::Confirmed),
    ("tickets are valid only while the order is confirmed and paid, or costs nothing", |w, o| {
        w.rows[o].tickets != Issued::Valid
            || w.rows[o].status == Status::Confirmed
                && (w.rows[o].free
                    || paid(w, o).status == Some(PaymentStatus::Success)
                    || paid(w, o).charged_back)
    }),
    ("an order is due, or done", |w, o| {
        !w.rows[o].placed || w.rows[o].phase == Phase::Done || w.rows[o].when != When::Never
    }),
    ("at rest: an order is not pending", |w, o| {
        w.rows[o].phase != Phase::Done || w.rows[o].status != Status::Pending
    }),
    ("at rest: money kept if and only if tickets are valid, of an order that costs something", |w, o| {
        w.rows[o].phase != Phase::Done
            || w.rows[o].free
            || (w.rows[o].payment == Some(PaymentStatus::Success)) == (w.rows[o].tickets == Issued::Valid)
    }),
    ("at rest: a dead order has no claims", |w, o| {
        w.rows[o].phase != Phase::Done || !w.rows[o].dead() || w.claim != Some(SeatOwner::Order(o))
    }),
    ("at rest: nobody's seat is a dead order's at Seating", |w, o| {
        let works = w.holders.iter().flatten().any(|holder| holder.order == o);
        let lands = w.in_flight_requests.iter().flatten().any(|one: &InFlightRequest| one.order == o);
        works
            || lands
            || w.rows[o].phase != Phase::Done
            || !w.rows[o].dead()
            || w.seat != Seat::Allocated(SeatOwner::Order(o))
    }),
    (HELD, |w, o| {
        let works = w.holders.iter().flatten().any(|holder| holder.order == o);
        let lands = w.in_flight_requests.iter().flatten().any(|one: &InFlightRequest| one.order == o);
        let held = matches!(w.seat, Seat::Reserved { owner, .. } if owner == SeatOwner::Order(o));
        works || lands || w.rows[o].phase != Phase::Done || !w.rows[o].dead() || !held || w.adopted(o)
    }),
    ("an order that is alive has its claim", |w, o| {
        !w.rows[o].placed || w.rows[o].dead() || w.claim == Some(SeatOwner::Order(o))
    }),
];

/// Of the next buyer: nobody touches what is its.
pub const NEXT_BUYER: &str = "the next buyer's seat is its own";
/// Nor what is a stranger's.
pub const STRANGER: &str = "a stranger's seat is its own";
/// No step did anything impossible.
pub const NOTHING_WRONG: &str = "the service's own errors do not happen";

/// The first property that does not hold.
pub fn broken(model: &Model, state: &ModelState) -> Option<&'static str> {
    let untouched = match state.next {
        NextBuyer::Reserved => matches!(state.seat, Seat::Reserved { owner: SeatOwner::NextBuyer, .. }),
        NextBuyer::Sold => state.seat == Seat::Allocated(SeatOwner::NextBuyer),
        NextBuyer::Waits | NextBuyer::Claimed | NextBuyer::Gone => true,
    };
    if !untouched {
        return Some(NEXT_BUYER);
    }
    let untouched = match state.stranger {
        Stranger::Reserved => matches!(state.seat, Seat::Reserved { owner: SeatOwner::Stranger, .. }),
        Stranger::Sold => state.seat == Seat::Allocated(SeatOwner::Stranger),
        Stranger::Waits | Stranger::Gone => true,
    };
    if !untouched {
        return Some(STRANGER);
    }
    if let Some(wrong) = state.wrong {
        return Some(
            [IN_TIME, ONCE_MORE, LOST].into_iter().find(|one| *one == wrong).unwrap_or(NOTHING_WRONG),
        );
    }
    if state.untold {
        return Some(OPERATOR);
    }
    if model.free && (0..model.orders).any(|order| hears(state, order)) {
        return Some(FREE);
    }
    let of_order = |o| ALWAYS.iter().find(move |(_, holds)| !holds(state, o)).map(|(name, _)| *name);
    (0..model.orders).find_map(of_order)
}

/// Whether Payment is asked for the order, or was.
fn hears(state: &ModelState, order: OrderIndex) -> bool {
    let asks = |pc| {
        matches!(
            pc,
            ProgramCounter::Charge
                | ProgramCounter::Ask
                | ProgramCounter::AskSecond
                | ProgramCounter::AskRefund
                | ProgramCounter::AskThenRefund
                | ProgramCounter::Refund
                | ProgramCounter::AskAfterRefund
        )
    };
    let is_checked = state.open_charge[order] || state.told[order].contains(&true);
    is_checked
        || state.payments[order] != [PaymentState::default(); 2]
        || state.holders.iter().flatten().any(|holder| holder.order == order && asks(holder.pc))
}
