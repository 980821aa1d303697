//! Catalog: which events may be ordered.

use super::lenient::{text, whole};
use super::refusal::is_not_found_of_catalog;
use super::send::send;
use super::{Answer, Call, CallFailure, Extra, Outcome};
use crate::config::Config;
use crate::domain::retry;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Whether an event may be ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventStatus {
    /// May be ordered.
    OnSale,
    /// Will not take place.
    Cancelled,
    /// Sold out, or anything else.
    NotOnSale,
    /// Catalog does not know it.
    Unknown,
}

thread_local! {
    static CACHE: RefCell<HashMap<i32, (EventStatus, Instant)>> = RefCell::new(HashMap::new());
}

/// The most cached events; beyond it the cache is cleared, which costs one call per event.
const CACHE_CAPACITY: usize = 1_000;

/// The cached status of an event, at most `catalog_cache_seconds` old.
pub fn cached(config: &Config, event_id: i32) -> Option<EventStatus> {
    let lifetime = Duration::from_secs(config.catalog_cache_seconds.into());
    CACHE.with_borrow(|known| {
        known.get(&event_id).filter(|(_, since)| since.elapsed() < lifetime).map(|(status, _)| *status)
    })
}

/// Asks Catalog for an event. Only events on sale are cached: buyers wait for those, and other statuses may change to on sale.
pub async fn event(config: &Config, event_id: i32) -> Outcome<EventStatus> {
    let call = Call {
        name: "catalog.event",
        base: &config.catalog,
        path: format!("/v1/events/{event_id}"),
        body: None,
        key: None,
        deadline_ms: retry::CATALOG_DEADLINE_MS,
        extra: Extra::default(),
    };
    let status = match send(call).await.and_then(|answer| shown(&answer, event_id)) {
        Ok(status) => status,
        Err(failure) => return Outcome::NoAnswer(failure),
    };
    if status == EventStatus::OnSale && config.catalog_cache_seconds > 0 {
        CACHE.with_borrow_mut(|known| {
            if known.len() >= CACHE_CAPACITY {
                known.clear();
            }
            known.insert(event_id, (status, Instant::now()));
        });
    }
    Outcome::Answered(status)
}

/// What counts: 2xx with the event, and 404 in Catalog's own shape.
pub(super) fn shown(answer: &Answer, event_id: i32) -> Result<EventStatus, CallFailure> {
    if is_not_found_of_catalog(answer) {
        return Ok(EventStatus::Unknown);
    }
    if !answer.status.is_success() {
        return Err(answer.not_the_peers());
    }
    let object = answer.object()?;
    let read = || Ok::<_, String>((object.needed("id", whole)?, object.needed("status", text)?));
    let (id, status) = read().map_err(|why| answer.does_not_count(why))?;
    if id != i64::from(event_id) {
        return Err(answer.does_not_count("another event than asked for"));
    }
    Ok(match &status[..] {
        "ON_SALE" => EventStatus::OnSale,
        "CANCELLED" => EventStatus::Cancelled,
        _ => EventStatus::NotOnSale,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::question;

    #[test]
    fn an_event_counts_only_as_catalogs_own() {
        use EventStatus::{NotOnSale, OnSale, Unknown};
        for (status, body, expected) in [
            (200, r#"{"id":101,"status":"ON_SALE","venue":7,"type":null}"#, Some(OnSale)),
            (203, r#"{"id":"101","status":"ON_SALE"}"#, Some(OnSale)),
            (200, r#"{"id":101.0,"status":"ON_SALE","status":"ON_SALE"}"#, Some(OnSale)),
            (200, r#"{"id":101,"status":"DRAFT"}"#, Some(NotOnSale)),
            (404, r#"{"error":"not found"}"#, Some(Unknown)),
            (200, r#"{"id":102,"status":"ON_SALE"}"#, None),
            (200, r#"{"id":101,"status":"ON_SALE","status":"CANCELLED"}"#, None),
            (200, r#"{"id":101,"status":7}"#, None),
            (200, r#"{"status":"UP"}"#, None),
            (200, "<html></html>", None),
            (200, "", None),
            (302, r#"{"id":101,"status":"ON_SALE"}"#, None),
            (404, "<html></html>", None),
            (404, r#"{"statusCode":404,"message":"Cannot GET /v1/events/101","error":"Not Found"}"#, None),
            (404, r#"{"timestamp":"2026","status":404,"error":"Not Found","path":"/v1/events/101"}"#, None),
            (410, r#"{"error":"not found"}"#, None),
            (503, r#"{"error":"not found"}"#, None),
        ] {
            let shown = shown(&question(status, body), 101);
            assert!(shown.as_ref().err().is_none_or(|failure| !failure.may_land), "{status} {body}");
            assert_eq!(shown.ok(), expected, "{status} {body}");
        }
    }
}
