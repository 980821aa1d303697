//! The kinds of disturbance, and how often each really happened.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// What the campaign does to the service, its neighbours and its users' patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    RequestLost,
    AnswerLost,
    FailedBefore,
    FailedAfter,
    BadGateway,
    Garbage,
    AnswerLate,
    EffectLate,
    SeatsRefused,
    RefundRefused,
    CatalogRestarted,
    SeatingRestarted,
    PaymentRestarted,
    NotificationRestarted,
    CallbackDropped,
    CallbackRepeated,
    CallbackDelayed,
    CallbackReordered,
    PaidLate,
    NeverSettled,
    ChargedBack,
    HoldLapsed,
    HostKilled,
    DatabaseCrashed,
    DatabaseRestarted,
    ConnectionsCut,
    RequestRepeated,
    SentTwice,
    CallerHungUp,
    Cancelled,
    CancelledTwice,
    RefundAsked,
    RefundAskedTwice,
    CancelAndRefund,
}

impl Kind {
    /// All of them, with their names in the order of the table.
    pub const ALL: [(Kind, &'static str); 34] = [
        (Kind::RequestLost, "peer: connection closed before the effect"),
        (Kind::AnswerLost, "peer: connection closed after the effect"),
        (Kind::FailedBefore, "peer: 500 without effect"),
        (Kind::FailedAfter, "peer: 500 after the effect"),
        (Kind::BadGateway, "peer: 502 page, with effect or without"),
        (Kind::Garbage, "peer: 200 with an unreadable body"),
        (Kind::AnswerLate, "peer: answer after the deadline"),
        (Kind::EffectLate, "peer: effect after the deadline"),
        (Kind::SeatsRefused, "peer: seats refused"),
        (Kind::RefundRefused, "peer: refund refused"),
        (Kind::CatalogRestarted, "Catalog restarted"),
        (Kind::SeatingRestarted, "Seating restarted"),
        (Kind::PaymentRestarted, "Payment restarted"),
        (Kind::NotificationRestarted, "Notification restarted"),
        (Kind::CallbackDropped, "callback dropped"),
        (Kind::CallbackRepeated, "callback duplicated"),
        (Kind::CallbackDelayed, "callback delayed"),
        (Kind::CallbackReordered, "callbacks in the wrong order"),
        (Kind::PaidLate, "paid after the order's time"),
        (Kind::NeverSettled, "payment pending for good"),
        (Kind::ChargedBack, "charge-back"),
        (Kind::HoldLapsed, "hold lapsed while the payment was open"),
        (Kind::HostKilled, "host killed (SIGKILL)"),
        (Kind::DatabaseCrashed, "PostgreSQL crashed"),
        (Kind::DatabaseRestarted, "PostgreSQL restarted"),
        (Kind::ConnectionsCut, "PostgreSQL's connections cut"),
        (Kind::RequestRepeated, "user: asked again after no answer"),
        (Kind::SentTwice, "user: sent the order to both copies"),
        (Kind::CallerHungUp, "user: hung up"),
        (Kind::Cancelled, "user: cancelled"),
        (Kind::CancelledTwice, "user: cancelled twice at once"),
        (Kind::RefundAsked, "user: asked for a refund"),
        (Kind::RefundAskedTwice, "user: asked for a refund twice at once"),
        (Kind::CancelAndRefund, "user: cancelled and asked for a refund"),
    ];
}

/// How often each kind happened so far.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<Kind, u64>>);

impl Tally {
    /// It happened once more.
    pub fn add(&self, kind: Kind) {
        self.add_many(kind, 1);
    }

    /// It happened so many times more.
    pub fn add_many(&self, kind: Kind, times: u64) {
        *self.lock().entry(kind).or_default() += times;
    }

    /// How often it happened.
    pub fn count(&self, kind: Kind) -> u64 {
        self.lock().get(&kind).copied().unwrap_or(0)
    }

    /// How often anything happened.
    pub fn total(&self) -> u64 {
        self.lock().values().sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Kind, u64>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_kind_once_and_in_order() {
        let kinds: Vec<Kind> = Kind::ALL.iter().map(|(kind, _)| *kind).collect();
        assert!(kinds.is_sorted_by(|a, b| a < b));
        assert_eq!(kinds.last(), Some(&Kind::CancelAndRefund));
        assert_eq!(kinds.len(), Kind::CancelAndRefund as usize + 1);
    }
}
