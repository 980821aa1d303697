//! Steps of an order: it is placed, claimed by a sweep, cancelled, refunded, or times out.

use super::holder::ahead;
use super::{Step, Steps, push};
use crate::order::{ModelEvent, OrderIndex, Row, When};
use crate::rules::Model;
use crate::state::{Holder, InFlightRequest, ModelState, PeerRequest, ProgramCounter, SeatOwner};

pub fn order_steps(model: &Model, state: &ModelState, order: OrderIndex, steps: &mut Steps) {
    let row = state.rows[order];
    let room = state.has_room(model.holders);
    if !row.placed {
        if room && state.claim.is_none() {
            push(steps, state, Step::Place(order), |w| place(model, w, order));
        }
        return;
    }
    if !row.expired {
        push(steps, state, Step::Expire(order), |w| w.rows[order].expired = true);
    } else if !row.lapsed {
        push(steps, state, Step::Lapse(order), |w| w.rows[order].lapsed = true);
    }
    if row.in_flight && flight_may_end(state, order) {
        push(steps, state, Step::FlightOver(order), |w| w.rows[order].in_flight = false);
    }
    if !room {
        return;
    }
    let holder = state.holders.iter().flatten().find(|one| one.order == order && one.leases);
    let due = match row.when {
        When::Never => false,
        When::Lease => holder.is_none(),
        When::Soon | When::Watch => true,
        When::Expiry => row.expired,
        When::Settled => !row.in_flight,
    };
    if due {
        push(steps, state, Step::Sweep(order), |w| model.claim(w, order));
    } else if state.left.overtakes > 0 && holder.is_some_and(|one| matches!(one.pc, ProgramCounter::Store(_)))
    {
        push(steps, state, Step::Overtake(order), |w| {
            w.left.overtakes -= 1;
            model.claim(w, order);
        });
    }
    // Only what is parked, and so has been tried.
    if state.left.redrives > 0 && row.tried && row.when != When::Never {
        push(steps, state, Step::Redrive(order), |w| {
            w.left.redrives -= 1;
            model.redrive(w, order);
        });
    }
    if state.left.cancels > 0 {
        wish(model, state, order, ModelEvent::Cancel, Step::Cancel(order), steps);
    }
    if state.left.refunds > 0 {
        wish(model, state, order, ModelEvent::Refund, Step::Refund(order), steps);
    }
}

/// What `insert_order` stores, held by the request that places it.
pub fn place(model: &Model, state: &mut ModelState, order: OrderIndex) {
    state.rows[order] = Row::PLACED;
    state.claim = Some(SeatOwner::Order(order));
    state.add_holder(news(state, order, ModelEvent::Refund, true));
    let last = state.holders.iter().rposition(Option::is_some).expect("the holder just hired");
    model.begin(state, last);
}

/// Somebody who has just read the order, with something to store.
pub fn news(state: &ModelState, order: OrderIndex, ev: ModelEvent, drives: bool) -> Holder {
    let seen = state.rows[order];
    Holder {
        order,
        seen,
        fresh: true,
        leases: drives,
        within: false,
        sheltered: false,
        drives,
        pc: ProgramCounter::Store(ev),
    }
}

/// A buyer's wish is read and stored in one step: what else could happen between the two leads to a conflict, and so
/// to the same decision a little later.
fn wish(model: &Model, state: &ModelState, order: OrderIndex, ev: ModelEvent, step: Step, steps: &mut Steps) {
    let mut after = *state;
    match ev {
        ModelEvent::Cancel => after.left.cancels -= 1,
        _ => after.left.refunds -= 1,
    }
    if model.store_news(&mut after, order, ev) {
        steps.push((step, after));
    }
}

/// Whether everything of the order's that was sent to Seating before `in_flight_until` was set can have come to its end.
fn flight_may_end(state: &ModelState, order: OrderIndex) -> bool {
    let at_seating =
        |request| matches!(request, PeerRequest::Reserve | PeerRequest::Allocate | PeerRequest::Release);
    let lands = |f: &&InFlightRequest| f.order == order && f.covered && at_seating(f.request);
    let sends = |h: &&Holder| h.order == order && h.within && ahead(h.pc).is_some_and(at_seating);
    state.in_flight_requests.iter().flatten().find(lands).is_none()
        && state.holders.iter().flatten().find(sends).is_none()
}
