//! Liveness: without further faults, every order reaches a final state with the right outcome.
//!
//! A checker of "eventually" would need fairness, because a peer may be silent for ever. Instead a fair schedule is
//! run from every state: whoever is at work is answered and stores, sweeps claim what is due, time goes on. No further
//! callback arrives: what Payment decided is learnt by asking.

use crate::order::{Issued, OrderIndex, Which};
use crate::peers::Reply;
use crate::rules::Model;
use crate::state::{Budget, ModelState, PaymentState, ProgramCounter, Seat, SeatOwner};
use crate::state_encoding::{Fingerprints, fingerprint};
use crate::steps::{self, Step};
use order_service::domain::order::{PaymentStatus, Phase, Status};

/// More steps than any order needs to come to rest.
const BOUND: usize = 80;

/// Every order comes to rest.
pub const RESTS: &str = "when the peers answer, every order comes to rest";
/// Money, by Payment's own account.
pub const MONEY: &str = "at rest: Payment has kept money if and only if tickets are valid";
/// Seats of an order whose charge goes on for ever.
pub const ENDS: &str = "an order whose charge is never answered ends, and its seats are free";
/// Seats, by Seating's own account.
pub const SEATS: &str = "at rest: Seating has nothing of a dead order for long";

/// What will become of what is open.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fate {
    /// What Payment decides; none: nothing.
    decided: Option<PaymentStatus>,
    /// Abandoned requests take effect.
    lands: bool,
    /// Payment shows what is undecided with a status that is not known.
    unfamiliar: bool,
}

const UNDECIDED: Fate = Fate { decided: None, lands: true, unfamiliar: false };

const FATES: [Fate; 5] = [
    UNDECIDED,
    Fate { unfamiliar: true, ..UNDECIDED },
    Fate { decided: Some(PaymentStatus::Success), ..UNDECIDED },
    Fate { decided: Some(PaymentStatus::Failed), ..UNDECIDED },
    Fate { decided: Some(PaymentStatus::Success), lands: false, unfamiliar: false },
];

impl Fate {
    /// What of it can still make a difference: fates that differ in nothing else are one.
    fn open(self, model: &Model, state: &ModelState) -> Self {
        let undecided = |pay: &PaymentState| matches!(pay.status, None | Some(PaymentStatus::Pending));
        let is_open = state.payments[..model.orders].iter().flatten().any(undecided);
        Self {
            decided: self.decided.filter(|_| is_open),
            unfamiliar: self.unfamiliar && model.unfamiliar && is_open,
            lands: self.lands || state.in_flight_requests[0].is_none(),
        }
    }

    fn salt(self) -> u64 {
        let decided = self.decided.map_or(0, |status| 1 + status as u64);
        (decided * 4 + 2 * u64::from(self.unfamiliar) + u64::from(self.lands))
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
    }
}

/// The property that does not hold when the state's orders come to rest, and the steps until then.
pub fn unsettled(
    model: &Model,
    state: &ModelState,
    known: &mut Fingerprints,
) -> Option<(&'static str, Vec<Step>)> {
    let mut tried = [None; FATES.len()];
    FATES.iter().enumerate().find_map(|(n, fate)| {
        let open = fate.open(model, state);
        if tried.contains(&Some(open)) {
            return None;
        }
        tried[n] = Some(open);
        run(model, state, *fate, known)
    })
}

fn run(
    model: &Model,
    from: &ModelState,
    fate: Fate,
    known: &mut Fingerprints,
) -> Option<(&'static str, Vec<Step>)> {
    let mut state = ModelState { left: Budget::default(), ..*from };
    let mut taken = Vec::new();
    let mut here = Vec::new();
    loop {
        let print = (fingerprint(&state) ^ fate.open(model, &state).salt()).max(1);
        let (step, after) = if known.insert(print, 0) {
            here.push(print);
            let Some(next) = fair(model, &state, fate) else {
                break;
            };
            next
        } else if here.contains(&print) {
            // This very run goes in a circle, of retries: time goes on meanwhile.
            let Some(next) = time_goes_on(model, &state) else {
                break;
            };
            next
        } else {
            // From here it has been seen to come to rest.
            return None;
        };
        taken.push(step);
        if taken.len() > BOUND {
            return Some((RESTS, taken));
        }
        state = after;
    }
    (0..model.orders).find_map(|order| wrong_rest(model, &state, order)).map(|property| (property, taken))
}

/// The step that comes next when all is well; none when every order is at rest.
fn fair(model: &Model, state: &ModelState, fate: Fate) -> Option<(Step, ModelState)> {
    let Fate { decided, lands, unfamiliar } = fate;
    let resting = (0..model.orders).all(|order| steps::at_rest(state, order));
    let rank = |step: &Step| {
        Some(match step {
            Step::Land { charged, .. } if lands => match charged {
                None | Some(PaymentStatus::Success) => 0,
                Some(_) => return None,
            },
            Step::Vanish { .. } if !lands => 0,
            Step::Store { .. } => 1,
            Step::Answer {
                pc: ProgramCounter::Charge | ProgramCounter::Ask,
                reply: Reply { unfamiliar: true, .. },
                ..
            } if unfamiliar => 0,
            Step::Answer {
                reply:
                    Reply {
                        charged: None | Some(PaymentStatus::Pending),
                        dear: false,
                        in_part: false,
                        unfamiliar: false,
                    },
                ..
            } => 1,
            Step::PaymentTurns(_, to) if Some(*to) == decided => 2,
            Step::RefundMade(..) | Step::RefundByHand(..) => 2,
            Step::SweepBeside(order, which, true)
                if state.payments[*order][*which as usize].status != Some(PaymentStatus::Pending) =>
            {
                2
            }
            Step::Resolve(..) | Step::ResolveCharge(_) | Step::CheckTold(..) => 2,
            Step::CheckCharge(_, None | Some(PaymentStatus::Pending), true) => 2,
            Step::Sweep(order) if !steps::at_rest(state, *order) => 3,
            Step::FlightOver(_) if !resting => 4,
            Step::SeatingFrees => 5,
            Step::Expire(_) if !resting => 6,
            Step::Lapse(_) if !resting => 7,
            _ => return None,
        })
    };
    let work = steps::work(model, state);
    let steps = if work.is_empty() { steps::all(model, state) } else { work };
    let ranked = steps.into_iter().filter_map(|one| Some((rank(&one.0)?, one)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, one)| one)
}

/// Time goes on, whatever else is due.
fn time_goes_on(model: &Model, state: &ModelState) -> Option<(Step, ModelState)> {
    let passes = |step: &Step| matches!(step, Step::Expire(_) | Step::Lapse(_) | Step::DayPasses(_));
    steps::all(model, state).into_iter().find(|(step, _)| passes(step))
}

fn wrong_rest(model: &Model, state: &ModelState, order: OrderIndex) -> Option<&'static str> {
    let row = &state.rows[order];
    let pay = &state.payments[order][Which::Charged as usize];
    let second = &state.payments[order][Which::Second as usize];
    let ours = state.seat.is_of(SeatOwner::Order(order));
    if model.no_operator && pay.refuses && row.phase == Phase::Charging {
        let has_claim = state.claim == Some(SeatOwner::Order(order));
        return (row.status == Status::Pending || has_claim || ours).then_some(ENDS);
    }
    if !steps::at_rest(state, order) {
        return Some(RESTS);
    }
    // A charge-back, or a failed payment that succeeds after all, that nobody has told us of cannot be known.
    let kept = |pay: &PaymentState| u8::from(pay.status == Some(PaymentStatus::Success));
    let acknowledged = pay.acknowledged || row.which == Which::Charged && row.payment == pay.status;
    let hidden = !acknowledged && (pay.charged_back || pay.failed || state.denied[order]);
    // Nobody tells of a second payment but its callback.
    let known = if second.acknowledged { kept(second) } else { 0 };
    if !hidden && kept(pay) + known != u8::from(row.tickets == Issued::Valid && !row.free) {
        return Some(MONEY);
    }
    let frees_itself = matches!(state.seat, Seat::Reserved { .. });
    if row.placed && row.dead() && ours && !frees_itself {
        return Some(SEATS);
    }
    None
}
