//! Steps of the environment: Payment and its callbacks, Seating, and the next buyer.

use super::order::news;
use super::{Step, Steps, push};
use crate::order::{Again, ModelEvent, OrderIndex, When, Which};
use crate::peers;
use crate::rules::Model;
use crate::state::{
    Beside, Holder, ModelState, NextBuyer, PaymentState, PeerRequest, ProgramCounter, Seat, SeatOwner,
    Stranger,
};
use order_service::domain::order::{PaymentStatus, Phase};

/// The charge's payment.
const CHARGED: usize = Which::Charged as usize;

pub fn payment_steps(model: &Model, state: &ModelState, order: OrderIndex, steps: &mut Steps) {
    use PaymentStatus::{Failed, Pending, Refunded, Success};
    let turns = |steps: &mut Steps, to, (turns, flips): (u8, u8)| {
        if state.left.turns >= turns && state.left.flips >= flips {
            push(steps, state, Step::PaymentTurns(order, to), |w| {
                w.left.turns -= turns;
                w.left.flips -= flips;
                w.payments[order][CHARGED].charged_back |= to == Refunded;
                peers::becomes(&mut w.payments[order][CHARGED], to);
            });
        }
    };
    let pay = &state.payments[order][CHARGED];
    if (model.forgets || model.forgets_paid) && state.left.flips > 0 {
        let may_forget = match pay.status {
            Some(Pending) => model.forgets,
            Some(Success) => model.forgets_paid,
            Some(Failed | Refunded) | None => false,
        };
        if may_forget && !pay.forgotten {
            push(steps, state, Step::Forgets(order), |w| {
                w.left.flips -= 1;
                w.payments[order][CHARGED].forgotten = true;
            });
        }
        if pay.forgotten {
            push(steps, state, Step::Remembers(order), |w| {
                w.left.flips -= 1;
                w.payments[order][CHARGED].forgotten = false;
            });
        }
        if model.forgets && pay.status == Some(Success) && !pay.refuses {
            push(steps, state, Step::Invalid(order), |w| {
                w.left.flips -= 1;
                w.payments[order][CHARGED].refuses = true;
            });
        }
    }
    if pay.forgotten {
        return;
    }
    match pay.status {
        None | Some(Refunded) => {}
        Some(Pending) => {
            turns(steps, Success, (0, 0));
            turns(steps, Failed, (0, 0));
        }
        Some(Failed) => turns(steps, Success, (0, 1)),
        Some(Success) => turns(steps, Refunded, (1, 0)),
    }
}

/// A second payment, refunds that are made later, and an operator's word.
pub fn beside_steps(model: &Model, state: &ModelState, order: OrderIndex, steps: &mut Steps) {
    use PaymentStatus::{Pending, Refunded, Success};
    let row = state.rows[order];
    let second = &state.payments[order][Which::Second as usize];
    if state.left.seconds > 0 && row.priced && !row.free && second.status.is_none() {
        push(steps, state, Step::SecondPays(order), |w| {
            w.left.seconds -= 1;
            peers::becomes(&mut w.payments[order][Which::Second as usize], Success);
        });
    }
    for which in Which::OWN {
        let pay = &state.payments[order][which as usize];
        if pay.accepted > 0 && pay.status == Some(Success) {
            push(steps, state, Step::RefundMade(order, which), |w| {
                let pay = &mut w.payments[order][which as usize];
                let accepted = pay.accepted;
                peers::becomes(pay, Refunded);
                pay.refunds += accepted;
                pay.accepted = 0;
            });
        }
        if model.lost_refunds && pay.accepted > 0 && pay.status == Some(Success) {
            push(steps, state, Step::RefundLost(order, which), |w| {
                w.payments[order][which as usize].accepted = 0;
            });
        }
        // Payment has lost it twice, and an operator who has heard of it sees to it.
        let is_watched = row.again == Again::Repeated && row.which == which || pay.beside == Beside::Repeated;
        if is_watched && pay.accepted == 0 && pay.status == Some(Success) && !model.no_operator {
            push(steps, state, Step::RefundByHand(order, which), |w| {
                let pay = &mut w.payments[order][which as usize];
                peers::becomes(pay, Refunded);
                pay.refunds += 1;
            });
        }
        if pay.beside.is_open() {
            for heard in [true, false].into_iter().take(1 + usize::from(state.left.faults > 0)) {
                push(steps, state, Step::SweepBeside(order, which, heard), |w| {
                    w.left.faults -= u8::from(!heard);
                    model.sweep_beside(w, order, which, heard);
                });
            }
        }
    }
    let is_accepted = |pay: &PaymentState| pay.beside == Beside::Accepted;
    if model.lost_refunds && (row.again == Again::Waits || state.payments[order].iter().any(is_accepted)) {
        push(steps, state, Step::DayPasses(order), |w| {
            if row.again == Again::Waits {
                w.rows[order].again = Again::Over;
            }
            for pay in w.payments[order].iter_mut().filter(|pay| is_accepted(pay)) {
                pay.beside = Beside::Overdue;
            }
        });
    }
    if model.no_operator {
        return;
    }
    // Where Payment says nothing any more.
    let pay = &state.payments[order][CHARGED];
    let said = pay.status.filter(|status| !(pay.forgotten && *status == Pending));
    let waits = row.placed && matches!(row.when, When::Soon | When::Watch) && row.which == Which::Charged;
    let asked = row.phase == Phase::Charging && pay.refuses && row.tried
        || row.phase == Phase::Done && pay.forgotten && (row.payment == Some(Pending) || row.unsure);
    let refunds = row.phase == Phase::Refunding && pay.forgotten && row.tried;
    if !waits || !state.has_room(model.holders) {
        return;
    }
    let mut resolves = |said, change: fn(&mut PaymentState)| {
        push(steps, state, Step::Resolve(order, said), |w| {
            change(&mut w.payments[order][CHARGED]);
            model.store_news(w, order, ModelEvent::Resolved(said));
        });
    };
    if refunds && said == Some(Success) {
        // The operator pays it back, or finds that it was never taken.
        resolves(Some(Refunded), |pay| {
            peers::becomes(pay, Refunded);
            pay.refunds += 1;
        });
        resolves(None, |pay| peers::becomes(pay, PaymentStatus::Failed));
    } else if (asked || refunds) && said != Some(Pending) {
        resolves(said, |_| {});
    }
}

/// Checks: what Payment is asked about payments of which nobody knows.
pub fn check_steps(model: &Model, state: &ModelState, order: OrderIndex, steps: &mut Steps) {
    if !state.has_room(model.holders) {
        return;
    }
    let mut changes = |step, change: &dyn Fn(&mut ModelState)| {
        let mut after = *state;
        change(&mut after);
        if after != *state {
            steps.push((step, after));
        }
    };
    let pay = &state.payments[order][CHARGED];
    if state.open_charge[order] {
        for heard in [true, false].into_iter().take(1 + usize::from(state.left.faults > 0)) {
            for &charged in peers::charges(pay) {
                changes(Step::CheckCharge(order, charged, heard), &|w| {
                    w.left.faults -= u8::from(!heard);
                    model.check_charge(w, order, charged, heard);
                });
            }
        }
        // Where Payment finds the charge invalid, an operator knows.
        if pay.refuses && pay.status != Some(PaymentStatus::Pending) && !model.no_operator {
            changes(Step::ResolveCharge(order), &|w| {
                w.open_charge[order] = false;
                if let Some(status) = pay.status {
                    model.store_news(w, order, ModelEvent::Paid(Which::Charged, status));
                }
            });
        }
    }
    for which in Which::OWN {
        if state.told[order][which as usize] {
            changes(Step::CheckTold(order, which), &|w| model.check_told(w, order, which));
        }
    }
}

/// Callbacks: a signed one is believed, and may be as old as it likes; for any other the order is read, Payment is asked,
/// and its answer is stored, each at its own time.
fn callback_steps(model: &Model, state: &ModelState, order: OrderIndex, steps: &mut Steps) {
    let pay = state.payments[order][CHARGED];
    if state.left.callbacks == 0 || !state.has_room(model.holders) {
        return;
    }
    if model.misdirected {
        let (row, other) = (&state.rows[order], &state.rows[1 - order]);
        let is_known = other.payment == Some(PaymentStatus::Success) && other.which == Which::Charged;
        // Payment is asked about any other payment than the one that is known.
        if is_known && row.placed && row.payment.is_none() {
            let said = ModelEvent::Paid(Which::Others, PaymentStatus::Success);
            push(steps, state, Step::Misdirected(order), |w| {
                w.left.callbacks -= 1;
                w.add_holder(news(w, order, said, false));
            });
        }
        return;
    }
    if state.rows[order].free {
        // About a payment that cannot be the order's, whoever has signed it.
        let said = PaymentStatus::Success;
        push(steps, state, Step::SignedCallback(order, said), |w| {
            w.left.callbacks -= 1;
            w.add_holder(news(w, order, ModelEvent::Paid(Which::Charged, said), false));
        });
    }
    if state.payments[order][Which::Second as usize].status.is_some() {
        push(steps, state, Step::SecondCallback(order), |w| {
            w.left.callbacks -= 1;
            w.add_holder(Holder {
                pc: ProgramCounter::AskSecond,
                ..news(w, order, ModelEvent::Unsure, false)
            });
        });
    }
    let Some(truth) = pay.status.filter(|_| !pay.forgotten) else { return };
    let mut arrives = |step, pc| {
        push(steps, state, step, |w| {
            w.left.callbacks -= 1;
            w.add_holder(Holder { pc, ..news(w, order, ModelEvent::Unsure, false) });
        });
    };
    if !model.signed {
        return arrives(Step::Callback(order), ProgramCounter::Ask);
    }
    let said = [(pay.succeeded, PaymentStatus::Success), (pay.failed, PaymentStatus::Failed)];
    let older = said.into_iter().filter(|(was, status)| *was && *status != truth).map(|(_, status)| status);
    for status in older.chain((truth != PaymentStatus::Pending).then_some(truth)) {
        arrives(
            Step::SignedCallback(order, status),
            ProgramCounter::Store(ModelEvent::Paid(Which::Charged, status)),
        );
    }
}

pub fn seat_steps(model: &Model, state: &ModelState, steps: &mut Steps) {
    for order in 0..model.orders {
        callback_steps(model, state, order, steps);
    }
    if let Seat::Reserved { owner: SeatOwner::Order(order), aged } = state.seat
        && (aged || state.rows[order].lapsed)
    {
        push(steps, state, Step::SeatingFrees, |w| w.seat = Seat::Free);
    }
    // How old this one is, nobody knows.
    if let Seat::Reserved { owner: SeatOwner::Elsewhere, .. } = state.seat {
        push(steps, state, Step::SeatingFrees, |w| w.seat = Seat::Free);
    }
    if model.stranger {
        stranger_steps(state, steps);
    }
    if !model.next_buyer {
        return;
    }
    let mut next = |to, change: fn(&mut ModelState)| {
        push(steps, state, Step::NextBuyer(to), |w| {
            w.next = to;
            change(w);
        });
    };
    match (state.next, state.seat) {
        (NextBuyer::Waits, _) if state.claim.is_none() && state.rows[0].placed => {
            next(NextBuyer::Claimed, |w| w.claim = Some(SeatOwner::NextBuyer));
        }
        (NextBuyer::Claimed, Seat::Free) => {
            next(NextBuyer::Reserved, |w| {
                w.seat = Seat::Reserved { owner: SeatOwner::NextBuyer, aged: false }
            });
        }
        (NextBuyer::Claimed, _) => next(NextBuyer::Gone, |w| w.claim = None),
        (NextBuyer::Reserved, Seat::Reserved { .. }) => {
            next(NextBuyer::Sold, |w| w.seat = Seat::Allocated(SeatOwner::NextBuyer));
            next(NextBuyer::Gone, |w| (w.seat, w.claim) = (Seat::Free, None));
        }
        _ => {}
    }
}

/// Seating frees a hold by itself, and a stranger reserves the seat; but not within the seconds between a look, or the end of the
/// hold window, and the request that relies on it.
fn stranger_steps(state: &ModelState, steps: &mut Steps) {
    let relies = |request| matches!(request, PeerRequest::Allocate | PeerRequest::Release);
    let in_time = |pc| {
        matches!(
            pc,
            ProgramCounter::Allocate
                | ProgramCounter::ListThenAllocate { looks: false }
                | ProgramCounter::Release
        )
    };
    let is_safe = !state.in_flight_requests.iter().flatten().any(|one| relies(one.request))
        && !state.holders.iter().flatten().any(|holder| in_time(holder.pc));
    let mut goes = |to, seat| {
        push(steps, state, Step::Stranger(to), |w| (w.stranger, w.seat) = (to, seat));
    };
    match (state.stranger, state.seat) {
        (Stranger::Waits, Seat::Free) if is_safe => {
            goes(Stranger::Reserved, Seat::Reserved { owner: SeatOwner::Stranger, aged: false });
        }
        (Stranger::Reserved, Seat::Reserved { owner: SeatOwner::Stranger, .. }) => {
            goes(Stranger::Sold, Seat::Allocated(SeatOwner::Stranger));
            goes(Stranger::Gone, Seat::Free);
        }
        _ => {}
    }
}
