//! The sinks of one side of a comparison: where its spans and events go.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio_postgres::Client;

use super::broker::Broker;
use super::endpoint::Endpoint;
use super::{Health, Kind};
use crate::bench::http::{Connection, host_of, post};
use crate::postgres::Database;

/// With it every event is signed.
const WEBHOOK_SECRET: &str = "whsec_YmVuY2htYXJrLWJlbmNobWFyay1iZW5jaG1hcms=";
/// Spans are exported about a second after they ended.
const EXPORT: Duration = Duration::from_millis(1_200);
/// How long it may take until a queue is empty.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);
/// How often that is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Which sinks a side has.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Of how many traces spans are exported to a collector, from 0 to 1; `None`: there is no collector.
    pub sampled: Option<&'static str>,
    /// Whether there is an endpoint of events.
    pub has_endpoint: bool,
    /// Whether there is a broker.
    pub has_broker: bool,
    /// Which one is sick, and how; the others are well.
    pub sick: Option<(Kind, Health)>,
}

/// What is observed of a side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Observed {
    /// Spans of a tenth of its traces are exported.
    Traces,
    /// Its events are sent to an endpoint.
    Events,
    /// Both.
    Both,
}

impl Setup {
    /// The setup of a side of which this is observed, with sinks that are well.
    pub fn observed(what: Observed) -> Setup {
        Setup {
            sampled: (what != Observed::Events).then_some("0.1"),
            has_endpoint: what != Observed::Traces,
            has_broker: false,
            sick: None,
        }
    }

    fn health(&self, kind: Kind) -> Health {
        self.sick.filter(|(of, _)| *of == kind).map_or(Health::Well, |(_, health)| health)
    }
}

/// The sinks of one side. They end when this is dropped.
pub struct Sinks {
    setup: Setup,
    collector: Endpoint,
    events: Endpoint,
    broker: Option<Broker>,
}

/// What came to the sinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Arrived {
    /// Requests with spans.
    pub exports: u64,
    /// Requests with an event.
    pub events: u64,
    /// Orders of which the broker has taken an event.
    pub orders_at_broker: u64,
}

impl Arrived {
    /// With what has come besides.
    #[must_use]
    pub fn and(self, other: Arrived) -> Arrived {
        Arrived {
            exports: self.exports + other.exports,
            events: self.events + other.events,
            orders_at_broker: self.orders_at_broker + other.orders_at_broker,
        }
    }

    /// As text.
    pub fn shown(self) -> String {
        let Arrived { exports, events, orders_at_broker } = self;
        format!(
            "{exports} requests with spans and {events} with an event arrived, and events of {orders_at_broker} orders at a broker"
        )
    }
}

impl Sinks {
    /// Starts them.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(setup: Setup) -> Result<Sinks> {
        let broker = async {
            if setup.has_broker {
                Broker::start(setup.health(Kind::Broker)).await.map(Some)
            } else {
                Ok(None)
            }
        };
        Ok(Sinks {
            setup,
            collector: Endpoint::start(setup.health(Kind::Collector)).await?,
            events: Endpoint::start(setup.health(Kind::Endpoint)).await?,
            broker: broker.await?,
        })
    }

    /// The Spin variables that lead a component to them.
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
        if let Some(sampled) = self.setup.sampled {
            set("otel_exporter_otlp_endpoint", self.collector.url());
            set("otel_traces_sampler_arg", sampled.to_owned());
        }
        if self.setup.has_endpoint {
            set("events_url", format!("{}/events", self.events.url()));
            set("events_webhook_secret", WEBHOOK_SECRET.to_owned());
        }
        if let Some(broker) = &self.broker {
            set("events_mqtt_url", broker.url());
        }
        variables
    }

    /// As if a sink that is sick had become so just now: nothing is known of it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_failures(database: &Database) -> Result<()> {
        let sql = "UPDATE event_sinks SET failures = 0, paused_until = NULL, failing_since = NULL, \
                   failed_order = NULL, reason = NULL";
        database.connect().await?.batch_execute(sql).await.context("the state of sinks")
    }

    /// Waits until sinks that are well have all that there is for them, so that what a load has left behind does not weigh on the next.
    /// What there is for a sick one stays.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn drain(&self, service: SocketAddr, database: &Database) -> Result<()> {
        tokio::time::sleep(EXPORT).await;
        let well = self.well();
        let client = database.connect().await?;
        // A sweep waits for a sick sink longer than for those that are well.
        let sweeps = async {
            let mut connection = Connection::to(service);
            loop {
                let answer = connection.ask(post(&host_of(service), "/internal/sweep", "")).await?;
                ensure!(answer.status.is_success(), "a sweep: {}", answer.shown());
            }
        };
        let is_empty = async {
            while undelivered(&client, &well).await? > 0 {
                tokio::time::sleep(POLL).await;
            }
            anyhow::Ok(())
        };
        let drained = async {
            if undelivered(&client, &well).await? == 0 {
                return anyhow::Ok(());
            }
            tokio::select! {
                failed = sweeps => failed,
                empty = is_empty => empty,
            }
        };
        let drained = tokio::time::timeout(DRAIN_LIMIT, drained).await;
        drained.with_context(|| format!("events for {well:?} are still undelivered after {DRAIN_LIMIT:?}"))?
    }

    fn well(&self) -> Vec<&'static str> {
        let well = self.events_sinks().filter(|(_, health)| *health == Health::Well);
        well.map(|(sink, _)| sink).collect()
    }

    /// Those that events are for, by the service's names of them.
    fn events_sinks(&self) -> impl Iterator<Item = (&'static str, Health)> {
        let broker = self.setup.has_broker.then(|| ("mqtt", self.setup.health(Kind::Broker)));
        let endpoint = self.setup.has_endpoint.then(|| ("http", self.setup.health(Kind::Endpoint)));
        endpoint.into_iter().chain(broker)
    }

    /// What has come so far, of a database whose orders' events were for them.
    ///
    /// # Errors
    /// When something has not come that should have: then nothing was measured.
    pub async fn arrived(&self, database: &Database) -> Result<Arrived> {
        let client = database.connect().await?;
        let sql = "SELECT count(*) FROM event_deliveries WHERE sink = 'mqtt' AND delivered_at IS NOT NULL";
        let at_broker: i64 = client.query_one(sql, &[]).await?.get(0);
        let arrived = Arrived {
            exports: self.collector.requests(),
            events: self.events.requests(),
            orders_at_broker: at_broker.unsigned_abs(),
        };
        let is_down = |kind| self.setup.health(kind) == Health::Down;
        let Setup { sampled, has_endpoint, .. } = self.setup;
        let came = |count: u64, is_there: bool, kind| count > 0 || !is_there || is_down(kind);
        ensure!(came(arrived.exports, sampled.is_some(), Kind::Collector), "no spans came to the collector");
        ensure!(came(arrived.events, has_endpoint, Kind::Endpoint), "no event came to the endpoint");
        for (sink, health) in self.events_sinks() {
            let sql = match health {
                Health::Well => {
                    "SELECT EXISTS (SELECT FROM event_deliveries WHERE sink = $1 AND delivered_at IS NOT NULL)"
                }
                Health::Down => "SELECT failures > 0 FROM event_sinks WHERE sink = $1",
                // Before that is known they are claimed, and leased.
                Health::Stalled | Health::Slow => {
                    "SELECT EXISTS (SELECT FROM event_deliveries WHERE sink = $1 AND lease > 0)"
                }
            };
            let was_asked: bool = client.query_one(sql, &[&sink]).await?.get(0);
            ensure!(was_asked, "nothing was sent to the sink {sink}, which is {}", health.name());
        }
        Ok(arrived)
    }
}

/// How many orders have events for these sinks.
async fn undelivered(client: &Client, sinks: &[&str]) -> Result<i64> {
    let sql = "SELECT count(*) FROM event_deliveries WHERE sink = ANY ($1) AND due_at IS NOT NULL";
    Ok(client.query_one(sql, &[&sinks]).await?.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_is_sick_and_the_others_are_well() {
        let start = |sick| Sinks::start(Setup { sick: Some(sick), ..Setup::observed(Observed::Both) });
        let sinks = start((Kind::Collector, Health::Down)).await.unwrap();
        assert_eq!(sinks.well(), ["http"]);
        let variables = sinks.variables();
        assert!(variables.contains(&("otel_traces_sampler_arg".to_owned(), "0.1".to_owned())));
        assert!(variables.iter().all(|(name, _)| name != "events_mqtt_url"), "{variables:?}");
        assert!(start((Kind::Endpoint, Health::Stalled)).await.unwrap().well().is_empty());
    }
}
