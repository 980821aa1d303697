//! The state of the sandbox.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::call::About;
use super::callbacks::{CallbackRecord, Callbacks};
use super::catalog::Event;
use super::events::TakenEvent;
use super::faults::Faults;
use super::payment::{Chosen, Mode, Payment, RefundMode};
use super::record::Recorder;
use super::seating::Transactions;
use super::spans::Spans;
use super::user::Account;

/// What a seat may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum SeatStatus {
    Available,
    Reserved,
    Allocated,
    Blocked,
}

/// A seat. Times are milliseconds since 1970 in UTC; only the answers show them in Seating's own way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seat {
    pub id: i64,
    pub event_id: i64,
    pub seat_number: String,
    /// The price's JSON as it was given: tests need prices that no decimal type would keep as they are.
    pub price: Box<RawValue>,
    pub price_cents: Option<Box<RawValue>>,
    pub status: SeatStatus,
    pub reserved_by: Option<i64>,
    pub order_id: Option<String>,
    pub reserved_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
}

/// The sandbox's memory. What is not skipped survives in the state file.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct State {
    pub events: BTreeMap<i64, Event>,
    pub seats: HashMap<i64, Seat>,
    /// By name.
    #[serde(default)]
    pub accounts: BTreeMap<String, Account>,
    /// The seats that were ever allocated to an order.
    pub allocated: HashMap<String, BTreeSet<i64>>,
    /// By payment id.
    pub payments: HashMap<String, Payment>,
    /// Payment ids in the order in which the payments were made.
    #[serde(default)]
    pub payment_order: Vec<String>,
    /// Payment id by idempotency key.
    pub charge_keys: HashMap<String, String>,
    /// Which user and seats an order asked for, from its last reserve.
    orders: HashMap<String, (Option<i64>, Vec<i64>)>,
    /// Which order asked for a seat last.
    last_order: HashMap<i64, String>,
    #[serde(skip)]
    pub notifications: VecDeque<Value>,
    #[serde(skip)]
    pub events_taken: VecDeque<TakenEvent>,
    #[serde(skip)]
    pub spans: Spans,
    #[serde(skip)]
    pub callbacks: VecDeque<CallbackRecord>,
    #[serde(skip)]
    pub hold_ms: i64,
    /// How many calls, callbacks and notifications are remembered, of each.
    #[serde(skip)]
    pub remember: usize,
    #[serde(skip)]
    pub callback_rules: Callbacks,
    #[serde(skip)]
    pub modes: Chosen<Mode>,
    #[serde(skip)]
    pub refund_modes: Chosen<RefundMode>,
    #[serde(skip)]
    pub transactions: Transactions,
    #[serde(skip)]
    pub faults: Faults,
    #[serde(skip)]
    pub calls: Recorder,
    /// Counts the calls that may have changed something.
    #[serde(skip)]
    pub changes: u64,
}

impl State {
    /// Six events with seats. Event 101 and its seats 1, 2 and 3 at 150.00 are those of the walk in the README.
    pub fn seed() -> State {
        let mut state = State::default();
        let events = [
            (101, "Monsoon Symphony", "ON_SALE", 1..=500),
            (102, "Old Favourites", "SOLD_OUT", 701..=710),
            (103, "Cancelled Night", "CANCELLED", 801..=810),
            (104, "Chamber Music", "ON_SALE", 1001..=1200),
            (105, "Jazz at Noon", "ON_SALE", 2001..=2100),
            (106, "Open Air", "ON_SALE", 3001..=3500),
        ];
        for (id, title, status, seats) in events {
            state.events.insert(id, Event::new(id, title, status));
            let first = *seats.start();
            for seat in seats {
                let index = seat - first;
                // Rows of 25: A1 to A25, B1 and on. The front row costs 150.00.
                let row = char::from(b'A' + (index / 25) as u8);
                let price = ["150.00", "120.50", "99.99", "75.25", "49.90"][(index / 25 % 5) as usize];
                state.put_seat(Seat::new(seat, id, format!("{row}{}", index % 25 + 1), raw(price)));
            }
        }
        for (id, username, status) in
            [(101, "alice", "ACTIVE"), (102, "bob", "ACTIVE"), (103, "mallory", "SUSPENDED")]
        {
            state.put_account(Account::new(id, username, status));
        }
        if let Some(seat) = state.seats.get_mut(&1200) {
            seat.status = SeatStatus::Blocked;
        }
        state
    }

    /// The account of this name.
    pub fn account(&self, username: &str) -> Option<&Account> {
        self.accounts.get(username)
    }

    /// Adds or replaces an account.
    pub fn put_account(&mut self, account: Account) {
        self.accounts.insert(account.username.clone(), account);
    }

    /// Remembers an event that a sink has taken.
    pub fn keep_event(&mut self, event: TakenEvent) {
        if self.events_taken.len() >= self.remember {
            self.events_taken.pop_front();
        }
        self.events_taken.push_back(event);
    }

    /// Adds or replaces a seat.
    pub fn put_seat(&mut self, seat: Seat) {
        self.seats.insert(seat.id, seat);
    }

    /// Back to the seed. Where we call back, how long seats are held, how reserves are and how much is remembered, stays.
    pub fn reset(&mut self) {
        let (urls, hold, remember) = (self.callback_rules.take_urls(), self.hold_ms, self.remember);
        let transactions = std::mem::take(&mut self.transactions);
        *self = State::seed();
        (self.hold_ms, self.remember, self.transactions) = (hold, remember, transactions);
        self.callback_rules.set_urls(urls);
    }

    /// Remembers what an order's reserve was about.
    pub fn learn(&mut self, about: &About) {
        if let Some(order) = &about.order_id {
            for seat in &about.seat_ids {
                self.last_order.insert(*seat, order.clone());
            }
            self.orders.insert(order.clone(), (about.user_id, about.seat_ids.clone()));
        }
    }

    /// Adds what is known of the order that a call is about.
    pub fn complete(&self, about: &mut About) {
        let Some((user, seats)) = about.order_id.as_ref().and_then(|order| self.orders.get(order)) else {
            return;
        };
        about.user_id = *user;
        if about.seat_ids.is_empty() {
            about.seat_ids.clone_from(seats);
        }
    }

    /// The user whose order this is, if it ever asked for seats.
    pub fn user_of_order(&self, order: &str) -> Option<i64> {
        self.orders.get(order).and_then(|(user, _)| *user)
    }

    pub fn last_order_of(&self, seat: i64) -> Option<String> {
        self.last_order.get(&seat).cloned()
    }

    pub fn order_of_payment(&self, payment: &str) -> Option<String> {
        self.payments.get(payment).map(|payment| payment.order_id.clone())
    }

    /// The order's payments in the order in which they were made.
    pub fn payments_of(&self, order: &str) -> impl Iterator<Item = &Payment> {
        let all = self.payment_order.iter().filter_map(|id| self.payments.get(id));
        all.filter(move |payment| payment.order_id == order)
    }

    /// `None` when there is no such file.
    pub fn load(file: &Path) -> Result<Option<State>> {
        match std::fs::read_to_string(file) {
            Ok(text) => {
                serde_json::from_str(&text).map(Some).with_context(|| format!("reading {}", file.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
        }
    }

    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

impl Seat {
    /// A free seat.
    pub fn new(id: i64, event_id: i64, seat_number: String, price: Box<RawValue>) -> Seat {
        let now = now_ms();
        Seat {
            id,
            event_id,
            seat_number,
            price,
            price_cents: None,
            status: SeatStatus::Available,
            reserved_by: None,
            order_id: None,
            reserved_at: None,
            expires_at: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// A file that is read meanwhile is the old one or the new one, never a half.
pub(super) fn write_in_one_step(file: &Path, text: &str) -> Result<()> {
    let temporary = file.with_extension("json.new");
    std::fs::write(&temporary, text).with_context(|| format!("writing {}", temporary.display()))?;
    std::fs::rename(&temporary, file).with_context(|| format!("writing {}", file.display()))
}

/// JSON text that is known to be right.
pub(super) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Milliseconds since 1970 in UTC.
pub(crate) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// Microseconds since 1970 in UTC.
pub(super) fn now_us() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
