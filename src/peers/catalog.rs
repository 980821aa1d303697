//! Catalog: which events may be ordered.

use super::{Call, Outcome, send};
use crate::config::Config;
use crate::domain::retry;
use http::StatusCode;
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// An event as far as ordering is concerned.
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

/// Events kept at most; beyond it all are forgotten, which costs one question each.
const CACHE_CAPACITY: usize = 1_000;

/// The event's status as this instance learnt it within `catalog_cache_seconds`.
pub fn cached(config: &Config, event_id: i32) -> Option<EventStatus> {
    let lifetime = Duration::from_secs(config.catalog_cache_seconds.into());
    CACHE.with_borrow(|known| {
        known.get(&event_id).filter(|(_, since)| since.elapsed() < lifetime).map(|(status, _)| *status)
    })
}

/// Asks Catalog. Keeps events on sale: a buyer waits for those, and the other answers change to the better.
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
