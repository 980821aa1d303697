//! What happens to somebody at work, and to requests that nobody waits for any more.

use super::{Step, Steps, push};
use crate::order::Ev;
use crate::peers;
use crate::rules::Model;
use crate::world::{At, Deed, Holder, Seat, World};

pub fn holder_steps(model: &Model, world: &World, h: usize, steps: &mut Steps) {
    let Some(Holder { order, at, .. }) = world.holders[h] else { return };
    if let At::Store(ev) = at {
        push(steps, world, Step::Store { order, ev }, |w| {
            model.store(w, h);
        });
    } else {
        let charges = if at == At::Charge { peers::charges(&world.pays[order]) } else { &[None] };
        for &charged in charges {
            push(steps, world, Step::Answer { order, at, charged, dear: false }, |w| {
                model.answer(w, h, charged, false);
            });
        }
        if model.refusals && at == (At::Reserve { first: true }) && world.seat == Seat::Free {
            push(steps, world, Step::Answer { order, at, charged: None, dear: true }, |w| {
                model.answer(w, h, None, true);
            });
        }
    }
    if world.left.crashes > 0 {
        push(steps, world, Step::Crash { order, at }, |w| {
            w.left.crashes -= 1;
            if let (Some(gone), Some(deed)) = (w.holders[h].take(), deed(at))
                && !(model.careless_refunds && deed == Deed::Refund)
            {
                w.forget(&gone, deed);
            }
        });
    }
    if world.left.faults > 0 && !matches!(at, At::Store(_)) {
        silence_steps(model, world, h, steps);
    }
}

/// A request without an answer, or with one that says nothing.
fn silence_steps(model: &Model, world: &World, h: usize, steps: &mut Steps) {
    let Some(Holder { order, at, .. }) = world.holders[h] else { return };
    let silent = |w: &mut World, may_land| {
        w.left.faults -= 1;
        match &mut w.holders[h] {
            Some(holder) if holder.drives => holder.at = At::Store(Ev::Silence { may_land }),
            Some(callback) if callback.seen.payment.is_some() => callback.at = At::Store(Ev::Unsure),
            nobody => *nobody = None,
        }
    };
    let deed = deed(at);
    let at_seating = matches!(deed, Some(Deed::Reserve | Deed::Allocate | Deed::Release));
    push(steps, world, Step::GiveUp { order, at }, |w| {
        silent(w, at_seating);
        if let (Some(holder), Some(deed)) = (world.holders[h], deed)
            && !(model.careless_refunds && deed == Deed::Refund)
        {
            w.forget(&holder, deed);
        }
    });
    if deed.is_none() {
        return;
    }
    // That it did not happen is told from a request that vanishes only at Seating: there `may_land` differs.
    if at_seating {
        push(steps, world, Step::Unusable { order, at, happened: false }, |w| silent(w, false));
    }
    let charges = if at == At::Charge { peers::charges(&world.pays[order]) } else { &[None] };
    for &charged in charges {
        push(steps, world, Step::Unusable { order, at, happened: true }, |w| {
            model.answer(w, h, charged, false);
            silent(w, false);
        });
    }
}

pub fn flying_steps(model: &Model, world: &World, f: usize, steps: &mut Steps) {
    let Some(one) = world.flying[f] else { return };
    let (order, deed) = (one.order, one.deed);
    push(steps, world, Step::Vanish { order, deed }, |w| w.flying[f] = None);
    let charges = if deed == Deed::Charge { peers::charges(&world.pays[order]) } else { &[None] };
    for &charged in charges {
        push(steps, world, Step::Land { order, deed, charged }, |w| {
            w.flying[f] = None;
            peers::perform(model, w, order, deed, charged);
        });
    }
}

/// What a holder changes at a peer, or may go on to change.
pub fn ahead(at: At) -> Option<Deed> {
    match at {
        At::LookThenReserve => Some(Deed::Reserve),
        At::ListThenAllocate => Some(Deed::Allocate),
        At::ListThenRelease | At::LookThenRelease => Some(Deed::Release),
        At::AskThenRefund => Some(Deed::Refund),
        at => deed(at),
    }
}

/// What a holder's present request changes at a peer.
fn deed(at: At) -> Option<Deed> {
    match at {
        At::Reserve { .. } => Some(Deed::Reserve),
        At::Charge => Some(Deed::Charge),
        At::Refund => Some(Deed::Refund),
        At::Allocate => Some(Deed::Allocate),
        At::Release => Some(Deed::Release),
        At::LookAtRefusal
        | At::LookThenReserve
        | At::Ask
        | At::AskThenRefund
        | At::AskAfterRefund
        | At::ListThenAllocate
        | At::ListAfterAllocate
        | At::ListThenRelease
        | At::LookThenRelease
        | At::Store(_) => None,
    }
}
