//! Second payments: payments beside an order's own, of which the first successful one is. Each goes back, once, when it succeeds.

use super::ids::PaymentId;
use super::order::{PaymentStatus, refund_is_accepted};
use super::retry;

/// A second payment that is not settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaymentRefund {
    /// The payment.
    pub payment: PaymentId,
    /// Attempts that were begun, this one included: a fencing token.
    pub attempts: u32,
    /// Milliseconds for which it has been known.
    pub age_ms: i64,
    /// Payment has accepted the refund: milliseconds until it is asked for again, which is done once: see
    /// [`retry::refund_again_ms`].
    pub again_in_ms: Option<i64>,
    /// It has taken no money yet, as far as is known.
    pub undecided: bool,
    /// An order has taken it for its own: its money must not go back here, and an operator hears.
    pub foreign: bool,
    /// An operator was alerted.
    pub parked: bool,
}

/// What Payment says, when it is asked about the payment or for its refund.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The payment's status.
    Is(PaymentStatus),
    /// A status that means "undecided" at best.
    Unfamiliar,
    /// The refund is accepted, and made later; or what was accepted before is refused.
    Accepted,
    /// Payment does not know the payment.
    Unknown,
    /// No answer, which says nothing; how long Payment asks to wait, in milliseconds.
    None(Option<u64>),
}

/// What comes of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// The money went back, or was never taken. The final status.
    Settled(PaymentStatus),
    /// The money is taken: ask for the refund now. The payment as it is from then on.
    Refund(PaymentRefund),
    /// Ask again later; the payment as it is from then on.
    Later(PaymentRefund),
}

/// Decides what an answer does. `asked_for`: it answers a request to refund, not a question about the payment.
pub fn next(refund: &PaymentRefund, answer: Answer, asked_for: bool) -> Next {
    let mut after = *refund;
    let is_accepted = refund_is_accepted(refund.again_in_ms);
    match answer {
        Answer::Is(status @ (PaymentStatus::Refunded | PaymentStatus::Failed)) => {
            return Next::Settled(status);
        }
        Answer::Is(PaymentStatus::Success) => {
            after.undecided = false;
            if is_accepted {
                after.parked = false;
            } else if refund.foreign {
                after.parked = true;
            } else if !asked_for {
                return Next::Refund(after);
            } else {
                // Refused, and still taken.
                after.parked |= refund.attempts >= retry::PARK_AFTER_ATTEMPTS;
            }
        }
        // What Payment could not tell before, it tells now. An accepted refund may take long.
        Answer::Is(PaymentStatus::Pending) => after.parked &= refund.again_in_ms.is_some(),
        Answer::Unfamiliar => {
            after.parked |= !is_accepted && retry::lasts(refund.attempts, refund.age_ms);
        }
        Answer::Accepted => {
            after.parked = false;
            after.undecided = false;
            after.again_in_ms = Some(retry::refund_again_ms(refund.again_in_ms));
        }
        // Only an operator can say what became of it.
        Answer::Unknown => after.parked = true,
        Answer::None(_) => after.parked |= refund.attempts >= retry::PARK_AFTER_ATTEMPTS,
    }
    // A day has passed, it was asked for once more, and is only watched: an operator hears until it is made.
    after.parked |= after.again_in_ms.is_some_and(retry::refund_is_repeated);
    Next::Later(after)
}

/// Milliseconds until Payment is asked again: the back-off or Payment's `Retry-After`; what is undecided or accepted, when half as
/// much time again has passed.
///
/// `jitter` is random, 0 to 255.
pub fn wait_ms(refund: &PaymentRefund, answer: Answer, jitter: u8) -> u64 {
    let backoff = retry::backoff_ms(refund.attempts, retry::order_backoff_cap_ms(refund.attempts), jitter);
    let age = u64::try_from(refund.age_ms).unwrap_or(0) / 2;
    match answer {
        Answer::None(asked) => backoff.max(asked.unwrap_or(0).min(retry::RETRY_AFTER_CAP_MS)),
        Answer::Is(PaymentStatus::Pending) | Answer::Unfamiliar if refund.undecided => {
            age.clamp(retry::WATCH_FIRST_MS, retry::WATCH_CAP_MS)
        }
        Answer::Is(_) | Answer::Unfamiliar | Answer::Accepted | Answer::Unknown => {
            backoff.max(age.min(retry::order_backoff_cap_ms(u32::MAX)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn refund() -> PaymentRefund {
        PaymentRefund {
            payment: PaymentId(Uuid::from_u128(8)),
            attempts: 1,
            age_ms: 0,
            again_in_ms: None,
            undecided: false,
            foreign: false,
            parked: false,
        }
    }

    fn later(from: PaymentRefund, answer: Answer) -> PaymentRefund {
        match next(&from, answer, true) {
            Next::Later(after) => after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn money_that_is_taken_is_asked_back_and_nothing_else_is() {
        use PaymentStatus::{Failed, Pending, Refunded, Success};
        let undecided = PaymentRefund { undecided: true, ..refund() };
        let taken = PaymentRefund { undecided: false, ..undecided };
        assert_eq!(next(&undecided, Answer::Is(Success), false), Next::Refund(taken));
        assert_eq!(next(&undecided, Answer::Is(Pending), false), Next::Later(undecided));
        for status in [Failed, Refunded] {
            assert_eq!(next(&undecided, Answer::Is(status), false), Next::Settled(status));
        }
    }

    #[test]
    fn an_accepted_refund_is_not_asked_for_again_until_a_day_has_passed() {
        let accepted = later(refund(), Answer::Accepted);
        assert!(!accepted.parked);
        let still_taken = Answer::Is(PaymentStatus::Success);
        assert_eq!(next(&accepted, still_taken, false), Next::Later(accepted));
        let silent_before = PaymentRefund { parked: true, ..accepted };
        assert_eq!(next(&silent_before, still_taken, false), Next::Later(accepted));
        let a_day_later = PaymentRefund { again_in_ms: Some(-1), ..accepted };
        assert_eq!(next(&a_day_later, still_taken, false), Next::Refund(a_day_later));
        assert_eq!(later(a_day_later, Answer::None(None)), a_day_later, "it has no answer yet");
        let repeated = later(a_day_later, Answer::Accepted);
        assert!(repeated.parked, "an operator hears of it");
        let years_later = PaymentRefund {
            again_in_ms: repeated.again_in_ms.map(|left| left - 10 * 365 * retry::REFUND_REPEAT_MS as i64),
            attempts: 10_000,
            parked: false,
            ..repeated
        };
        for shown in [PaymentStatus::Success, PaymentStatus::Pending] {
            let watched = PaymentRefund { parked: true, ..years_later };
            assert_eq!(
                next(&years_later, Answer::Is(shown), false),
                Next::Later(watched),
                "also when redriven"
            );
        }
    }

    #[test]
    fn a_payment_that_an_order_has_taken_for_its_own_is_left_to_an_operator() {
        let foreign = PaymentRefund { foreign: true, ..refund() };
        let parked = PaymentRefund { parked: true, ..foreign };
        let taken = Answer::Is(PaymentStatus::Success);
        assert_eq!(next(&foreign, taken, false), Next::Later(parked));
    }

    #[test]
    fn an_operator_hears_of_a_payment_that_payment_does_not_know_and_of_long_silence() {
        assert!(later(refund(), Answer::Unknown).parked);
        assert!(!later(refund(), Answer::None(None)).parked);
        let worn = PaymentRefund { attempts: retry::PARK_AFTER_ATTEMPTS, ..refund() };
        assert!(later(worn, Answer::None(None)).parked);
    }

    #[test]
    fn an_operator_hears_of_an_unfamiliar_status_that_lasts_until_payment_says_something_else() {
        let undecided = PaymentRefund { undecided: true, ..refund() };
        assert_eq!(later(undecided, Answer::Unfamiliar), undecided);
        for lasting in [
            PaymentRefund { attempts: retry::PARK_AFTER_ATTEMPTS, ..undecided },
            PaymentRefund { age_ms: 600_000, ..undecided },
        ] {
            let parked = later(lasting, Answer::Unfamiliar);
            assert!(parked.parked);
            assert_eq!(later(parked, Answer::Is(PaymentStatus::Pending)), lasting);
        }
        // An accepted refund has a day, whatever Payment shows meanwhile.
        let accepted = PaymentRefund { age_ms: 600_000, again_in_ms: Some(1), ..refund() };
        assert!(!later(accepted, Answer::Unfamiliar).parked);
        assert!(later(PaymentRefund { again_in_ms: Some(0), ..accepted }, Answer::Unfamiliar).parked);
    }

    #[test]
    fn the_wait_grows_and_heeds_what_payment_asks_for() {
        assert_eq!(wait_ms(&refund(), Answer::None(None), 0), 1_000);
        assert_eq!(wait_ms(&refund(), Answer::None(Some(30_000)), 0), 30_000);
        assert_eq!(wait_ms(&refund(), Answer::None(Some(u64::MAX)), 0), retry::RETRY_AFTER_CAP_MS);
        let undecided = PaymentRefund { undecided: true, age_ms: 3_600_000, ..refund() };
        assert_eq!(wait_ms(&undecided, Answer::Is(PaymentStatus::Pending), 0), 1_800_000);
        assert_eq!(wait_ms(&PaymentRefund { age_ms: 60_000, ..refund() }, Answer::Accepted, 0), 30_000);
    }
}
