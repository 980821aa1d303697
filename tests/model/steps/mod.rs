//! The transition relation: every possible next step, be it an answer, its loss, a crash, a buyer's request, a callback, or
//! a timeout.

mod holder;
mod order;
mod environment;

use super::order::{ModelEvent, OrderIndex, When, Which};
use super::peers::Reply;
use super::rules::Model;
use super::state::{ModelState, NextBuyer, PaymentState, PeerRequest, ProgramCounter, Stranger};
use environment::{beside_steps, check_steps, payment_steps, seat_steps};
use holder::{flying_steps, holder_steps};
pub use order::news;
use order::order_steps;
use order_service::domain::order::{PaymentStatus, Phase};

/// A step, for the path to a violation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A request places the order.
    Place(OrderIndex),
    /// A holder's request is answered.
    Answer {
        order: OrderIndex,
        pc: ProgramCounter,
        reply: Reply,
    },
    /// A holder gives up waiting.
    GiveUp {
        order: OrderIndex,
        pc: ProgramCounter,
    },
    /// A holder gets an answer that says nothing, after the request took effect or without.
    Unusable {
        order: OrderIndex,
        pc: ProgramCounter,
        happened: bool,
    },
    /// A holder's reserve gets an answer that says nothing; it may still take effect, and the holder looks and reserves again.
    Again {
        order: OrderIndex,
    },
    /// A holder stores what it knows.
    Store {
        order: OrderIndex,
        ev: ModelEvent,
    },
    /// A holder vanishes.
    Crash {
        order: OrderIndex,
        pc: ProgramCounter,
    },
    /// An abandoned request takes effect.
    Land {
        order: OrderIndex,
        request: PeerRequest,
        charged: Option<PaymentStatus>,
    },
    /// Such a request never takes effect.
    Vanish {
        order: OrderIndex,
        request: PeerRequest,
    },
    /// A sweep claims the order.
    Sweep(OrderIndex),
    /// A sweep claims the order although its holder lives.
    Overtake(OrderIndex),
    /// An operator makes the order due although its time has not come, and a sweep claims it.
    Redrive(OrderIndex),
    /// A callback arrives that is not signed: the order is read.
    Callback(OrderIndex),
    /// A callback about the second payment arrives.
    SecondCallback(OrderIndex),
    /// The buyer pays a second time.
    SecondPays(OrderIndex),
    /// A sweep deals with a payment beside the order's own; whether it hears Payment's answer.
    SweepBeside(OrderIndex, Which, bool),
    /// A sweep repeats a charge that was overtaken, with what a new payment becomes; whether it hears Payment's answer.
    CheckCharge(OrderIndex, Option<PaymentStatus>, bool),
    /// A sweep asks about a payment that a callback told of.
    CheckTold(OrderIndex, Which),
    /// An operator tells what became of a charge that was overtaken.
    ResolveCharge(OrderIndex),
    /// Payment makes the refund that it has accepted.
    RefundMade(OrderIndex, Which),
    /// Payment loses a refund that it has accepted.
    RefundLost(OrderIndex, Which),
    /// Payment's operators make a refund that Payment has lost twice.
    RefundByHand(OrderIndex, Which),
    /// A day has passed since Payment accepted the order's refunds.
    DayPasses(OrderIndex),
    /// Payment forgets a payment, or finds its charge invalid from now on.
    Forgets(OrderIndex),
    Remembers(OrderIndex),
    Invalid(OrderIndex),
    /// An operator tells what became of a payment of which Payment says nothing; none: no money was taken.
    Resolve(OrderIndex, Option<PaymentStatus>),
    /// A signed callback arrives, and what it says.
    SignedCallback(OrderIndex, PaymentStatus),
    /// A signed callback about the other order's payment arrives.
    Misdirected(OrderIndex),
    /// The buyer gives the order up.
    Cancel(OrderIndex),
    /// The buyer wants the money back.
    Refund(OrderIndex),
    /// Payment's state changes by itself.
    PaymentTurns(OrderIndex, PaymentStatus),
    /// The order's time to pay is over.
    Expire(OrderIndex),
    /// The order's hold window is over.
    Lapse(OrderIndex),
    /// Nothing of the order's is in flight any more.
    FlightOver(OrderIndex),
    /// The event is cancelled at Catalog.
    EventCancelled,
    /// Seating frees a seat that was held for too long.
    SeatingFrees,
    /// The next buyer goes on, or goes away.
    NextBuyer(NextBuyer),
    /// A stranger reserves, buys, or goes away.
    Stranger(Stranger),
}

/// Steps with the states that they lead to.
pub type Steps = Vec<(Step, ModelState)>;

/// Every step from a state.
pub fn all(model: &Model, state: &ModelState) -> Steps {
    let mut steps = Steps::new();
    for order in 0..model.orders {
        order_steps(model, state, order, &mut steps);
        payment_steps(model, state, order, &mut steps);
        beside_steps(model, state, order, &mut steps);
        check_steps(model, state, order, &mut steps);
    }
    for h in 0..state.holders.len() {
        holder_steps(model, state, h, &mut steps);
    }
    for f in 0..state.in_flight_requests.len() {
        flying_steps(model, state, f, &mut steps);
    }
    seat_steps(model, state, &mut steps);
    if model.event_cancels && !state.event_cancelled {
        push(&mut steps, state, Step::EventCancelled, |w| w.event_cancelled = true);
    }
    tidy(model, steps)
}

/// The steps from a state in which somebody is at work or something is under way: whoever it is goes on. Without faults
/// when none are left.
pub fn work(model: &Model, state: &ModelState) -> Steps {
    let mut steps = Steps::new();
    if state.in_flight_requests[0].is_some() {
        flying_steps(model, state, 0, &mut steps);
    } else if state.holders[0].is_some() {
        holder_steps(model, state, 0, &mut steps);
    }
    tidy(model, steps)
}

fn tidy(model: &Model, mut steps: Steps) -> Steps {
    for (_, after) in &mut steps {
        model.tidy(after);
    }
    steps
}

/// Adds the step that `change` makes.
fn push(steps: &mut Steps, state: &ModelState, step: Step, change: impl FnOnce(&mut ModelState)) {
    let mut after = *state;
    change(&mut after);
    steps.push((step, after));
}

/// Whether a row waits for nothing but Payment.
pub fn at_rest(state: &ModelState, order: OrderIndex) -> bool {
    let row = &state.rows[order];
    let pay = state.payment(order, row.which);
    let acknowledged = pay.status == row.payment || row.payment.is_none();
    let watching = row.when == When::Watch && acknowledged && !row.unsure;
    let open = |pay: &PaymentState| pay.beside.is_open() && pay.status != Some(PaymentStatus::Pending);
    let beside = state.payments[order].iter().any(open);
    let checks = Which::OWN.into_iter().any(|which| {
        let charge = which == Which::Charged && state.open_charge[order];
        (charge || state.told[order][which as usize])
            && state.payments[order][which as usize].status != Some(PaymentStatus::Pending)
    });
    !row.placed || row.phase == Phase::Done && !beside && !checks && (row.when == When::Never || watching)
}
