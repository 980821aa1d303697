//! Replay: an operator sends events to all sinks again.

use super::Context;
use crate::db::DbError;
use crate::db::events::{self, EventsFrom, Place};
use crate::peers::event_sink::LEASE_MS;
use crate::runtime::task;
use crate::telemetry::log::Level;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// The most orders that one request lists.
pub const LIMIT: usize = 1_000;
/// Entries of the journal a statement.
const PAGE: i32 = 1_000;
/// Time budget: no statement is begun after it.
const BUDGET: Duration = Duration::from_secs(10);

/// Which events are sent again.
#[derive(Clone, Debug)]
pub enum Replay {
    /// All of these orders.
    Orders(Vec<Uuid>),
    /// Those of the feed from there on.
    From(EventsFrom),
}

/// What a replay did.
#[derive(Debug, Default)]
pub struct ReplayOutcome {
    /// Deliveries that are due again: orders, once for each sink and page.
    pub deliveries: u64,
    /// Where to go on, when there was no time for all.
    pub next: Option<Place>,
}

/// Makes the events due at every configured sink; the sweep sends them. `None`: the cursor is of another database, or from before a
/// failover.
///
/// # Errors
/// [`DbError`]. Some may be due then; a replay may be repeated.
pub async fn replay(context: &Context, chosen: &Replay) -> Result<Option<ReplayOutcome>, DbError> {
    let config = &context.config;
    let begun = task::now();
    let mut outcome = ReplayOutcome::default();
    let (orders, mut from) = match chosen {
        Replay::Orders(orders) => (Some(&orders[..]), EventsFrom::Beginning),
        Replay::From(from) => (None, *from),
    };
    // Nobody sends again where there is no sink, and a wrong cursor is told nevertheless.
    if config.events.sinks().next().is_none() && events::list(config, from, 1).await?.is_none() {
        return Ok(None);
    }
    loop {
        outcome.next = None;
        for sink in config.events.sinks() {
            let Some(replayed) = events::replay(config, sink, orders, from, PAGE, LEASE_MS).await? else {
                return Ok(None);
            };
            outcome.deliveries += replayed.orders;
            // The same for each, but that more may have ended meanwhile.
            outcome.next = outcome.next.or(replayed.next);
        }
        match outcome.next {
            Some(next) if begun.elapsed() < BUDGET => from = EventsFrom::Place(next),
            _ => break,
        }
    }
    let fields = json!({ "deliveries": outcome.deliveries, "is_finished": outcome.next.is_none() });
    context.log.line(Level::Info, "events are sent again by an operator", fields);
    Ok(Some(outcome))
}
