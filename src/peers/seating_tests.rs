//! Which of Seating's answers count, and for what.

use super::*;
use crate::domain::ids::PaymentId;
use crate::domain::order::{Payment, PaymentStatus};
use crate::peers::tests::{answer, question};
use uuid::Uuid;

const GATEWAY: [&str; 6] = [
    "",
    "<html></html>",
    r#"{"timestamp":"2026","status":404,"error":"Not Found","path":"/v1/seats"}"#,
    r#"{"statusCode":404,"message":"Cannot POST /v1/seats","error":"Not Found"}"#,
    r#"{"message":"no Route matched with those values"}"#,
    r#"{"error":"bad request"}"#,
];

fn order() -> Order {
    Order { seats: vec![1, 2], ..crate::peers::tests::order(OrderId(Uuid::from_u128(0xcd))) }
}

fn own_error(status: u16) -> String {
    format!(r#"{{"status":{status},"message":"Seats are not available: A1, A2","timestamp":"2026"}}"#)
}

/// Two reserved seats, with `first` for the first.
fn reserve(first: &str) -> Result<Reserve, CallFailure> {
    let body = format!(
        r#"{{"success":true,"reservedSeats":[{{"id":2,"price":"150.00","seatNumber":"A2"}},{first}],"expiresAt":7}}"#
    );
    reserved(&answer(200, &body), &order())
}

#[test]
fn a_reserve_is_refused_only_by_seatings_own_word() {
    for status in [400, 404, 409] {
        let refused = reserved(&answer(status, &own_error(status)), &order()).unwrap();
        match status {
            409 => assert!(matches!(refused, Reserve::Taken(Some(names)) if names == "A1 and A2")),
            _ => assert!(matches!(refused, Reserve::NotFound), "{status}"),
        }
        for body in GATEWAY {
            assert!(reserved(&answer(status, body), &order()).unwrap_err().may_land, "{status} {body}");
        }
    }
    let invalid = answer(400, r#"{"seatIds":"At least one seat ID is required"}"#);
    assert!(matches!(reserved(&invalid, &order()), Ok(Reserve::NotFound)));
    for status in [302, 401, 408, 429, 500, 502, 503, 504] {
        let failure = reserved(&answer(status, &own_error(status)), &order()).unwrap_err();
        assert!(failure.may_land, "{status}");
        assert_eq!(failure.status.map(|status| status.as_u16()), Some(status));
    }
}

#[test]
fn a_reserve_needs_a_price_of_every_seat_and_nothing_else() {
    for (first, expected) in [
        (r#"{"id":1,"price":150.00}"#, 15_000),
        (
            r#"{"id":"1","price":"150.5","price":150.50,"status":7,"reservedBy":"admin","orderId":4711}"#,
            15_050,
        ),
        (r#"{"id":1.0,"price":"free","price_cents":15750.0,"priceCents":"15750"}"#, 15_750),
        (r#"{"id":1,"price":150,"price_cents":"many"}"#, 15_000),
        (r#"{"id":1,"price":150,"price_cents":{},"priceCents":[]}"#, 15_000),
        (r#"{"id":1,"price":0.29,"price_cents":null,"seatNumber":{},"eventId":"101"}"#, 29),
    ] {
        match reserve(first) {
            Ok(Reserve::Held(Priced::Items(items))) => {
                assert_eq!(items[0].price_cents, expected, "{first}");
                assert_eq!(items[1].seat_code.as_deref(), Some("A2"));
            }
            other => panic!("{first}: {other:?}"),
        }
    }
    for first in [
        r#"{"id":1,"price":150,"price":151}"#,
        r#"{"id":1,"price":150,"price_cents":15000,"priceCents":1}"#,
        r#"{"id":1,"price":150,"price_cents":"many","priceCents":15000}"#,
        r#"{"id":1,"price":"free","price_cents":"many"}"#,
        r#"{"id":1,"price":12.345}"#,
        r#"{"id":1,"price":true}"#,
        r#"{"id":1,"id":3,"price":150}"#,
        r#"{"id":1}"#,
        r#"{"id":3,"price":150}"#,
        "null",
    ] {
        assert!(reserve(first).unwrap_err().may_land, "{first}");
    }
    assert!(matches!(reserve(r#"{"id":1,"price":-5}"#), Ok(Reserve::Held(Priced::OutOfRange))));
    for body in GATEWAY.iter().chain(&["[]", "{}", r#"{"success":false,"reservedSeats":[]}"#]) {
        assert!(reserved(&answer(200, body), &order()).is_err(), "{body}");
    }
}

#[test]
fn the_reserved_seats_may_come_in_both_spellings_which_are_compared_as_seats() {
    let both = |other: &str| {
        let own = r#"[{"id":1,"seatNumber":"A1","price":150.00},{"id":2,"price":150}]"#;
        let body = format!(r#"{{"success":true,"reservedSeats":{own},"reserved_seats":{other}}}"#);
        reserved(&answer(200, &body), &order())
    };
    let same = r#"[ {"seat_number":"A1","price":"150.0","id":1.0}, {"id":"2","price_cents":15000} ]"#;
    assert!(matches!(both(same), Ok(Reserve::Held(Priced::Items(_)))));
    for other in [r#"[{"id":1,"seat_number":"A1","price":151},{"id":2,"price":150}]"#, "[]"] {
        assert!(both(other).unwrap_err().may_land, "{other}");
    }
}

#[test]
fn a_seat_that_is_paid_needs_no_price() {
    let payment = Payment { id: PaymentId(Uuid::from_u128(0xab)), status: PaymentStatus::Success };
    let paid = Order { payment: Some(payment), ..order() };
    let body = r#"{"success":true,"reservedSeats":[{"id":1,"price":null},{"id":2,"price":"?"}]}"#;
    assert!(matches!(reserved(&answer(200, body), &paid), Ok(Reserve::Held(_))));
    assert!(reserved(&answer(200, body), &order()).unwrap_err().may_land);
}

#[test]
fn a_reserve_that_says_that_it_failed_is_no_success_however_that_is_written() {
    let said = |success: &str| {
        let seats = r#"[{"id":1,"price":150},{"id":2,"price":150}]"#;
        reserved(&answer(200, &format!(r#"{{"success":{success},"reservedSeats":{seats}}}"#)), &order())
    };
    for failed in ["false", r#""false""#, r#""False""#, r#""FALSE""#, r#"true,"success":"false""#] {
        assert!(said(failed).unwrap_err().may_land, "{failed}");
    }
    // It is not needed, so that another type does not matter.
    for other in ["true", r#""true""#, "null", "{}", "7"] {
        assert!(matches!(said(other), Ok(Reserve::Held(Priced::Items(_)))), "{other}");
    }
}

#[test]
fn a_seat_is_unknown_only_by_seatings_own_word() {
    assert!(matches!(shown(&question(404, &own_error(404)), 1, &order()), Ok(None)));
    for body in GATEWAY {
        assert!(!shown(&question(404, body), 1, &order()).unwrap_err().may_land, "{body}");
        assert!(shown(&question(200, body), 1, &order()).is_err(), "{body}");
    }
    assert!(shown(&question(500, &own_error(500)), 1, &order()).is_err());
    let elsewhere = question(200, r#"{"id":1,"eventId":"102","status":"AVAILABLE"}"#);
    assert!(matches!(shown(&elsewhere, 1, &order()), Ok(None)));
    assert!(shown(&question(200, r#"{"id":2,"status":"AVAILABLE"}"#), 1, &order()).is_err());
}

#[test]
fn a_seats_owner_is_read_whatever_type_its_other_members_have() {
    let id = order().id;
    for (members, expected) in [
        (
            r#""status":"AVAILABLE","reservedBy":1,"reserved_by":2,"orderId":4711"#.to_owned(),
            Some(Owner::Free),
        ),
        (r#""status":"RESERVED","reservedBy":101"#.to_owned(), Some(Owner::Held)),
        (
            r#""status":"RESERVED","reservedBy":"101","reserved_by":101.0,"seatNumber":12"#.to_owned(),
            Some(Owner::Held),
        ),
        (r#""status":"RESERVED","reservedBy":"admin""#.to_owned(), Some(Owner::Other)),
        (r#""status":"RESERVED","reservedBy":null"#.to_owned(), Some(Owner::Other)),
        (r#""status":"RESERVED","reservedBy":101,"reserved_by":7"#.to_owned(), None),
        (format!(r#""status":"ALLOCATED","orderId":"{id}""#), Some(Owner::Allocated)),
        (
            format!(r#""status":"ALLOCATED","order_id":"{}""#, id.to_string().to_uppercase()),
            Some(Owner::Allocated),
        ),
        (r#""status":"ALLOCATED","orderId":4711"#.to_owned(), Some(Owner::Other)),
        (format!(r#""status":"ALLOCATED","orderId":"{id}","order_id":"other""#), None),
        (r#""status":"BLOCKED""#.to_owned(), Some(Owner::Other)),
        (r#""status":"AVAILABLE","status":"RESERVED""#.to_owned(), None),
        (r#""status":7"#.to_owned(), None),
        (r#""status":"HELD""#.to_owned(), None),
        (r#""status":"UP""#.to_owned(), None),
        (r#""status":"available""#.to_owned(), None),
    ] {
        let seat = shown(&question(200, &format!(r#"{{"id":1,"price":[],{members}}}"#)), 1, &order());
        assert_eq!(seat.ok().flatten().map(|seat| seat.owner(&order())), expected, "{members}");
    }
}

#[test]
fn an_allocation_or_a_release_succeeds_without_a_body() {
    for status in [200, 201, 204] {
        assert!(allocated(&answer(status, "")).unwrap(), "{status}");
        done(&answer(status, "\r\n")).unwrap();
        for body in ["<html></html>", "{}", "[]", "null", "OK"] {
            assert!(allocated(&answer(status, body)).unwrap_err().may_land, "{status} {body}");
            assert!(done(&answer(status, body)).unwrap_err().may_land, "{status} {body}");
        }
    }
    for status in [400, 404, 409] {
        assert!(!allocated(&answer(status, &own_error(status))).unwrap(), "{status}");
        assert!(done(&answer(status, &own_error(status))).unwrap_err().may_land, "{status}");
        for body in GATEWAY {
            assert!(allocated(&answer(status, body)).unwrap_err().may_land, "{status} {body}");
        }
    }
    // The members are those of the call: an allocation has no userId.
    assert!(!allocated(&answer(400, r#"{"orderId":"must not be blank"}"#)).unwrap());
    assert!(allocated(&answer(400, r#"{"userId":"must not be null"}"#)).is_err());
    for status in [408, 429, 500, 502, 503, 504] {
        assert!(allocated(&answer(status, &own_error(status))).unwrap_err().may_land, "{status}");
        assert!(done(&answer(status, "")).unwrap_err().may_land, "{status}");
    }
}

#[test]
fn the_list_of_allocated_seats_is_a_list_of_seats() {
    for (body, expected) in [
        ("[]", Some(vec![])),
        (r#"[{"id":1,"status":"ALLOCATED"},{"id":"2","status":7,"orderId":4711}]"#, Some(vec![1, 2])),
        (r#"[{"id":9223372036854775807,"status":"ALLOCATED"}]"#, Some(vec![])),
        (r#"[{"id":1,"status":"ALLOCATED"},null]"#, None),
        (r#"[{"id":1,"name":"a thing"}]"#, None),
        ("{}", None),
        ("", None),
    ] {
        assert_eq!(listed(&question(200, body)).ok(), expected, "{body}");
    }
    assert!(listed(&question(404, &own_error(404))).is_err());
    assert!(listed(&question(404, "[]")).is_err());
}
