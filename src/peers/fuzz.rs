//! Entry points for fuzzing: what reads the answers of peers. Each takes any bytes, the first two of which choose the status.

use super::event_sink::{kafka, mqtt};
use super::{Answer, catalog, key_set, notification, payment, retry_after, seating, user};
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::order::{Hold, Order, Phase, Status};
use http::StatusCode;
use uuid::Uuid;

/// The order that all answers are about.
const ID: Uuid = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000);

/// The statuses that calls document, and some that they do not.
const STATUSES: [u16; 12] = [200, 201, 202, 204, 302, 400, 402, 404, 409, 429, 500, 503];

fn answer(data: &[u8]) -> Answer {
    let (status, body) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    let status = STATUSES[usize::from(status) % STATUSES.len()];
    Answer {
        name: "peer.call",
        is_change: true,
        status: StatusCode::from_u16(status).expect("a status"),
        retry_after: None,
        body: String::from_utf8_lossy(body).into_owned(),
    }
}

/// An order of user 101 for event 101, with seat 1.
pub fn order(id: OrderId) -> Order {
    Order {
        id,
        version: 1,
        user_id: 101,
        event_id: 101,
        seats: vec![1],
        status: Status::Pending,
        phase: Phase::Reserving,
        hold: Hold::Nothing,
        failure: None,
        currency: "INR".into(),
        amounts: None,
        payment: None,
        attempts: 0,
        lease: 1,
        expires_in_ms: 60_000,
        hold_in_ms: 60_000,
        in_flight_ms: 0,
        refund_again_in_ms: None,
        phase_ms: 0,
        given_up: false,
        payment_unsure: false,
        parked: false,
        trace: None,
    }
}

/// Catalog's answers.
pub fn catalog(data: &[u8]) {
    let _ = catalog::shown(&answer(data), 101);
}

/// Seating's answers: seats that count as held are the order's, at a price that the column holds.
pub fn seating(data: &[u8]) {
    let (answer, order) = (answer(data), Order { seats: vec![1, 2], ..order(OrderId(ID)) });
    if let Ok(seating::Reserve::Held(seating::Priced::Items(items))) = seating::reserved(&answer, &order) {
        assert!(items.iter().map(|item| item.seat_id).eq(order.seats.iter().copied()));
        assert!(items.iter().all(|item| (0..=i64::from(i32::MAX)).contains(&item.price_cents)));
        assert!(answer.status.is_success());
    }
    if let Ok(Some(seat)) = seating::shown(&answer, 1, &order) {
        let _ = seat.owner(&order);
    }
    let _ = (seating::allocated(&answer), seating::done(&answer), seating::listed(&answer));
}

/// Payment's answers: money counts only as the order's own.
pub fn payment(data: &[u8]) {
    let (answer, order) = (answer(data), order(OrderId(ID)));
    // The order has no total yet: no payment is of its amount.
    assert!(!matches!(payment::charged(&answer, &order), Ok(payment::Charge::Payment { .. })));
    if let Ok(Some(record)) = payment::shown(&answer, PaymentId(ID)) {
        assert!(record.matching(&order).is_none());
    }
    let _ = payment::refunded(&answer, PaymentId(ID));
}

/// Notification's refusals.
pub fn notification(data: &[u8]) {
    let answer = answer(data);
    let _ = notification::refuses_message(answer.status, &answer.body);
}

/// The time for which a peer asks to wait (`Retry-After`), and behind a line break the `Date` of its answer: ten minutes at most, and
/// the same whatever is around it.
pub fn retry_after(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (header, date) = text.split_once('\n').unwrap_or((&text, ""));
    if let Some(wait) = retry_after::retry_after(header, Some(date)) {
        assert!(wait.as_secs() <= 600);
    }
    if httpdate::parse_http_date(date.trim()).is_ok() {
        let padded = format!(" {header}\t");
        assert_eq!(
            retry_after::retry_after(&padded, Some(date)),
            retry_after::retry_after(header, Some(date))
        );
    }
}

/// User's answers, and names as a part of its path.
pub fn user(data: &[u8]) {
    let answer = answer(data);
    if let Ok(user::Account::Active(id)) = user::shown(&answer, "alice") {
        assert!(id >= 1 && answer.status.is_success());
    }
    let segment = user::path_segment(&answer.body);
    assert!(!segment.contains(['/', '?', '#', '\\', ' ']));
    let _ = key_set::shown(answer);
}

/// Answers of the sinks of events: a Kafka REST proxy's has a result for each record, and the MQTT publisher's, which is another component
/// of the same application.
pub fn event_sinks(data: &[u8]) {
    let answer = answer(data);
    for count in 0..=3 {
        if let Ok(refused) = kafka::refusals(&answer, count) {
            assert_eq!(refused.len(), count);
            assert!(
                refused
                    .into_iter()
                    .flatten()
                    .all(|(reason, _)| reason.starts_with("events.kafka: error_code "))
            );
        }
    }
    let refusal = mqtt::refusal(&answer);
    assert_eq!(refusal.status, Some(answer.status));
    if mqtt::published(&answer).is_err() {
        assert!(refusal.reason.ends_with(", which is not 2xx"), "only what the publisher says is kept");
    }
}
