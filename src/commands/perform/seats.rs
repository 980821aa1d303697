//! What is done at Seating: reserve, allocate, release.
//!
//! Seating tells for which user a seat is reserved, but neither for which order nor since when; its allocate and release take any
//! reserved seat, whoever has it.

use super::outcome::{ActionOutcome, no_answer, unanswered};
use crate::commands::Context;
use crate::domain::order::{Failure, FailureCode, Hold, Order, Status};
use crate::domain::retry;
use crate::domain::saga::{Event, Refusal, Reservation};
use crate::peers::Outcome;
use crate::peers::seating::{self, Owner, Priced, Reserve, Seat};
use crate::runtime::random::random;
use crate::runtime::task;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Reserves the seats; after no answer again, at most [`retry::RESERVE_ATTEMPTS`] times within [`retry::RESERVE_TIME_MS`]. Not
/// idempotent, so each time but the first the seats are looked at before: the first time, too, when `look_first`.
pub async fn reserve(context: &Context, order: &Order, look_first: bool) -> ActionOutcome {
    let begun = task::now();
    let has_time = |pause_ms: u64| {
        let passed = task::now().saturating_duration_since(begun) + Duration::from_millis(pause_ms);
        passed < Duration::from_millis(retry::RESERVE_TIME_MS)
    };
    let (mut attempt, mut may_land) = (1, order.in_flight());
    loop {
        let is_first = attempt == 1 && !look_first;
        if !is_first {
            if let Err(known) = look_before_reserve(context, order).await {
                return in_flight(known, may_land);
            }
            if !has_time(0) {
                return in_flight(no_answer("no time is left to reserve the seats"), may_land);
            }
        }
        let failure = match seating::reserve(&context.config, order).await {
            Outcome::Answered(Reserve::Held(priced)) => return in_flight(reserved(priced, false), may_land),
            Outcome::Answered(Reserve::NotFound) => return in_flight(seat_not_found(order), may_land),
            Outcome::Answered(Reserve::Taken(names)) => {
                return in_flight(look_at_refusal(context, order, names, is_first).await, may_land);
            }
            Outcome::NoAnswer(failure) => failure,
        };
        may_land |= failure.may_land;
        let retry_after_ms = failure.retry_after_ms();
        let pause_ms = retry::reserve_pause_ms(attempt, random::<1>()[0]).max(retry_after_ms.unwrap_or(0));
        if attempt == retry::RESERVE_ATTEMPTS || !has_time(pause_ms) {
            return in_flight(unanswered(failure), may_land);
        }
        spin_sdk::time::sleep(Duration::from_millis(pause_ms)).await;
        attempt += 1;
    }
}

/// Adds to an outcome that an earlier reserve `may_land`: within the same attempt, or when the order was read.
fn in_flight(mut outcome: ActionOutcome, earlier: bool) -> ActionOutcome {
    match &mut outcome.event {
        Event::Reserved(Reservation { may_land, .. })
        | Event::ReserveRefused(Refusal { may_land, .. })
        | Event::NoAnswer { may_land } => *may_land |= earlier,
        // The next attempt finds it by looking.
        Event::ReservedBeyondRange if earlier => outcome.event = Event::NoAnswer { may_land: true },
        _ => {}
    }
    outcome
}

/// Who has an order's seats, all together.
enum SeatOwnership {
    /// All are reserved for the order's user, or allocated to the order.
    Ours,
    /// All are free.
    Free,
    /// Another buyer has at least one.
    Taken,
    /// Some are the order's and the others are free.
    PartlyOurs,
}

/// Reads the seats. `Err`: the action's outcome is known already, because a seat is unknown or there was no answer.
async fn read_seats(context: &Context, order: &Order) -> Result<Vec<Seat>, ActionOutcome> {
    match seating::read_seats(&context.config, order).await {
        Outcome::Answered(seats) => {
            let held_in_part = is_any_held(seats.iter().flatten(), order);
            seats.into_iter().collect::<Option<Vec<Seat>>>().ok_or_else(|| match held_in_part {
                // A held seat does not end as one that does not exist.
                true if order.amounts.is_none() => seats_taken(None, held_in_part),
                _ => seat_not_found(order),
            })
        }
        Outcome::NoAnswer(failure) => Err(unanswered(failure)),
    }
}

/// Whether some of the seats are reserved for the order's user, or allocated to the order.
fn is_any_held<'a>(mut seats: impl Iterator<Item = &'a Seat>, order: &Order) -> bool {
    seats.any(|seat| seat.owner(order).is_ours())
}

fn seat_ownership(seats: &[Seat], order: &Order) -> SeatOwnership {
    let owners: Vec<Owner> = seats.iter().map(|seat| seat.owner(order)).collect();
    if owners.iter().all(|owner| owner.is_ours()) {
        SeatOwnership::Ours
    } else if owners.contains(&Owner::Other) {
        SeatOwnership::Taken
    } else if owners.iter().all(|owner| *owner == Owner::Free) {
        SeatOwnership::Free
    } else {
        SeatOwnership::PartlyOurs
    }
}

/// The seats are reserved for the order's user already. Nobody knows since when.
fn observed(seats: &[Seat], order: &Order) -> ActionOutcome {
    seating::priced(seats, order).map_or_else(no_answer, |priced| reserved(priced, true))
}

/// A reserve was refused. The hold in the way may be the buyer's own: that of an earlier reserve whose answer was lost, that of this
/// order from before it expired, or that of an order that a crash of PostgreSQL has lost and that the buyer now places again.
async fn look_at_refusal(
    context: &Context,
    order: &Order,
    names: Option<String>,
    is_first: bool,
) -> ActionOutcome {
    let seats = match read_seats(context, order).await {
        Ok(seats) => seats,
        Err(known) => return known,
    };
    let held_in_part = is_any_held(seats.iter(), order);
    match seat_ownership(&seats, order) {
        SeatOwnership::Ours => observed(&seats, order),
        SeatOwnership::Taken => seats_taken(names, held_in_part),
        // Another buyer had them a moment ago; a paid order tries again.
        SeatOwnership::Free | SeatOwnership::PartlyOurs if is_first && !order.is_paid() => {
            seats_taken(names, held_in_part)
        }
        SeatOwnership::Free | SeatOwnership::PartlyOurs => no_answer("the seats have just become free"),
    }
}

/// A retry: a reserve may have taken effect. Seating cannot be asked for reservations by order, so the seats are read. `Ok`: they
/// are free, and to be reserved.
async fn look_before_reserve(context: &Context, order: &Order) -> Result<(), ActionOutcome> {
    let seats = read_seats(context, order).await?;
    match seat_ownership(&seats, order) {
        SeatOwnership::Ours => Err(observed(&seats, order)),
        SeatOwnership::Taken => Err(seats_taken(None, is_any_held(seats.iter(), order))),
        SeatOwnership::Free if order.is_paid() => Ok(()),
        // Cancelled meanwhile: nothing is reserved, so nothing needs a compensation.
        SeatOwnership::Free if order.status != Status::Pending => Err(seats_taken(None, false)),
        SeatOwnership::Free if order.expired() => {
            Err(no_answer("the seats are free, and the time to pay is over"))
        }
        SeatOwnership::Free => Ok(()),
        // Reserve takes all seats in one step, so a reserve is being executed, or this is the rest of an older hold.
        SeatOwnership::PartlyOurs => Err(no_answer("some seats are held and some are free")),
    }
}

fn reserved(priced: Priced, observed: bool) -> ActionOutcome {
    match priced {
        Priced::Items(items) => Event::Reserved(Reservation { items, observed, may_land: false }).into(),
        Priced::OutOfRange => Event::ReservedBeyondRange.into(),
    }
}

/// Seating does not know a seat. It has known the seats of an order that it held once.
fn seat_not_found(order: &Order) -> ActionOutcome {
    if order.amounts.is_some() {
        return no_answer("Seating does not know a seat that it has held for the order");
    }
    refused(FailureCode::SeatNotFound, "A seat does not exist or is of another event.", false)
}

/// `held_in_part`: see [`Refusal`].
fn seats_taken(names: Option<String>, held_in_part: bool) -> ActionOutcome {
    let detail = match names {
        Some(names) if names.contains(' ') => format!("Seats {names} are taken."),
        Some(name) => format!("Seat {name} is taken."),
        None => "One or more of the seats are taken.".to_owned(),
    };
    refused(FailureCode::SeatsUnavailable, detail, held_in_part)
}

fn refused(code: FailureCode, detail: impl Into<String>, held_in_part: bool) -> ActionOutcome {
    let failure = Failure::new(code, detail);
    Event::ReserveRefused(Refusal { failure, held_in_part, may_land: false }).into()
}

/// Allocates the seats to the order.
pub async fn allocate(context: &Context, order: &Order) -> ActionOutcome {
    match seating::allocate(&context.config, order).await {
        Outcome::Answered(true) => Event::Allocated.into(),
        // A repeated allocation is refused like one of lost seats: only Seating's list for the order tells them apart.
        Outcome::Answered(false) => allocated_or(context, order, Event::SeatsLost).await,
        Outcome::NoAnswer(failure) => unanswered(failure),
    }
}

/// A retry: the allocation may have taken effect.
pub async fn ask_then_allocate(context: &Context, order: &Order) -> ActionOutcome {
    match is_allocated(context, order).await {
        Ok(true) => Event::Allocated.into(),
        Ok(false) => allocate(context, order).await,
        Err(unknown) => unknown,
    }
}

/// Allocates the seats when the hold may be over: only after a look that has just shown them reserved for the order's user.
pub async fn look_then_allocate(context: &Context, order: &Order) -> ActionOutcome {
    if order.attempts > 0 {
        match is_allocated(context, order).await {
            Ok(true) => return Event::Allocated.into(),
            Ok(false) => {}
            Err(unknown) => return unknown,
        }
    }
    let seats = match read_seats(context, order).await {
        Ok(seats) => seats,
        Err(known) => return known,
    };
    match seat_ownership(&seats, order) {
        SeatOwnership::Ours => allocate(context, order).await,
        SeatOwnership::Free => Event::HoldExpired.into(),
        SeatOwnership::Taken => allocated_or(context, order, Event::SeatsLost).await,
        // The rest of an older hold, which Seating frees soon.
        SeatOwnership::PartlyOurs => no_answer("some seats are held and some are free"),
    }
}

/// `otherwise`, if Seating's list for the order agrees.
async fn allocated_or(context: &Context, order: &Order, otherwise: Event) -> ActionOutcome {
    match is_allocated(context, order).await {
        Ok(true) => Event::Allocated.into(),
        Ok(false) => otherwise.into(),
        Err(unknown) => unknown,
    }
}

/// Whether Seating lists the seats for the order.
async fn is_allocated(context: &Context, order: &Order) -> Result<bool, ActionOutcome> {
    match seating::allocated_to(&context.config, order.id).await {
        Outcome::Answered(seats) => Ok(order.seats.iter().all(|seat| seats.contains(seat))),
        Outcome::NoAnswer(failure) => Err(unanswered(failure)),
    }
}

/// The order's seats are not the order's any more; settled when no request was in flight as the order was read.
fn released(order: &Order) -> Event {
    Event::Released { settled: !order.in_flight() }
}

/// Releases what a look has just shown to be the order's: seats that Seating lists for the order, and seats that it has reserved for
/// the order's user.
pub async fn look_then_release(context: &Context, order: &Order) -> ActionOutcome {
    let mut ours = BTreeSet::new();
    if order.hold == Hold::Allocated {
        match seating::allocated_to(&context.config, order.id).await {
            Outcome::Answered(seats) => ours.extend(order.seats.iter().filter(|seat| seats.contains(seat))),
            Outcome::NoAnswer(failure) => return unanswered(failure),
        }
    }
    if ours.len() < order.seats.len() {
        match seating::read_seats(&context.config, order).await {
            // A seat that was never held may be unknown; what was held is neither free nor somebody else's.
            Outcome::Answered(seats) if order.amounts.is_some() && seats.iter().any(Option::is_none) => {
                return seat_not_found(order);
            }
            Outcome::Answered(seats) => ours.extend(
                order
                    .seats
                    .iter()
                    .zip(seats)
                    .filter_map(|(id, seat)| seat?.owner(order).is_ours().then_some(*id)),
            ),
            Outcome::NoAnswer(failure) => return unanswered(failure),
        }
    }
    if ours.is_empty() {
        return released(order).into();
    }
    let ours: Vec<i32> = ours.into_iter().collect();
    match seating::release(&context.config, &ours).await {
        Outcome::Answered(()) => ActionOutcome { detail: json!({ "seats": ours }), ..released(order).into() },
        Outcome::NoAnswer(failure) => unanswered(failure),
    }
}
