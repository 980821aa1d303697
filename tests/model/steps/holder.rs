//! Steps of lease holders, and of abandoned requests in flight.

use super::{Step, Steps, push};
use crate::order::{ModelEvent, Row, Which};
use crate::peers::{self, Owner, Reply};
use crate::rules::{Guard, Model};
use crate::service;
use crate::state::{Holder, ModelState, PeerRequest, ProgramCounter, Seat};
use order_service::domain::order::PaymentStatus;

pub fn holder_steps(model: &Model, state: &ModelState, h: usize, steps: &mut Steps) {
    let Some(Holder { order, pc, seen: Row { which, .. }, .. }) = state.holders[h] else { return };
    if let ProgramCounter::Store(ev) = pc {
        push(steps, state, Step::Store { order, ev }, |w| {
            model.store(w, h);
        });
    } else {
        let charges =
            if pc == ProgramCounter::Charge { peers::charges(&state.payments[order][0]) } else { &[None] };
        let mut answers = |reply| {
            push(steps, state, Step::Answer { order, pc, reply }, |w| model.answer(w, h, reply));
        };
        for &charged in charges {
            answers(Reply { charged, ..Reply::default() });
            if model.unfamiliar && may_be_unfamiliar(state, h, charged) {
                answers(Reply { charged, unfamiliar: true, ..Reply::default() });
            }
        }
        let reserves = matches!(pc, ProgramCounter::Reserve { first: true, .. });
        if model.refusals && reserves && state.seat == Seat::Free {
            answers(Reply { dear: true, ..Reply::default() });
        }
    }
    let looks = matches!(pc, ProgramCounter::LookAtRefusal { .. } | ProgramCounter::LookThenReserve { .. });
    if model.in_part && looks && peers::look(model, state, order) == Owner::Held {
        let reply = Reply { in_part: true, ..Reply::default() };
        push(steps, state, Step::Answer { order, pc, reply }, |w| model.answer(w, h, reply));
    }
    if state.left.crashes > 0 {
        push(steps, state, Step::Crash { order, pc }, |w| {
            w.left.crashes -= 1;
            if let (Some(gone), Some(request)) = (w.holders[h].take(), request(pc, which))
                && !(model.careless_refunds && matches!(request, PeerRequest::Refund(_)))
            {
                w.abandon(&gone, request);
            }
        });
    }
    if state.left.faults > 0 && !matches!(pc, ProgramCounter::Store(_)) {
        silence_steps(model, state, h, steps);
    }
}

/// Whether Payment may show the payment that a holder asks about with a status that is not known. `charged`: what it becomes.
fn may_be_unfamiliar(state: &ModelState, h: usize, charged: Option<PaymentStatus>) -> bool {
    let Some(Holder { order, pc, seen, drives, .. }) = state.holders[h] else { return false };
    let pay = state.payment(order, service::asked(&seen, drives, pc));
    let status = charged.or(pay.status).filter(|_| !pay.forgotten);
    match pc {
        ProgramCounter::Charge => status == Some(PaymentStatus::Pending) && !pay.refuses,
        ProgramCounter::Ask => status == Some(PaymentStatus::Pending),
        ProgramCounter::AskThenRefund => status == Some(PaymentStatus::Success),
        _ => false,
    }
}

/// A request without an answer, or with one that says nothing.
fn silence_steps(model: &Model, state: &ModelState, h: usize, steps: &mut Steps) {
    let Some(Holder { order, pc, seen, drives, .. }) = state.holders[h] else { return };
    let which = seen.which;
    let about = service::asked(&seen, drives, pc);
    let is_own = seen.payment.is_some() && which == about;
    let earlier = matches!(
        pc,
        ProgramCounter::Reserve { flies: true, .. }
            | ProgramCounter::LookAtRefusal { flies: true, .. }
            | ProgramCounter::LookThenReserve { flies: true }
    );
    let taken_for_a_yes = match pc {
        ProgramCounter::AskEvent { first, flies } if model.lacks(Guard::EventSilenceIsNoYes) => {
            Some(service::on_sale(first, flies))
        }
        _ => None,
    };
    let silent = |w: &mut ModelState, may_land: bool| {
        let may_land = may_land || earlier;
        w.left.faults -= 1;
        match &mut w.holders[h] {
            Some(holder) if let Some(pc) = taken_for_a_yes => holder.pc = pc,
            Some(holder) if pc == ProgramCounter::Charge => {
                holder.pc = ProgramCounter::Store(ModelEvent::ChargeUnanswered)
            }
            Some(holder) if holder.drives => {
                holder.pc = ProgramCounter::Store(ModelEvent::Silence { may_land })
            }
            Some(callback) if is_own => callback.pc = ProgramCounter::Store(ModelEvent::Unsure),
            nobody => {
                *nobody = None;
                model.remember(w, order, about);
            }
        }
    };
    let request = request(pc, which);
    let at_seating =
        matches!(request, Some(PeerRequest::Reserve | PeerRequest::Allocate | PeerRequest::Release));
    push(steps, state, Step::GiveUp { order, pc }, |w| {
        silent(w, at_seating);
        if let (Some(holder), Some(request)) = (state.holders[h], request)
            && !(model.careless_refunds && matches!(request, PeerRequest::Refund(_)))
        {
            w.abandon(&holder, request);
        }
    });
    if let ProgramCounter::Reserve { .. } = pc {
        // It looks, and reserves again, within the same attempt.
        push(steps, state, Step::Again { order }, |w| {
            w.left.faults -= 1;
            if let Some(holder) = &mut w.holders[h] {
                holder.pc = ProgramCounter::LookThenReserve { flies: true };
                let holder = *holder;
                w.abandon(&holder, PeerRequest::Reserve);
            }
        });
    }
    if model.lacks(Guard::OwnAnswers) && pc == ProgramCounter::ListThenRelease {
        // "404 not found", says a gateway, and of each seat, too.
        push(steps, state, Step::Unusable { order, pc, happened: false }, |w| {
            w.left.faults -= 1;
            if let Some(holder) = &mut w.holders[h] {
                holder.pc = service::released(&holder.seen);
            }
        });
    }
    if model.lacks(Guard::RefusalBeforeLost) && pc == ProgramCounter::Allocate {
        // The same, and Seating's list does not have the seat yet.
        push(steps, state, Step::Unusable { order, pc, happened: false }, |w| {
            w.left.faults -= 1;
            if let Some(holder) = &mut w.holders[h] {
                holder.pc = ProgramCounter::ListAfterAllocate;
            }
        });
    }
    if request.is_none() {
        return;
    }
    // That it did not happen is told from a request that vanishes only at Seating: there `may_land` differs.
    if at_seating {
        push(steps, state, Step::Unusable { order, pc, happened: false }, |w| silent(w, false));
    }
    let charges =
        if pc == ProgramCounter::Charge { peers::charges(&state.payments[order][0]) } else { &[None] };
    for &charged in charges {
        push(steps, state, Step::Unusable { order, pc, happened: true }, |w| {
            model.answer(w, h, Reply { charged, ..Reply::default() });
            silent(w, false);
        });
    }
}

pub fn flying_steps(model: &Model, state: &ModelState, f: usize, steps: &mut Steps) {
    let Some(one) = state.in_flight_requests[f] else { return };
    let (order, request) = (one.order, one.request);
    push(steps, state, Step::Vanish { order, request }, |w| w.in_flight_requests[f] = None);
    let charges =
        if request == PeerRequest::Charge { peers::charges(&state.payments[order][0]) } else { &[None] };
    for &charged in charges {
        push(steps, state, Step::Land { order, request, charged }, |w| {
            w.in_flight_requests[f] = None;
            peers::perform(model, w, order, request, charged);
        });
    }
}

/// What a holder changes at a peer, or may go on to change.
pub fn ahead(pc: ProgramCounter) -> Option<PeerRequest> {
    match pc {
        ProgramCounter::AskEvent { .. } | ProgramCounter::LookThenReserve { .. } => {
            Some(PeerRequest::Reserve)
        }
        ProgramCounter::ListThenAllocate { .. } | ProgramCounter::LookThenAllocate => {
            Some(PeerRequest::Allocate)
        }
        ProgramCounter::ListThenRelease | ProgramCounter::LookThenRelease => Some(PeerRequest::Release),
        ProgramCounter::AskThenRefund => Some(PeerRequest::Refund(Which::Charged)),
        pc => request(pc, Which::Charged),
    }
}

/// What a holder's present request changes at a peer.
fn request(pc: ProgramCounter, which: Which) -> Option<PeerRequest> {
    match pc {
        ProgramCounter::Reserve { .. } => Some(PeerRequest::Reserve),
        ProgramCounter::Charge => Some(PeerRequest::Charge),
        ProgramCounter::Refund => Some(PeerRequest::Refund(which)),
        ProgramCounter::Allocate => Some(PeerRequest::Allocate),
        ProgramCounter::Release => Some(PeerRequest::Release),
        ProgramCounter::AskEvent { .. }
        | ProgramCounter::LookAtRefusal { .. }
        | ProgramCounter::LookThenReserve { .. }
        | ProgramCounter::Ask
        | ProgramCounter::AskSecond
        | ProgramCounter::AskRefund
        | ProgramCounter::AskThenRefund
        | ProgramCounter::AskAfterRefund
        | ProgramCounter::ListThenAllocate { .. }
        | ProgramCounter::LookThenAllocate
        | ProgramCounter::ListAfterAllocate
        | ProgramCounter::ListThenRelease
        | ProgramCounter::LookThenRelease
        | ProgramCounter::Store(_) => None,
    }
}
