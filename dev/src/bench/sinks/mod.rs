//! How the service does while what only listens to it is sick: the collector of its spans, the endpoint of its events, the MQTT broker.
//!
//! The service of this tree runs beside itself, in interleaved pairs of rounds, as in [`super::against`]. On one side every sink is well; on
//! the other one of them is down, stalled or slow, and what there is for it waits, more and more of it. `endpoint` and `broker` are the
//! sinks, `side` has those of one side, `table` prints the result.

mod broker;
mod endpoint;
mod side;
mod table;

use anyhow::{Result, ensure};

use super::against::{self, Candidate};
use super::run::Plan;
use super::scenario::Scenario;
use super::testbed::Testbed;
use crate::{process, repo_root};

pub use side::{Arrived, Observed, Setup, Sinks};

/// What the sick side must have of the other's throughput.
pub const NEEDED: f64 = 0.95;
/// What can be asked for: the others place no orders, of which a sink would hear.
const SCENARIOS: [Scenario; 2] = [Scenario::Place, Scenario::Life];

/// A kind of sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The collector of spans
    Collector,
    /// The endpoint of events
    Endpoint,
    /// The MQTT broker; not left out only where there is Mosquitto, or where it is named
    Broker,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Collector, Kind::Endpoint, Kind::Broker];

    fn name(self) -> &'static str {
        match self {
            Kind::Collector => "collector",
            Kind::Endpoint => "endpoint",
            Kind::Broker => "broker",
        }
    }
}

/// How a sink does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It takes everything at once.
    #[value(skip)]
    Well,
    /// Connections are refused
    Down,
    /// It accepts connections, and never says anything
    Stalled,
    /// It takes everything, and answers after two seconds
    Slow,
}

impl Health {
    const SICK: [Health; 3] = [Health::Down, Health::Stalled, Health::Slow];

    fn name(self) -> &'static str {
        match self {
            Health::Well => "well",
            Health::Down => "down",
            Health::Stalled => "stalled",
            Health::Slow => "slow",
        }
    }
}

/// Which cases, under which loads.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// Which of them is sick, one at a time [default: all]
    #[arg(long, value_delimiter = ',')]
    pub sinks: Vec<Kind>,
    /// What is wrong with it [default: all]
    #[arg(long, value_delimiter = ',')]
    pub faults: Vec<Health>,
    /// What clients ask for: place or life [default: both]
    #[arg(long = "load", value_delimiter = ',', value_name = "SCENARIO")]
    pub loads: Vec<Scenario>,
    /// How many clients ask at once
    #[arg(long, value_delimiter = ',', default_value = "16")]
    pub clients: Vec<usize>,
}

impl Options {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<()> {
        ensure!(!self.clients.contains(&0), "--clients: at least one");
        ensure!(self.loads.iter().all(|load| SCENARIOS.contains(load)), "--load: place or life");
        Ok(())
    }

    fn cases(&self, has_mosquitto: bool) -> Vec<(Kind, Health)> {
        let here = || Kind::ALL.into_iter().filter(|kind| has_mosquitto || *kind != Kind::Broker).collect();
        let kinds = if self.sinks.is_empty() { here() } else { self.sinks.clone() };
        let faults = if self.faults.is_empty() { Health::SICK.to_vec() } else { self.faults.clone() };
        kinds.into_iter().flat_map(|kind| faults.iter().map(move |fault| (kind, *fault))).collect()
    }
}

/// What was found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Found {
    /// How many pairs of rounds each load has.
    pub pairs: usize,
    /// For how many seconds each round lasted.
    pub seconds: f64,
    /// The cases under each load.
    pub rows: Vec<Row>,
}

/// A case under one load.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// Which sink is sick.
    pub sink: Kind,
    /// What is wrong with it.
    pub is: Health,
    /// `this` is the side with the sick one, `other` the one where all are well.
    #[serde(flatten)]
    pub row: against::Row,
}

/// Measures the present tree, whose component must have been built, beside itself.
///
/// # Errors
/// When something does not start, an answer is wrong, or nothing comes to a sink.
pub async fn measure(testbed: &Testbed, options: &Options, plan: Plan) -> Result<Found> {
    let has_mosquitto = process::find("mosquitto").is_some();
    if !has_mosquitto && options.sinks.is_empty() {
        eprintln!("There is no Mosquitto here: no cases of a broker.");
    }
    let sick = Candidate::new("sick", &repo_root(), testbed).await?;
    let well = Candidate::new("well", &repo_root(), testbed).await?;
    let loads = if options.loads.is_empty() { SCENARIOS.to_vec() } else { options.loads.clone() };
    let mut rows = Vec::new();
    for (sink, is) in options.cases(has_mosquitto) {
        // Every trace is sampled. A broker is there only where it is the one that is sick: each sink costs deliveries.
        let setup =
            Setup { sampled: Some("1"), has_endpoint: true, has_broker: sink == Kind::Broker, sick: None };
        let sides = [sick.with_sinks(Setup { sick: Some((sink, is)), ..setup }), well.with_sinks(setup)];
        for scenario in &loads {
            for clients in &options.clients {
                eprintln!("The {} is {}:", sink.name(), is.name());
                let load = against::load(testbed, &sides, *scenario, *clients, plan).await?;
                rows.push(Row { sink, is, row: load.row(*scenario, *clients) });
            }
        }
    }
    Ok(Found { pairs: plan.rounds, seconds: plan.time.as_secs_f64(), rows })
}

impl Found {
    /// As text.
    pub fn shown(&self) -> String {
        table::shown(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options { sinks: Vec::new(), faults: Vec::new(), loads: Vec::new(), clients: vec![16] }
    }

    #[test]
    fn each_sink_is_sick_in_each_way_and_the_broker_only_where_there_is_one_or_it_is_asked_for() {
        assert_eq!(options().cases(true).len(), 9);
        assert!(options().cases(false).iter().all(|(kind, _)| *kind != Kind::Broker));
        let broker = Options { sinks: vec![Kind::Broker], faults: vec![Health::Slow], ..options() };
        assert_eq!(broker.cases(false), [(Kind::Broker, Health::Slow)]);
    }

    #[test]
    fn only_loads_that_place_orders_make_sense() {
        assert!(options().check().is_ok());
        assert!(Options { loads: vec![Scenario::Life], ..options() }.check().is_ok());
        assert!(Options { loads: vec![Scenario::Place, Scenario::Read], ..options() }.check().is_err());
        assert!(Options { clients: vec![16, 0], ..options() }.check().is_err());
    }
}
