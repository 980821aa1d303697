//! Load generator: virtual users that place orders, retry, disconnect early, send duplicates or bodies that come slowly, cancel, and request refunds.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::injection::Injection;
use super::plan::{FollowUp, Scenario, SlowBody};
use super::request_log::{Answer, Exchange, Operation};
use super::slow_body;
use super::testbed::{STEADY, Testbed};
use super::tracing;

/// A user stops retrying so long after the first request.
const RETRY_LIMIT: Duration = Duration::from_secs(40);
/// How long a user waits for the confirmation before a refund request is dropped.
const WAIT_FOR_CONFIRMATION: Duration = Duration::from_secs(10);

/// Runs all scenarios of the plan, each from its start to its end.
pub async fn run_all(testbed: &Arc<Testbed>) {
    let mut scenarios = JoinSet::new();
    for number in 0..testbed.plan.scenarios.len() {
        let testbed = testbed.clone();
        scenarios.spawn(async move {
            run(&testbed, number).await;
            testbed.finished.fetch_add(1, Ordering::Relaxed);
        });
    }
    while scenarios.join_next().await.is_some() {}
}

async fn run(testbed: &Testbed, number: usize) {
    let scenario = &testbed.plan.scenarios[number];
    testbed.wait_until(scenario.start).await;
    let user = VirtualUser {
        testbed,
        scenario,
        begun: Instant::now(),
        order_id: Mutex::default(),
        refused: Mutex::default(),
    };
    tokio::join!(user.place_and_poll(), user.place_duplicate(), user.cancel_later(), user.refund_later());
}

struct VirtualUser<'a> {
    testbed: &'a Testbed,
    scenario: &'a Scenario,
    begun: Instant,
    /// From the first response that has it.
    order_id: Mutex<Option<String>>,
    /// Whether the request was refused for good, so that there is no order.
    refused: Mutex<bool>,
}

impl VirtualUser<'_> {
    /// Places the order, and then polls its status.
    async fn place_and_poll(&self) {
        let placed = self.place_with_slow_body().await || self.place_until_answered().await;
        if !placed || self.id().is_none() {
            self.refuse();
            return;
        }
        let mut replica = self.scenario.replica;
        for _ in 0..3 {
            let Some(id) = self.id() else {
                return;
            };
            tokio::time::sleep(Duration::from_millis(400)).await;
            replica = 1 - replica;
            if self.request(replica, Operation::Read, &id).await.is_some_and(|answer| !answer.says("PENDING"))
            {
                return;
            }
        }
    }

    /// Places the order with a slow body, if so planned; true when the order was placed or refused by that.
    async fn place_with_slow_body(&self) -> bool {
        let Some(slow) = self.scenario.slow_body else {
            return false;
        };
        let (operation, injection) = match slow {
            SlowBody::Trickle(_) => (Operation::PlaceSlowly, Injection::BodySlow),
            SlowBody::Half => (Operation::PlaceHalf, Injection::BodyHalf),
        };
        let request = slow_body::attach(self.place_request(STEADY), &self.place_body(), slow);
        let answer = self.send(STEADY, operation, request).await;
        self.testbed.injections.add(injection);
        answer.is_some_and(|answer| !matches!(answer.status, 408 | 503))
    }

    /// Places the order, with retries until there is a response; false at the retry limit.
    async fn place_until_answered(&self) -> bool {
        let mut replica = self.scenario.replica;
        let mut disconnect = self.scenario.disconnect;
        for attempt in 1.. {
            let answer = match disconnect.take() {
                Some(after) => match tokio::time::timeout(after, self.place(replica)).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        self.testbed.injections.add(Injection::CallerHungUp);
                        self.log_exchange(replica, Operation::Place, self.begun, Err("hung up".into()));
                        None
                    }
                },
                None => self.place(replica).await,
            };
            match answer {
                Some(answer) if answer.status != 503 => return true,
                _ if self.is_past_retry_limit() => return false,
                _ => {}
            }
            self.testbed.injections.add(Injection::RequestRepeated);
            replica = 1 - replica;
            back_off(attempt).await;
        }
        false
    }

    async fn place_duplicate(&self) {
        let Some(after) = self.scenario.duplicate else {
            return;
        };
        tokio::time::sleep(after).await;
        if self.place(1 - self.scenario.replica).await.is_some() {
            self.testbed.injections.add(Injection::SentTwice);
        }
    }

    async fn cancel_later(&self) {
        let Some(follow_up) = self.scenario.cancel else {
            return;
        };
        tokio::time::sleep(follow_up.after).await;
        // Without a response yet, replay the request to learn the order's id.
        while self.id().is_none() {
            if self.is_refused() || self.is_past_retry_limit() {
                return;
            }
            self.place(1 - self.scenario.replica).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.send_follow_up(Operation::Cancel, follow_up, Injection::Cancelled, Injection::CancelledTwice)
            .await;
    }

    async fn refund_later(&self) {
        let Some(follow_up) = self.scenario.refund else {
            return;
        };
        let deadline = self.begun + WAIT_FOR_CONFIRMATION;
        loop {
            if self.is_refused() || Instant::now() > deadline {
                return;
            }
            if let Some(id) = self.id()
                && let Some(answer) = self.request(self.scenario.replica, Operation::Read, &id).await
                && !answer.says("PENDING")
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        tokio::time::sleep(follow_up.after).await;
        self.send_follow_up(
            Operation::Refund,
            follow_up,
            Injection::RefundAsked,
            Injection::RefundAskedTwice,
        )
        .await;
    }

    /// Sends a cancel or refund request with retries; also to both replicas at once, or with the other one beside it, if so
    /// planned.
    async fn send_follow_up(
        &self,
        operation: Operation,
        follow_up: FollowUp,
        once: Injection,
        twice: Injection,
    ) {
        let other = if operation == Operation::Cancel { Operation::Refund } else { Operation::Cancel };
        let injections = &self.testbed.injections;
        tokio::join!(
            async {
                if self.retry_until_answered(self.scenario.replica, operation).await {
                    injections.add(once);
                }
            },
            async {
                if follow_up.twice && self.retry_until_answered(1 - self.scenario.replica, operation).await {
                    injections.add(twice);
                }
            },
            async {
                if follow_up.with_conflict
                    && self.retry_until_answered(1 - self.scenario.replica, other).await
                {
                    injections.add(Injection::CancelAndRefund);
                }
            },
        );
    }

    /// Sends a request to alternating replicas until one responds; false at the retry limit.
    async fn retry_until_answered(&self, mut replica: usize, operation: Operation) -> bool {
        let Some(id) = self.id() else {
            return false;
        };
        for attempt in 1.. {
            if self.is_past_retry_limit() {
                break;
            }
            match self.request(replica, operation, &id).await {
                // 202: still in progress, so poll once more.
                Some(answer) if answer.status == 202 => {
                    tokio::time::sleep(Duration::from_millis(1_000)).await;
                    self.request(1 - replica, operation, &id).await;
                    return true;
                }
                Some(answer) if answer.status != 503 => return true,
                _ => {}
            }
            replica = 1 - replica;
            self.testbed.injections.add(Injection::RequestRepeated);
            back_off(attempt).await;
        }
        false
    }

    async fn place(&self, replica: usize) -> Option<Answer> {
        let request = self.place_request(replica).json(&self.place_body());
        self.send(replica, Operation::Place, request).await
    }

    fn place_request(&self, replica: usize) -> reqwest::RequestBuilder {
        let request = self.testbed.client.post(format!("{}/v1/orders", self.testbed.urls[replica]));
        request.header("idempotency-key", &self.scenario.key)
    }

    fn place_body(&self) -> Value {
        let scenario = self.scenario;
        json!({ "user_id": scenario.user_id, "event_id": scenario.event_id, "seats": scenario.seats })
    }

    async fn request(&self, replica: usize, operation: Operation, id: &str) -> Option<Answer> {
        let path = format!("{}/v1/orders/{id}", self.testbed.urls[replica]);
        let request = match operation {
            Operation::Cancel => self.testbed.client.post(format!("{path}/cancel")),
            Operation::Refund => self.testbed.client.post(format!("{path}/refund")),
            _ => self.testbed.client.get(path),
        };
        self.send(replica, operation, request).await
    }

    async fn send(
        &self,
        replica: usize,
        operation: Operation,
        request: reqwest::RequestBuilder,
    ) -> Option<Answer> {
        let sent = Instant::now();
        let request = request.header("traceparent", tracing::traceparent(&self.scenario.key));
        let exchange = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            let text = answer.text().await?;
            let body = serde_json::from_str(&text).unwrap_or(Value::Null);
            Ok::<_, reqwest::Error>(Answer::read(status, &body))
        };
        let answer = exchange.await.map_err(|error| format!("{:#}", anyhow::Error::from(error)));
        if let Ok(answer) = &answer
            && let Some(id) = &answer.order_id
        {
            *lock(&self.order_id) = Some(id.clone());
        }
        self.log_exchange(replica, operation, sent, answer.clone());
        answer.ok()
    }

    fn log_exchange(
        &self,
        replica: usize,
        operation: Operation,
        sent: Instant,
        answer: Result<Answer, String>,
    ) {
        self.testbed.request_log.add(Exchange {
            at_ms: (sent - self.testbed.start).as_millis() as u64,
            took_ms: sent.elapsed().as_millis() as u64,
            key: self.scenario.key.clone(),
            replica,
            operation,
            answer,
        });
    }

    fn id(&self) -> Option<String> {
        lock(&self.order_id).clone()
    }

    fn refuse(&self) {
        *lock(&self.refused) = true;
    }

    fn is_refused(&self) -> bool {
        *lock(&self.refused)
    }

    fn is_past_retry_limit(&self) -> bool {
        self.begun.elapsed() > RETRY_LIMIT || self.testbed.skips_waits()
    }
}

/// Users request again soon, and less often the longer it takes.
async fn back_off(attempt: u64) {
    tokio::time::sleep(Duration::from_millis((attempt * 100).min(1_000))).await;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
