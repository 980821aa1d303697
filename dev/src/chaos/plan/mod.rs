//! The plan of a campaign: workload and fault schedule, generated from a seed before anything runs.
//!
//! The same seed and number of orders give the same plan. Its execution is not deterministic: it also depends on how the
//! system schedules the processes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::injection::Injection;
use crate::peers::{CallbackRule, FaultRule, Mode, Peer};

mod event_sink;
mod faults;
mod settlements;
mod slow_bodies;
mod workload;

pub use event_sink::AWAY_MS;
pub use settlements::{CallbackDelivery, Settlement};
pub use slow_bodies::SlowBody;
pub use workload::{Buyer, FollowUp, Scenario};

/// The event on sale.
pub const EVENT: i64 = 501;
/// An event that is not on sale.
pub const CLOSED_EVENT: i64 = 502;
/// The first of the events that are cancelled in mid-run, one for each buyer who pays only after that.
pub const FIRST_CANCELLED_EVENT: i64 = 601;
/// The first of the contended seats, which many orders ask for.
pub const FIRST_HOT_SEAT: i64 = 10_001;
/// The first of the uncontended seats, which one user's orders ask for.
pub const FIRST_OWN_SEAT: i64 = 100_001;
/// The first of the uncontended seats that cost nothing.
pub const FIRST_FREE_SEAT: i64 = 500_001;
/// A seat that does not exist.
pub const NO_SEAT: i64 = 9_999;
/// Time to pay, in seconds: short, so that many orders expire.
pub const ORDER_TTL_SECONDS: u64 = 15;

/// Duration of the load and the faults, in milliseconds per order.
const MS_PER_ORDER: u64 = 42;

/// Workload and fault schedule of a campaign.
#[derive(Debug)]
pub struct Plan {
    /// The seed that it was generated from.
    pub seed: u64,
    /// Duration of the load and of the process faults.
    pub duration: Duration,
    /// The users, with the outcomes of their payments.
    pub buyers: Vec<Buyer>,
    /// The scenarios, one for each order, by start.
    pub scenarios: Vec<Scenario>,
    /// The seats.
    pub seats: Vec<PlannedSeat>,
    /// Faults of calls to peers. A rule that matches no call does nothing.
    pub call_faults: Vec<(Injection, FaultRule)>,
    /// Faults of the callbacks about charges.
    pub callback_faults: Vec<(Injection, CallbackRule)>,
    /// Faults of processes, by time.
    pub process_faults: Vec<ProcessFault>,
}

/// A seat at Seating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedSeat {
    /// The event.
    pub event_id: i64,
    /// The seat's id, which no seat of another event has.
    pub id: i64,
    /// In major units, as JSON.
    pub price: &'static str,
}

impl PlannedSeat {
    /// A seat that is ordered for an event. Of an event that is not on sale there is none, and those seats are of the other one.
    fn new(id: i64, event_id: i64) -> PlannedSeat {
        let event_id = if event_id == CLOSED_EVENT { EVENT } else { event_id };
        let price = if id >= FIRST_FREE_SEAT { "0" } else { PRICES[(id % PRICES.len() as i64) as usize] };
        PlannedSeat { event_id, id, price }
    }
}

/// A fault of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessFault {
    /// Time since the start.
    pub at: Duration,
    /// What fails.
    pub target: Target,
    /// Downtime.
    pub down: Duration,
}

/// What a process fault breaks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A replica of the service is killed.
    Host(usize),
    /// PostgreSQL crashes: an immediate shutdown.
    DatabaseCrash,
    /// PostgreSQL restarts after a fast shutdown.
    DatabaseRestart,
    /// PostgreSQL fails over to a standby.
    Failover,
    /// Every connection to PostgreSQL is cut.
    Connections,
    /// A peer goes down.
    Peer(Peer),
    /// The sink of events wants no more, until the service has switched it off.
    EventsGone,
    /// A snapshot of the database is held for the "downtime": the nth of the campaign.
    LongSnapshot(usize),
}

impl Target {
    /// Whether it ends sessions of the database.
    fn is_of_database(self) -> bool {
        use Target::{Connections, DatabaseCrash, DatabaseRestart, Failover};
        matches!(self, DatabaseCrash | DatabaseRestart | Failover | Connections)
    }
}

impl Plan {
    /// Generates a plan for at least one order.
    pub fn generate(orders: usize, seed: u64) -> Plan {
        let mut random = StdRng::seed_from_u64(seed);
        let duration = Duration::from_millis(MS_PER_ORDER * orders as u64).max(Duration::from_secs(3));
        let hot_seats = (orders as i64 / 10).max(4);
        let (buyers, mut scenarios) = workload::generate(&mut random, orders, hot_seats, duration);
        let hot = (0..hot_seats).map(|n| PlannedSeat::new(FIRST_HOT_SEAT + n, EVENT));
        let own = scenarios.iter().flat_map(|scenario| {
            let own = scenario.seats.iter().filter(|seat| **seat >= FIRST_OWN_SEAT);
            own.map(|seat| PlannedSeat::new(*seat, scenario.event_id))
        });
        let mut seats: Vec<PlannedSeat> = hot.chain(own).collect();
        seats.sort_unstable();
        seats.dedup();
        let mut call_faults = faults::call_faults_of(&mut random, &buyers, orders);
        call_faults.extend(event_sink::call_faults_of(&mut random, &buyers));
        let callback_faults = faults::callback_faults_of(&mut random, &buyers);
        let mut process_faults = faults::process_faults_of(&mut random, orders, duration);
        workload::start_neighbours_together(&mut random, &mut scenarios, duration);
        faults::place_before_crashes(&mut random, &process_faults, &mut scenarios, &mut call_faults);
        process_faults.extend(faults::long_snapshots_of(&mut random, orders, duration));
        process_faults.extend(event_sink::outages_of(&mut random, orders, duration));
        process_faults.sort_by_key(|fault| fault.at);
        slow_bodies::slow_down(&mut random, &mut scenarios, duration);
        scenarios.sort_by_key(|scenario| scenario.start);
        Plan { seed, duration, buyers, scenarios, seats, call_faults, callback_faults, process_faults }
    }

    /// The numbers of the long snapshots.
    pub fn long_snapshots(&self) -> impl Iterator<Item = usize> {
        self.process_faults.iter().filter_map(|fault| match fault.target {
            Target::LongSnapshot(number) => Some(number),
            _ => None,
        })
    }

    /// The events on sale at the start.
    pub fn events(&self) -> BTreeSet<i64> {
        let cancelled = self.buyers.iter().filter_map(|buyer| buyer.cancelled_event);
        cancelled.chain([EVENT]).collect()
    }

    /// Price of each seat in cents.
    pub fn prices_in_cents(&self) -> BTreeMap<i64, i64> {
        self.seats.iter().map(|seat| (seat.id, cents(seat.price))).collect()
    }
}

/// Parses a price in major units with up to two decimals into cents.
fn cents(price: &str) -> i64 {
    let (whole, decimals) = price.split_once('.').unwrap_or((price, ""));
    format!("{whole}{decimals:0<2}").parse().unwrap_or_default()
}

/// Prices whose tax has to be rounded, and some that have no exact binary fraction.
const PRICES: [&str; 7] = ["150.00", "99.99", "0.01", "75.25", "1234.57", "49.9", "20"];

/// True with this probability in percent.
fn percent(random: &mut impl Rng, percent: u32) -> bool {
    random.random_range(0..100) < percent
}

/// A uniformly distributed duration.
fn between(random: &mut impl Rng, from_ms: u64, to_ms: u64) -> Duration {
    Duration::from_millis(random.random_range(from_ms..=to_ms))
}

/// A weighted random choice.
fn weighted<T: Clone>(random: &mut impl Rng, choices: &[(u32, T)]) -> T {
    let sum: u32 = choices.iter().map(|(weight, _)| weight).sum();
    let mut place = random.random_range(0..sum);
    for (weight, choice) in choices {
        if place < *weight {
            return choice.clone();
        }
        place -= weight;
    }
    choices[choices.len() - 1].1.clone()
}

/// Whether charges in this mode send a callback before they respond.
fn calls_back(mode: Mode) -> bool {
    matches!(mode, Mode::Succeed | Mode::Decline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        let shown = |seed| format!("{:?}", Plan::generate(200, seed));
        assert_eq!(shown(7), shown(7));
        assert_ne!(shown(7), shown(8));
    }

    #[test]
    fn while_a_snapshot_is_held_no_fault_ends_its_session() {
        let plan = Plan::generate(2_000, 3);
        let of =
            |wanted: fn(Target) -> bool| plan.process_faults.iter().filter(move |fault| wanted(fault.target));
        let snapshots = || of(|target| matches!(target, Target::LongSnapshot(_)));
        assert_eq!(snapshots().count(), 8);
        for snapshot in snapshots() {
            let end = snapshot.at + snapshot.down;
            assert!(snapshot.down > plan.duration / 7 && end < plan.duration, "{snapshot:?}");
            assert!(of(Target::is_of_database).all(|fault| fault.at < snapshot.at || fault.at > end));
        }
        assert_eq!(of(|target| target == Target::Failover).count(), 1);
    }

    #[test]
    fn every_campaign_has_every_fault_of_the_event_sink() {
        for (orders, wanted) in [(300, 1), (2_000, 8)] {
            let plan = Plan::generate(orders, 5);
            let of_calls = Injection::EventLost as usize..=Injection::EventBodyStalled as usize;
            let calls = Injection::ALL.iter().filter(|(kind, _)| of_calls.contains(&(*kind as usize)));
            for kind in calls.map(|(kind, _)| *kind) {
                let count = plan.call_faults.iter().filter(|(one, _)| *one == kind).count();
                assert!(count >= wanted, "{kind:?}: {count} of {orders} orders");
            }
            let gone = plan.process_faults.iter().filter(|fault| fault.target == Target::EventsGone);
            assert!(gone.count() >= wanted);
            let outages: Vec<bool> = plan
                .process_faults
                .iter()
                .filter(|fault| fault.target == Target::Peer(Peer::Events))
                .map(|fault| fault.down >= Duration::from_millis(AWAY_MS))
                .collect();
            for is_long in [true, false] {
                assert!(outages.iter().filter(|one| **one == is_long).count() >= wanted, "{is_long}");
            }
        }
    }

    #[test]
    fn every_campaign_has_free_orders_and_events_that_are_cancelled() {
        for (orders, wanted) in [(80, 3), (2_000, 70)] {
            let plan = Plan::generate(orders, 5);
            let is_free = |scenario: &&Scenario| scenario.seats.iter().all(|seat| *seat >= FIRST_FREE_SEAT);
            assert!(plan.scenarios.iter().filter(is_free).count() >= wanted);
            let late = |scenario: &&Scenario| scenario.event_id >= FIRST_CANCELLED_EVENT;
            assert!(plan.scenarios.iter().filter(late).count() >= wanted);
            // An event of its own for each, where nobody else orders.
            for scenario in plan.scenarios.iter().filter(late) {
                let buyer = plan.buyers.iter().find(|buyer| buyer.user_id == scenario.user_id);
                assert_eq!(buyer.and_then(|buyer| buyer.cancelled_event), Some(scenario.event_id));
                assert!(plan.seats.iter().any(|seat| seat.event_id == scenario.event_id));
            }
            let mut ids: Vec<i64> = plan.seats.iter().map(|seat| seat.id).collect();
            ids.sort_unstable();
            assert!(ids.is_sorted_by(|a, b| a < b), "every seat has one event");
        }
    }

    #[test]
    fn prices_are_read_exactly() {
        let all = ["150.00", "0.01", "49.9", "20", "1234.57"].map(cents);
        assert_eq!(all, [15_000, 1, 4_990, 2_000, 123_457]);
    }

    #[test]
    fn a_plan_has_as_many_orders_as_were_asked_for() {
        for orders in [1, 2, 60, 2000] {
            let plan = Plan::generate(orders, 1);
            assert_eq!(plan.scenarios.len(), orders);
            assert!(plan.scenarios.iter().all(|scenario| !scenario.seats.is_empty()));
            assert!(plan.scenarios.iter().all(|scenario| scenario.start <= plan.duration));
        }
    }
}
