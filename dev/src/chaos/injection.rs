//! The kinds of injected faults and client behaviours, and a counter for each.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// A fault of a peer, a callback or a process, or an unusual behaviour of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Injection {
    RequestLost,
    AnswerLost,
    FailedBefore,
    FailedAfter,
    BadGateway,
    GatewayNotFound,
    GatewayUnavailable,
    GatewayNotFoundLate,
    GatewayUnavailableLate,
    Garbage,
    AnswerLate,
    EffectLate,
    SeatsRefused,
    SerializationFailed,
    RefundRefused,
    CatalogRestarted,
    SeatingRestarted,
    PaymentRestarted,
    NotificationRestarted,
    EventLost,
    EventAnswerLost,
    EventFailed,
    EventRefused,
    EventsBusy,
    EventAnswerLate,
    EventTakenLate,
    EventBodyStalled,
    EventsRestarted,
    EventsAway,
    EventsGone,
    EventsSwitchedOn,
    CollectorFailed,
    CallbackDropped,
    CallbackRepeated,
    CallbackDelayed,
    CallbackReordered,
    CallbackEchoed,
    PaidLate,
    PaidAfterCancelledEvent,
    PaidTwice,
    NeverSettled,
    ChargedBack,
    HoldLapsed,
    HostKilled,
    DatabaseCrashed,
    DatabaseRestarted,
    ConnectionsCut,
    FailedOver,
    LongSnapshot,
    RequestRepeated,
    SentTwice,
    CallerHungUp,
    OrderFree,
    BodySlow,
    BodyHalf,
    Cancelled,
    CancelledTwice,
    RefundAsked,
    RefundAskedTwice,
    CancelAndRefund,
}

impl Injection {
    /// All kinds with their names, in the order of the report.
    pub const ALL: [(Injection, &'static str); 60] = [
        (Injection::RequestLost, "peer: connection closed before the effect"),
        (Injection::AnswerLost, "peer: connection closed after the effect"),
        (Injection::FailedBefore, "peer: 500 without effect"),
        (Injection::FailedAfter, "peer: 500 after the effect"),
        (Injection::BadGateway, "peer: 502 page, with effect or without"),
        (Injection::GatewayNotFound, "gateway: 404 page without effect"),
        (Injection::GatewayUnavailable, "gateway: 503 page without effect"),
        (Injection::GatewayNotFoundLate, "gateway: 404 page, effect later"),
        (Injection::GatewayUnavailableLate, "gateway: 503 page, effect later"),
        (Injection::Garbage, "peer: 200 with an unreadable body"),
        (Injection::AnswerLate, "peer: answer after the deadline"),
        (Injection::EffectLate, "peer: effect after the deadline"),
        (Injection::SeatsRefused, "peer: seats refused"),
        (Injection::SerializationFailed, "Seating: 500 of a reserve that overlapped another one"),
        (Injection::RefundRefused, "peer: refund refused"),
        (Injection::CatalogRestarted, "Catalog restarted"),
        (Injection::SeatingRestarted, "Seating restarted"),
        (Injection::PaymentRestarted, "Payment restarted"),
        (Injection::NotificationRestarted, "Notification restarted"),
        (Injection::EventLost, "event sink: connection closed before it took the event"),
        (Injection::EventAnswerLost, "event sink: connection closed after it took the event"),
        (Injection::EventFailed, "event sink: 500, 502 or 504, event taken or not"),
        (Injection::EventRefused, "event sink: 400, 404, 409 or 422"),
        (Injection::EventsBusy, "event sink: 429 or 503 with Retry-After"),
        (Injection::EventAnswerLate, "event sink: answer after the deadline"),
        (Injection::EventTakenLate, "event sink: event taken after the deadline"),
        (Injection::EventBodyStalled, "event sink: 200 whose body stalls"),
        (Injection::EventsRestarted, "event sink restarted"),
        (Injection::EventsAway, "event sink away for seconds"),
        (Injection::EventsGone, "event sink: 410, until the service switches it off"),
        (Injection::EventsSwitchedOn, "operator: switched the event sink on again"),
        (Injection::CollectorFailed, "collector of spans: 400, or 503 with Retry-After, some after 15 s"),
        (Injection::CallbackDropped, "callback dropped"),
        (Injection::CallbackRepeated, "callback duplicated"),
        (Injection::CallbackDelayed, "callback delayed"),
        (Injection::CallbackReordered, "callbacks in the wrong order"),
        (Injection::CallbackEchoed, "callback answered by a gateway, and the charge with its status"),
        (Injection::PaidLate, "paid after the order's time"),
        (
            Injection::PaidAfterCancelledEvent,
            "paid after the order's time, and after its event was cancelled",
        ),
        (Injection::PaidTwice, "second payment of an order"),
        (Injection::NeverSettled, "payment pending for good"),
        (Injection::ChargedBack, "charge-back"),
        (Injection::HoldLapsed, "hold lapsed while the payment was open"),
        (Injection::HostKilled, "host killed (SIGKILL)"),
        (Injection::DatabaseCrashed, "PostgreSQL crashed"),
        (Injection::DatabaseRestarted, "PostgreSQL restarted"),
        (Injection::ConnectionsCut, "PostgreSQL's connections cut"),
        (Injection::FailedOver, "PostgreSQL failed over to a synchronous standby"),
        (Injection::LongSnapshot, "a snapshot of the database that was held for long"),
        (Injection::RequestRepeated, "user: asked again after no answer"),
        (Injection::SentTwice, "user: sent the order to both copies"),
        (Injection::CallerHungUp, "user: hung up"),
        (Injection::OrderFree, "user: ordered seats that cost nothing"),
        (Injection::BodySlow, "user: sent the body slowly"),
        (Injection::BodyHalf, "user: sent half of the body, and waited"),
        (Injection::Cancelled, "user: cancelled"),
        (Injection::CancelledTwice, "user: cancelled twice at once"),
        (Injection::RefundAsked, "user: asked for a refund"),
        (Injection::RefundAskedTwice, "user: asked for a refund twice at once"),
        (Injection::CancelAndRefund, "user: cancelled and asked for a refund"),
    ];
}

/// Counts the injections by kind.
#[derive(Debug, Default)]
pub struct InjectionCounts(Mutex<BTreeMap<Injection, u64>>);

impl InjectionCounts {
    /// Counts one.
    pub fn add(&self, kind: Injection) {
        self.add_many(kind, 1);
    }

    /// Counts several.
    pub fn add_many(&self, kind: Injection, times: u64) {
        *self.lock().entry(kind).or_default() += times;
    }

    /// The count of one kind.
    pub fn count(&self, kind: Injection) -> u64 {
        self.lock().get(&kind).copied().unwrap_or(0)
    }

    /// The sum of all counts.
    pub fn total(&self) -> u64 {
        self.lock().values().sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Injection, u64>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_kind_once_and_in_order() {
        let injection: Vec<Injection> = Injection::ALL.iter().map(|(kind, _)| *kind).collect();
        assert!(injection.is_sorted_by(|a, b| a < b));
        assert_eq!(injection.last(), Some(&Injection::CancelAndRefund));
        assert_eq!(injection.len(), Injection::CancelAndRefund as usize + 1);
    }
}
