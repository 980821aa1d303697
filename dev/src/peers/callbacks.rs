//! Payment's callbacks (webhooks) to the order service, with fault injection: drop, duplicate, delay.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Sandbox;
use super::call::{About, Matching};
use super::contract::shapes;
use super::payment::{Payment, PaymentStatus};
use super::state::now_ms;
use super::trace::CallTrace;

/// How long Payment waits for the answer to a callback.
const LIMIT: Duration = Duration::from_secs(2);

/// A callback to the order service, with its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallbackRecord {
    /// What was sent.
    pub sent: Value,
    /// The status that was answered; `None` when no answer came in time.
    pub status: Option<u16>,
    /// The body that was answered.
    pub answer: Value,
    /// When it was sent: milliseconds since 1970.
    pub started_at_ms: i64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What happens to a callback on its way. Payment takes one that was not answered for failed, as always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackFault {
    /// It never arrives.
    Drop,
    /// It arrives after so many milliseconds, also when Payment has given up waiting.
    Delay(u64),
    /// It arrives so many times, all at once.
    Repeat(u32),
    /// A gateway in front of the order service answers it.
    Gateway {
        /// With this HTTP status.
        status: u16,
        /// Whether it arrives all the same.
        #[serde(default)]
        arrives: bool,
    },
}

/// A fault of the callback of matching charges. Each rule has one hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallbackRule {
    /// Only callbacks about this order, seat, user.
    #[serde(flatten)]
    pub only: Matching,
    /// What happens.
    pub fault: CallbackFault,
}

/// The callback URLs and the callback faults.
#[derive(Default)]
pub(super) struct Callbacks {
    urls: Vec<String>,
    turn: usize,
    rules: Vec<CallbackRule>,
    used: Vec<CallbackRule>,
}

impl Callbacks {
    /// Callbacks go to these in turn; when there are none, nobody is called.
    pub fn set_urls(&mut self, urls: Vec<String>) {
        self.urls = urls;
    }

    pub fn take_urls(&mut self) -> Vec<String> {
        std::mem::take(&mut self.urls)
    }

    pub fn add(&mut self, rule: CallbackRule) {
        self.rules.push(rule);
    }

    /// The rules that had their hit.
    pub fn used(&self) -> &[CallbackRule] {
        &self.used
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    fn next_url(&mut self) -> Option<String> {
        self.turn = self.turn.wrapping_add(1);
        self.urls.get(self.turn % self.urls.len().max(1)).cloned()
    }

    fn take(&mut self, about: &About) -> Option<CallbackFault> {
        let place = self.rules.iter().position(|rule| rule.only.fits(about))?;
        let rule = self.rules.remove(place);
        let fault = rule.fault;
        self.used.push(rule);
        Some(fault)
    }
}

/// What we are told of a payment.
pub(super) fn body(payment: &Payment, status: PaymentStatus) -> Value {
    shapes::callback(&payment.order_id, &payment.id, status)
}

/// Sends any callback, as a part of a trace, if there is one. `None` when there is no callback URL.
pub(super) async fn send(
    sandbox: &Sandbox,
    body: Value,
    trace: Option<&CallTrace>,
) -> Option<CallbackRecord> {
    let url = sandbox.state().callback_rules.next_url()?;
    let (started_at_ms, start) = (now_ms(), Instant::now());
    let exchange = async {
        let request = CallTrace::add_to(trace, sandbox.client.post(url).json(&body));
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok::<_, reqwest::Error>((status, value))
    };
    let (status, answer) = match tokio::time::timeout(LIMIT, exchange).await {
        Ok(Ok((status, answer))) => (Some(status), answer),
        Ok(Err(error)) => (None, error.to_string().into()),
        Err(_) => (None, "no answer in time".into()),
    };
    let took_ms = start.elapsed().as_millis() as u64;
    let record = CallbackRecord { sent: body, status, answer, started_at_ms, took_ms };
    let mut state = sandbox.state();
    if state.callbacks.len() >= state.remember {
        state.callbacks.pop_front();
    }
    state.callbacks.push_back(record.clone());
    Some(record)
}

/// Tells the order service of a new payment, in whatever way the rules have it. `Err`: it did not take the news; with the
/// status that was answered, if any was in time. With nobody to call, all is well.
pub(super) async fn about(sandbox: &Sandbox, about: &About, payment: &Payment) -> Result<(), Option<u16>> {
    let fault = sandbox.state().callback_rules.take(about);
    let trace = about.trace.as_ref();
    let send = || send(sandbox, body(payment, payment.status), trace);
    let taken = |record: Option<CallbackRecord>| match record.map(|record| record.status) {
        None | Some(Some(200..300)) => Ok(()),
        Some(refusal) => Err(refusal),
    };
    match fault {
        None => taken(send().await),
        Some(CallbackFault::Drop) => Err(None),
        Some(CallbackFault::Delay(ms)) if Duration::from_millis(ms) < LIMIT => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            taken(send().await)
        }
        Some(CallbackFault::Delay(ms)) => {
            send_later(sandbox, Duration::from_millis(ms), body(payment, payment.status), trace.cloned());
            tokio::time::sleep(LIMIT).await;
            Err(None)
        }
        Some(CallbackFault::Repeat(times)) => {
            for _ in 1..times {
                send_later(sandbox, Duration::ZERO, body(payment, payment.status), trace.cloned());
            }
            taken(send().await)
        }
        Some(CallbackFault::Gateway { status, arrives }) => {
            if arrives {
                send().await;
            }
            if (200..300).contains(&status) { Ok(()) } else { Err(Some(status)) }
        }
    }
}

/// Sends a callback whose answer nobody waits for.
fn send_later(sandbox: &Sandbox, wait: Duration, body: Value, trace: Option<CallTrace>) {
    let sandbox = sandbox.itself();
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        if let Some(sandbox) = sandbox.upgrade() {
            send(&sandbox, body, trace.as_ref()).await;
        }
    });
}
