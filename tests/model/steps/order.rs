//! What happens to an order by itself: it is placed, given to a sweep, cancelled or refunded, and its times pass.

use super::holder::ahead;
use super::{Step, Steps, push};
use crate::order::{Ev, No, Row, When};
use crate::rules::Model;
use crate::world::{At, Deed, Flying, Holder, Who, World};

pub fn order_steps(model: &Model, world: &World, order: No, steps: &mut Steps) {
    let row = world.rows[order];
    let room = world.has_room(model.holders);
    if !row.placed {
        if room && world.claim.is_none() {
            push(steps, world, Step::Place(order), |w| place(model, w, order));
        }
        return;
    }
    if !row.expired {
        push(steps, world, Step::Expire(order), |w| w.rows[order].expired = true);
    } else if !row.lapsed {
        push(steps, world, Step::Lapse(order), |w| w.rows[order].lapsed = true);
    }
    if row.in_flight && flight_may_end(world, order) {
        push(steps, world, Step::FlightOver(order), |w| w.rows[order].in_flight = false);
    }
    if !room {
        return;
    }
    let holder = world.holders.iter().flatten().find(|one| one.order == order && one.leases);
    let due = match row.when {
        When::Never => false,
        When::Lease => holder.is_none(),
        When::Soon | When::Watch => true,
        When::Expiry => row.expired,
        When::Settled => !row.in_flight,
    };
    if due {
        push(steps, world, Step::Sweep(order), |w| model.claim(w, order));
    } else if world.left.overtakes > 0 && holder.is_some_and(|one| matches!(one.at, At::Store(_))) {
        push(steps, world, Step::Overtake(order), |w| {
            w.left.overtakes -= 1;
            model.claim(w, order);
        });
    }
    // Only what is parked, and so has been tried.
    if world.left.redrives > 0 && row.tried && row.when != When::Never {
        push(steps, world, Step::Redrive(order), |w| {
            w.left.redrives -= 1;
            model.redrive(w, order);
        });
    }
    if world.left.cancels > 0 {
        wish(model, world, order, Ev::Cancel, Step::Cancel(order), steps);
    }
    if world.left.refunds > 0 {
        wish(model, world, order, Ev::Refund, Step::Refund(order), steps);
    }
}

/// What `place_order` stores, held by the request that places it.
pub fn place(model: &Model, world: &mut World, order: No) {
    world.rows[order] = Row::PLACED;
    world.claim = Some(Who::Order(order));
    world.hire(news(world, order, Ev::Refund, true));
    let last = world.holders.iter().rposition(Option::is_some).expect("the holder just hired");
    model.begin(world, last);
}

/// Somebody who has just read the order, with something to store.
pub fn news(world: &World, order: No, ev: Ev, drives: bool) -> Holder {
    let seen = world.rows[order];
    Holder {
        order,
        seen,
        fresh: true,
        leases: drives,
        within: false,
        sheltered: false,
        drives,
        at: At::Store(ev),
    }
}

/// A buyer's wish is read and stored in one step: what else could happen between the two leads to a conflict, and so
/// to the same decision a little later.
fn wish(model: &Model, world: &World, order: No, ev: Ev, step: Step, steps: &mut Steps) {
    let mut after = *world;
    match ev {
        Ev::Cancel => after.left.cancels -= 1,
        _ => after.left.refunds -= 1,
    }
    after.hire(news(world, order, ev, false));
    let last = after.holders.iter().rposition(Option::is_some).expect("the holder just hired");
    if model.store(&mut after, last) {
        steps.push((step, after));
    }
}

/// Whether everything of the order's that was sent to Seating before `in_flight_until` was set can have come to its end.
fn flight_may_end(world: &World, order: No) -> bool {
    let at_seating = |deed| matches!(deed, Deed::Reserve | Deed::Allocate | Deed::Release);
    let lands = |f: &&Flying| f.order == order && f.covered && at_seating(f.deed);
    let sends = |h: &&Holder| h.order == order && h.within && ahead(h.at).is_some_and(at_seating);
    world.flying.iter().flatten().find(lands).is_none()
        && world.holders.iter().flatten().find(sends).is_none()
}
