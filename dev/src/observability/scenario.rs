//! What happens to the service while it is watched: buyers who succeed, who are refused and who change their minds, and peers that
//! fail for a while.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::{join, try_join_all};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::api_check::service::{EVENT, FIRST_SEAT, INTERNAL_TOKEN, Service, USERS};
use crate::peers::{Action, CallName, Control, FaultRule, Moment, PaymentStatus, Peer};

/// How many buyers there are at once.
const BUYERS: i64 = 4;
/// Between two orders of a buyer.
const PAUSE: Duration = Duration::from_millis(40);
/// While Catalog is down it is asked about events that no instance remembers.
const UNKNOWN_EVENTS: i64 = 9_000_000;

/// What became of the requests.
#[derive(Default)]
pub struct Counts {
    placed: AtomicUsize,
    refused: AtomicUsize,
    failed: AtomicUsize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { placed, refused, failed } = self;
        let [placed, refused, failed] = [placed, refused, failed].map(|count| count.load(Ordering::Relaxed));
        write!(
            f,
            "the service was watched: {placed} orders placed, {refused} refused, {failed} answered with 5xx"
        )
    }
}

/// Keeps the service at work for so long.
///
/// # Errors
/// When the service or its peers cannot be reached.
pub async fn run(service: &Service, duration: Duration) -> Result<Counts> {
    let control = service.control();
    let deadline = Instant::now() + duration;
    let counts = Counts::default();
    let is_catalog_down = AtomicBool::new(false);
    let buyers = (0..BUYERS).map(|number| {
        let buyer = Buyer { base_url: &service.base_url, client: Client::new(), control: &control };
        let (counts, is_catalog_down) = (&counts, &is_catalog_down);
        async move {
            for turn in 0.. {
                if Instant::now() >= deadline {
                    break;
                }
                let is_down = is_catalog_down.load(Ordering::Relaxed);
                let status = buyer.buy(number + BUYERS * turn, is_down).await?;
                let count = match status {
                    status if status.is_success() => &counts.placed,
                    status if status.is_server_error() => &counts.failed,
                    _ => &counts.refused,
                };
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(())
        }
    });
    let (bought, failed) = join(try_join_all(buyers), fail(&control, duration, &is_catalog_down)).await;
    bought?;
    failed?;
    Ok(counts)
}

/// Has the peers fail one after the other, each for a sixth of the time.
async fn fail(control: &Control, duration: Duration, is_catalog_down: &AtomicBool) -> Result<()> {
    let sixth = duration / 6;
    tokio::time::sleep(sixth).await;
    control.set_down(Peer::Notification, true).await?;
    control.set_down(Peer::Events, true).await?;
    tokio::time::sleep(sixth).await;
    control.set_down(Peer::Notification, false).await?;
    control.set_down(Peer::Events, false).await?;
    let stall = Action::Stall { ms: 400, effect: Moment::Before };
    control.add_fault(FaultRule::on(CallName::Charge, stall).always()).await?;
    tokio::time::sleep(sixth).await;
    control.clear_faults().await?;
    control.set_down(Peer::Catalog, true).await?;
    is_catalog_down.store(true, Ordering::Relaxed);
    tokio::time::sleep(sixth).await;
    is_catalog_down.store(false, Ordering::Relaxed);
    control.set_down(Peer::Catalog, false).await
}

struct Buyer<'a> {
    base_url: &'a str,
    client: Client,
    control: &'a Control,
}

impl Buyer<'_> {
    /// Orders, looks, and now and then cancels or wants the money back. Returns how placing was answered.
    async fn buy(&self, number: i64, is_catalog_down: bool) -> Result<StatusCode> {
        // One in ten has not paid yet, one in ten is declined.
        let user = USERS[match number % 10 {
            0 => 1,
            1 => 2,
            _ => 0,
        }];
        let event = if is_catalog_down && number % 3 == 0 { UNKNOWN_EVENTS + number } else { EVENT };
        let first = match number % 23 {
            // Somebody else's, and one that there is not.
            3 => FIRST_SEAT,
            5 => 1,
            _ => FIRST_SEAT + 2 * number,
        };
        let order = json!({ "user_id": user, "event_id": event, "seats": [first, first + 1] });
        let request = self.client.post(self.url("/v1/orders")).json(&order);
        let answer = request.header("Idempotency-Key", format!("buyer-{number}")).send().await?;
        let status = answer.status();
        let document: Value = answer.json().await.context("an answer to an order")?;
        let Some(id) = document["order"]["id"].as_str().filter(|_| status.is_success()) else {
            return Ok(status);
        };
        for _ in 0..3 {
            self.client.get(self.url(&format!("/v1/orders/{id}"))).send().await?;
        }
        match number % 10 {
            0 if number % 20 == 0 => drop(self.control.settle(id, PaymentStatus::Success).await?),
            0 => self.post(&format!("/v1/orders/{id}/cancel")).await?,
            4 => self.post(&format!("/v1/orders/{id}/refund")).await?,
            6 => {
                let list = self.client.get(self.url("/v1/orders?page_size=20")).bearer_auth(INTERNAL_TOKEN);
                list.send().await?.error_for_status().context("a list")?;
            }
            8 => drop(self.client.get(self.url("/nowhere")).send().await?),
            _ => {}
        }
        Ok(status)
    }

    async fn post(&self, path: &str) -> Result<()> {
        self.client.post(self.url(path)).send().await?;
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }
}
