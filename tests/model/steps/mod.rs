//! Every step that may come next: an answer, its loss, a crash, the buyer's wishes, Payment's news, and time.

mod holder;
mod order;
mod outside;

use super::order::{Ev, No, When};
use super::rules::Model;
use super::world::{At, Deed, Next, World};
use holder::{flying_steps, holder_steps};
use order::order_steps;
use order_service::domain::order::{PaymentStatus, Phase};
use outside::{payment_steps, seat_steps};

/// A step, for the path to a violation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A request places the order.
    Place(No),
    /// A holder's request is answered. With what a new payment becomes.
    Answer { order: No, at: At, charged: Option<PaymentStatus>, dear: bool },
    /// A holder gives up waiting.
    GiveUp { order: No, at: At },
    /// A holder gets an answer that says nothing, after the request took effect or without.
    Unusable { order: No, at: At, happened: bool },
    /// A holder stores what it knows.
    Store { order: No, ev: Ev },
    /// A holder vanishes.
    Crash { order: No, at: At },
    /// A request takes effect that nobody waits for any more.
    Land { order: No, deed: Deed, charged: Option<PaymentStatus> },
    /// Such a request never takes effect.
    Vanish { order: No, deed: Deed },
    /// A sweep claims the order.
    Sweep(No),
    /// A sweep claims the order although its holder lives.
    Overtake(No),
    /// An operator makes the order due although its time has not come, and a sweep claims it.
    Redrive(No),
    /// A callback arrives that is not signed: the order is read.
    Callback(No),
    /// A signed callback arrives, and what it says.
    SignedCallback(No, PaymentStatus),
    /// The buyer gives the order up.
    Cancel(No),
    /// The buyer wants the money back.
    Refund(No),
    /// Payment's state changes by itself.
    PaymentTurns(No, PaymentStatus),
    /// The order's time to pay is over.
    Expire(No),
    /// The order's hold window is over.
    Lapse(No),
    /// Nothing of the order's is in flight any more.
    FlightOver(No),
    /// Seating frees a seat that was held for too long.
    SeatingFrees,
    /// The next buyer goes on, or goes away.
    Next(Next),
}

/// Steps with the states that they lead to.
pub type Steps = Vec<(Step, World)>;

/// Every step from a state.
pub fn all(model: &Model, world: &World) -> Steps {
    let mut steps = Steps::new();
    for order in 0..model.orders {
        order_steps(model, world, order, &mut steps);
        payment_steps(world, order, &mut steps);
    }
    for h in 0..world.holders.len() {
        holder_steps(model, world, h, &mut steps);
    }
    for f in 0..world.flying.len() {
        flying_steps(model, world, f, &mut steps);
    }
    seat_steps(model, world, &mut steps);
    tidy(model, steps)
}

/// The steps from a state in which somebody is at work or something is under way: whoever it is goes on. Without faults
/// when none are left.
pub fn work(model: &Model, world: &World) -> Steps {
    let mut steps = Steps::new();
    if world.flying[0].is_some() {
        flying_steps(model, world, 0, &mut steps);
    } else if world.holders[0].is_some() {
        holder_steps(model, world, 0, &mut steps);
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
fn push(steps: &mut Steps, world: &World, step: Step, change: impl FnOnce(&mut World)) {
    let mut after = *world;
    change(&mut after);
    steps.push((step, after));
}

/// Whether a row waits for nothing but Payment.
pub fn at_rest(world: &World, order: No) -> bool {
    let row = &world.rows[order];
    let told = world.pays[order].status == row.payment || row.payment.is_none();
    let watching = row.when == When::Watch && told && !row.unsure;
    !row.placed || row.phase == Phase::Done && (row.when == When::Never || watching)
}
