//! Seating: who holds which seat.

mod messages;
mod requests;
mod transactions;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::Sandbox;
use super::answer::Answer;
use super::call::Call;
use super::contract::errors::{seating as error, spring};
use super::contract::shapes::{Reserve, Reserved, local_time};
use super::state::{Seat, SeatStatus, State, now_ms, raw};
use messages::{dto, total};

pub(super) use messages::shown;
pub(super) use transactions::Transactions;

/// `POST /v1/seats/reserve`: all seats or none, in a serializable transaction. Not idempotent: our own hold is as good a
/// reason for a 409 as any.
pub(super) async fn reserve(sandbox: &Sandbox, call: &Call) -> Answer {
    let request = match requests::reserve(call) {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    let (transaction, takes) = sandbox.state().transactions.begin(&request.seat_ids);
    tokio::time::sleep(takes).await;
    let state = &mut *sandbox.state();
    if state.transactions.end(transaction) {
        return error(500, "could not serialize access due to read/write dependencies among transactions");
    }
    hold(state, &request)
}

fn hold(state: &mut State, request: &Reserve) -> Answer {
    let now = now_ms();
    if let Some(answer) = unknown(state, &request.seat_ids) {
        return answer;
    }
    let ids = &request.seat_ids;
    if ids.iter().any(|id| state.seats[id].event_id != request.event_id) {
        return error(400, &format!("Some seats do not belong to event {}", request.event_id));
    }
    if let Some(answer) = conflict(state, ids, SeatStatus::Available, "available") {
        return answer;
    }
    let expires_at = now + state.hold_ms;
    for id in ids {
        let Some(seat) = state.seats.get_mut(id) else {
            continue;
        };
        (seat.status, seat.reserved_by) = (SeatStatus::Reserved, Some(request.user_id));
        (seat.reserved_at, seat.expires_at, seat.updated_at) = (Some(now), Some(expires_at), now);
    }
    // In storage order, not in the order of the request.
    let stored: BTreeSet<i64> = ids.iter().copied().collect();
    let seats = || stored.iter().map(|id| &state.seats[id]);
    let total = raw(&total(seats().map(|seat| seat.price.get())));
    Answer::json(200, &Reserved::new(seats().map(dto).collect(), total, local_time(expires_at).into()))
}

/// `POST /v1/seats/allocate`: all seats or none. Whose hold it is, and whether its time is over, does not matter to it.
pub(super) fn allocate(state: &mut State, call: &Call) -> Answer {
    let request = match requests::allocate(call) {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    let (ids, now) = (&request.seat_ids, now_ms());
    if let Some(answer) = unknown(state, ids) {
        return answer;
    }
    if let Some(answer) = conflict(state, ids, SeatStatus::Reserved, "reserved") {
        return answer;
    }
    for id in ids {
        let Some(seat) = state.seats.get_mut(id) else {
            continue;
        };
        (seat.status, seat.order_id) = (SeatStatus::Allocated, Some(request.order_id.clone()));
        (seat.expires_at, seat.updated_at) = (None, now);
    }
    state.allocated.entry(request.order_id.clone()).or_default().extend(ids);
    Answer::empty(200)
}

/// `POST /v1/seats/release`: frees the seats, whoever has them.
pub(super) fn release(state: &mut State, call: &Call) -> Answer {
    let Some(ids) = call.json::<Vec<i64>>() else {
        return error(500, requests::UNREADABLE);
    };
    for id in ids {
        if let Some(seat) = state.seats.get_mut(&id) {
            free(seat, now_ms());
        }
    }
    Answer::empty(200)
}

/// `GET /v1/seats/{id}`
pub(super) fn seat(state: &State, id: &str) -> Answer {
    let Ok(id) = id.parse::<i64>() else {
        return error(500, requests::UNREADABLE);
    };
    match state.seats.get(&id) {
        Some(seat) => Answer::json(200, &dto(seat)),
        None => error(404, &format!("Seat not found: {id}")),
    }
}

/// `GET /v1/seats/order/{orderId}`: the seats allocated to the order.
pub(super) fn order_seats(state: &State, order_id: &str) -> Answer {
    let ids = state.allocated.get(order_id).into_iter().flatten();
    let seats = ids.filter_map(|id| state.seats.get(id));
    // A seat may have been released, and sold again, since.
    let seats = seats.filter(|seat| seat.order_id.as_deref() == Some(order_id));
    Answer::json(200, &seats.map(dto).collect::<Vec<_>>())
}

/// `GET /v1/seats/availability?eventId=`: every free seat.
pub(super) fn availability(state: &State, event_id: &str) -> Answer {
    let Ok(event_id) = event_id.parse::<i64>() else {
        return error(500, requests::UNREADABLE);
    };
    let mut ids: Vec<i64> =
        state.seats.values().filter(|seat| seat.event_id == event_id).map(|s| s.id).collect();
    ids.sort_unstable();
    let seats = ids.iter().map(|id| &state.seats[id]);
    let free: Vec<_> = seats.filter(|seat| seat.status == SeatStatus::Available).map(dto).collect();
    let counts = json!({ "eventId": event_id, "totalSeats": ids.len(), "availableSeats": free.len() });
    // Raw prices do not survive in a `Value`, so the list is put in as text.
    let list = serde_json::to_string(&free).unwrap_or_default();
    let body = format!("{},\"availableSeatsList\":{list}}}", counts.to_string().trim_end_matches('}'));
    Answer::json(200, &raw(&body))
}

/// What Seating says when it will not do what was asked, for the fault action `refuse`.
pub(super) fn refusal(state: &State, call: &Call) -> Answer {
    let ids = &call.about.seat_ids;
    error(
        409,
        &format!("Seats are not available: {}", names(ids.iter().filter_map(|id| state.seats.get(id)))),
    )
}

/// What Seating says to a request that none of its operations fits.
pub(super) fn no_operation(call: &Call) -> Answer {
    let segments: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["v1", "seats", _] | ["v1", "seats", "order", _] => {
            error(500, &format!("Request method '{}' is not supported", call.method))
        }
        _ => spring(404, &call.path),
    }
}

/// What Seating says of a seat that it does not have.
pub(super) fn not_found() -> Answer {
    error(404, "Seat not found")
}

/// Frees the seats whose hold is over. Until this is done they stay reserved, for whoever asks. How many it freed.
pub(super) fn free_expired(state: &mut State) -> usize {
    let now = now_ms();
    let held = state.seats.values_mut().filter(|seat| seat.status == SeatStatus::Reserved);
    let over = held.filter(|seat| seat.expires_at.is_some_and(|expires_at| expires_at <= now));
    over.map(|seat| free(seat, now)).count()
}

/// Seating's job, which frees the seats whose hold is over.
pub(super) async fn free_expired_now_and_then(sandbox: Arc<Sandbox>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let mut state = sandbox.state();
        let freed = free_expired(&mut state);
        state.changes += freed as u64;
    }
}

/// Ends holds now, as if their time were over: those of these seats (`None`: of all) that began before a time, in
/// milliseconds since 1970. How many it ended.
pub(super) fn expire(state: &mut State, ids: Option<&[i64]>, before_ms: i64) -> usize {
    let held = state.seats.values_mut().filter(|seat| seat.status == SeatStatus::Reserved);
    let meant = held.filter(|seat| {
        ids.is_none_or(|ids| ids.contains(&seat.id)) && seat.reserved_at.is_none_or(|at| at < before_ms)
    });
    meant.map(|seat| free(seat, now_ms())).count()
}

/// Seating compares the number of rows that it finds with that of the ids, so it misses one of two that are equal, too.
fn unknown(state: &State, ids: &[i64]) -> Option<Answer> {
    let missing = |(index, id): (usize, &i64)| !state.seats.contains_key(id) || ids[..index].contains(id);
    ids.iter().enumerate().any(missing).then(|| error(404, "One or more seats not found"))
}

fn conflict(state: &State, ids: &[i64], wanted: SeatStatus, word: &str) -> Option<Answer> {
    let others: Vec<&Seat> =
        ids.iter().map(|id| &state.seats[id]).filter(|seat| seat.status != wanted).collect();
    let message = || format!("Seats are not {word}: {}", names(others.iter().copied()));
    (!others.is_empty()).then(|| error(409, &message()))
}

fn names<'a>(seats: impl Iterator<Item = &'a Seat>) -> String {
    seats.map(|seat| seat.seat_number.as_str()).collect::<Vec<_>>().join(", ")
}

fn free(seat: &mut Seat, now: i64) {
    (seat.status, seat.reserved_by, seat.order_id) = (SeatStatus::Available, None, None);
    (seat.reserved_at, seat.expires_at, seat.updated_at) = (None, None, now);
}
