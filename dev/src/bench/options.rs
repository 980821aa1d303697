//! What to measure, as the command line says it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::run::Plan;
use super::scenario::Scenario;
use super::sinks::Observed;
use super::target::Kind;
use super::{against, growth, hosts, sinks, snapshot};

/// What to measure, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Something else than loads
    #[command(subcommand)]
    pub what: Option<What>,
    /// What clients ask for [default: all]
    #[arg(long, value_delimiter = ',')]
    scenario: Vec<Scenario>,
    /// How many clients ask at once [default: 1,16,64]
    #[arg(long, value_delimiter = ',')]
    clients: Vec<usize>,
    /// Whom they ask: the service and the floors under it [default: all]
    #[arg(long, value_delimiter = ',')]
    targets: Vec<Kind>,
    /// Another commit whose service is compared with this tree's, in pairs of rounds; its component is built when it has
    /// not been. Changes the defaults: place and read, seven pairs of three seconds
    #[arg(long, value_name = "COMMIT")]
    pub against: Option<String>,
    /// With --against: authentication is on, and every request carries a token of one user. A commit without authentication
    /// takes no notice of it
    #[arg(long)]
    pub tokens: bool,
    /// With --against: spans of a tenth of this tree's traces are exported to a collector, or its events are sent, signed, to an
    /// endpoint, or both. The other commit's are not
    #[arg(long, value_name = "WHAT", num_args = 0..=1, default_missing_value = "both")]
    pub observed: Option<Observed>,
    /// How often each is measured; medians are shown [default: 5]
    #[arg(long, global = true)]
    rounds: Option<usize>,
    /// For how many seconds each time [default: 4]
    #[arg(long, global = true)]
    seconds: Option<f64>,
    /// Shorter and less sure: two rounds of a second (three of pairs), at 1 and 16 clients
    #[arg(long, global = true)]
    pub quick: bool,
    /// A file for all of the results, as JSON
    #[arg(long, global = true)]
    pub json: Option<PathBuf>,
    /// A file for a picture of throughput over clients, as SVG
    #[arg(long)]
    pub plot: Option<PathBuf>,
}

/// What else than loads can be measured.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum What {
    /// How the service does when there are many orders, and many seats at an event
    Growth(growth::Options),
    /// How the service does while an old snapshot of the database is open
    Snapshot(snapshot::Options),
    /// How the service does while the collector, the endpoint of events or the broker is down, stalled or slow
    Sinks(sinks::Options),
    /// How the service does under several runtime configurations of the host
    Hosts(hosts::Options),
    /// Whether the memory of an instance grows in the second half of many requests
    Memory {
        /// How many: one in ten places an order, the others read
        #[arg(long, default_value_t = 100_000)]
        requests: u64,
    },
}

impl Options {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<()> {
        let plan = self.plan();
        ensure!(plan.rounds > 0, "--rounds: at least one");
        ensure!(plan.time >= Duration::from_millis(100), "--seconds: at least 0.1");
        ensure!(!self.clients().contains(&0), "--clients: at least one");
        if self.against.is_some() {
            self.check_against()?;
        }
        if self.has_pairs() {
            let few = against::PAIRS;
            ensure!(self.quick || plan.rounds >= few, "--rounds: at least {few} pairs, but for --quick");
        }
        ensure!(!self.tokens || self.against.is_some(), "--tokens: only with --against");
        ensure!(self.observed.is_none() || self.against.is_some(), "--observed: only with --against");
        match &self.what {
            Some(What::Growth(options)) => options.check(),
            Some(What::Hosts(options)) => options.check(),
            Some(What::Sinks(options)) => options.check(),
            _ => Ok(()),
        }
    }

    fn check_against(&self) -> Result<()> {
        ensure!(self.what.is_none(), "--against compares loads, nothing else");
        ensure!(self.targets.is_empty(), "--against compares services: --targets has no meaning with it");
        ensure!(self.plot.is_none(), "--against draws nothing: use --json");
        Ok(())
    }

    /// Whether two services are compared in pairs of rounds.
    pub fn has_pairs(&self) -> bool {
        self.against.is_some() || matches!(self.what, Some(What::Sinks(_)))
    }

    /// What clients ask for.
    pub fn scenarios(&self) -> Vec<Scenario> {
        or(&self.scenario, if self.against.is_some() { &against::SCENARIOS } else { &Scenario::ALL })
    }

    /// How many ask at once.
    pub fn clients(&self) -> Vec<usize> {
        or(&self.clients, if self.quick { &[1, 16] } else { &[1, 16, 64] })
    }

    /// Whom they ask.
    pub fn targets(&self) -> Vec<Kind> {
        match (&self.what, &self.against) {
            (None, None) => or(&self.targets, &Kind::ALL),
            _ => vec![Kind::Service],
        }
    }

    /// How often and how long.
    pub fn plan(&self) -> Plan {
        let (rounds, seconds) = match (self.has_pairs(), self.quick) {
            (false, false) => (5, 4.0),
            (false, true) => (2, 1.0),
            (true, false) => (against::PAIRS, 3.0),
            (true, true) => (3, 1.0),
        };
        let seconds = self.seconds.unwrap_or(seconds);
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
        let warm_up = if self.has_pairs() { against::WARM_UP } else { Duration::from_secs(2) };
        Plan { rounds: self.rounds.unwrap_or(rounds), time, warm_up: warm_up.min(time), lead: Duration::ZERO }
    }

    /// How many orders are counted one by one.
    pub fn counted_orders(&self) -> u64 {
        if self.quick { 100 } else { 400 }
    }
}

fn or<T: Clone>(given: &[T], otherwise: &[T]) -> Vec<T> {
    if given.is_empty() { otherwise.to_vec() } else { given.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(arguments: &[&str]) -> Options {
        Line::try_parse_from(["bench"].iter().chain(arguments)).unwrap().options
    }

    #[test]
    fn what_is_not_said_is_all_of_it() {
        let options = parse(&[]);
        assert!(options.check().is_ok());
        assert_eq!((options.scenarios(), options.clients()), (Scenario::ALL.to_vec(), vec![1, 16, 64]));
        assert_eq!((options.targets(), options.plan().rounds), (Kind::ALL.to_vec(), 5));
    }

    #[test]
    fn lists_have_commas_and_quick_is_only_a_default() {
        let options =
            parse(&["--scenario", "place,read", "--targets", "service,c", "--quick", "--rounds", "3"]);
        assert_eq!(options.scenarios(), [Scenario::Place, Scenario::Read]);
        assert_eq!(options.targets(), [Kind::Service, Kind::C]);
        assert_eq!((options.clients(), options.plan().rounds), (vec![1, 16], 3));
        assert_eq!(options.plan().time, Duration::from_secs(1));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [["--rounds", "0"], ["--clients", "0"], ["--seconds", "0"], ["--seconds", "-1"]] {
            let line = Line::try_parse_from(["bench", &format!("{}={}", bad[0], bad[1])]).unwrap();
            assert!(line.options.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn growth_has_rounds_like_any_load() {
        let options =
            parse(&["growth", "--orders", "0,2000", "--unfinished", "100", "--rounds", "3", "--quick"]);
        assert!(options.check().is_ok());
        assert_eq!((options.targets(), options.plan().rounds), (vec![Kind::Service], 3));
        assert_eq!(options.plan().time, Duration::from_secs(1));
        assert!(parse(&["growth", "--orders", "0", "--seats", "2000000"]).check().is_err());
    }

    #[test]
    fn a_comparison_has_seven_pairs_or_says_that_it_is_quick() {
        let options = parse(&["--against", "HEAD~1"]);
        assert!(options.check().is_ok());
        assert_eq!((options.scenarios(), options.clients()), (against::SCENARIOS.to_vec(), vec![1, 16, 64]));
        assert_eq!((options.targets(), options.plan().rounds), (vec![Kind::Service], 7));
        assert!(parse(&["--against", "HEAD", "--rounds", "6"]).check().is_err());
        assert!(parse(&["--against", "HEAD", "--rounds", "9"]).check().is_ok());
        assert!(parse(&["--against", "HEAD", "--quick"]).check().is_ok());
        assert_eq!(parse(&["--against", "HEAD", "--quick"]).plan().rounds, 3);
    }

    #[test]
    fn a_comparison_is_of_services_under_loads() {
        for bad in [["--targets", "a"], ["--plot", "x.svg"], ["growth", "--quick"], ["memory", "--quick"]] {
            assert!(parse(&[&["--against", "HEAD"], &bad[..]].concat()).check().is_err(), "{bad:?}");
        }
        assert!(Line::try_parse_from(["bench", "--against"]).is_err());
        assert!(parse(&["--against", "HEAD", "--observed"]).check().is_ok());
        assert_eq!(parse(&["--observed"]).observed, Some(Observed::Both));
        assert!(parse(&["--observed"]).check().is_err());
        assert_eq!(parse(&["--against", "HEAD", "--observed", "traces"]).observed, Some(Observed::Traces));
    }

    #[test]
    fn sinks_are_compared_in_pairs_too() {
        let options = parse(&["sinks"]);
        assert!(options.check().is_ok());
        assert_eq!((options.targets(), options.plan().rounds), (vec![Kind::Service], 7));
        assert_eq!(parse(&["sinks", "--quick"]).plan().rounds, 3);
        assert!(parse(&["sinks", "--rounds", "3"]).check().is_err());
        assert!(parse(&["sinks", "--load", "read", "--quick"]).check().is_err());
        assert!(parse(&["sinks", "--sinks", "endpoint,broker", "--faults", "slow"]).check().is_ok());
        assert!(Line::try_parse_from(["bench", "sinks", "--faults", "well"]).is_err());
        assert!(parse(&["--against", "HEAD", "sinks"]).check().is_err());
    }

    #[test]
    fn memory_is_of_the_service_alone() {
        let options = parse(&["memory", "--json", "x.json"]);
        assert_eq!(options.what, Some(What::Memory { requests: 100_000 }));
        assert_eq!(options.targets(), [Kind::Service]);
        assert!(options.json.is_some());
    }
}
