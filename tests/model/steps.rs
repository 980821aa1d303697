//! Every step that may come next: an answer, its loss, a crash, the buyer's wishes, Payment's news, and time.

use super::order::{Ev, No, Row, When};
use super::peers;
use super::service::{Guard, Model};
use super::world::{At, Deed, Holder, Next, Seat, Who, World};
use order_service::domain::order::{PaymentStatus, Phase};

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
    /// A callback arrives; what the service takes for true.
    Callback(No, PaymentStatus),
    /// A callback arrives, and Payment cannot be asked.
    CallbackUnchecked(No),
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
        after.tidy(model.without == Some(Guard::Version));
    }
    steps
}

/// Adds the step that `change` makes.
fn push(steps: &mut Steps, world: &World, step: Step, change: impl FnOnce(&mut World)) {
    let mut after = *world;
    change(&mut after);
    steps.push((step, after));
}

fn order_steps(model: &Model, world: &World, order: No, steps: &mut Steps) {
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
    if world.left.cancels > 0 {
        wish(model, world, order, Ev::Cancel, Step::Cancel(order), steps);
    }
    if world.left.refunds > 0 {
        wish(model, world, order, Ev::Refund, Step::Refund(order), steps);
    }
}

/// What `order_place` stores, held by the request that places it.
pub fn place(model: &Model, world: &mut World, order: No) {
    world.rows[order] = Row::PLACED;
    world.claim = Some(Who::Order(order));
    world.hire(news(world, order, Ev::Refund, true));
    let last = world.holders.iter().rposition(Option::is_some).expect("the holder just hired");
    model.begin(world, last);
}

/// Somebody who has just read the order, with something to store.
fn news(world: &World, order: No, ev: Ev, drives: bool) -> Holder {
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
    let lands = |f: &&super::world::Flying| f.order == order && f.covered && at_seating(f.deed);
    let sends = |h: &&Holder| h.order == order && h.within && ahead(h.at).is_some_and(at_seating);
    world.flying.iter().flatten().find(lands).is_none()
        && world.holders.iter().flatten().find(sends).is_none()
}

/// What a holder changes at a peer, or may go on to change.
fn ahead(at: At) -> Option<Deed> {
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

fn payment_steps(world: &World, order: No, steps: &mut Steps) {
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

/// Callbacks: one that is asked after tells what is true now, and stores it later; a signed one may be as old as it
/// likes.
fn callback_steps(model: &Model, world: &World, order: No, steps: &mut Steps) {
    let pay = world.pays[order];
    let Some(truth) = pay.status else { return };
    if world.left.callbacks == 0 || !world.has_room(model.holders) {
        return;
    }
    let mut hears = |told| {
        push(steps, world, Step::Callback(order, told), |w| {
            w.left.callbacks -= 1;
            w.hire(news(w, order, Ev::Paid(told), false));
        });
    };
    if truth != PaymentStatus::Pending {
        hears(truth);
    }
    if model.signed {
        let older = [(pay.succeeded, PaymentStatus::Success), (pay.failed, PaymentStatus::Failed)];
        older
            .into_iter()
            .filter(|(was, status)| *was && *status != truth)
            .for_each(|(_, status)| hears(status));
    } else if world.left.faults > 0 && world.rows[order].payment.is_some() {
        push(steps, world, Step::CallbackUnchecked(order), |w| {
            w.left.callbacks -= 1;
            w.left.faults -= 1;
            w.hire(news(w, order, Ev::Unsure, false));
        });
    }
}

fn holder_steps(model: &Model, world: &World, h: usize, steps: &mut Steps) {
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
        if let Some(holder) = &mut w.holders[h] {
            holder.at = At::Store(Ev::Silence { may_land });
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

fn flying_steps(model: &Model, world: &World, f: usize, steps: &mut Steps) {
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

fn seat_steps(model: &Model, world: &World, steps: &mut Steps) {
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

/// Whether a row waits for nothing but Payment.
pub fn at_rest(world: &World, order: No) -> bool {
    let row = &world.rows[order];
    let told = world.pays[order].status == row.payment || row.payment.is_none();
    let watching = row.when == When::Watch && told && !row.unsure;
    !row.placed || row.phase == Phase::Done && (row.when == When::Never || watching)
}
