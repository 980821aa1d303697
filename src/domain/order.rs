//! The order: the part of its row on which decisions depend.

use super::ids::{OrderId, PaymentId};
use super::money::Amounts;
use super::trace::StoredTrace;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Milliseconds within which a callback is about the charge that is under way: Payment calls back before it answers. For a later one
/// it is not known whether the charge has an answer.
pub const OWN_CALLBACK_MS: i64 = 1_000;

/// Declares an enum whose variants have one text form, the same in the database, in JSON and in logs.
macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The text form.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

text_enum! {
    /// The status of an order, which clients act on.
    Status {
        /// Placed, not yet paid for or not yet confirmed.
        Pending = "PENDING",
        /// Paid, tickets issued.
        Confirmed = "CONFIRMED",
        /// Cancelled by the buyer, or expired.
        Cancelled = "CANCELLED",
        /// Failed: see the failure's code.
        Failed = "FAILED",
        /// The money was refunded.
        Refunded = "REFUNDED",
    }
}

text_enum! {
    /// The state of the saga: what the service still has to do. Every phase but `done` has exactly one next action.
    Phase {
        /// Step 1: ask Seating to hold the seats.
        Reserving = "reserving",
        /// Step 2: ask Payment to charge.
        Charging = "charging",
        /// Wait for Payment's callback until the order expires, then ask Payment.
        AwaitingPayment = "awaiting_payment",
        /// Step 3, paid: ask Seating to allocate the held seats to the order.
        Allocating = "allocating",
        /// Compensation: refund the money.
        Refunding = "refunding",
        /// Compensation: release the seats.
        Releasing = "releasing",
        /// At rest: nothing is left to do.
        Done = "done",
    }
}

text_enum! {
    /// The status of a payment, as Payment reports it.
    PaymentStatus {
        /// Not decided yet.
        Pending = "PENDING",
        /// The money is taken.
        Success = "SUCCESS",
        /// No money was taken.
        Failed = "FAILED",
        /// The money was refunded, or charged back.
        Refunded = "REFUNDED",
    }
}

text_enum! {
    /// What Seating may hold for the order, and so what a release has to look at.
    Hold {
        /// Nothing, as far as is known.
        Nothing = "none",
        /// The seats are reserved for the order's user until the hold window is over.
        Reserved = "reserved",
        /// Allocation was requested: Seating can be asked which seats are allocated to the order.
        Allocated = "allocated",
    }
}

text_enum! {
    /// Why an order failed or was cancelled: the `code` of the problem that a placing request is answered with.
    FailureCode {
        /// Another buyer has a seat.
        SeatsUnavailable = "seats_unavailable",
        /// A seat does not exist or is of another event.
        SeatNotFound = "seat_not_found",
        /// The total cannot be charged: more than the largest amount.
        AmountOutOfRange = "amount_out_of_range",
        /// The payment was declined.
        PaymentDeclined = "payment_declined",
        /// Not paid in time.
        Expired = "expired",
        /// Failed in the service that this one replaced, which kept no reason.
        OrderFailed = "order_failed",
    }
}

text_enum! {
    /// The notifications of an order's life.
    MessageKind {
        /// Tickets are issued.
        OrderConfirmed = "ORDER_CONFIRMED",
        /// The order failed.
        OrderFailed = "ORDER_FAILED",
        /// The order was cancelled or expired.
        OrderCancelled = "ORDER_CANCELLED",
        /// The money was refunded.
        OrderRefunded = "ORDER_REFUNDED",
    }
}

/// Why an order failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// For machines.
    pub code: FailureCode,
    /// For people; shown to the buyer.
    pub detail: String,
}

impl Failure {
    /// A failure with its code and its sentence.
    pub fn new(code: FailureCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// A payment of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Payment {
    /// The id that Payment gave it.
    pub id: PaymentId,
    /// Its status as last reported.
    pub status: PaymentStatus,
}

impl Payment {
    /// Whether it has taken no money, or its money went back.
    pub fn is_without_money(&self) -> bool {
        matches!(self.status, PaymentStatus::Failed | PaymentStatus::Refunded)
    }
}

/// An order as one statement read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its id, and the idempotency key of its charge.
    pub id: OrderId,
    /// Optimistic concurrency: counts transitions. A store fails when a concurrent transition has been stored (version check).
    pub version: i32,
    /// The buyer.
    pub user_id: i32,
    /// The event.
    pub event_id: i32,
    /// The seats, ascending.
    pub seats: Vec<i32>,
    /// The status that clients see.
    pub status: Status,
    /// The state of the saga: what is left to do.
    pub phase: Phase,
    /// What Seating may hold for it.
    pub hold: Hold,
    /// Set once the order failed, expired, or lost its seats.
    pub failure: Option<Failure>,
    /// ISO 4217 code of the amounts.
    pub currency: String,
    /// Amounts in cents; known once the seats are reserved.
    pub amounts: Option<Amounts>,
    /// The payment; known once Payment answered.
    pub payment: Option<Payment>,
    /// Attempts at the phase's action that were begun and had no answer, or whose outcome was not stored. Zero: it was not begun
    /// before.
    pub attempts: u32,
    /// The number of the lease, a fencing token: the outcome of an action is stored only under the lease under which it was
    /// performed.
    pub lease: i32,
    /// Milliseconds from when the row was read until the order expires; not positive when it has expired.
    pub expires_in_ms: i64,
    /// The hold window: milliseconds from when the row was read for which Seating surely still holds the reserved seats. Only the
    /// answer to a reserve of the order opens it; a hold that was learnt by looking counts as over.
    pub hold_in_ms: i64,
    /// Milliseconds from when the row was read for which a request to Seating that had no answer may still take effect.
    pub in_flight_ms: i64,
    /// The order must not be revived: the buyer cancelled it, or its seats are lost. A late payment is refunded.
    pub given_up: bool,
    /// The payment is in doubt. A callback could not be verified: its known status may be out of date, and Payment is asked. While
    /// no payment is known: a charge has had no answer, and may have made one.
    pub payment_unsure: bool,
    /// Payment has accepted the refund, and makes it later. Milliseconds until it is asked for again, which is done once: see
    /// [`refund_again_ms`](super::retry::refund_again_ms).
    pub refund_again_in_ms: Option<i64>,
    /// Milliseconds for which it had been in its phase when the row was read.
    pub phase_ms: i64,
    /// Parked: the phase's action has had no answer for long, and the operator was alerted. Attempts go on.
    pub parked: bool,
    /// The trace of the request that placed it, if that was a part of one.
    pub trace: Option<StoredTrace>,
}

/// Whether Payment has accepted a refund, and has time left to make it. `again_in_ms`: until it is asked for again.
pub fn refund_is_accepted(again_in_ms: Option<i64>) -> bool {
    again_in_ms.is_some_and(|left| left > 0)
}

impl Order {
    /// The user whose order it is; an inherited order may have none.
    pub fn owner(&self) -> Option<i32> {
        Some(self.user_id).filter(|id| *id >= 1)
    }

    /// Whether the time to pay is over.
    pub fn expired(&self) -> bool {
        self.expires_in_ms <= 0
    }

    /// Whether the hold window is over, or its start is not known: Seating may have freed the reserved seats by itself, and somebody
    /// else may have reserved them.
    pub fn hold_lapsed(&self) -> bool {
        self.hold_in_ms <= 0
    }

    /// Notes that so much time has passed since the order was read. (What is in flight counts from then: that is the cautious side.)
    pub fn advance_clock(&mut self, passed: Duration) {
        let passed = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        self.expires_in_ms = self.expires_in_ms.saturating_sub(passed);
        self.hold_in_ms = self.hold_in_ms.saturating_sub(passed);
    }

    /// The payment's status, if there is a payment.
    pub fn payment_status(&self) -> Option<PaymentStatus> {
        self.payment.map(|payment| payment.status)
    }

    /// Whether the money is taken and not refunded.
    pub fn is_paid(&self) -> bool {
        self.payment_status() == Some(PaymentStatus::Success)
    }

    /// Whether it costs nothing: it is confirmed without a charge, and Payment is never asked.
    pub fn is_free(&self) -> bool {
        let at_rest_unpaid = self.phase == Phase::Done && self.status == Status::Pending;
        self.payment.is_none()
            && !at_rest_unpaid
            && self.amounts.is_some_and(|amounts| amounts.total_cents == 0)
    }

    /// Whether a charge has had no answer: there may be a payment that is not known.
    pub fn charge_is_open(&self) -> bool {
        self.payment.is_none() && self.payment_unsure
    }

    /// Whether an attempt at the charge may end, or have ended, without an answer, when somebody else tells of a payment. Payment
    /// calls back about the charge's own within a moment; nobody pays once more in so short a time.
    pub fn charge_may_be_open(&self) -> bool {
        let is_doubtful = self.attempts > 0 || self.phase_ms >= OWN_CALLBACK_MS;
        self.charge_is_open() || self.phase == Phase::Charging && self.payment.is_none() && is_doubtful
    }

    /// The order as it is once its charge has had an answer.
    pub fn with_answered_charge(self) -> Self {
        let is_charging = self.phase == Phase::Charging;
        let (attempts, phase_ms) = if is_charging { (0, 0) } else { (self.attempts, self.phase_ms) };
        Self { payment_unsure: self.payment_unsure && self.payment.is_some(), attempts, phase_ms, ..self }
    }

    /// Whether Payment has accepted the refund, and has time left to make it.
    pub fn refund_is_accepted(&self) -> bool {
        refund_is_accepted(self.refund_again_in_ms)
    }

    /// Whether something about its payment is open that an operator may decide, where Payment does not.
    pub fn is_resolvable(&self) -> bool {
        matches!(self.phase, Phase::Charging | Phase::Refunding)
            || self.payment_unsure
            || self.payment_status() == Some(PaymentStatus::Pending)
    }

    /// Whether a request to Seating is in flight: it timed out, and may still take effect.
    pub fn in_flight(&self) -> bool {
        self.in_flight_ms > 0
    }

    /// Whether a late payment revives the order, if its seats are still available: it expired, and was not cancelled by the buyer.
    pub fn may_revive(&self) -> bool {
        self.status == Status::Cancelled
            && !self.given_up
            && self.failure.as_ref().is_some_and(|f| f.code == FailureCode::Expired)
    }

    /// Whether its seats are still to be allocated once it is paid.
    pub fn is_wanted(&self) -> bool {
        self.status == Status::Pending || self.may_revive()
    }

    /// Watch: whether an order at rest has a payment whose final status is not known. Payment is asked about it at growing
    /// intervals.
    pub fn is_watched(&self) -> bool {
        self.phase == Phase::Done
            && self.payment.is_some()
            && (self.payment_unsure || self.payment_status() == Some(PaymentStatus::Pending))
    }
}
