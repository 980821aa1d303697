//! Checks: payments beside an order's own of which nobody knows yet whether there are any.
//!
//! A callback told of one when Payment could not be asked: Payment tells only once, so it is asked later. Or a charge had no answer
//! when a callback told of another payment: it is repeated under its key, because nothing else tells what it made.

use super::ids::PaymentId;
use super::order::{Order, Payment, PaymentStatus};
use super::retry;

/// The most checks of one order that callbacks make: anybody can send them.
pub const MOST: i32 = 8;

/// A check that is claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaymentCheck {
    /// Its id.
    pub id: i64,
    /// The payment that a callback told of; `None`: the one that the order's charge may have made.
    pub told: Option<PaymentId>,
    /// Attempts that were begun, this one included: a fencing token.
    pub attempts: u32,
    /// Milliseconds for which it has been open.
    pub age_ms: i64,
    /// An operator was alerted.
    pub parked: bool,
}

/// What Payment says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// There is the payment, and it is of the order.
    Is(Payment),
    /// It does not know the payment, or shows it as another order's.
    NotTheOrders,
    /// No answer, or a charge that is invalid, which says nothing of the attempt before; how long Payment asks to wait, in
    /// milliseconds.
    None(Option<u64>),
}

/// What comes of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It is news of the order like any other; then nothing is left to check.
    Report(Payment),
    /// Nothing is left to check.
    Close,
    /// Payment is asked again later.
    Later {
        /// An operator must hear of it.
        parked: bool,
    },
}

/// Decides what an answer does.
pub fn next(check: &PaymentCheck, order: &Order, answer: Answer) -> Next {
    use PaymentStatus::{Pending, Refunded, Success};
    match answer {
        // The watch asks about the order's own.
        Answer::Is(Payment { id, status: Pending }) if order.payment.is_some_and(|own| own.id == id) => {
            Next::Close
        }
        // It may be the order's yet: only a decision tells.
        Answer::Is(Payment { status: Pending, .. })
            if !matches!(order.payment_status(), Some(Success | Refunded)) =>
        {
            Next::Later { parked: check.parked }
        }
        Answer::Is(payment) => Next::Report(payment),
        Answer::NotTheOrders => Next::Close,
        Answer::None(_) => {
            Next::Later { parked: check.parked || check.attempts >= retry::PARK_AFTER_ATTEMPTS }
        }
    }
}

/// Milliseconds until Payment is asked again: the back-off or Payment's `Retry-After`; about a payment that is undecided, when half as
/// much time again has passed.
///
/// `jitter` is random, 0 to 255.
pub fn wait_ms(check: &PaymentCheck, answer: Answer, jitter: u8) -> u64 {
    match answer {
        Answer::Is(_) | Answer::NotTheOrders => {
            let half = u64::try_from(check.age_ms).unwrap_or(0) / 2;
            half.clamp(retry::WATCH_FIRST_MS, retry::WATCH_CAP_MS)
        }
        Answer::None(asked) => {
            let cap_ms = retry::order_backoff_cap_ms(check.attempts);
            let backoff = retry::backoff_ms(check.attempts, cap_ms, jitter);
            backoff.max(asked.unwrap_or(0).min(retry::RETRY_AFTER_CAP_MS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::OrderId;
    use crate::domain::order::{Hold, Phase, Status};
    use uuid::Uuid;

    const OWN: PaymentId = PaymentId(Uuid::from_u128(7));
    const OTHER: PaymentId = PaymentId(Uuid::from_u128(8));

    fn check() -> PaymentCheck {
        PaymentCheck { id: 1, told: Some(OTHER), attempts: 1, age_ms: 0, parked: false }
    }

    fn order(own: Option<PaymentStatus>) -> Order {
        Order {
            id: OrderId(Uuid::from_u128(1)),
            version: 1,
            user_id: 1,
            event_id: 1,
            seats: vec![1],
            status: Status::Confirmed,
            phase: Phase::Done,
            hold: Hold::Allocated,
            failure: None,
            currency: "INR".into(),
            amounts: None,
            payment: own.map(|status| Payment { id: OWN, status }),
            attempts: 0,
            lease: 1,
            expires_in_ms: 1,
            hold_in_ms: 1,
            in_flight_ms: 0,
            given_up: false,
            payment_unsure: false,
            refund_again_in_ms: None,
            phase_ms: 0,
            parked: false,
        }
    }

    fn after(own: Option<PaymentStatus>, id: PaymentId, status: PaymentStatus) -> Next {
        next(&check(), &order(own), Answer::Is(Payment { id, status }))
    }

    #[test]
    fn a_payment_of_the_order_is_news_once_it_is_decided_or_goes_back_in_any_case() {
        use PaymentStatus::{Failed, Pending, Refunded, Success};
        let report = |id, status| Next::Report(Payment { id, status });
        for own in [None, Some(Pending), Some(Failed), Some(Success), Some(Refunded)] {
            for status in [Success, Failed, Refunded] {
                assert_eq!(after(own, OTHER, status), report(OTHER, status), "{own:?}");
            }
            let is_second = matches!(own, Some(Success | Refunded));
            let undecided = if is_second { report(OTHER, Pending) } else { Next::Later { parked: false } };
            assert_eq!(after(own, OTHER, Pending), undecided, "{own:?}");
        }
        assert_eq!(after(Some(Pending), OWN, Pending), Next::Close);
        assert_eq!(after(Some(Pending), OWN, Success), report(OWN, Success));
    }

    #[test]
    fn what_is_no_payment_of_the_order_is_forgotten_and_silence_is_not() {
        let order = order(Some(PaymentStatus::Success));
        assert_eq!(next(&check(), &order, Answer::NotTheOrders), Next::Close);
        let silence = Answer::None(None);
        assert_eq!(next(&check(), &order, silence), Next::Later { parked: false });
        let worn = PaymentCheck { attempts: retry::PARK_AFTER_ATTEMPTS, ..check() };
        assert_eq!(next(&worn, &order, silence), Next::Later { parked: true });
    }

    #[test]
    fn the_wait_grows_and_heeds_what_payment_asks_for() {
        assert_eq!(wait_ms(&check(), Answer::None(None), 0), 1_000);
        assert_eq!(wait_ms(&PaymentCheck { attempts: 3, ..check() }, Answer::None(None), 0), 4_000);
        assert_eq!(wait_ms(&check(), Answer::None(Some(u64::MAX)), 0), retry::RETRY_AFTER_CAP_MS);
        let undecided = Answer::Is(Payment { id: OTHER, status: PaymentStatus::Pending });
        assert_eq!(wait_ms(&check(), undecided, 0), retry::WATCH_FIRST_MS);
        assert_eq!(wait_ms(&PaymentCheck { age_ms: 3_600_000, ..check() }, undecided, 0), 1_800_000);
    }
}
