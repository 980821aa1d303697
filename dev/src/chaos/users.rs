//! Users: they order, ask again when nothing comes back, hang up, cancel, and want their money back.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::kinds::Kind;
use super::log::{Answer, Asked, Exchange};
use super::plan::{Errand, Wish};
use super::world::World;

/// How long after the first request a user loses patience with a service that does not answer.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a user who wants a refund waits for the order to be confirmed first.
const WAIT_FOR_CONFIRMATION: Duration = Duration::from_secs(10);

/// Runs all errands of the plan, each in its time, to the end.
pub async fn run_all(world: &Arc<World>) {
    let mut errands = JoinSet::new();
    for number in 0..world.plan.errands.len() {
        let world = world.clone();
        errands.spawn(async move {
            run(&world, number).await;
            world.finished.fetch_add(1, Ordering::Relaxed);
        });
    }
    while errands.join_next().await.is_some() {}
}

async fn run(world: &World, number: usize) {
    let errand = &world.plan.errands[number];
    world.wait_until(errand.start).await;
    let user =
        User { world, errand, begun: Instant::now(), order_id: Mutex::default(), refused: Mutex::default() };
    tokio::join!(user.orders(), user.orders_at_the_other_copy(), user.cancels(), user.wants_money_back());
}

struct User<'a> {
    world: &'a World,
    errand: &'a Errand,
    begun: Instant,
    /// As soon as an answer has told it.
    order_id: Mutex<Option<String>>,
    /// Whether there will be no order.
    refused: Mutex<bool>,
}

impl User<'_> {
    /// Sends the order until there is an answer, and then looks how it gets on.
    async fn orders(&self) {
        let mut copy = self.errand.copy;
        let mut hang_up = self.errand.hang_up;
        for attempt in 1.. {
            let answer = match hang_up.take() {
                Some(after) => match tokio::time::timeout(after, self.place(copy)).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        self.world.tally.add(Kind::CallerHungUp);
                        self.note(copy, Asked::Place, self.begun, Err("hung up".into()));
                        None
                    }
                },
                None => self.place(copy).await,
            };
            match answer {
                Some(answer) if answer.status != 503 => break,
                _ if self.is_out_of_patience() => {
                    self.refuse();
                    return;
                }
                _ => {}
            }
            self.world.tally.add(Kind::RequestRepeated);
            copy = 1 - copy;
            wait_before(attempt).await;
        }
        if self.id().is_none() {
            self.refuse();
        }
        for _ in 0..3 {
            let Some(id) = self.id() else {
                return;
            };
            tokio::time::sleep(Duration::from_millis(400)).await;
            copy = 1 - copy;
            if self.ask(copy, Asked::Read, &id).await.is_some_and(|answer| !answer.says("PENDING")) {
                return;
            }
        }
    }

    async fn orders_at_the_other_copy(&self) {
        let Some(after) = self.errand.twin else {
            return;
        };
        tokio::time::sleep(after).await;
        if self.place(1 - self.errand.copy).await.is_some() {
            self.world.tally.add(Kind::SentTwice);
        }
    }

    async fn cancels(&self) {
        let Some(wish) = self.errand.cancel else {
            return;
        };
        tokio::time::sleep(wish.after).await;
        // Whoever has heard nothing yet asks once more, to learn the order's number.
        while self.id().is_none() {
            if self.is_refused() || self.is_out_of_patience() {
                return;
            }
            self.place(1 - self.errand.copy).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.wishes(Asked::Cancel, wish, Kind::Cancelled, Kind::CancelledTwice).await;
    }

    async fn wants_money_back(&self) {
        let Some(wish) = self.errand.refund else {
            return;
        };
        let deadline = self.begun + WAIT_FOR_CONFIRMATION;
        loop {
            if self.is_refused() || Instant::now() > deadline {
                return;
            }
            if let Some(id) = self.id()
                && let Some(answer) = self.ask(self.errand.copy, Asked::Read, &id).await
                && !answer.says("PENDING")
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        tokio::time::sleep(wish.after).await;
        self.wishes(Asked::Refund, wish, Kind::RefundAsked, Kind::RefundAskedTwice).await;
    }

    /// Asks for it until there is an answer; with the other wish beside it, and at both copies at once, if so planned.
    async fn wishes(&self, asked: Asked, wish: Wish, once: Kind, twice: Kind) {
        let other = if asked == Asked::Cancel { Asked::Refund } else { Asked::Cancel };
        let tally = &self.world.tally;
        tokio::join!(
            async {
                if self.insists(self.errand.copy, asked).await {
                    tally.add(once);
                }
            },
            async {
                if wish.twice && self.insists(1 - self.errand.copy, asked).await {
                    tally.add(twice);
                }
            },
            async {
                if wish.with_the_other && self.insists(1 - self.errand.copy, other).await {
                    tally.add(Kind::CancelAndRefund);
                }
            },
        );
    }

    /// Asks at alternating copies until there is an answer; false when there never is.
    async fn insists(&self, mut copy: usize, asked: Asked) -> bool {
        let Some(id) = self.id() else {
            return false;
        };
        for attempt in 1.. {
            if self.is_out_of_patience() {
                break;
            }
            match self.ask(copy, asked, &id).await {
                // Under way: a user may look again.
                Some(answer) if answer.status == 202 => {
                    tokio::time::sleep(Duration::from_millis(1_000)).await;
                    self.ask(1 - copy, asked, &id).await;
                    return true;
                }
                Some(answer) if answer.status != 503 => return true,
                _ => {}
            }
            copy = 1 - copy;
            self.world.tally.add(Kind::RequestRepeated);
            wait_before(attempt).await;
        }
        false
    }

    async fn place(&self, copy: usize) -> Option<Answer> {
        let errand = self.errand;
        let body = json!({ "user_id": errand.user_id, "event_id": errand.event_id, "seats": errand.seats });
        let request = self.world.client.post(format!("{}/v1/orders", self.world.urls[copy]));
        self.send(copy, Asked::Place, request.header("idempotency-key", &errand.key).json(&body)).await
    }

    async fn ask(&self, copy: usize, asked: Asked, id: &str) -> Option<Answer> {
        let path = format!("{}/v1/orders/{id}", self.world.urls[copy]);
        let request = match asked {
            Asked::Cancel => self.world.client.post(format!("{path}/cancel")),
            Asked::Refund => self.world.client.post(format!("{path}/refund")),
            Asked::Read | Asked::Place => self.world.client.get(path),
        };
        self.send(copy, asked, request).await
    }

    async fn send(&self, copy: usize, asked: Asked, request: reqwest::RequestBuilder) -> Option<Answer> {
        let sent = Instant::now();
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
        self.note(copy, asked, sent, answer.clone());
        answer.ok()
    }

    fn note(&self, copy: usize, asked: Asked, sent: Instant, answer: Result<Answer, String>) {
        self.world.log.add(Exchange {
            at_ms: (sent - self.world.start).as_millis() as u64,
            took_ms: sent.elapsed().as_millis() as u64,
            key: self.errand.key.clone(),
            copy,
            asked,
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

    fn is_out_of_patience(&self) -> bool {
        self.begun.elapsed() > PATIENCE || self.world.is_hurried()
    }
}

/// Users ask again soon, and less often the longer it takes.
async fn wait_before(attempt: u64) {
    tokio::time::sleep(Duration::from_millis((attempt * 100).min(1_000))).await;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
