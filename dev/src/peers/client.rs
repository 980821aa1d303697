//! A typed client of the control endpoints, for tests and tools.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::Matching;
use super::callbacks::{CallbackRecord, CallbackRule};
use super::contract::{CallName, Peer};
use super::control::{EventSpec, SeatSpec};
use super::events::TakenEvent;
use super::faults::FaultRule;
use super::payment::{Mode, Payment, PaymentStatus, RefundMode};
use super::record::RecordedCall;
use super::state::SeatStatus;
use super::user::Account;

/// Talks to `/control` of a sandbox.
#[derive(Clone, Debug)]
pub struct Control {
    base: String,
    client: reqwest::Client,
}

/// The calls that came in.
#[derive(Clone, Debug, Deserialize)]
pub struct Calls {
    /// How often each call came in, by names like `seating.reserve`.
    pub counts: BTreeMap<String, u64>,
    /// One by one, in the order in which they came in.
    pub calls: Vec<RecordedCall>,
}

impl Calls {
    /// How often this call is in the list.
    pub fn count(&self, call: CallName) -> usize {
        self.of(call).count()
    }

    /// The calls of this operation.
    pub fn of(&self, call: CallName) -> impl Iterator<Item = &RecordedCall> {
        self.calls.iter().filter(move |record| record.call == call)
    }

    /// Only the calls about one order.
    pub fn about(mut self, order_id: &str) -> Calls {
        self.calls.retain(|record| record.order_id.as_deref() == Some(order_id));
        self
    }
}

/// A seat as the sandbox has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct SeatView {
    pub id: i64,
    pub event_id: i64,
    pub seat_number: String,
    pub status: SeatStatus,
    pub reserved_by: Option<i64>,
    pub order_id: Option<String>,
    /// As JSON gives it: good for looking at, not for computing.
    pub price: Value,
}

/// An event as Catalog shows it.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct EventView {
    pub id: i64,
    pub status: String,
}

/// What the sandbox has.
#[derive(Clone, Debug, Deserialize)]
pub struct SandboxState {
    /// All events.
    pub events: Vec<EventView>,
    /// How many seats there are of each status.
    pub seat_counts: BTreeMap<SeatStatus, usize>,
    /// The seats that are not free, by id.
    pub seats: Vec<SeatView>,
    /// All payments, in no order.
    pub payments: Vec<Payment>,
    /// The callbacks that were sent to the order service, oldest first.
    pub callbacks: Vec<CallbackRecord>,
    /// What Notification was sent, oldest first.
    pub notifications: Vec<Value>,
    /// The events that the sinks have taken, oldest first.
    pub events_taken: Vec<TakenEvent>,
    /// How many reserves failed because they overlapped another one of the same or neighbouring seats.
    pub serialization_failures: u64,
}

impl SandboxState {
    /// The payments of one order: never more than one, if all is well.
    pub fn payments_of(&self, order_id: &str) -> Vec<&Payment> {
        self.payments.iter().filter(|payment| payment.order_id == order_id).collect()
    }

    /// The notifications about one order.
    pub fn notifications_of(&self, order_id: &str) -> Vec<&Value> {
        self.notifications.iter().filter(|message| message["order_id"] == order_id).collect()
    }
}

/// A payment that was settled, and the callback about it, if one was sent.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Settled {
    pub payment: Payment,
    pub callback: Option<CallbackRecord>,
}

/// A payment, and the user who pays, if the order ever asked for seats.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct NewPayment {
    pub payment: Payment,
    pub user_id: Option<i64>,
}

/// How often a fault rule was used.
#[derive(Clone, Debug, Deserialize)]
pub struct RuleHits {
    /// The rule's number.
    pub id: u64,
    /// Number of calls that it was injected into.
    pub hits: u64,
}

impl Control {
    /// `url` is the sandbox's, without `/control`.
    pub fn new(url: &str) -> Control {
        Control { base: format!("{}/control", url.trim_end_matches('/')), client: reqwest::Client::new() }
    }

    /// Adds or changes an event.
    pub async fn put_event(&self, id: i64, status: &str) -> Result<()> {
        self.post("events", &EventSpec { id, status: status.into(), title: None }).await
    }

    /// Adds or replaces an account.
    pub async fn put_account(&self, account: &Account) -> Result<()> {
        self.post("users", account).await
    }

    /// Adds or replaces seats of an event.
    pub async fn put_seats(&self, event_id: i64, seats: &[SeatSpec]) -> Result<()> {
        // Raw prices do not survive in a `Value`.
        #[derive(Serialize)]
        struct Body<'a> {
            event_id: i64,
            seats: &'a [SeatSpec],
        }
        self.post("seats", &Body { event_id, seats }).await
    }

    /// Adds or replaces `count` seats with the ids from `from` on, at 150.00 each.
    pub async fn put_seat_range(&self, event_id: i64, from: i64, count: i64) -> Result<()> {
        self.post("seats", &json!({ "event_id": event_id, "from": from, "count": count })).await
    }

    /// One seat. Unlike a call to Seating this is not recorded.
    pub async fn seat(&self, id: i64) -> Result<SeatView> {
        self.get(&format!("seats/{id}")).await
    }

    /// Ends all holds now.
    pub async fn expire_holds(&self) -> Result<()> {
        self.post("seats/expire", &json!({})).await
    }

    /// Ends the holds of these seats that began before a time, in milliseconds since 1970; how many it ended.
    pub async fn expire_holds_of(&self, seat_ids: &[i64], reserved_before_ms: i64) -> Result<u64> {
        self.expire(&json!({ "seat_ids": seat_ids, "reserved_before_ms": reserved_before_ms })).await
    }

    /// Runs Seating's job now, which frees the seats whose hold is over; how many it freed.
    pub async fn free_lapsed_holds(&self) -> Result<u64> {
        self.expire(&json!({ "lapsed": true })).await
    }

    async fn expire(&self, which: &Value) -> Result<u64> {
        let answer: Value = self.exchange(Method::POST, "seats/expire", Some(which)).await?;
        answer["expired"].as_u64().context("no number")
    }

    /// How long seats are held that are reserved from now on; Seating's job frees them within a minute after that.
    pub async fn set_hold(&self, hold: std::time::Duration) -> Result<()> {
        self.post("hold", &json!({ "ms": hold.as_millis() as u64 })).await
    }

    /// How long a reserve takes, and so how easily two overlap.
    pub async fn set_reserve_time(&self, time: std::time::Duration) -> Result<()> {
        self.post("reserve", &json!({ "ms": time.as_millis() as u64 })).await
    }

    /// Whether reserves of the same or neighbouring seats fail that overlap in time, as they do by default.
    pub async fn set_serializable(&self, serializable: bool) -> Result<()> {
        self.post("reserve", &json!({ "serializable": serializable })).await
    }

    /// Sets the outcome of charges from now on.
    pub async fn payment_mode(&self, mode: Mode) -> Result<()> {
        self.payment_mode_for(Matching::default(), mode).await
    }

    /// The same for some of them.
    pub async fn payment_mode_for(&self, only: Matching, mode: Mode) -> Result<()> {
        let mut body = json!(only);
        body["mode"] = json!(mode);
        self.post("payments/mode", &body).await
    }

    /// Sets what becomes of refunds from now on.
    pub async fn refund_mode(&self, mode: RefundMode) -> Result<()> {
        self.refund_mode_for(Matching::default(), mode).await
    }

    /// The same for some of them.
    pub async fn refund_mode_for(&self, only: Matching, mode: RefundMode) -> Result<()> {
        let mut body = json!(only);
        body["mode"] = json!(mode);
        self.post("payments/refunds", &body).await
    }

    /// Makes another payment of the order that has one, under another key, and sends the callback about it, if asked to.
    pub async fn second_payment(
        &self,
        order_id: &str,
        status: PaymentStatus,
        callback: bool,
    ) -> Result<Settled> {
        let body = json!({ "order_id": order_id, "status": status, "callback": callback });
        self.exchange(Method::POST, "payments/second", Some(&body)).await
    }

    /// Payment forgets a payment, or remembers it.
    pub async fn forget_payment(&self, payment_id: &str, forgotten: bool) -> Result<()> {
        self.post("payments/forget", &json!({ "payment_id": payment_id, "forgotten": forgotten })).await
    }

    /// Decides the order's payment and sends the callback about it.
    pub async fn settle(&self, order_id: &str, status: PaymentStatus) -> Result<Settled> {
        self.settled(&json!({ "order_id": order_id, "status": status })).await
    }

    /// Settles the order's payment without a callback.
    pub async fn settle_silently(&self, order_id: &str, status: PaymentStatus) -> Result<Settled> {
        self.settled(&json!({ "order_id": order_id, "status": status, "callback": false })).await
    }

    /// Settles a payment whose status is one of `from`, without a callback; `None` when it has another status.
    pub async fn settle_payment(
        &self,
        payment_id: &str,
        from: &[PaymentStatus],
        status: PaymentStatus,
    ) -> Result<Option<Payment>> {
        let body = json!({ "payment_id": payment_id, "from": from, "status": status, "callback": false });
        let (code, text) = self.ask(Method::POST, "payments/settle", Some(&body)).await?;
        match code {
            200 => Ok(Some(serde_json::from_str::<Settled>(&text)?.payment)),
            409 => Ok(None),
            _ => bail!("/control/payments/settle answered {code}: {text}"),
        }
    }

    /// The payments from number `from` on, in the order in which they were made.
    pub async fn payments_from(&self, from: usize) -> Result<Vec<NewPayment>> {
        #[derive(Deserialize)]
        struct Answer {
            payments: Vec<NewPayment>,
        }
        self.get::<Answer>(&format!("payments?from={from}")).await.map(|answer| answer.payments)
    }

    /// Sends the order service any body as a callback, true or not, once more or for the first time.
    pub async fn send_callback(&self, body: &Value) -> Result<CallbackRecord> {
        self.exchange(Method::POST, "callback", Some(body)).await
    }

    /// Where callbacks go; `None`: nowhere.
    pub async fn set_callback_url(&self, url: Option<&str>) -> Result<()> {
        self.post("callback-url", &json!({ "url": url })).await
    }

    /// Callbacks go to these in turn.
    pub async fn set_callback_urls(&self, urls: &[String]) -> Result<()> {
        self.post("callback-url", &json!({ "urls": urls })).await
    }

    /// Adds a fault of the callback about a charge.
    pub async fn add_callback_fault(&self, rule: &CallbackRule) -> Result<()> {
        self.post("callback-faults", rule).await
    }

    /// The callback faults that were injected.
    pub async fn used_callback_faults(&self) -> Result<Vec<CallbackRule>> {
        #[derive(Deserialize)]
        struct Answer {
            used: Vec<CallbackRule>,
        }
        self.get::<Answer>("callback-faults").await.map(|answer| answer.used)
    }

    /// Takes a peer down (every connection is closed without an answer), or up again.
    pub async fn set_down(&self, peer: Peer, down: bool) -> Result<()> {
        self.post("peers", &json!({ "peer": peer, "down": down })).await
    }

    /// Adds a fault rule; returns its number.
    pub async fn add_fault(&self, rule: FaultRule) -> Result<u64> {
        let answer: Value = self.exchange(Method::POST, "faults", Some(&rule)).await?;
        answer["id"].as_u64().context("no id")
    }

    /// Number of hits of a fault rule.
    pub async fn fault_hits(&self, id: u64) -> Result<u64> {
        let answer: Value = self.get("faults").await?;
        let mut rules = answer["faults"].as_array().into_iter().flatten();
        rules
            .find(|rule| rule["id"] == id)
            .and_then(|rule| rule["hits"].as_u64())
            .context("no such fault rule")
    }

    /// How often each fault rule was used, in the order in which they were added.
    pub async fn fault_list(&self) -> Result<Vec<RuleHits>> {
        #[derive(Deserialize)]
        struct Answer {
            faults: Vec<RuleHits>,
        }
        self.get::<Answer>("faults").await.map(|answer| answer.faults)
    }

    /// Removes one fault rule.
    pub async fn remove_fault(&self, id: u64) -> Result<()> {
        self.delete(&format!("faults/{id}")).await
    }

    /// Removes all fault rules and takes all peers up.
    pub async fn clear_faults(&self) -> Result<()> {
        self.delete("faults").await
    }

    /// All calls so far.
    pub async fn calls(&self) -> Result<Calls> {
        self.get("calls").await
    }

    /// How many calls are under way.
    pub async fn open_calls(&self) -> Result<u64> {
        let answer: Value = self.get("calls/open").await?;
        answer["open"].as_u64().context("no number")
    }

    /// Forgets all calls so far.
    pub async fn clear_calls(&self) -> Result<()> {
        self.delete("calls").await
    }

    /// What the sandbox has.
    pub async fn state(&self) -> Result<SandboxState> {
        self.get("state").await
    }

    /// Back to the seed: no payments, calls, faults, modes; the callback URL and the hold time stay.
    pub async fn reset(&self) -> Result<()> {
        self.post("reset", &json!({})).await
    }

    async fn settled(&self, body: &Value) -> Result<Settled> {
        self.exchange(Method::POST, "payments/settle", Some(body)).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.exchange(Method::GET, path, None::<&()>).await
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<()> {
        self.exchange::<Value>(Method::POST, path, Some(body)).await.map(drop)
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.exchange::<Value>(Method::DELETE, path, None::<&()>).await.map(drop)
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let (status, text) = self.ask(method, path, body).await?;
        if !(200..300).contains(&status) {
            bail!("/control/{path} answered {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("/control/{path} answered {text}"))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<(u16, String)> {
        let mut request = self.client.request(method, format!("{}/{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| format!("asking the sandbox's /control/{path}"))?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}
