//! The report of a campaign.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Duration;

use super::checker::Check;
use super::injection::{Injection, InjectionCounts};
use super::order_history;
use super::request_log::Operation;
use super::snapshot::Snapshot;
use crate::peers::SeatStatus;

/// Maximum number of printed order histories.
const MAX_HISTORIES: usize = 3;

/// Injections, invariants and statistics of a campaign.
#[derive(Debug)]
pub struct Report {
    /// Number of planned orders.
    pub orders: usize,
    /// Seed of the plan.
    pub seed: u64,
    /// Duration of the load and the faults.
    pub faults_took: Duration,
    /// Duration of the quiescing after the faults.
    pub quiesce_took: Duration,
    /// Count of each injection.
    pub injected: Vec<(Injection, &'static str, u64)>,
    /// Count of peer calls with a fault, by call.
    pub faulted_calls: BTreeMap<String, u64>,
    /// Results of the invariants.
    pub checks: Vec<Check>,
    /// Count of the users' responses by operation and HTTP status.
    pub answers: BTreeMap<(Operation, String), usize>,
    /// The request of a user that took longest, and what came of it.
    pub slowest: String,
    /// Count of orders by final status.
    pub statuses: BTreeMap<String, usize>,
    /// Seats on hold at Seating without a claim of an order: Seating's own expiry frees them.
    pub left_to_expiry: usize,
    /// Number of recorded peer calls.
    pub calls: usize,
    /// Histories of the first orders with violations, each with the order's id or key.
    pub histories: Vec<(String, String)>,
    /// Where the hosts' logs are kept after a violation.
    pub log_dir: PathBuf,
    /// The version that each copy ran.
    pub copies: Vec<String>,
}

impl Report {
    /// Builds it from snapshot and checks.
    pub(super) fn new(
        orders: usize,
        seed: u64,
        injections: &InjectionCounts,
        snapshot: &Snapshot,
        checks: Vec<Check>,
    ) -> Report {
        let injected =
            Injection::ALL.iter().map(|(kind, name)| (*kind, *name, injections.count(*kind))).collect();
        let mut answers = BTreeMap::new();
        for exchange in &snapshot.exchanges {
            let answer =
                exchange.answer.as_ref().map_or("no answer".to_owned(), |answer| answer.status.to_string());
            *answers.entry((exchange.operation, answer)).or_default() += 1;
        }
        let slowest = snapshot.exchanges.iter().max_by_key(|exchange| exchange.took_ms);
        let slowest = slowest.map(|exchange| format!("{exchange:?}")).unwrap_or_default();
        let mut statuses = BTreeMap::new();
        for order in &snapshot.orders {
            *statuses.entry(order.status.clone()).or_default() += 1;
        }
        let held = snapshot.seats.iter().filter(|(_, seat)| seat.status == SeatStatus::Reserved);
        let claimed = |seat: i64| snapshot.orders.iter().any(|order| order.claims.contains(&seat));
        let left_to_expiry = held.filter(|(id, _)| !claimed(**id)).count();
        let mut told = Vec::new();
        for violation in checks.iter().flat_map(|check| &check.violations) {
            let whose = (violation.order_id.clone(), violation.key.clone());
            if whose != (None, None)
                && told.len() < MAX_HISTORIES
                && !told.iter().any(|(id, _)| *id == whose.0)
            {
                told.push(whose);
            }
        }
        let tell = |(id, key): &(Option<String>, Option<String>)| {
            let name = id.as_ref().or(key.as_ref()).cloned().unwrap_or_default();
            (name, order_history::of_order(snapshot, id.as_deref(), key.as_deref()))
        };
        Report {
            orders,
            seed,
            faults_took: Duration::ZERO,
            quiesce_took: Duration::ZERO,
            injected,
            faulted_calls: BTreeMap::new(),
            histories: told.iter().map(tell).collect(),
            checks,
            answers,
            slowest,
            statuses,
            left_to_expiry,
            calls: snapshot.calls.len(),
            log_dir: PathBuf::new(),
            copies: Vec::new(),
        }
    }

    /// Number of violations.
    pub fn violations(&self) -> usize {
        self.checks.iter().map(|check| check.violations.len()).sum()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>7}  injected", "times")?;
        for (_, name, count) in &self.injected {
            writeln!(f, "{count:>7}  {name}")?;
        }
        writeln!(f, "\n{:>7}  disturbed calls of peers, of {} in all", "times", self.calls)?;
        for (name, count) in &self.faulted_calls {
            writeln!(f, "{count:>7}  {name}")?;
        }
        writeln!(f, "\n{:>7}  answers to users", "times")?;
        for ((operation, answer), count) in &self.answers {
            writeln!(f, "{count:>7}  {operation:?}: {answer}")?;
        }
        writeln!(f, "The slowest: {}", self.slowest)?;
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
        let result = match self.violations() {
            0 => "every invariant holds".to_owned(),
            1 => "1 VIOLATION".to_owned(),
            count => format!("{count} VIOLATIONS"),
        };
        let (faults, rest) = (self.faults_took.as_secs_f64(), self.quiesce_took.as_secs_f64());
        if self.copies.iter().any(|version| *version != self.copies[0]) {
            writeln!(f, "\nThe copies ran {}.", self.copies.join(", "))?;
        }
        write!(
            f,
            "\nSeed {}, {} orders: {result}. The faults took {faults:.0} s, coming to rest {rest:.0} s.",
            self.seed, self.orders
        )
    }
}
