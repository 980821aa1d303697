//! The feed, the sweep and the replay: what a consumer and an operator ask the service for.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::arrivals::Event;
use crate::api_check::service::{INTERNAL_TOKEN, Service};

/// The most orders that a replay takes.
const REPLAYED_AT_ONCE: usize = 1_000;
/// Between two sweeps, as a deployment's cron job has it.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A client of these endpoints.
#[derive(Clone)]
pub struct Operator {
    base_url: String,
    client: Client,
}

impl Operator {
    /// Of this service.
    pub fn of(service: &Service) -> Operator {
        Operator { base_url: service.base_url.clone(), client: Client::new() }
    }

    /// Reads the feed to its end, from where `cursor` says, and leaves there where to go on, with every page.
    ///
    /// # Errors
    /// When it is answered with anything but 200.
    pub async fn read_feed(&self, cursor: &mut Option<String>, take: impl Fn(Event)) -> Result<()> {
        loop {
            let after = cursor.as_ref().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
            let page = self.ask(Method::GET, &format!("/v1/events?limit=500{after}"), None).await?;
            let events = page["events"].as_array().context("a page has events")?;
            for event in events {
                take(Event::read(event)?);
            }
            *cursor = Some(page["next"].as_str().context("a page has a next one")?.to_owned());
            if events.is_empty() {
                return Ok(());
            }
        }
    }

    /// Has all events of these orders sent again.
    ///
    /// # Errors
    /// When it is answered with anything but 200.
    pub async fn replay_orders(&self, orders: &[String]) -> Result<()> {
        for some in orders.chunks(REPLAYED_AT_ONCE) {
            self.ask(Method::POST, "/internal/events/replay", Some(json!({ "orders": some }))).await?;
        }
        Ok(())
    }

    /// Has all events sent again that the feed has after a cursor.
    ///
    /// # Errors
    /// When it is answered with anything but 200.
    pub async fn replay_from(&self, cursor: &str) -> Result<()> {
        let mut from = json!(cursor);
        while !from.is_null() {
            let body = json!({ "from": from });
            from = self.ask(Method::POST, "/internal/events/replay", Some(body)).await?["next"].take();
        }
        Ok(())
    }

    /// Sweeps now and then, until this future is dropped.
    ///
    /// # Errors
    /// When a sweep fails.
    pub async fn sweep_now_and_then(&self) -> Result<()> {
        loop {
            self.ask(Method::POST, "/internal/sweep", None).await?;
            tokio::time::sleep(SWEEP_INTERVAL).await;
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let mut request = self.client.request(method, format!("{}{path}", self.base_url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.bearer_auth(INTERNAL_TOKEN).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{path} was answered with {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{path} was answered with {text}"))
    }
}
