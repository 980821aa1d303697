//! What happens outside of the service: at Payment and its callbacks, at Seating, and by the next buyer.

use super::order::news;
use super::{Step, Steps, push};
use crate::order::{Ev, No};
use crate::peers;
use crate::rules::Model;
use crate::world::{At, Holder, Next, Seat, Who, World};
use order_service::domain::order::PaymentStatus;

pub fn payment_steps(world: &World, order: No, steps: &mut Steps) {
    use PaymentStatus::{Failed, Pending, Refunded, Success};
    let turns = |steps: &mut Steps, to, (turns, flips): (u8, u8)| {
        if world.left.turns >= turns && world.left.flips >= flips {
            push(steps, world, Step::PaymentTurns(order, to), |w| {
                w.left.turns -= turns;
                w.left.flips -= flips;
                w.pays[order].charged_back |= to == Refunded;
                peers::becomes(&mut w.pays[order], to);
            });
        }
    };
    match world.pays[order].status {
        None | Some(Refunded) => {}
        Some(Pending) => {
            turns(steps, Success, (0, 0));
            turns(steps, Failed, (0, 0));
        }
        Some(Failed) => turns(steps, Success, (0, 1)),
        Some(Success) => turns(steps, Refunded, (1, 0)),
    }
}

/// Callbacks: a signed one is believed, and may be as old as it likes; for any other the order is read, Payment is asked,
/// and its answer is stored, each at its own time.
fn callback_steps(model: &Model, world: &World, order: No, steps: &mut Steps) {
    let pay = world.pays[order];
    let Some(truth) = pay.status else { return };
    if world.left.callbacks == 0 || !world.has_room(model.holders) {
        return;
    }
    let mut arrives = |step, at| {
        push(steps, world, step, |w| {
            w.left.callbacks -= 1;
            w.hire(Holder { at, ..news(w, order, Ev::Unsure, false) });
        });
    };
    if !model.signed {
        return arrives(Step::Callback(order), At::Ask);
    }
    let said = [(pay.succeeded, PaymentStatus::Success), (pay.failed, PaymentStatus::Failed)];
    let older = said.into_iter().filter(|(was, status)| *was && *status != truth).map(|(_, status)| status);
    for status in older.chain((truth != PaymentStatus::Pending).then_some(truth)) {
        arrives(Step::SignedCallback(order, status), At::Store(Ev::Paid(status)));
    }
}

pub fn seat_steps(model: &Model, world: &World, steps: &mut Steps) {
    for order in 0..model.orders {
        callback_steps(model, world, order, steps);
    }
    if let Seat::Reserved { who: Who::Order(order), aged } = world.seat
        && (aged || world.rows[order].lapsed)
    {
        push(steps, world, Step::SeatingFrees, |w| w.seat = Seat::Free);
    }
    if !model.next_buyer {
        return;
    }
    let mut next = |to, change: fn(&mut World)| {
        push(steps, world, Step::Next(to), |w| {
            w.next = to;
            change(w);
        });
    };
    match (world.next, world.seat) {
        (Next::Waits, _) if world.claim.is_none() && world.rows[0].placed => {
            next(Next::Claimed, |w| w.claim = Some(Who::Next));
        }
        (Next::Claimed, Seat::Free) => {
            next(Next::Reserved, |w| w.seat = Seat::Reserved { who: Who::Next, aged: false });
        }
        (Next::Claimed, _) => next(Next::Gone, |w| w.claim = None),
        (Next::Reserved, Seat::Reserved { .. }) => {
            next(Next::Sold, |w| w.seat = Seat::Allocated(Who::Next));
            next(Next::Gone, |w| (w.seat, w.claim) = (Seat::Free, None));
        }
        _ => {}
    }
}
