//! Catalog: which events may be ordered.

use super::{Call, Outcome, send};
use crate::config::Config;
use crate::domain::retry;
use http::StatusCode;
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Whether an event may be ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventStatus {
    /// May be ordered.
    OnSale,
    /// Sold out, cancelled, or anything else.
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
    const NAME: &str = "catalog.event";
    let call = Call {
        name: NAME,
        base: &config.catalog,
        path: format!("/v1/events/{event_id}"),
        body: None,
        key: None,
        deadline_ms: retry::CATALOG_DEADLINE_MS,
    };
    let answer = match send(call).await {
        Ok(answer) => answer,
        Err(failure) => return Outcome::NoAnswer(failure),
    };
    let status = match answer.status {
        StatusCode::OK => match answer.json::<Event>(NAME) {
            Ok(event) if event.status == "ON_SALE" => EventStatus::OnSale,
            Ok(_) => EventStatus::NotOnSale,
            Err(reason) => return Outcome::NoAnswer(reason.into()),
        },
        StatusCode::NOT_FOUND => EventStatus::Unknown,
        _ => return answer.unusable(NAME),
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

#[derive(Deserialize)]
struct Event {
    status: String,
}
