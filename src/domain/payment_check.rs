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
    /// Payment has shown the payment before, as one of the order.
    pub seen: bool,
    /// How often in a row Payment has not known the payment.
    pub unknown: u32,
    /// An operator was alerted.
    pub parked: bool,
}

/// What Payment says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// There is the payment, and it is of the order.
    Is(Payment),
    /// There is the payment, and it is of the order, in a status that means "undecided" at best.
    Unfamiliar(PaymentId),
    /// There is the payment, and it is of the order, but for another amount or in another currency. Its status.
    OtherAmount(PaymentStatus),
    /// It is another order's.
    NotTheOrders,
    /// Payment does not know it.
    Unknown,
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
        /// Payment has shown the payment now.
        seen: bool,
        /// How often in a row it has not known it.
        unknown: u32,
        /// An operator must hear of it.
        parked: bool,
    },
}

/// Decides what an answer does.
pub fn next(check: &PaymentCheck, order: &Order, answer: Answer) -> Next {
    use PaymentStatus::{Failed, Pending, Refunded, Success};
    let PaymentCheck { unknown, parked, .. } = *check;
    match answer {
        // What Payment could not tell before, it tells now.
        Answer::Is(Payment { id, status: Pending }) => undecided(order, id, false),
        Answer::Unfamiliar(id) => undecided(order, id, parked || retry::lasts(check.attempts, check.age_ms)),
        Answer::Is(payment) => Next::Report(payment),
        // Money of the order for which no rule says what to do.
        Answer::OtherAmount(Success | Pending) => Next::Later { seen: true, unknown: 0, parked: true },
        Answer::OtherAmount(Failed | Refunded) | Answer::NotTheOrders => Next::Close,
        Answer::Unknown => match unknown + 1 {
            retry::UNKNOWN_ANSWERS.. if !check.seen => Next::Close,
            // There was such a payment: only an operator can say what became of it.
            unknown => {
                let parked = parked || unknown >= retry::UNKNOWN_ANSWERS;
                Next::Later { seen: false, unknown, parked }
            }
        },
        Answer::None(_) => {
            let parked = parked || check.attempts >= retry::PARK_AFTER_ATTEMPTS;
            Next::Later { seen: false, unknown, parked }
        }
    }
}

/// The payment has taken no money yet.
fn undecided(order: &Order, id: PaymentId, parked: bool) -> Next {
    use PaymentStatus::{Pending, Refunded, Success};
    match order.payment {
        // The watch asks about the order's own.
        Some(own) if own.id == id => Next::Close,
        Some(Payment { status: Success | Refunded, .. }) => Next::Report(Payment { id, status: Pending }),
        // It may be the order's yet: only a decision tells.
        _ => Next::Later { seen: true, unknown: 0, parked },
    }
}

/// Milliseconds until Payment is asked again: the back-off or Payment's `Retry-After`; about a payment that is undecided, when half as
/// much time again has passed.
///
/// `jitter` is random, 0 to 255.
pub fn wait_ms(check: &PaymentCheck, answer: Answer, jitter: u8) -> u64 {
    match answer {
        Answer::Is(_) | Answer::Unfamiliar(_) | Answer::OtherAmount(_) | Answer::NotTheOrders => {
            let half = u64::try_from(check.age_ms).unwrap_or(0) / 2;
            half.clamp(retry::WATCH_FIRST_MS, retry::WATCH_CAP_MS)
        }
        Answer::Unknown => {
            let doubled = retry::UNKNOWN_FIRST_MS.saturating_mul(1 << check.unknown.min(20));
            doubled.min(retry::order_backoff_cap_ms(u32::MAX))
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
        PaymentCheck {
            id: 1,
            told: Some(OTHER),
            attempts: 1,
            age_ms: 0,
            seen: false,
            unknown: 0,
            parked: false,
        }
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
            trace: None,
        }
    }

    fn after(own: Option<PaymentStatus>, id: PaymentId, status: PaymentStatus) -> Next {
        next(&check(), &order(own), Answer::Is(Payment { id, status }))
    }

    /// Payment is asked later; whether an operator hears of it.
    fn later(check: &PaymentCheck, answer: Answer) -> Option<bool> {
        match next(check, &order(Some(PaymentStatus::Failed)), answer) {
            Next::Later { parked, .. } => Some(parked),
            Next::Report(_) | Next::Close => None,
        }
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
            let watched = Next::Later { seen: true, unknown: 0, parked: false };
            let undecided = if is_second { report(OTHER, Pending) } else { watched };
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
        assert_eq!(later(&check(), silence), Some(false));
        let worn = PaymentCheck { attempts: retry::PARK_AFTER_ATTEMPTS, ..check() };
        assert_eq!(later(&worn, silence), Some(true));
    }

    #[test]
    fn a_payment_that_payment_does_not_know_is_asked_about_for_some_minutes() {
        let order = order(Some(PaymentStatus::Success));
        let (mut unknown, mut waited) = (0, 0);
        loop {
            let check = PaymentCheck { unknown, ..check() };
            // In between, no answer says nothing.
            let silence = next(&check, &order, Answer::None(None));
            assert_eq!(silence, Next::Later { seen: false, unknown, parked: false });
            match next(&check, &order, Answer::Unknown) {
                Next::Later { seen: false, unknown: now, parked: false } => {
                    waited += wait_ms(&check, Answer::Unknown, 0);
                    unknown = now;
                }
                Next::Close => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((unknown, waited), (4, 225_000));
        // One that there was is not forgotten.
        let seen = PaymentCheck { seen: true, unknown, ..check() };
        assert_eq!(later(&seen, Answer::Unknown), Some(true));
        assert_eq!(wait_ms(&PaymentCheck { unknown: 99, ..seen }, Answer::Unknown, 0), 600_000);
    }

    #[test]
    fn an_operator_hears_of_money_of_another_amount_at_once_and_of_an_unfamiliar_status_that_lasts() {
        use PaymentStatus::{Failed, Pending, Refunded, Success};
        assert_eq!(later(&check(), Answer::OtherAmount(Success)), Some(true));
        assert_eq!(later(&check(), Answer::OtherAmount(Pending)), Some(true));
        for status in [Failed, Refunded] {
            assert_eq!(later(&check(), Answer::OtherAmount(status)), None);
        }
        let unfamiliar = Answer::Unfamiliar(OTHER);
        assert_eq!(later(&check(), unfamiliar), Some(false));
        let asked = PaymentCheck { attempts: retry::PARK_AFTER_ATTEMPTS, ..check() };
        for lasting in [asked, PaymentCheck { age_ms: 600_000, ..check() }] {
            assert_eq!(later(&lasting, unfamiliar), Some(true));
        }
        let parked = PaymentCheck { parked: true, ..check() };
        let pending = Answer::Is(Payment { id: OTHER, status: Pending });
        assert_eq!(later(&parked, pending), Some(false), "Payment tells it now");
        // What comes after the order's own goes by a row of its own, which is told of then.
        let report = Next::Report(Payment { id: OTHER, status: Pending });
        assert_eq!(next(&check(), &order(Some(Success)), unfamiliar), report);
        assert_eq!(next(&check(), &order(Some(Pending)), Answer::Unfamiliar(OWN)), Next::Close);
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
