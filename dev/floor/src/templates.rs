//! The contents of the calls: the one place that changes when the service's statements or peers' shapes do.
//!
//! The statements' texts are the service's own. Everything else is written down here as the service sends it for an
//! order of three seats whose event is known to be on sale and whose payment stays pending; `tests/api/floor.rs`
//! compares what both leave behind.

use crate::calls::{Call, Fresh, Parameter, Peer, Statement, Step};

const ORDER_PLACE: &str = include_str!("../../../src/db/sql/order_place.sql");
const ORDER_APPLY: &str = include_str!("../../../src/db/sql/order_apply.sql");
const ORDER_READ: &str = include_str!("../../../src/db/sql/order_read.sql");

/// Every statement that occurs, for those who prepare them beforehand.
pub const STATEMENTS: [&str; 3] = [ORDER_PLACE, ORDER_APPLY, ORDER_READ];

/// What the service sends to Seating.
const RESERVE: &str =
    r#"{"eventId":@event@,"orderId":"@order@","seatIds":[@seat 1@,@seat 2@,@seat 3@],"userId":101}"#;

/// What the service sends to Payment.
const CHARGE: &str = r#"{"amount_cents":47250,"currency":"INR","merchant_order_id":"@order@"}"#;

/// The transition that the answer to the reserve makes.
const TO_CHARGING: &str = concat!(
    r#"{"actor":"client","attempts":0,"data":{},"due":"12000","event":"seats_reserved","failure_code":null,"#,
    r#""failure_detail":null,"given_up":false,"hold":"reserved","items":["#,
    r#"{"seat_code":"A1","seat_id":@seat 1@,"seat_price_cents":15000},"#,
    r#"{"seat_code":"A2","seat_id":@seat 2@,"seat_price_cents":15000},"#,
    r#"{"seat_code":"A3","seat_id":@seat 3@,"seat_price_cents":15000}],"#,
    r#""lease":1,"leased":true,"parked":false,"payment_id":null,"payment_status":null,"payment_unsure":false,"#,
    r#""phase":"charging","status":"PENDING","subtotal_cents":45000,"tax_cents":2250,"total_cents":47250}"#,
);

/// The transition that the answer to the charge makes.
const TO_AWAITING_PAYMENT: &str = concat!(
    r#"{"actor":"client","attempts":0,"data":{},"due":"expiry","event":"payment_pending","failure_code":null,"#,
    r#""failure_detail":null,"given_up":false,"hold":"reserved","lease":2,"leased":false,"parked":false,"#,
    r#""payment_id":"@order@","payment_status":"PENDING","payment_unsure":false,"phase":"awaiting_payment","#,
    r#""status":"PENDING"}"#,
);

/// The request's hash: of any request, because nobody compares it.
const HASH: &str = "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26";

/// What placing an order does.
pub fn place(fresh: &Fresh) -> Vec<Step> {
    let apply = |version, template, with_document| {
        let change = Parameter::Json(fill(template, fresh));
        statement(
            ORDER_APPLY,
            vec![order(fresh), Parameter::Int(version), change, Parameter::Bool(with_document)],
        )
    };
    vec![
        statement(
            ORDER_PLACE,
            vec![
                order(fresh),
                Parameter::Text(fresh.order.clone()),
                Parameter::Text(HASH.to_owned()),
                Parameter::Int(101),
                Parameter::Int(fresh.event),
                Parameter::Ints(fresh.seats.to_vec()),
                Parameter::Text("INR".to_owned()),
                // Seconds to pay, seconds of the hold, milliseconds of the lease.
                Parameter::Int(840),
                Parameter::Int(870),
                Parameter::Int(10_000),
            ],
        ),
        call(Peer::Seating, "/v1/seats/reserve", fill(RESERVE, fresh), None),
        apply(1, TO_CHARGING, false),
        call(Peer::Payment, "/v1/charge", fill(CHARGE, fresh), Some(fresh.order.clone())),
        apply(2, TO_AWAITING_PAYMENT, true),
    ]
}

/// What reading the order with this id does.
pub fn read(id: &str) -> Vec<Step> {
    vec![statement(ORDER_READ, vec![Parameter::Uuid(id.to_owned())])]
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
        for step in place(&fresh) {
            let text = format!("{step:?}");
            assert!(!text.contains('@'), "{text}");
        }
    }

    #[test]
    fn every_statement_can_be_prepared_beforehand_with_as_many_parameters_as_it_has() {
        let fresh = Fresh { order: "0198".into(), event: 7, seats: [1, 2, 3] };
        for step in [place(&fresh), read("0198")].concat() {
            if let Step::Statement(Statement { sql, parameters }) = step {
                assert!(STATEMENTS.contains(&sql));
                let has = |number: usize| sql.contains(&format!("${number}::"));
                assert!(has(parameters.len()) && !has(parameters.len() + 1), "{sql}");
            }
        }
    }
}
