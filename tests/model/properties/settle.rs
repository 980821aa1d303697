//! Liveness: when the peers answer and nothing more goes wrong, every order comes to rest, with the right outcome.
//!
//! A checker of "eventually" would need fairness, because a peer may be silent for ever. Instead a fair schedule is
//! run from every state: whoever is at work is answered and stores, sweeps claim what is due, time goes on. No further
//! callback arrives: what Payment decided is learnt by asking.

use crate::order::{Issued, No};
use crate::pack::{Fingerprints, fingerprint};
use crate::rules::Model;
use crate::steps::{self, Step};
use crate::world::{Budget, Pay, Seat, Who, World};
use order_service::domain::order::PaymentStatus;

/// More steps than any order needs to come to rest.
const BOUND: usize = 80;

/// Every order comes to rest.
pub const RESTS: &str = "when the peers answer, every order comes to rest";
/// Money, by Payment's own account.
pub const MONEY: &str = "at rest: Payment has kept money if and only if tickets are valid";
/// Seats, by Seating's own account.
pub const SEATS: &str = "at rest: Seating has nothing of a dead order for long";

/// What will become of what is open.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fate {
    /// What Payment decides; none: nothing.
    decided: Option<PaymentStatus>,
    /// Requests that nobody waits for take effect.
    lands: bool,
}

const FATES: [Fate; 4] = [
    Fate { decided: None, lands: true },
    Fate { decided: Some(PaymentStatus::Success), lands: true },
    Fate { decided: Some(PaymentStatus::Failed), lands: true },
    Fate { decided: Some(PaymentStatus::Success), lands: false },
];

impl Fate {
    /// What of it can still make a difference: fates that differ in nothing else are one.
    fn open(self, model: &Model, world: &World) -> Self {
        let undecided = |pay: &Pay| matches!(pay.status, None | Some(PaymentStatus::Pending));
        Self {
            decided: self.decided.filter(|_| world.pays[..model.orders].iter().any(undecided)),
            lands: self.lands || world.flying[0].is_none(),
        }
    }

    fn salt(self) -> u64 {
        let decided = self.decided.map_or(0, |status| 1 + status as u64);
        (decided * 2 + u64::from(self.lands)).wrapping_mul(0x5851_f42d_4c95_7f2d)
    }
}

/// The property that does not hold when the state's orders come to rest, and the steps until then.
pub fn unsettled(
    model: &Model,
    world: &World,
    known: &mut Fingerprints,
) -> Option<(&'static str, Vec<Step>)> {
    let mut tried = [None; FATES.len()];
    FATES.iter().enumerate().find_map(|(n, fate)| {
        let open = fate.open(model, world);
        if tried.contains(&Some(open)) {
            return None;
        }
        tried[n] = Some(open);
        run(model, world, *fate, known)
    })
}

fn run(
    model: &Model,
    from: &World,
    fate: Fate,
    known: &mut Fingerprints,
) -> Option<(&'static str, Vec<Step>)> {
    let mut world = World { left: Budget::default(), ..*from };
    let mut taken = Vec::new();
    let mut here = Vec::new();
    loop {
        let print = (fingerprint(&world) ^ fate.open(model, &world).salt()).max(1);
        if !known.insert(print, 0) {
            // From here it has been seen to come to rest, unless this very run goes in a circle.
            return here.contains(&print).then_some((RESTS, taken));
        }
        here.push(print);
        let Some((step, after)) = fair(model, &world, fate) else {
            break;
        };
        taken.push(step);
        if taken.len() > BOUND {
            return Some((RESTS, taken));
        }
        world = after;
    }
    (0..model.orders).find_map(|order| wrong_rest(&world, order)).map(|property| (property, taken))
}

/// The step that comes next when all is well; none when every order is at rest.
fn fair(model: &Model, world: &World, Fate { decided, lands }: Fate) -> Option<(Step, World)> {
    let resting = (0..model.orders).all(|order| steps::at_rest(world, order));
    let rank = |step: &Step| {
        Some(match step {
            Step::Land { charged, .. } if lands => match charged {
                None | Some(PaymentStatus::Success) => 0,
                Some(_) => return None,
            },
            Step::Vanish { .. } if !lands => 0,
            Step::Store { .. } => 1,
            Step::Answer { charged: None | Some(PaymentStatus::Pending), dear: false, .. } => 1,
            Step::PaymentTurns(_, to) if Some(*to) == decided => 2,
            Step::Sweep(order) if !steps::at_rest(world, *order) => 3,
            Step::FlightOver(_) if !resting => 4,
            Step::SeatingFrees => 5,
            Step::Expire(_) if !resting => 6,
            Step::Lapse(_) if !resting => 7,
            _ => return None,
        })
    };
    let work = steps::work(model, world);
    let steps = if work.is_empty() { steps::all(model, world) } else { work };
    let ranked = steps.into_iter().filter_map(|one| Some((rank(&one.0)?, one)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, one)| one)
}

fn wrong_rest(world: &World, order: No) -> Option<&'static str> {
    let row = &world.rows[order];
    let pay = &world.pays[order];
    if !steps::at_rest(world, order) {
        return Some(RESTS);
    }
    // A charge-back, or a failed payment that succeeds after all, that nobody has told us of cannot be known.
    let kept = pay.status == Some(PaymentStatus::Success);
    let told = pay.told || row.payment == pay.status;
    let hidden = !told && (pay.charged_back || pay.failed);
    if !hidden && kept != (row.tickets == Issued::Valid) {
        return Some(MONEY);
    }
    let ours = match world.seat {
        Seat::Free => false,
        Seat::Reserved { who, .. } | Seat::Allocated(who) => who == Who::Order(order),
    };
    let frees_itself = matches!(world.seat, Seat::Reserved { .. });
    if row.placed && row.dead() && ours && !frees_itself {
        return Some(SEATS);
    }
    None
}
