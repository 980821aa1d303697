//! What answers in front of a peer: proxies, ingresses, frameworks.

use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::peers::answer::Answer;
use crate::peers::call::Call;
use crate::peers::contract::{Peer, errors};

/// The body that is answered instead of the peer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// A proxy's HTML page.
    #[default]
    Html,
    /// Spring's default error: no `message`.
    Spring,
    /// Nest's error of a path without a route: `Cannot POST /v1/charge`.
    Nest,
    /// Other JSON.
    Json,
    /// A bare map of members that no request has.
    Map,
    /// Nothing.
    Empty,
    /// The shape of the peer's own errors.
    Own,
}

impl Page {
    pub(super) fn answer(self, status: u16, call: &Call) -> Answer {
        let message = "something went wrong";
        match self {
            Page::Html => errors::page(status),
            Page::Spring => errors::spring(status, &call.path),
            Page::Nest => errors::nest_no_route(status, call.method.as_str(), &call.path),
            Page::Json => Answer::json(status, &json!({ "code": status, "detail": "upstream" })),
            Page::Map => Answer::json(status, &json!({ "email": "must not be blank" })),
            Page::Empty => Answer::empty(status),
            Page::Own => match call.peer {
                Peer::Seating | Peer::User => errors::seating(status, message),
                Peer::Payment => errors::payment(status, message),
                Peer::Catalog | Peer::Notification | Peer::Events => errors::catalog(status, message),
            },
        }
    }
}

/// A `Retry-After` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// So many seconds, as a number.
    Seconds(u64),
    /// So many seconds from now, as a date.
    Date(u32),
}

impl RetryAfter {
    pub(super) fn header(self) -> String {
        match self {
            RetryAfter::Seconds(seconds) => seconds.to_string(),
            RetryAfter::Date(seconds) => {
                let time = Utc::now() + TimeDelta::seconds(seconds.into());
                time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
            }
        }
    }
}
