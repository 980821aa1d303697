//! `GET /v1/orders`: lists orders, follows their changes, looks them up.

use super::access;
use super::problem::ApiError;
use super::query_parameters::QueryParameters;
use super::request::RequestHead;
use super::response::Reply;
use super::validation::POSITIVE_INT;
use crate::commands::Context;
use crate::domain::ids::{PaymentId, parse_positive_int, parse_uuid};
use crate::domain::key::IdempotencyKey;
use crate::domain::order::Status;
use crate::domain::order_list::{Filters, Lookup, Selection};
use crate::queries::list_orders::{ListPage, list};
use ::http::StatusCode;
use chrono::DateTime;
use serde_json::Value;

const KNOWN: [&str; 10] = [
    "user_id",
    "event_id",
    "status",
    "updated_since",
    "idempotency_key",
    "payment_id",
    "ticket_code",
    "seat_id",
    "page_size",
    "page_token",
];
/// How many orders a page has.
const ORDERS: PageSizes = PageSizes { default: 50, most: 200 };
/// 9999-12-31T23:59:59Z in microseconds since 1970.
const LATEST: i64 = 253_402_300_799_000_000;

/// How many elements a page has: when the client does not say, and at most.
pub struct PageSizes {
    /// When the client does not say.
    pub default: i32,
    /// A larger number is lowered to this.
    pub most: i32,
}

/// Which page a client asks for.
pub struct PageRequest {
    /// The most elements.
    pub size: i32,
    /// Where it begins; the first page without one.
    pub token: Option<String>,
}

/// `GET /v1/orders`.
///
/// # Errors
/// Those of [`access::list_scope`]; 422 for wrong parameters, 400 for a page token of another list.
pub async fn handle(context: &Context, head: &RequestHead) -> Result<Reply, ApiError> {
    let scope = access::list_scope(context, head).await?;
    let (selection, page) = parse(head.query.as_deref())?;
    let page = list(&context.config, scope, &selection, page.token.as_deref(), page.size).await?;
    Ok(reply("orders", page))
}

/// The answer with a page: its elements under their name, and the next page's token if there is one.
pub fn reply(name: &str, page: ListPage) -> Reply {
    let next =
        page.next_page_token.map(|token| format!(r#","next_page_token":"{token}""#)).unwrap_or_default();
    Reply::json_text(StatusCode::OK, format!(r#"{{"{name}":{}{next}}}"#, page.elements))
}

/// Reads `page_size` and `page_token`.
pub fn page(parameters: &mut QueryParameters, sizes: &PageSizes) -> PageRequest {
    PageRequest { size: limit(parameters, "page_size", sizes), token: parameters.take("page_token") }
}

/// Reads how many elements a page has.
pub fn limit(parameters: &mut QueryParameters, name: &str, sizes: &PageSizes) -> i32 {
    let detail = format!("must be a positive integer; more than {} is lowered to that", sizes.most);
    let size = parameters.read(name, &detail, |value| {
        let digits = value.trim_start_matches('0');
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // What fits no number is larger, too.
        is_number.then(|| digits.parse().map_or(sizes.most, |size: i32| size.min(sizes.most)))
    });
    size.unwrap_or(sizes.default)
}

pub(super) fn parse(query: Option<&str>) -> Result<(Selection, PageRequest), ApiError> {
    let mut parameters = QueryParameters::parse(query, &KNOWN);
    let number = |value: &str| parse_positive_int(&Value::String(value.to_owned()));
    let filters = Filters {
        user_id: parameters.read("user_id", POSITIVE_INT, number),
        event_id: parameters.read("event_id", POSITIVE_INT, number),
        status: parameters.read("status", &format!("must be {}", statuses()), |value| {
            Status::ALL.iter().copied().find(|status| status.as_str() == value)
        }),
    };
    let since = parameters.read(
        "updated_since",
        "must be a time as in RFC 3339, as 2026-11-22T10:00:00Z; + is written as %2B",
        microseconds,
    );
    let seat_id = parameters.read("seat_id", POSITIVE_INT, number);
    let key = parameters.read("idempotency_key", "must be 1 to 255 visible ASCII characters", |value| {
        IdempotencyKey::parse(value.as_bytes())
    });
    let payment = parameters
        .read("payment_id", "must be a UUID, as 01980000-0000-7000-8000-000000000000", parse_uuid)
        .map(PaymentId);
    let ticket = parameters.read("ticket_code", "must be 1 to 255 visible ASCII characters", |value| {
        let is_code = value.len() <= 255 && value.bytes().all(|byte| byte.is_ascii_graphic());
        is_code.then(|| value.to_owned())
    });

    let mut lookups = Vec::new();
    lookups.extend(seat_id.map(|seat_id| {
        if !parameters.has("event_id") {
            parameters.reject("event_id", "is required with seat_id");
        }
        ("seat_id", Lookup::Seat { event_id: filters.event_id.unwrap_or_default(), seat_id })
    }));
    lookups.extend(key.map(|key| ("idempotency_key", Lookup::Key(key))));
    lookups.extend(payment.map(|payment| ("payment_id", Lookup::Payment(payment))));
    lookups.extend(ticket.map(|ticket| ("ticket_code", Lookup::Ticket(ticket))));
    if let Some((name, _)) = lookups.first() {
        let others = lookups[1..].iter().map(|(name, _)| *name).chain(
            [
                ("user_id", filters.user_id.is_some()),
                ("event_id", filters.event_id.is_some() && *name != "seat_id"),
                ("status", filters.status.is_some()),
                ("updated_since", since.is_some()),
            ]
            .into_iter()
            .filter_map(|(name, is_given)| is_given.then_some(name)),
        );
        for other in others {
            parameters.reject(other, &format!("cannot be combined with {name}"));
        }
    }
    let page = page(&mut parameters, &ORDERS);
    parameters.into_result()?;
    let selection = match (lookups.into_iter().next(), since) {
        (Some((_, lookup)), _) => Selection::Found(lookup),
        (None, Some(since)) => Selection::ChangedSince { since, filters },
        (None, None) => Selection::Newest(filters),
    };
    Ok((selection, page))
}

fn statuses() -> String {
    let names: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let (last, others) = names.split_last().unwrap_or((&"", &[]));
    format!("{} or {last}", others.join(", "))
}

/// A time of RFC 3339 in microseconds since 1970; an earlier one is 1970.
pub fn microseconds(value: &str) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(value).ok()?;
    Some(time.timestamp_micros().clamp(0, LATEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(query: &str) -> Selection {
        parse(Some(query)).map(|(selection, _)| selection).unwrap_or_else(|_| panic!("{query} is right"))
    }

    fn wrong(query: &str) -> Vec<String> {
        let mut pointers = parse(Some(query)).err().map(|error| error.pointers()).unwrap_or_default();
        pointers.sort();
        pointers
    }

    #[test]
    fn every_filter_and_every_look_up_is_read() {
        let filters = Filters { user_id: Some(1), event_id: Some(2), status: Some(Status::Failed) };
        assert_eq!(
            parse(None).ok().map(|(selection, _)| selection),
            Some(Selection::Newest(Filters::default()))
        );
        assert_eq!(selection("status=FAILED&event_id=2&user_id=1"), Selection::Newest(filters));
        assert_eq!(
            selection("updated_since=1970-01-01T01:00:01%2B01:00&status=FAILED&event_id=2&user_id=1"),
            Selection::ChangedSince { since: 1_000_000, filters }
        );
        let found = |query: &str| match selection(query) {
            Selection::Found(lookup) => lookup,
            other => panic!("{query}: {other:?}"),
        };
        assert_eq!(found("seat_id=3&event_id=2"), Lookup::Seat { event_id: 2, seat_id: 3 });
        assert_eq!(found("ticket_code=TKT-1"), Lookup::Ticket("TKT-1".into()));
        assert_eq!(found("idempotency_key=%22a%22"), found("idempotency_key=a"));
        let id = "01980000-0000-7000-8000-000000000000";
        assert_eq!(found(&format!("payment_id={id}")), Lookup::Payment(PaymentId(parse_uuid(id).unwrap())));
    }

    #[test]
    fn what_is_wrong_or_contradictory_is_named() {
        for (query, expected) in [
            ("user_id=0", vec!["#/user_id"]),
            ("user_id=%201", vec!["#/user_id"]),
            ("event_id=x&user_id=-1", vec!["#/event_id", "#/user_id"]),
            ("status=pending", vec!["#/status"]),
            ("updated_since=yesterday", vec!["#/updated_since"]),
            ("updated_since=2026-11-22", vec!["#/updated_since"]),
            ("updated_since=2026-11-22T10:00:00+02:00", vec!["#/updated_since"]),
            ("seat_id=1", vec!["#/event_id"]),
            ("seat_id=1&event_id=0", vec!["#/event_id"]),
            ("seat_id=1&event_id=1&user_id=1&status=FAILED", vec!["#/status", "#/user_id"]),
            ("ticket_code=a&event_id=1", vec!["#/event_id"]),
            ("ticket_code=a&idempotency_key=b", vec!["#/ticket_code"]),
            ("ticket_code=a%00", vec!["#/ticket_code"]),
            ("idempotency_key=a&updated_since=2026-11-22T10:00:00Z", vec!["#/updated_since"]),
            ("idempotency_key=a+b", vec!["#/idempotency_key"]),
            ("payment_id=1", vec!["#/payment_id"]),
            ("page_size=0", vec!["#/page_size"]),
            ("page_size=000", vec!["#/page_size"]),
            ("page_size=-1", vec!["#/page_size"]),
            ("page_size=1e3", vec!["#/page_size"]),
            ("page_token=", vec!["#/page_token"]),
            ("offset=1", vec!["#/offset"]),
        ] {
            assert_eq!(wrong(query), expected, "{query}");
        }
    }

    #[test]
    fn a_page_size_beyond_the_most_is_lowered() {
        let size = |query: &str| parse(Some(query)).ok().map(|(_, page)| page.size);
        assert_eq!(size(""), Some(50));
        let (huge, zeros) = ("9".repeat(50), format!("{}7", "0".repeat(50)));
        for (number, expected) in
            [("1", 1), ("007", 7), ("200", 200), ("201", 200), (&huge, 200), (&zeros, 7)]
        {
            assert_eq!(size(&format!("page_size={number}")), Some(expected), "{number}");
        }
    }

    #[test]
    fn times_beyond_what_postgresql_takes_are_bounds() {
        assert_eq!(microseconds("0000-01-01T00:00:00Z"), Some(0));
        assert_eq!(microseconds("9999-12-31T23:59:59-23:59"), Some(LATEST));
        assert_eq!(microseconds("1970-01-01T00:00:00.000001Z"), Some(1));
    }
}
