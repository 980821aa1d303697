//! The contents of the calls: the one place that changes when the service's statements or peers' shapes do.
//!
//! The statements' texts are the service's own. Everything else is written down here as the service sends it for an
//! order of three seats whose event is known to be on sale and whose payment stays pending; `tests/api/floor.rs`
//! compares what both leave behind.

use crate::calls::{Answer, Call, Fresh, Parameter, Peer, Statement, Step, Work};

const PLACE: &str = include_str!("../../../src/db/sql/insert_order.sql");
const STORE: &str = include_str!("../../../src/db/sql/apply_transition.sql");
const READ: &str = include_str!("../../../src/db/sql/read_order.sql");

/// Every statement that occurs, for those who prepare them beforehand.
pub const STATEMENTS: [&str; 3] = [PLACE, STORE, READ];

/// What the service sends to Seating.
const RESERVE: &str =
    r#"{"eventId":@event@,"orderId":"@order@","seatIds":[@seat 1@,@seat 2@,@seat 3@],"userId":101}"#;

/// What the service sends to Payment.
const CHARGE: &str = r#"{"amount_cents":47250,"currency":"INR","merchant_order_id":"@order@"}"#;

/// The request's hash: of any request, because nobody compares it.
const HASH: &str = "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26";

/// The start-up options of the service's connections.
pub const SESSION_OPTIONS: &str = include_str!("../../../src/config/session_options.txt");

/// The document that the service answers with.
const DOCUMENT: &str = r#"{"order":{"id":"019a7b1e-4c9d-7e31-9d0c-5b1f4f0a6c11","idempotency_key":"bench-104729","user_id":104730,"event_id":101,"status":"PENDING","phase":"awaiting_payment","failure":null,"currency":"INR","subtotal_cents":45000,"tax_cents":2250,"total_cents":47250,"expires_at":"2026-11-26T01:30:00.123Z","created_at":"2026-11-26T01:16:00.123Z","updated_at":"2026-11-26T01:16:00.127Z"},"items":[{"seat_id":314188,"seat_code":"A1","seat_price_cents":15000},{"seat_id":314189,"seat_code":"A2","seat_price_cents":15000},{"seat_id":314190,"seat_code":"A3","seat_price_cents":15000}],"tickets":[],"payment":{"id":"019a7b1e-4c9f-7a52-8f4e-0d3b7c2e9a64","status":"PENDING","amount_cents":47250}}"#;

/// What a request for this path means: reading the order that the path names, or placing a fresh one.
pub fn work(path: &str, fresh: impl FnOnce() -> Fresh) -> Work {
    match path.strip_prefix("/v1/orders/") {
        Some(id) => read(id),
        None => place(&fresh()),
    }
}

/// Placing an order.
fn place(fresh: &Fresh) -> Work {
    Work {
        reads: &["x-request-id", "idempotency-key", "content-type"],
        has_body: true,
        steps: steps_of_placing(fresh),
        answer: answer(201, ("location", format!("/v1/orders/{}", fresh.order))),
    }
}

fn steps_of_placing(fresh: &Fresh) -> Vec<Step> {
    vec![
        statement(
            PLACE,
            vec![
                order(fresh),
                text(&fresh.order),
                text(HASH),
                Parameter::Int(101),
                Parameter::Int(fresh.event),
                Parameter::Ints(fresh.seats.to_vec()),
                text("INR"),
                // Seconds to pay, seconds of the hold, milliseconds of the lease.
                Parameter::Int(840),
                Parameter::Int(870),
                Parameter::Int(13_000),
                // No trace, and no sinks.
                Parameter::Null,
                Parameter::Null,
            ],
        ),
        call(Peer::Seating, "/v1/seats/reserve", fill(RESERVE, fresh), None),
        statement(STORE, to_charging(fresh)),
        call(Peer::Payment, "/v1/charge", fill(CHARGE, fresh), Some(fresh.order.clone())),
        statement(STORE, to_awaiting_payment(fresh)),
    ]
}

/// The transition that the answer to the reserve makes.
fn to_charging(fresh: &Fresh) -> Vec<Parameter> {
    use Parameter::{Bool, Int, Ints, Long, Null, Texts};
    let codes = ["A1", "A2", "A3"].map(str::to_owned).to_vec();
    let mut parameters = before(fresh, 1, "reserving");
    parameters.extend([text("PENDING"), text("charging"), text("reserved"), Int(0), Null, Null]);
    parameters.extend([Bool(false), Bool(false), Bool(false), text("in"), Long(12_000), Bool(true)]);
    parameters.extend([
        Int(45_000),
        Int(2_250),
        Int(47_250),
        Texts(codes),
        Ints(vec![15_000; 3]),
        Null,
        Null,
    ]);
    parameters.extend(journal("seats_reserved"));
    parameters.extend([Null, Bool(false)]);
    parameters
}

/// The transition that the answer to the charge makes; it returns the document.
fn to_awaiting_payment(fresh: &Fresh) -> Vec<Parameter> {
    use Parameter::{Bool, Int, Long, Null};
    let mut parameters = before(fresh, 2, "charging");
    parameters.extend([text("PENDING"), text("awaiting_payment"), text("reserved"), Int(0)]);
    parameters.extend([order(fresh), text("PENDING")]);
    parameters.extend([Bool(false), Bool(false), Bool(false), text("expiry"), Long(0), Bool(false)]);
    parameters.extend([Null, Null, Null, Null, Null, Null, Null]);
    parameters.extend(journal("payment_pending"));
    parameters.extend([Null, Bool(true)]);
    parameters
}

/// On which order the transition was decided. In its first transitions the lease has the number of the version.
fn before(fresh: &Fresh, version: i32, phase: &str) -> Vec<Parameter> {
    vec![order(fresh), Parameter::Int(version), Parameter::Int(version), text("PENDING"), text(phase)]
}

fn journal(event: &str) -> [Parameter; 3] {
    [text(event), text("client"), Parameter::Json("{}".to_owned())]
}

fn text(text: &str) -> Parameter {
    Parameter::Text(text.to_owned())
}

/// Reading the order with this id.
fn read(id: &str) -> Work {
    Work {
        reads: &["x-request-id", "if-none-match"],
        has_body: false,
        steps: vec![statement(READ, vec![Parameter::Uuid(id.to_owned())])],
        answer: answer(200, ("etag", "\"3.1764119494391\"".to_owned())),
    }
}

fn answer(status: u16, of_its_own: (&'static str, String)) -> Answer {
    let headers = vec![
        ("x-request-id", "0fa86ef0-87b5-4bb0-8a5e-2f1f2a4fb0a1".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'".to_owned()),
        ("referrer-policy", "no-referrer".to_owned()),
        ("content-type", "application/json".to_owned()),
        of_its_own,
    ];
    Answer { status, headers, body: DOCUMENT.to_owned() }
}

fn order(fresh: &Fresh) -> Parameter {
    Parameter::Uuid(fresh.order.clone())
}

fn statement(sql: &'static str, parameters: Vec<Parameter>) -> Step {
    Step::Statement(Statement { sql, parameters })
}

fn call(peer: Peer, path: &'static str, body: String, key: Option<String>) -> Step {
    Step::Call(Call { peer, path, body, key })
}

/// Puts what is fresh in the place of the names between `@`.
fn fill(template: &str, fresh: &Fresh) -> String {
    let mut text = String::with_capacity(template.len() + 64);
    for (index, piece) in template.split('@').enumerate() {
        match (index % 2, piece) {
            (0, literal) => text.push_str(literal),
            (_, "order") => text.push_str(&fresh.order),
            (_, "event") => text.push_str(&fresh.event.to_string()),
            (_, "seat 1") => text.push_str(&fresh.seats[0].to_string()),
            (_, "seat 2") => text.push_str(&fresh.seats[1].to_string()),
            (_, "seat 3") => text.push_str(&fresh.seats[2].to_string()),
            (_, unknown) => unreachable!("a template names {unknown}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled() {
        let fresh = Fresh { order: "0198".into(), event: 7, seats: [1, 2, 3] };
        assert_eq!(fill(RESERVE, &fresh), r#"{"eventId":7,"orderId":"0198","seatIds":[1,2,3],"userId":101}"#);
        for step in place(&fresh).steps {
            let text = format!("{step:?}");
            assert!(!text.contains('@'), "{text}");
        }
    }

    #[test]
    fn every_statement_can_be_prepared_beforehand_with_as_many_parameters_as_it_has() {
        let fresh = Fresh { order: "0198".into(), event: 7, seats: [1, 2, 3] };
        for step in [place(&fresh).steps, read("0198").steps].concat() {
            if let Step::Statement(Statement { sql, parameters }) = step {
                assert!(STATEMENTS.contains(&sql));
                let has = |number: usize| {
                    sql.contains(&format!("${number},")) || sql.contains(&format!("${number})"))
                };
                assert!(has(parameters.len()) && !has(parameters.len() + 1), "{sql}");
            }
        }
    }
}
