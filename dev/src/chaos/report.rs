//! What a campaign came to.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Duration;

use super::checker::Check;
use super::evidence::Evidence;
use super::history;
use super::kinds::{Kind, Tally};
use super::log::Asked;
use crate::peers::SeatStatus;

/// How often each kind of disturbance has to happen in a whole campaign.
const WANTED: u64 = 50;
/// From how many orders on a campaign is a whole one.
const WHOLE: usize = 2_000;
/// How many orders' histories are told in full.
const HISTORIES: usize = 3;

/// What happened, and what was found.
#[derive(Debug)]
pub struct Report {
    /// How many orders were planned.
    pub orders: usize,
    /// What the plan was drawn from.
    pub seed: u64,
    /// How long the faults went on.
    pub faults_took: Duration,
    /// How long it took after that until nothing was left to do.
    pub rest_took: Duration,
    /// How often each kind of disturbance happened.
    pub injected: Vec<(Kind, &'static str, u64)>,
    /// The calls whose answers or effects were disturbed, by name.
    pub disturbed_calls: BTreeMap<String, u64>,
    /// The invariants.
    pub checks: Vec<Check>,
    /// What users heard: how often each status, by what they had asked.
    pub answers: BTreeMap<(Asked, String), usize>,
    /// What orders came to: how many of each status.
    pub statuses: BTreeMap<String, usize>,
    /// Seats that Seating still holds for nobody who will come: it frees them by itself.
    pub left_to_expiry: usize,
    /// How many of the peers' calls were recorded.
    pub calls: usize,
    /// The full histories of the first orders with violations, each with the order's number or key.
    pub histories: Vec<(String, String)>,
    /// Where the hosts' logs are kept when something is violated.
    pub log_dir: PathBuf,
}

impl Report {
    /// Puts it together.
    pub(super) fn new(
        orders: usize,
        seed: u64,
        tally: &Tally,
        evidence: &Evidence,
        checks: Vec<Check>,
    ) -> Report {
        let injected = Kind::ALL.iter().map(|(kind, name)| (*kind, *name, tally.count(*kind))).collect();
        let mut answers = BTreeMap::new();
        for exchange in &evidence.exchanges {
            let answer =
                exchange.answer.as_ref().map_or("no answer".to_owned(), |answer| answer.status.to_string());
            *answers.entry((exchange.asked, answer)).or_default() += 1;
        }
        let mut statuses = BTreeMap::new();
        for order in &evidence.orders {
            *statuses.entry(order.status.clone()).or_default() += 1;
        }
        let held = evidence.seats.iter().filter(|(_, seat)| seat.status == SeatStatus::Reserved);
        let claimed = |seat: i64| evidence.orders.iter().any(|order| order.claims.contains(&seat));
        let left_to_expiry = held.filter(|(id, _)| !claimed(**id)).count();
        let mut told = Vec::new();
        for violation in checks.iter().flat_map(|check| &check.violations) {
            let whose = (violation.order_id.clone(), violation.key.clone());
            if whose != (None, None) && told.len() < HISTORIES && !told.iter().any(|(id, _)| *id == whose.0) {
                told.push(whose);
            }
        }
        let tell = |(id, key): &(Option<String>, Option<String>)| {
            let name = id.as_ref().or(key.as_ref()).cloned().unwrap_or_default();
            (name, history::of_order(evidence, id.as_deref(), key.as_deref()))
        };
        Report {
            orders,
            seed,
            faults_took: Duration::ZERO,
            rest_took: Duration::ZERO,
            injected,
            disturbed_calls: BTreeMap::new(),
            histories: told.iter().map(tell).collect(),
            checks,
            answers,
            statuses,
            left_to_expiry,
            calls: evidence.calls.len(),
            log_dir: PathBuf::new(),
        }
    }

    /// How many violations were found.
    pub fn violations(&self) -> usize {
        self.checks.iter().map(|check| check.violations.len()).sum()
    }

    /// The kinds that did not happen as often as a whole campaign wants it.
    pub fn too_few(&self) -> impl Iterator<Item = &'static str> {
        let whole = self.orders >= WHOLE;
        self.injected.iter().filter(move |(_, _, count)| whole && *count < WANTED).map(|(_, name, _)| *name)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>7}  injected", "times")?;
        for (_, name, count) in &self.injected {
            writeln!(f, "{count:>7}  {name}")?;
        }
        writeln!(f, "\n{:>7}  disturbed calls of peers, of {} in all", "times", self.calls)?;
        for (name, count) in &self.disturbed_calls {
            writeln!(f, "{count:>7}  {name}")?;
        }
        writeln!(f, "\n{:>7}  answers to users", "times")?;
        for ((asked, answer), count) in &self.answers {
            writeln!(f, "{count:>7}  {asked:?}: {answer}")?;
        }
        writeln!(f, "\n{:>7}  orders at the end", "")?;
        for (status, count) in &self.statuses {
            writeln!(f, "{count:>7}  {status}")?;
        }
        writeln!(f, "{:>7}  seats that are left to Seating's own expiry", self.left_to_expiry)?;
        writeln!(f, "\n{:>7} {:>9}  invariants", "checked", "violated")?;
        for check in &self.checks {
            writeln!(f, "{:>7} {:>9}  {}", check.checked, check.violations.len(), check.name)?;
        }
        for check in self.checks.iter().filter(|check| !check.violations.is_empty()) {
            writeln!(f, "\nViolated: {}", check.name)?;
            for violation in check.violations.iter().take(10) {
                let id = violation.order_id.as_deref().unwrap_or("no order");
                writeln!(f, "  {id} ({}): {}", violation.key.as_deref().unwrap_or("-"), violation.detail)?;
            }
            if check.violations.len() > 10 {
                writeln!(f, "  … and {} more", check.violations.len() - 10)?;
            }
        }
        for (name, history) in &self.histories {
            writeln!(f, "\nThe full history of {name}:\n{history}")?;
        }
        if self.violations() > 0 {
            writeln!(f, "The logs of the hosts are in {}.", self.log_dir.display())?;
        }
        for name in self.too_few() {
            writeln!(f, "Warning: injected fewer than {WANTED} times: {name}")?;
        }
        let result = match self.violations() {
            0 => "every invariant holds".to_owned(),
            1 => "1 VIOLATION".to_owned(),
            count => format!("{count} VIOLATIONS"),
        };
        let (faults, rest) = (self.faults_took.as_secs_f64(), self.rest_took.as_secs_f64());
        write!(
            f,
            "\nSeed {}, {} orders: {result}. The faults took {faults:.0} s, coming to rest {rest:.0} s.",
            self.seed, self.orders
        )
    }
}
