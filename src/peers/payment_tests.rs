//! Which of Payment's answers count, and for what.

use super::*;
use crate::domain::ids::OrderId;
use crate::domain::money::Amounts;
use crate::peers::tests::{answer, order, question};
use PaymentStatus::{Failed, Pending, Refunded, Success};

const ID: PaymentId = PaymentId(Uuid::from_u128(0xab));
const GATEWAY: [&str; 4] = [
    "",
    "<html></html>",
    r#"{"message":"no route"}"#,
    r#"{"statusCode":404,"message":"Cannot POST /v1/charge"}"#,
];

fn paid() -> Order {
    let amounts = Amounts { subtotal_cents: 15_000, tax_cents: 750, total_cents: 15_750 };
    Order { amounts: Some(amounts), ..order(OrderId(Uuid::from_u128(0xcd))) }
}

/// A payment of the order, with `change` among its members.
fn payment(members: &str) -> String {
    format!("{{\"id\":\"{ID}\",{members}}}")
}

fn of_order(status: &str) -> String {
    let order = paid().id;
    payment(&format!(
        r#""merchant_order_id":"{order}","amount_cents":15750,"currency":"INR","status":"{status}""#
    ))
}

#[test]
fn a_payment_is_read_in_every_spelling() {
    let order = paid().id;
    let upper = order.to_string().to_uppercase();
    for members in [
        format!(r#""merchant_order_id":"{order}","amount_cents":15750,"currency":"INR""#),
        format!(r#""merchantOrderId":"{order}","amountCents":"15750","currency":"inr""#),
        format!(
            r#""merchantOrderId":"{upper}","merchant_order_id":"{order}","amountCents":15750.0,"amount_cents":15750,"currency":"Inr""#
        ),
        format!(
            r#""merchantOrderId":"{order}","merchant_order_id":null,"amountCents":1.575e4,"currency":"INR","provider_txn_id":7,"fee":{{}}"#
        ),
    ] {
        let body = payment(&format!(r#""status":"SUCCESS",{members}"#));
        for status in [200, 201, 202] {
            let expected = Charge::Payment {
                payment: Payment { id: ID, status: Success },
                shown: ShownStatus::Known(Success),
            };
            assert_eq!(charged(&answer(status, &body), &paid()).unwrap(), expected, "{body}");
            assert!(shown(&question(status, &body), ID).unwrap().is_some(), "{body}");
        }
    }
}

#[test]
fn a_payment_of_something_else_or_one_that_contradicts_itself_is_no_answer() {
    let order = paid().id;
    for members in [
        format!(r#""merchant_order_id":"{order}","amount_cents":15751,"currency":"INR""#),
        format!(r#""merchant_order_id":"{order}","amount_cents":15750,"amountCents":1,"currency":"INR""#),
        format!(r#""merchant_order_id":"{order}","amount_cents":15750.5,"currency":"INR""#),
        format!(r#""merchant_order_id":"{order}","amount_cents":15750,"currency":"USD""#),
        format!(r#""merchant_order_id":"{ID}","amount_cents":15750,"currency":"INR""#),
        format!(r#""merchant_order_id":"{order}","amount_cents":15750,"currency":"INR","status":"FAILED""#),
        format!(r#""merchant_order_id":"{order}","currency":"INR""#),
    ] {
        let body = payment(&format!(r#""status":"SUCCESS",{members}"#));
        let failure = charged(&answer(201, &body), &paid()).unwrap_err();
        assert!(failure.may_land, "{body}");
    }
    assert!(shown(&question(200, &of_order("SUCCESS")), PaymentId(Uuid::from_u128(1))).is_err());
}

#[test]
fn no_status_of_a_charge_but_a_payment_says_anything_about_the_money() {
    for status in [400, 402, 404, 408, 409, 422, 429, 500, 502, 503, 504] {
        let own = format!(r#"{{"statusCode":{status},"message":"declined"}}"#);
        let declined = of_order("FAILED");
        for body in GATEWAY.iter().copied().chain([own.as_str(), declined.as_str()]) {
            let failure = charged(&answer(status, body), &paid()).unwrap_err();
            assert!(failure.may_land, "{status} {body}");
            assert_eq!(failure.status.map(|status| status.as_u16()), Some(status));
        }
    }
    let invalid =
        r#"{"message":["amount_cents must not be less than 1"],"error":"Bad Request","statusCode":400}"#;
    assert_eq!(charged(&answer(400, invalid), &paid()).unwrap(), Charge::Invalid);
}

#[test]
fn a_status_that_the_domain_does_not_have_is_kept_and_means_one_that_it_has() {
    for (shown, meaning, is_unfamiliar) in [
        ("PENDING", Pending, false),
        ("SUCCESS", Success, false),
        ("FAILED", Failed, false),
        ("REFUNDED", Refunded, false),
        ("CANCELLED", Failed, false),
        ("EXPIRED", Failed, false),
        ("PROCESSING", Pending, true),
        ("DISPUTED", Pending, true),
    ] {
        let record = PaymentRecord::read(&question(200, &of_order(shown))).unwrap();
        assert_eq!(record.status.as_str(), shown);
        assert_eq!(record.status.meaning(), meaning, "{shown}");
        assert_eq!(record.status.is_unfamiliar(), is_unfamiliar, "{shown}");
        assert_eq!(record.matching(&paid()), Some(Payment { id: ID, status: meaning }), "{shown}");
    }
}

#[test]
fn a_payment_is_unknown_only_by_payments_own_word() {
    let own = r#"{"statusCode":404,"message":"Payment not found","error":"Not Found"}"#;
    assert_eq!(shown(&question(404, own), ID).unwrap(), None);
    let wrong_path = r#"{"statusCode":404,"message":"Cannot GET /v1/payments/1","error":"Not Found"}"#;
    for body in GATEWAY.iter().copied().chain([wrong_path]) {
        assert!(!shown(&question(404, body), ID).unwrap_err().may_land, "{body}");
    }
    assert!(shown(&question(400, &own.replace("404", "400")), ID).is_err());
}

#[test]
fn a_refund_is_done_accepted_refused_or_of_an_unknown_payment() {
    for (status, body, expected) in [
        (201, payment(r#""status":"REFUNDED""#), Some(Refund::Done)),
        (200, payment(r#""status":"REFUNDED","amount":[]"#), Some(Refund::Done)),
        (201, payment(r#""status":"PENDING""#), Some(Refund::Accepted)),
        (202, payment(r#""status":"PROCESSING""#), Some(Refund::Accepted)),
        (404, r#"{"statusCode":404,"message":"Payment not found"}"#.to_owned(), Some(Refund::UnknownPayment)),
        (400, r#"{"statusCode":400,"message":"Only successful"}"#.to_owned(), Some(Refund::Refused)),
        (201, payment(r#""status":"SUCCESS""#), None),
        (201, payment(r#""status":"REFUNDED","status":"PENDING""#), None),
        (201, r#"{"id":"00000000-0000-0000-0000-000000000001","status":"REFUNDED"}"#.to_owned(), None),
        (201, r#"{"status":"REFUNDED"}"#.to_owned(), None),
        (201, String::new(), None),
        (409, r#"{"statusCode":409,"message":"busy"}"#.to_owned(), None),
        (404, "<html></html>".to_owned(), None),
        (404, r#"{"statusCode":404,"message":"Cannot POST /v1/refund"}"#.to_owned(), None),
        (400, r#"{"error":"only successful payments can be refunded"}"#.to_owned(), None),
    ] {
        let refunded = refunded(&answer(status, &body), ID);
        assert!(refunded.as_ref().err().is_none_or(|failure| failure.may_land), "{status} {body}");
        assert_eq!(refunded.ok(), expected, "{status} {body}");
    }
}
