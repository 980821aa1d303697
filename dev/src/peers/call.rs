//! Recognising a call: which peer, which operation, about which order and seats.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::contract::{CallName, Peer, route};
use super::spans::shortened;
use super::state::State;
use super::trace::CallTrace;

/// A call as it came in.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub peer: Peer,
    pub name: CallName,
    pub method: Method,
    /// Without the peer's own first segment.
    pub path: String,
    /// The id in the path or in the query, where the operation has one there.
    pub id: String,
    pub idempotency_key: Option<String>,
    pub content_type: String,
    /// Those of an event, its attributes and its signature, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
    pub about: About,
    /// Whether the connection has brought a request before.
    pub on_kept_connection: bool,
    /// Whether another charge under the same key is under way.
    pub key_in_use: bool,
}

/// What a call is about, as far as the call itself or earlier calls tell.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub trace: Option<CallTrace>,
    pub order_id: Option<String>,
    pub user_id: Option<i64>,
    pub seat_ids: Vec<i64>,
    /// See [`super::record::RecordedCall::detail`].
    pub detail: Option<String>,
}

/// Which calls a rule is for: those about this order, this seat, this user. What is not given fits all. Payment's calls
/// and Seating's other calls name only the order; its user and seats are known from the `reserve` of that order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Matching {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat_id: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<i64>,
}

impl Matching {
    pub(super) fn fits(&self, about: &About) -> bool {
        self.order_id.as_ref().is_none_or(|id| about.order_id.as_ref() == Some(id))
            && self.seat_id.is_none_or(|id| about.seat_ids.contains(&id))
            && self.user_id.is_none_or(|id| about.user_id == Some(id))
    }
}

impl Call {
    /// `None` when the path belongs to no peer.
    pub fn identify(method: &Method, uri: &hyper::Uri, headers: &HeaderMap, body: Bytes) -> Option<Call> {
        let (peer, name, id) = route(method, uri.path())?;
        let event = || uri.query()?.split('&').find_map(|pair| pair.strip_prefix("eventId="));
        let id = if name == CallName::Availability { event().unwrap_or_default() } else { id };
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Some(Call {
            peer,
            name,
            method: method.clone(),
            path: path_at_peer(uri.path()),
            id: id.to_owned(),
            idempotency_key: header("idempotency-key"),
            content_type: header("content-type").unwrap_or_default(),
            headers: headers
                .iter()
                .filter(|(name, _)| name.as_str().starts_with("ce-") || name.as_str().starts_with("webhook-"))
                .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
                .collect(),
            body,
            about: About { trace: CallTrace::of(headers), ..About::default() },
            on_kept_connection: false,
            key_in_use: false,
        })
    }

    /// The body as JSON, when it is JSON and says so, as the real services demand.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        self.says_json().then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    /// Whether the body says that it is JSON.
    pub fn says_json(&self) -> bool {
        let media_type = self.content_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    }

    /// Fills in what the call is about. A reserve teaches the sandbox which seats and user an order has; later calls
    /// profit from it.
    pub fn look_up(&mut self, state: &mut State) {
        let body: Value = self.json().unwrap_or(Value::Null);
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let ids = |list: &Value| -> Vec<i64> {
            list.as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
        };
        self.key_in_use =
            self.name == CallName::Charge && state.calls.has_open_key(self.idempotency_key.as_deref());
        let about = &mut self.about;
        match self.name {
            CallName::Reserve => {
                let seat_ids = ids(&body["seatIds"]);
                (about.order_id, about.user_id) = (text("orderId"), body["userId"].as_i64());
                about.seat_ids = seat_ids;
                state.learn(about);
                return;
            }
            CallName::Allocate => (about.order_id, about.seat_ids) = (text("orderId"), ids(&body["seatIds"])),
            CallName::Release => {
                about.seat_ids = ids(&body);
                about.order_id = about.seat_ids.first().and_then(|seat| state.last_order_of(*seat));
            }
            CallName::Seat => {
                about.seat_ids.extend(self.id.parse::<i64>().ok());
                about.order_id = about.seat_ids.first().and_then(|seat| state.last_order_of(*seat));
            }
            CallName::OrderSeats => about.order_id = Some(self.id.clone()),
            CallName::Charge => about.order_id = text("merchant_order_id"),
            CallName::Payment => about.order_id = state.order_of_payment(&self.id),
            CallName::Refund => {
                about.order_id = text("payment_id").and_then(|id| state.order_of_payment(&id))
            }
            CallName::Notify => {
                (about.order_id, about.seat_ids) = (text("order_id"), ids(&body["seats"]));
                about.detail = text("type").map(shortened);
            }
            CallName::TakeEvent => {
                let header = |name| self.headers.get(name).map(String::as_str);
                about.order_id = header("ce-subject").map(str::to_owned);
                let sequence = header("ce-sequence").unwrap_or_default().trim_start_matches('0');
                about.detail = header("ce-type").map(|of_type| shortened(format!("{of_type} #{sequence}")));
            }
            CallName::Event => about.detail = Some(shortened(self.id.clone())),
            CallName::Produce => {
                // Of a media type of its own.
                let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
                let records = body["records"].as_array().into_iter().flatten();
                let seats = records.flat_map(|record| ids(&record["value"]["data"]["seats"]));
                about.seat_ids = seats.collect();
            }
            CallName::Availability | CallName::Login | CallName::ByName | CallName::Unknown => {}
        }
        state.complete(about);
    }
}

/// `/v1/seats/7` of `/seating/v1/seats/7`.
fn path_at_peer(path: &str) -> String {
    let rest = path.trim_start_matches('/').split_once('/').map_or("", |(_, rest)| rest);
    format!("/{rest}")
}
