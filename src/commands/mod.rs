//! The use cases that change something, one per file: load, let the domain decide, store, act.

pub mod buyer_request;
pub mod cancel_order;
pub mod deliver;
pub mod deliver_events;
pub mod drive;
pub mod in_flight;
pub mod export_spans;
pub mod background;
pub mod time_budget;
mod transition_span;
pub mod payment_callback;
pub mod payment_check;
pub mod perform;
pub mod place_order;
pub mod redrive;
pub mod refund_order;
pub mod replay_events;
pub mod resolve_order;
pub mod second_payment;
pub mod sweep;

use crate::config::Config;
use crate::db::DbError;
use crate::domain::ids::OrderId;
use crate::domain::message::Message;
use crate::telemetry::log::Log;
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;

/// The context of a request or a background task. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The configuration.
    pub config: Rc<Config>,
    /// The logger, with the request's id.
    pub log: Log,
    /// What causes the transitions, for the journal: `client`, `payment`, `sweep` or `operator`.
    pub actor: &'static str,
    /// Outbox messages that were stored and are to be delivered after the response; this context has their lease.
    pub messages: Rc<RefCell<Vec<Message>>>,
}

impl Context {
    /// A context without messages.
    pub fn new(config: Rc<Config>, log: Log, actor: &'static str) -> Self {
        Self { config, log, actor, messages: Rc::default() }
    }

    /// Logs why a stored order could not be driven on. Its request is answered with the order, and a sweep goes on when its lease
    /// is over.
    pub fn log_left_to_sweep(&self, order: OrderId, error: &DbError) {
        let fields = json!({ "cause": error.to_string() });
        let log = self.log.order(order);
        match error {
            DbError::Unavailable(_) => log.warn("an order is left to the sweep", fields),
            DbError::Broken(_) => log.error("an order is left to the sweep", fields),
        }
    }
}
