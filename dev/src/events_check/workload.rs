//! Orders that go different ways: paid at once, paid later, cancelled, declined, refunded.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::arrivals::Expected;
use crate::api_check::service::{EVENT, FIRST_SEAT, Service, USERS};
use crate::peers::{Control, PaymentStatus};

/// How many buyers there are at once.
const BUYERS: usize = 6;
/// How long a payment may take to be known to Payment, where the order was accepted and not placed yet.
const PAYMENT_LIMIT: Duration = Duration::from_secs(20);

/// The orders of a run.
pub struct Workload<'a> {
    base_url: &'a str,
    client: Client,
    control: Control,
    begun: AtomicI64,
}

impl<'a> Workload<'a> {
    /// Orders at this service.
    pub fn at(service: &'a Service) -> Workload<'a> {
        Workload {
            base_url: &service.base_url,
            client: Client::new(),
            control: service.control(),
            begun: AtomicI64::new(0),
        }
    }

    /// Places so many more, and does with them what becomes of them.
    ///
    /// # Errors
    /// When one is answered in another way than it should.
    pub async fn place(&self, count: usize) -> Result<()> {
        let end = self.begun.load(Ordering::SeqCst) + i64::try_from(count)?;
        let buyers = (0..BUYERS).map(|_| async {
            loop {
                let next = |number| (number < end).then_some(number + 1);
                let Ok(number) = self.begun.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) else {
                    return anyhow::Ok(());
                };
                self.buy(number).await.with_context(|| format!("order {number}"))?;
            }
        });
        try_join_all(buyers).await.map(drop)
    }

    /// How many were begun.
    pub fn count(&self) -> usize {
        self.begun.load(Ordering::SeqCst) as usize
    }

    async fn buy(&self, number: i64) -> Result<()> {
        let [paid_at_once, pending, declined] = USERS;
        let user = match number % 20 {
            0 => declined,
            1..=7 => pending,
            _ => paid_at_once,
        };
        let first = FIRST_SEAT + 2 * number;
        let seats = if number % 3 == 0 { vec![first, first + 1] } else { vec![first] };
        let order = json!({ "user_id": user, "event_id": EVENT, "seats": seats });
        let request = self.client.post(self.url("/v1/orders")).json(&order);
        let answer = request.header("Idempotency-Key", format!("order-{number}")).send().await?;
        let status = answer.status();
        let document: Value = answer.json().await?;
        if user == declined && status == StatusCode::PAYMENT_REQUIRED {
            return Ok(());
        }
        ensure!(
            status == StatusCode::CREATED || status == StatusCode::ACCEPTED,
            "it was answered with {status}: {document}"
        );
        let id = document["order"]["id"].as_str().context("an order has an id")?;
        match number % 20 {
            1 | 2 => self.post(&format!("/v1/orders/{id}/cancel")).await,
            3..=7 => self.pay(id).await,
            // One that was only accepted may not be paid yet.
            8 if status == StatusCode::CREATED => self.post(&format!("/v1/orders/{id}/refund")).await,
            _ => Ok(()),
        }
    }

    /// Payment decides, and calls back.
    async fn pay(&self, order: &str) -> Result<()> {
        let deadline = Instant::now() + PAYMENT_LIMIT;
        loop {
            match self.control.settle(order, PaymentStatus::Success).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn post(&self, path: &str) -> Result<()> {
        let answer = self.client.post(self.url(path)).send().await?;
        if !answer.status().is_success() {
            bail!("{path} was answered with {}: {}", answer.status(), answer.text().await?);
        }
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }
}

/// The events that there are, as the journal has them; and which orders have others than their state asks for.
///
/// # Errors
/// When the database does not answer.
pub async fn journal(service: &Service) -> Result<(Expected, Vec<String>)> {
    let client = service.database().connect().await?;
    let mut expected = Expected::new();
    let sql = "SELECT e.order_id::text, (e.sequence + one.n - 1)::int, one.event->>'type' || '.v1' FROM order_events e
        CROSS JOIN LATERAL jsonb_array_elements(e.events) WITH ORDINALITY AS one (event, n) WHERE e.events IS NOT NULL";
    let mut problems = Vec::new();
    for row in client.query(sql, &[]).await? {
        let (order, sequence): (String, i32) = (row.get(0), row.get(1));
        let place = (order, u32::try_from(sequence)?);
        if expected.insert(place.clone(), row.get(2)).is_some() {
            problems.push(format!("two events have the number {} in {}", place.1, place.0));
        }
    }
    let sql = "SELECT o.id::text, o.status::text, (SELECT count(*) FROM tickets t WHERE t.order_id = o.id) FROM orders o";
    for row in client.query(sql, &[]).await? {
        let (order, status, tickets): (String, String, i64) = (row.get(0), row.get(1), row.get(2));
        let events = (1..).map_while(|sequence| expected.get(&(order.clone(), sequence)));
        let has: Vec<&str> = events.map(String::as_str).collect();
        let asked_for = events_of(&status, tickets as usize);
        if has != asked_for {
            problems.push(format!("{order} is {status} and has {has:?}"));
        }
    }
    Ok((expected, problems))
}

/// The events of an order that was never anything but on its way to this status.
fn events_of(status: &str, tickets: usize) -> Vec<&'static str> {
    let confirmed = ["order.placed.v1", "order.confirmed.v1"].into_iter();
    let confirmed = confirmed.chain(std::iter::repeat_n("ticket.issued.v1", tickets));
    match status {
        "CONFIRMED" => confirmed.collect(),
        "REFUNDED" => {
            let voided = std::iter::repeat_n("ticket.voided.v1", tickets);
            confirmed.chain(voided).chain(["order.refunded.v1"]).collect()
        }
        "FAILED" => vec!["order.placed.v1", "order.failed.v1"],
        "CANCELLED" => vec!["order.placed.v1", "order.cancelled.v1"],
        _ => vec!["order.placed.v1"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_the_events_that_its_status_asks_for() {
        assert_eq!(events_of("PENDING", 0), ["order.placed.v1"]);
        assert_eq!(events_of("CANCELLED", 0).len(), 2);
        assert_eq!(events_of("CONFIRMED", 2).len(), 4);
        assert_eq!(
            events_of("REFUNDED", 1),
            [
                "order.placed.v1",
                "order.confirmed.v1",
                "ticket.issued.v1",
                "ticket.voided.v1",
                "order.refunded.v1"
            ]
        );
    }
}
