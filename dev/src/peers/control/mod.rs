//! The control API, `/control`: sets up data and faults of the sandbox, and reads its state and records.
//!
//! ```text
#![doc = include_str!("control.txt")]
//! ```

mod specs;
mod views;

use hyper::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::Answer;
use super::callbacks::{self, CallbackRule};
use super::catalog::Event;
use super::faults::FaultRule;
use super::payment::PaymentStatus;
use super::state::{Seat, SeatStatus, State, now_ms, raw};
use super::user::Account;
use super::{Sandbox, order_page, payment, seating};
use specs::{
    CallbackUrl, Down, Expire, Forget, Hold, ModeSpec, RefundModeSpec, ReserveSpec, Seats, Second, Settle,
    Which,
};

pub use specs::{EventSpec, SeatSpec};

/// Every control endpoint, in the order of the text.
pub(super) async fn answer(sandbox: &Sandbox, head: &Parts, body: &[u8]) -> Answer {
    let path = head.uri.path().trim_start_matches("/control").trim_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    let query = head.uri.query().unwrap_or_default();
    // Those that wait for the order service must not hold the state meanwhile.
    match (head.method.as_str(), segments.as_slice()) {
        ("POST", ["payments", "settle"]) => {
            return with(body, async |spec| settle(sandbox, spec).await).await;
        }
        ("POST", ["payments", "second"]) => {
            return with(body, async |spec| second(sandbox, spec).await).await;
        }
        ("GET", ["orders", id]) => return order_page::order(sandbox, head, id),
        ("POST", ["callback"]) => return with(body, async |body| send_callback(sandbox, body).await).await,
        _ => {}
    }
    let mut state = sandbox.state();
    let state = &mut *state;
    state.changes += 1;
    match (head.method.as_str(), segments.as_slice()) {
        ("GET", [""]) => Answer::text(200, include_str!("control.txt")),
        ("POST", ["events"]) => parsed(body, |spec| put_event(state, spec)),
        ("POST", ["users"]) => parsed(body, |account: Account| {
            state.put_account(account);
            ok()
        }),
        ("POST", ["seats"]) => parsed(body, |spec| put_seats(state, spec)),
        ("GET", ["seats", id]) => views::seat(state, id),
        ("POST", ["seats", "expire"]) => parsed(body, |spec: Expire| {
            let before = spec.reserved_before_ms.unwrap_or(i64::MAX);
            let expired = match spec.lapsed {
                true => seating::free_expired(state),
                false => seating::expire(state, spec.seat_ids.as_deref(), before),
            };
            done(json!({ "expired": expired }))
        }),
        ("POST", ["hold"]) => parsed(body, |spec: Hold| {
            state.hold_ms = spec.ms;
            ok()
        }),
        ("POST", ["reserve"]) => parsed(body, |spec: ReserveSpec| {
            let transactions = &mut state.transactions;
            transactions.takes = spec.ms.map_or(transactions.takes, std::time::Duration::from_millis);
            transactions.serializable = spec.serializable.unwrap_or(transactions.serializable);
            ok()
        }),
        ("POST", ["payments", "refunds"]) => parsed(body, |spec: RefundModeSpec| {
            state.refund_modes.set(spec.only, spec.mode);
            ok()
        }),
        ("POST", ["payments", "forget"]) => parsed(body, |spec: Forget| {
            let payment =
                which(state, &spec.which).and_then(|id| payment::forget(state, &id, spec.forgotten));
            payment.map_or_else(no_payment, |payment| done(json!({ "payment": payment })))
        }),
        ("POST", ["payments", "mode"]) => parsed(body, |spec: ModeSpec| {
            state.modes.set(spec.only, spec.mode);
            ok()
        }),
        ("POST", ["callback-url"]) => parsed(body, |spec: CallbackUrl| {
            state.callback_rules.set_urls(spec.url.into_iter().chain(spec.urls).collect());
            ok()
        }),
        ("POST", ["callback-faults"]) => parsed(body, |rule: CallbackRule| {
            state.callback_rules.add(rule);
            ok()
        }),
        ("POST", ["peers"]) => parsed(body, |spec: Down| {
            state.faults.set_down(spec.peer, spec.down);
            ok()
        }),
        ("POST", ["faults"]) => parsed(body, |rule: FaultRule| done(json!({ "id": state.faults.add(rule) }))),
        ("GET", ["faults"]) => done(json!({ "faults": state.faults.list() })),
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            state.callback_rules.clear();
            ok()
        }
        ("DELETE", ["faults", id]) => {
            let removed = id.parse().is_ok_and(|id| state.faults.remove(id));
            if removed { ok() } else { Answer::error(404, "no such fault rule") }
        }
        ("GET", ["callback-faults"]) => done(json!({ "used": state.callback_rules.used() })),
        ("GET", ["payments"]) => views::payments(state, query),
        ("GET", ["calls", "open"]) => done(json!({ "open": state.calls.open })),
        ("GET", ["calls"]) => views::calls(state, query),
        ("DELETE", ["calls"]) => {
            state.calls.clear();
            ok()
        }
        ("GET", ["orders"]) => order_page::list(state, head),
        ("GET", ["state"]) => views::all(state),
        ("POST", ["reset"]) => {
            state.reset();
            ok()
        }
        _ => Answer::error(404, "no such control endpoint: see GET /control"),
    }
}

fn put_event(state: &mut State, spec: EventSpec) -> Answer {
    let title = spec.title.as_deref().unwrap_or("Some Event");
    state.events.insert(spec.id, Event::new(spec.id, title, &spec.status));
    ok()
}

fn put_seats(state: &mut State, spec: Seats) -> Answer {
    let range = (spec.from..spec.from.saturating_add(spec.count)).map(|id| SeatSpec {
        id,
        price: spec.price.clone(),
        ..SeatSpec::default()
    });
    let mut count = 0;
    for seat in spec.seats.into_iter().chain(range) {
        let seat = seat_from(spec.event_id, seat, state.hold_ms);
        state.put_seat(seat);
        count += 1;
    }
    done(json!({ "seats": count }))
}

fn seat_from(event_id: i64, spec: SeatSpec, hold_ms: i64) -> Seat {
    let number = spec.seat_number.unwrap_or_else(|| format!("S{}", spec.id));
    let mut seat = Seat::new(spec.id, event_id, number, spec.price.unwrap_or_else(|| raw("150.00")));
    (seat.price_cents, seat.reserved_by, seat.order_id) = (spec.price_cents, spec.reserved_by, spec.order_id);
    seat.status = spec.status.unwrap_or(SeatStatus::Available);
    if seat.status != SeatStatus::Available {
        seat.reserved_at = Some(now_ms() - spec.reserved_ms_ago.unwrap_or(0));
    }
    // Others stay held until they are told to lapse.
    if seat.status == SeatStatus::Reserved && spec.reserved_ms_ago.is_some() {
        seat.expires_at = seat.reserved_at.map(|at| at + hold_ms);
    }
    seat
}

async fn settle(sandbox: &Sandbox, spec: Settle) -> Answer {
    let payment = {
        let mut state = sandbox.state();
        state.changes += 1;
        which(&state, &spec.which).and_then(|id| payment::settle(&mut state, &id, &spec.from, spec.status))
    };
    let payment = match payment {
        Some(Ok(payment)) => payment,
        Some(Err(payment)) => return Answer::error(409, &format!("the payment is {:?}", payment.status)),
        None => return no_payment(),
    };
    tell(sandbox, payment, spec.status, spec.callback).await
}

/// Another payment of the same order.
async fn second(sandbox: &Sandbox, spec: Second) -> Answer {
    let payment = {
        let mut state = sandbox.state();
        state.changes += 1;
        which(&state, &spec.which).and_then(|id| payment::another(&mut state, &id, spec.status))
    };
    match payment {
        Some(payment) => tell(sandbox, payment, spec.status, spec.callback).await,
        None => no_payment(),
    }
}

async fn tell(sandbox: &Sandbox, payment: payment::Payment, status: PaymentStatus, callback: bool) -> Answer {
    let callback = match callback {
        true => callbacks::send(sandbox, callbacks::body(&payment, status), None).await,
        false => None,
    };
    done(json!({ "payment": payment, "callback": callback }))
}

/// The id of the payment that is meant; of an order's payments the first.
fn which(state: &State, which: &Which) -> Option<String> {
    let of_order = || state.payments_of(which.order_id.as_deref()?).next().map(|payment| payment.id.clone());
    which.payment_id.clone().or_else(of_order)
}

fn no_payment() -> Answer {
    Answer::error(404, "no such payment")
}

async fn send_callback(sandbox: &Sandbox, body: Value) -> Answer {
    match callbacks::send(sandbox, body, None).await {
        Some(record) => done(json!(record)),
        None => Answer::error(409, "no callback URL is set"),
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8], then: impl FnOnce(T) -> Answer) -> Answer {
    match serde_json::from_slice(body) {
        Ok(value) => then(value),
        Err(error) => Answer::error(400, &error.to_string()),
    }
}

async fn with<T: DeserializeOwned>(body: &[u8], then: impl AsyncFnOnce(T) -> Answer) -> Answer {
    match serde_json::from_slice(body) {
        Ok(value) => then(value).await,
        Err(error) => Answer::error(400, &error.to_string()),
    }
}

fn ok() -> Answer {
    done(json!({}))
}

fn done(value: Value) -> Answer {
    Answer::json(200, &value)
}
