//! Who orders what and when, who changes their mind, and what goes wrong: drawn from the seed before anything runs.
//!
//! The same seed and number of orders give the same plan. What comes of it also depends on how the processes are
//! scheduled, so two runs of one plan differ in their timing.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::kinds::Kind;
use crate::peers::{CallbackRule, FaultRule, Mode, Peer};

mod faults;
mod money;
mod people;

pub use money::{Delivery, Settlement};
pub use people::{Buyer, Errand, Wish};

/// The event whose seats are on sale.
pub const EVENT: i64 = 501;
/// An event that may not be ordered.
pub const CLOSED_EVENT: i64 = 502;
/// The first of the seats that many want.
pub const FIRST_HOT_SEAT: i64 = 10_001;
/// The first of the seats that one order has for itself.
pub const FIRST_OWN_SEAT: i64 = 100_001;
/// A seat that Seating does not have.
pub const NO_SEAT: i64 = 9_999;
/// Seconds that a buyer has to pay: short, so that many orders expire.
pub const ORDER_TTL_SECONDS: u64 = 15;

/// How long the disturbances go on for each order, in milliseconds.
const MS_PER_ORDER: u64 = 42;

/// Everything that was decided beforehand.
#[derive(Debug)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// For how long orders are placed and processes are disturbed.
    pub duration: Duration,
    /// Who buys.
    pub buyers: Vec<Buyer>,
    /// The orders that they want to place.
    pub errands: Vec<Errand>,
    /// The seats that there are, with their prices.
    pub seats: Vec<(i64, &'static str)>,
    /// Calls of peers that are disturbed. A rule that no call fits does nothing.
    pub call_faults: Vec<(Kind, FaultRule)>,
    /// Callbacks about charges that are disturbed.
    pub callback_faults: Vec<(Kind, CallbackRule)>,
    /// What happens to processes, in the order of time.
    pub disturbances: Vec<Disturbance>,
}

/// Something that happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disturbance {
    /// When, counted from the start.
    pub at: Duration,
    /// To whom.
    pub target: Target,
    /// For how long it is down.
    pub down: Duration,
}

/// A process that is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One of the copies of the service is killed.
    Host(usize),
    /// PostgreSQL is stopped like in a crash.
    DatabaseCrash,
    /// PostgreSQL is stopped in an orderly way.
    DatabaseRestart,
    /// Every connection to PostgreSQL is cut.
    Connections,
    /// A peer goes down.
    Peer(Peer),
}

impl Plan {
    /// Draws a plan for so many orders, of which there must be at least one.
    pub fn draw(orders: usize, seed: u64) -> Plan {
        let mut random = StdRng::seed_from_u64(seed);
        let duration = Duration::from_millis(MS_PER_ORDER * orders as u64).max(Duration::from_secs(3));
        let hot_seats = (orders as i64 / 10).max(4);
        let (buyers, mut errands) = people::draw(&mut random, orders, hot_seats, duration);
        let hot = (0..hot_seats).map(|n| FIRST_HOT_SEAT + n);
        let own = errands.iter().flat_map(|errand| errand.seats.iter().copied());
        let mut seats: Vec<i64> = hot.chain(own.filter(|seat| *seat >= FIRST_OWN_SEAT)).collect();
        seats.sort_unstable();
        seats.dedup();
        let mut call_faults = faults::of_calls(&mut random, &buyers, orders);
        let callback_faults = faults::of_callbacks(&mut random, &buyers);
        let disturbances = faults::of_processes(&mut random, orders, duration);
        faults::aim_at_crashes(&mut random, &disturbances, &mut errands, &mut call_faults);
        errands.sort_by_key(|errand| errand.start);
        let price = |seat: i64| PRICES[(seat % PRICES.len() as i64) as usize];
        let seats = seats.into_iter().map(|seat| (seat, price(seat))).collect();
        Plan { seed, duration, buyers, errands, seats, call_faults, callback_faults, disturbances }
    }

    /// What each seat costs.
    pub fn prices_in_cents(&self) -> BTreeMap<i64, i64> {
        self.seats.iter().map(|(seat, price)| (*seat, cents(price))).collect()
    }
}

/// Cents of a price in whole units with up to two decimals.
fn cents(price: &str) -> i64 {
    let (whole, decimals) = price.split_once('.').unwrap_or((price, ""));
    format!("{whole}{decimals:0<2}").parse().unwrap_or_default()
}

/// Prices whose tax has to be rounded, and some that are awkward as binary fractions.
const PRICES: [&str; 7] = ["150.00", "99.99", "0.01", "75.25", "1234.57", "49.9", "20"];

/// True in so many of a hundred cases.
fn percent(random: &mut impl Rng, percent: u32) -> bool {
    random.random_range(0..100) < percent
}

/// A time between two numbers of milliseconds.
fn between(random: &mut impl Rng, from_ms: u64, to_ms: u64) -> Duration {
    Duration::from_millis(random.random_range(from_ms..=to_ms))
}

/// One of several, each as often as its weight says.
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

/// Whether charges in this mode call back before they are answered.
fn calls_back(mode: Mode) -> bool {
    matches!(mode, Mode::Succeed | Mode::Decline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        let shown = |seed| format!("{:?}", Plan::draw(200, seed));
        assert_eq!(shown(7), shown(7));
        assert_ne!(shown(7), shown(8));
    }

    #[test]
    fn prices_are_read_exactly() {
        let all = ["150.00", "0.01", "49.9", "20", "1234.57"].map(cents);
        assert_eq!(all, [15_000, 1, 4_990, 2_000, 123_457]);
    }

    #[test]
    fn a_plan_has_as_many_orders_as_were_asked_for() {
        for orders in [1, 2, 60, 2000] {
            let plan = Plan::draw(orders, 1);
            assert_eq!(plan.errands.len(), orders);
            assert!(plan.errands.iter().all(|errand| !errand.seats.is_empty()));
            assert!(plan.errands.iter().all(|errand| errand.start <= plan.duration));
        }
    }
}
