//! What is done at Seating: reserve, allocate, release.

use super::outcome::{ActionOutcome, no_answer, unanswered};
use crate::commands::Context;
use crate::domain::order::{Failure, FailureCode, Hold, Order, Status};
use crate::domain::saga::Event;
use crate::peers::Outcome;
use crate::peers::seating::{self, Owner, Priced, Reserve, Seat};
use serde_json::json;
use std::collections::BTreeSet;

/// Seating refused a reserve because a seat is taken; the seats' names if it gave them.
struct Refused(Option<String>);

/// Reserves the seats, the first time.
pub async fn reserve(context: &Context, order: &Order) -> ActionOutcome {
    match send_reserve(context, order).await {
        Ok(performed) => performed,
        Err(Refused(names)) => look_at_refusal(context, order, names).await,
    }
}

async fn send_reserve(context: &Context, order: &Order) -> Result<ActionOutcome, Refused> {
    match seating::reserve(&context.config, order).await {
        Outcome::Answered(Reserve::Held(priced)) => Ok(reserved(priced)),
        Outcome::Answered(Reserve::NotFound) => Ok(seat_not_found()),
        Outcome::Answered(Reserve::Taken(names)) => Err(Refused(names)),
        Outcome::NoAnswer(failure) => Ok(unanswered(failure)),
    }
}

/// Who has an order's seats, all together.
enum SeatOwnership {
    /// All are reserved for the order's user; the outcome that a reserve would have had.
    HeldForUs(ActionOutcome),
    /// All are free.
    Free,
    /// Another buyer has at least one.
    Taken,
    /// Some are reserved for the order's user and the others are free.
    PartlyHeld,
}

/// Reads the seats. `Err`: the action's outcome is known already, because a seat is unknown or there was no answer.
async fn seat_ownership(context: &Context, order: &Order) -> Result<SeatOwnership, ActionOutcome> {
    let seats = match seating::read_seats(&context.config, order).await {
        Outcome::Answered(seats) => seats,
        Outcome::NoAnswer(failure) => return Err(no_answer(failure.reason)),
    };
    let seats = seats.into_iter().collect::<Option<Vec<Seat>>>().ok_or_else(seat_not_found)?;
    let owners: Vec<Owner> = seats.iter().map(|seat| seat.owner(order)).collect();
    Ok(if owners.iter().all(|owner| *owner == Owner::Held) {
        SeatOwnership::HeldForUs(seating::priced(&seats, order).map_or_else(no_answer, reserved))
    } else if owners.iter().any(|owner| matches!(owner, Owner::Other | Owner::Allocated)) {
        SeatOwnership::Taken
    } else if owners.iter().all(|owner| *owner == Owner::Free) {
        SeatOwnership::Free
    } else {
        SeatOwnership::PartlyHeld
    })
}

/// A first reserve was refused. The hold in the way may be the buyer's own: that of this order from before it expired, or that of
/// an order that a crash of PostgreSQL has lost and that the buyer now places again.
async fn look_at_refusal(context: &Context, order: &Order, names: Option<String>) -> ActionOutcome {
    match seat_ownership(context, order).await {
        Err(performed) | Ok(SeatOwnership::HeldForUs(performed)) => performed,
        // Free by now: a paid order tries again.
        Ok(SeatOwnership::Free | SeatOwnership::PartlyHeld) if order.is_paid() => {
            no_answer("the seats have just become free")
        }
        Ok(SeatOwnership::Free | SeatOwnership::PartlyHeld | SeatOwnership::Taken) => seats_taken(names),
    }
}

/// A retry: a reserve may have taken effect. Seating cannot be asked for reservations by order, so the seats are read.
pub async fn look_then_reserve(context: &Context, order: &Order) -> ActionOutcome {
    match seat_ownership(context, order).await {
        Err(performed) | Ok(SeatOwnership::HeldForUs(performed)) => performed,
        Ok(SeatOwnership::Taken) => seats_taken(None),
        // Cancelled meanwhile: nothing is reserved, so nothing needs a compensation.
        Ok(SeatOwnership::Free) if order.status != Status::Pending && !order.is_paid() => seats_taken(None),
        Ok(SeatOwnership::Free) if order.expired() => {
            no_answer("the seats are free, and the time to pay is over")
        }
        Ok(SeatOwnership::Free) => send_reserve(context, order)
            .await
            .unwrap_or_else(|Refused(_)| no_answer("a repeated reserve was refused; the hold may be ours")),
        // Reserve takes all seats in one step, so a reserve is being executed, or this is the rest of an older hold.
        Ok(SeatOwnership::PartlyHeld) => no_answer("some seats are held and some are free"),
    }
}

fn reserved(priced: Priced) -> ActionOutcome {
    match priced {
        Priced::Items(items) => Event::Reserved(items).into(),
        Priced::OutOfRange => Event::ReservedBeyondRange.into(),
    }
}

fn seat_not_found() -> ActionOutcome {
    let detail = "A seat does not exist or is of another event.";
    Event::ReserveRefused(Failure::new(FailureCode::SeatNotFound, detail)).into()
}

fn seats_taken(names: Option<String>) -> ActionOutcome {
    let detail = match names {
        Some(names) if names.contains(' ') => format!("Seats {names} are taken."),
        Some(name) => format!("Seat {name} is taken."),
        None => "One or more of the seats are taken.".to_owned(),
    };
    Event::ReserveRefused(Failure::new(FailureCode::SeatsUnavailable, detail)).into()
}

/// Allocates the seats to the order.
pub async fn allocate(context: &Context, order: &Order) -> ActionOutcome {
    match seating::allocate(&context.config, order).await {
        Outcome::Answered(true) => Event::Allocated.into(),
        // A repeated allocation is refused like one of lost seats: only Seating's list for the order tells them apart.
        Outcome::Answered(false) => match ask_allocation(context, order).await {
            Allocation::Ours => Event::Allocated.into(),
            Allocation::NotOurs => Event::SeatsLost.into(),
            Allocation::Unknown(reason) => no_answer(reason),
        },
        Outcome::NoAnswer(failure) => unanswered(failure),
    }
}

/// A retry: the allocation may have taken effect.
pub async fn ask_then_allocate(context: &Context, order: &Order) -> ActionOutcome {
    match ask_allocation(context, order).await {
        Allocation::Ours => Event::Allocated.into(),
        Allocation::NotOurs => allocate(context, order).await,
        Allocation::Unknown(reason) => no_answer(reason),
    }
}

enum Allocation {
    Ours,
    NotOurs,
    Unknown(String),
}

async fn ask_allocation(context: &Context, order: &Order) -> Allocation {
    match seating::allocated_to(&context.config, order.id).await {
        Outcome::Answered(seats) if order.seats.iter().all(|seat| seats.contains(seat)) => Allocation::Ours,
        Outcome::Answered(_) => Allocation::NotOurs,
        Outcome::NoAnswer(failure) => Allocation::Unknown(failure.reason),
    }
}

/// The order's seats are free; settled when no request was in flight as the order was read.
fn released(order: &Order) -> Event {
    Event::Released { settled: !order.in_flight() }
}

/// Releases `seats`, which are surely the order's.
pub async fn release(context: &Context, order: &Order, seats: &[i32]) -> ActionOutcome {
    match seating::release(&context.config, seats).await {
        Outcome::Answered(()) => {
            ActionOutcome { detail: json!({ "seats": seats }), ..released(order).into() }
        }
        Outcome::NoAnswer(failure) => unanswered(failure),
    }
}

/// Releases what is surely the order's: seats that Seating lists for the order and, within the hold window, seats that it has
/// reserved for the order's user.
pub async fn look_then_release(context: &Context, order: &Order) -> ActionOutcome {
    let mut ours = Vec::new();
    if order.hold == Hold::Allocated {
        match seating::allocated_to(&context.config, order.id).await {
            Outcome::Answered(seats) => ours.extend(order.seats.iter().filter(|seat| seats.contains(seat))),
            Outcome::NoAnswer(failure) => return no_answer(failure.reason),
        }
    }
    if !order.hold_lapsed() && ours.len() < order.seats.len() {
        match seating::read_seats(&context.config, order).await {
            Outcome::Answered(seats) => {
                let looked = order.seats.iter().zip(seats);
                let held = looked.filter_map(|(id, seat)| {
                    matches!(seat?.owner(order), Owner::Held | Owner::Allocated).then_some(*id)
                });
                ours = held.chain(ours).collect::<BTreeSet<i32>>().into_iter().collect();
            }
            Outcome::NoAnswer(failure) => return no_answer(failure.reason),
        }
    }
    if ours.is_empty() { released(order).into() } else { release(context, order, &ours).await }
}
