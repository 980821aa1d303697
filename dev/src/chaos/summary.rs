//! The sum of several campaigns, each of a seed of its own: whether one was violated, and whether everything was injected often
//! enough over all of them.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::injection::Injection;
use super::report::Report;
use super::{Options, run};
use crate::bench::against::Version;

/// How often everything must be injected over [`FULL_ORDERS`].
const MIN_INJECTIONS: u64 = 50;
/// The orders of ten campaigns of two thousand.
const FULL_ORDERS: u64 = 20_000;
/// With fewer orders an injection that is too rare is a warning: chance has too much to say.
const MIN_ORDERS: u64 = 2_000;

/// Results of campaigns.
#[derive(Debug, Default)]
pub struct Summary {
    orders: u64,
    /// Seed and number of violations of each campaign that came to its end.
    ended: Vec<(u64, usize)>,
    /// Seed and error of each campaign that did not.
    failed: Vec<(u64, String)>,
    injected: BTreeMap<Injection, u64>,
}

/// An injection that happened too rarely.
#[derive(Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Its name.
    pub name: &'static str,
    /// How often it happened.
    pub count: u64,
    /// How often it must happen over so many orders and campaigns.
    pub minimum: u64,
}

/// Runs a campaign for each seed, one after the other, and hands each report to `show`. A campaign that fails does not keep the
/// others from being run. The component must have been built.
///
/// `beside`: see [`Options::beside`].
pub async fn run_seeds(
    orders: usize,
    seeds: RangeInclusive<u64>,
    beside: Option<Version>,
    show: impl Fn(&Report),
) -> Summary {
    let beside = beside.map(Arc::new);
    let mut summary = Summary::default();
    for seed in seeds {
        match run(Options { orders, seed, progress: true, beside: beside.clone() }).await {
            Ok(report) => {
                show(&report);
                summary.add(&report);
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                summary.failed.push((seed, format!("{error:#}")));
            }
        }
    }
    summary
}

/// Reads a seed (`7`), or several (`1..10`, both included).
///
/// # Errors
/// What is wrong with the text.
pub fn parse_seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let seed = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?} is no seed: {error}"));
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let seeds = seed(first)?..=seed(last)?;
    if seeds.is_empty() { Err(format!("{text:?} has no seed in it")) } else { Ok(seeds) }
}

impl Summary {
    /// Adds a campaign that came to its end.
    pub fn add(&mut self, report: &Report) {
        self.orders += report.orders as u64;
        self.ended.push((report.seed, report.violations()));
        for (kind, _, count) in &report.injected {
            *self.injected.entry(*kind).or_default() += count;
        }
    }

    /// The injections that happened too rarely.
    pub fn shortfalls(&self) -> Vec<Shortfall> {
        let all = Injection::ALL.iter().map(|(kind, name)| Shortfall {
            name,
            count: self.count(*kind),
            minimum: self.minimum(*kind),
        });
        all.filter(|one| one.count < one.minimum).collect()
    }

    /// Whether all is well.
    ///
    /// # Errors
    /// What is not: a campaign failed, an invariant is violated, or, over enough orders, something was injected too rarely.
    pub fn verdict(&self) -> Result<()> {
        if let Some((seed, error)) = self.failed.first() {
            bail!("{} campaigns failed, that of seed {seed} first: {error}", self.failed.len());
        }
        let violated: Vec<u64> =
            self.ended.iter().filter(|(_, violations)| *violations > 0).map(|(seed, _)| *seed).collect();
        if !violated.is_empty() {
            bail!("invariants are violated with the seeds {violated:?}");
        }
        let shortfalls = self.shortfalls();
        if self.is_enforced() && !shortfalls.is_empty() {
            let shown: Vec<String> = shortfalls.iter().map(Shortfall::to_string).collect();
            bail!("not injected often enough: {}", shown.join("; "));
        }
        Ok(())
    }

    fn count(&self, kind: Injection) -> u64 {
        self.injected.get(&kind).copied().unwrap_or(0)
    }

    /// How often this must have happened. There is one failover in a campaign, however many orders it has; and a sink that was switched
    /// off gets nothing for a while, so that this is rare.
    fn minimum(&self, kind: Injection) -> u64 {
        match kind {
            Injection::FailedOver | Injection::EventsGone | Injection::EventsSwitchedOn => {
                self.ended.len() as u64
            }
            _ => (MIN_INJECTIONS * self.orders / FULL_ORDERS).max(1),
        }
    }

    fn is_enforced(&self) -> bool {
        self.orders >= MIN_ORDERS
    }
}

impl Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} times, and {} are wanted)", self.name, self.count, self.minimum)
    }
}

impl Display for Summary {
    /// The counts over several campaigns, and what was injected too rarely.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ended.len() + self.failed.len() > 1 {
            writeln!(f, "{:>7} {:>7}  injected over {} campaigns", "times", "wanted", self.ended.len())?;
            for (kind, name) in Injection::ALL {
                writeln!(f, "{:>7} {:>7}  {name}", self.count(kind), self.minimum(kind))?;
            }
            for (seed, violations) in &self.ended {
                writeln!(f, "Seed {seed}: {violations} violations")?;
            }
            for (seed, error) in &self.failed {
                writeln!(f, "Seed {seed}: failed: {error}")?;
            }
        }
        let kind = if self.is_enforced() { "Too rare" } else { "Warning, too rare" };
        for shortfall in self.shortfalls() {
            writeln!(f, "{kind}: {shortfall}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Campaigns with so many orders each, and so many injections of every kind over all of them.
    fn summary(campaigns: u64, orders: u64, count: u64) -> Summary {
        let injected = Injection::ALL.iter().map(|(kind, _)| (*kind, count)).collect();
        let ended = (1..=campaigns).map(|seed| (seed, 0)).collect();
        Summary { orders: campaigns * orders, ended, failed: Vec::new(), injected }
    }

    #[test]
    fn ten_campaigns_fail_when_something_was_injected_less_than_fifty_times() {
        let mut summary = summary(10, 2_000, 50);
        summary.verdict().expect("all of it happened");
        summary.injected.insert(Injection::PaidTwice, 49);
        assert_eq!(summary.shortfalls().len(), 1);
        let error = summary.verdict().expect_err("one is too few").to_string();
        assert!(error.contains("second payment of an order (49 times, and 50 are wanted)"), "{error}");
    }

    #[test]
    fn every_campaign_has_a_failover_and_an_event_sink_that_is_switched_off_and_on() {
        for kind in [Injection::FailedOver, Injection::EventsGone, Injection::EventsSwitchedOn] {
            let mut summary = summary(10, 2_000, 50);
            summary.injected.insert(kind, 10);
            summary.verdict().expect("one each");
            summary.injected.insert(kind, 9);
            summary.verdict().expect_err("one is missing");
        }
    }

    #[test]
    fn fewer_orders_need_fewer_injections() {
        summary(1, 2_000, 5).verdict().expect("a tenth of the orders");
        summary(1, 2_000, 4).verdict().expect_err("one is too few");
        summary(5, 2_000, 24).verdict().expect_err("one is too few");
    }

    #[test]
    fn with_few_orders_what_is_too_rare_is_a_warning() {
        let summary = summary(1, 1_999, 0);
        summary.verdict().expect("a warning is no error");
        assert!(summary.to_string().contains("Warning, too rare: second payment of an order"), "{summary}");
    }

    #[test]
    fn a_violation_and_a_failure_count_whatever_was_injected() {
        let mut violated = summary(2, 10, 50);
        violated.ended[1].1 = 3;
        assert!(violated.verdict().expect_err("it is violated").to_string().ends_with("[2]"));
        let mut failed = summary(1, 10, 50);
        failed.failed.push((2, "PostgreSQL did not start".into()));
        assert!(failed.verdict().is_err());
    }

    #[test]
    fn seeds_are_one_or_a_range_with_both_ends() {
        assert_eq!(parse_seeds("7"), Ok(7..=7));
        assert_eq!(parse_seeds("1..10"), Ok(1..=10));
        for wrong in ["", "x", "1..", "..3", "3..1", "1..=3", "-1"] {
            assert!(parse_seeds(wrong).is_err(), "{wrong}");
        }
    }
}
