//! What an order is: the part of its row on which decisions depend.

use super::ids::{OrderId, PaymentId};
use super::money::Amounts;
use serde::{Deserialize, Serialize};

/// Makes an enum whose variants have one written form, in the database, in JSON and in logs alike.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The written form.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// What a client acts on.
    Status {
        /// Placed, not yet paid for or not yet confirmed.
        Pending = "PENDING",
        /// Paid, tickets issued.
        Confirmed = "CONFIRMED",
        /// Given up by the buyer, or not paid in time.
        Cancelled = "CANCELLED",
        /// Refused: see the failure's code.
        Failed = "FAILED",
        /// The money went back.
        Refunded = "REFUNDED",
    }
}

words! {
    /// What the service still has to do. Every phase but `done` has exactly one next action.
    Phase {
        /// Ask Seating to hold the seats.
        Reserving = "reserving",
        /// Ask Payment for the money.
        Charging = "charging",
        /// Wait for Payment's callback until the order expires, then ask.
        AwaitingPayment = "awaiting_payment",
        /// Paid: make the held seats the buyer's.
        Allocating = "allocating",
        /// Give the money back.
        Refunding = "refunding",
        /// Give the seats back.
        Releasing = "releasing",
        /// Nothing.
        Done = "done",
    }
}

words! {
    /// What Payment says of a payment.
    PaymentStatus {
        /// Not decided yet.
        Pending = "PENDING",
        /// The money is taken.
        Success = "SUCCESS",
        /// No money was taken.
        Failed = "FAILED",
        /// The money went back.
        Refunded = "REFUNDED",
    }
}

words! {
    /// What Seating may hold for the order, and so what releasing has to look at.
    Hold {
        /// Nothing that we know of.
        Nothing = "none",
        /// The seats are reserved for the order's user, until our hold window is over.
        Reserved = "reserved",
        /// Allocation was asked for: Seating knows which seats are the order's.
        Allocated = "allocated",
    }
}

words! {
    /// Why an order failed or was cancelled: the `code` of the problem that a placing request is answered with.
    FailureCode {
        /// Another buyer has a seat.
        SeatsUnavailable = "seats_unavailable",
        /// A seat does not exist or is of another event.
        SeatNotFound = "seat_not_found",
        /// The total is beyond what can be charged.
        AmountOutOfRange = "amount_out_of_range",
        /// Payment refused the money.
        PaymentDeclined = "payment_declined",
        /// Not paid in time.
        Expired = "expired",
        /// Failed in the service that this one replaced, which kept no reason.
        OrderFailed = "order_failed",
    }
}

words! {
    /// The notifications of an order's life.
    MessageKind {
        /// Tickets are issued.
        OrderConfirmed = "ORDER_CONFIRMED",
        /// The order was refused.
        OrderFailed = "ORDER_FAILED",
        /// The order was given up or expired.
        OrderCancelled = "ORDER_CANCELLED",
        /// The money went back.
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
    /// A failure with its sentence.
    pub fn new(code: FailureCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// A payment as far as it concerns us.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Payment {
    /// Payment's id of it.
    pub id: PaymentId,
    /// Its state when we last heard.
    pub status: PaymentStatus,
}

/// An order as one statement read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its id, and the key under which it is charged.
    pub id: OrderId,
    /// Counts transitions: a store is refused when somebody else made one meanwhile.
    pub version: i32,
    /// The buyer.
    pub user_id: i32,
    /// The event.
    pub event_id: i32,
    /// The seats, ascending.
    pub seats: Vec<i32>,
    /// What a client acts on.
    pub status: Status,
    /// What is left to do.
    pub phase: Phase,
    /// What Seating may hold for it.
    pub hold: Hold,
    /// Set once the order failed, expired, or lost its seats.
    pub failure: Option<Failure>,
    /// ISO 4217 code of the amounts.
    pub currency: String,
    /// Known once the seats are reserved.
    pub amounts: Option<Amounts>,
    /// Known once Payment answered.
    pub payment: Option<Payment>,
    /// How often the phase's action was begun by somebody who then did not store an outcome, or had no answer.
    /// Zero: nobody before us has begun it.
    pub attempts: u32,
    /// Counts those who held the order: what came of an action counts only while nobody else has taken over.
    pub lease: i32,
    /// Milliseconds from when the row was read until the order expires; not positive when it has expired.
    pub expires_in_ms: i64,
    /// Milliseconds from when the row was read for which Seating surely still holds what it reserved for us.
    pub hold_in_ms: i64,
    /// Milliseconds from when the row was read for which a request to Seating that had no answer may still take effect.
    pub in_flight_ms: i64,
    /// Nobody wants seats for it any more: the buyer gave it up, or its seats are lost. Money that comes late goes back.
    pub given_up: bool,
    /// A callback came that could not be checked: what is known of the payment may be out of date.
    pub payment_unsure: bool,
    /// The operator was told that the phase's action has had no answer for long.
    pub parked: bool,
}

impl Order {
    /// Whether the time to pay is over.
    pub fn expired(&self) -> bool {
        self.expires_in_ms <= 0
    }

    /// Whether our hold window is over: Seating may have freed by itself what it reserved for us.
    pub fn hold_lapsed(&self) -> bool {
        self.hold_in_ms <= 0
    }

    /// The payment's status, if there is a payment.
    pub fn payment_status(&self) -> Option<PaymentStatus> {
        self.payment.map(|payment| payment.status)
    }

    /// Whether the money is taken and not given back.
    pub fn is_paid(&self) -> bool {
        self.payment_status() == Some(PaymentStatus::Success)
    }

    /// Whether a request to Seating may still take effect after we stopped waiting for its answer.
    pub fn in_flight(&self) -> bool {
        self.in_flight_ms > 0
    }

    /// Whether the order only expired: money that comes late is used if the seats are still to be had.
    pub fn may_revive(&self) -> bool {
        self.status == Status::Cancelled
            && !self.given_up
            && self.failure.as_ref().is_some_and(|f| f.code == FailureCode::Expired)
    }

    /// Whether an order at rest has a payment whose fate is not known: Payment is asked about it now and then.
    pub fn is_watched(&self) -> bool {
        self.phase == Phase::Done
            && self.payment.is_some()
            && (self.payment_unsure || self.payment_status() == Some(PaymentStatus::Pending))
    }
}
