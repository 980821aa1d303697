//! The order's row: what the real domain's `Order` says, small enough to be explored.
//!
//! Every number is put into one of two classes: attempts are none or some, and a time is over or it is not. What no
//! decision depends on (names, amounts, the number of the version) is left out; [`Row::order`] makes it up.

use order_service::domain::ids::{OrderId, PaymentId};
use order_service::domain::money::{Amounts, TaxRate};
use order_service::domain::order::{
    Failure, FailureCode, Hold, Order, Payment, PaymentStatus, Phase, Status,
};
use order_service::domain::retry;
use order_service::domain::saga::{Due, Event, Refusal, Reservation, Tickets, Transition, Verdict};
use order_service::domain::seats::Item;
use std::sync::LazyLock;
use uuid::Uuid;

/// Which of the modelled orders.
pub type OrderIndex = usize;

/// What `due_at`, `watch_at` and `leased` say together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Nothing is due.
    Never,
    /// Somebody holds the order.
    Lease,
    /// A wait that ends by itself: a back-off, or none at all.
    Soon,
    /// When the order expires.
    Expiry,
    /// When nothing is in flight any more.
    Settled,
    /// At rest, with a payment to ask about.
    Watch,
}

/// The order's tickets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Issued {
    None,
    Valid,
    Void,
}

/// What `refund_again_at` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// No refund was accepted.
    Never,
    /// Payment has accepted it, and has time left.
    Waits,
    /// Its time is over.
    Over,
    /// Payment has answered the refund that was asked for once more: it is only watched.
    Repeated,
}

/// Which payment, seen from an order: its charge's, another one that the buyer made at the provider, or that of the other order's
/// charge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    Charged,
    Second,
    Others,
}

impl Which {
    /// Those that are the order's.
    pub const OWN: [Self; 2] = [Self::Charged, Self::Second];
    const ALL: [Self; 3] = [Self::Charged, Self::Second, Self::Others];

    pub fn id(self) -> PaymentId {
        PaymentId(Uuid::from_u128(7 + self as u128))
    }

    /// Which of them has this id.
    pub fn of(id: PaymentId) -> Self {
        Self::ALL.into_iter().find(|which| which.id() == id).expect("a known payment")
    }
}

/// An order's row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    pub placed: bool,
    pub status: Status,
    pub phase: Phase,
    pub hold: Hold,
    pub failure: Option<FailureCode>,
    pub priced: bool,
    /// It costs nothing.
    pub free: bool,
    pub payment: Option<PaymentStatus>,
    /// Which payment it is.
    pub which: Which,
    pub again: Again,
    pub tried: bool,
    pub expired: bool,
    pub lapsed: bool,
    pub in_flight: bool,
    pub given_up: bool,
    pub unsure: bool,
    pub when: When,
    pub tickets: Issued,
}

/// An event of the saga, without what no decision depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelEvent {
    Reserved {
        observed: bool,
        may_land: bool,
        free: bool,
    },
    ReservedDear,
    ReserveRefused {
        held_in_part: bool,
        may_land: bool,
    },
    EventCancelled,
    /// The charge's answer.
    Charged(PaymentStatus),
    /// The charge's answer, with a status that is not known.
    ChargedUnfamiliar,
    /// The charge has no answer.
    ChargeUnanswered,
    Paid(Which, PaymentStatus),
    PaidWithoutSeats(Which, PaymentStatus),
    ChargeRefused,
    Unsure,
    Unknown,
    /// Payment shows a status that is not known.
    Unfamiliar(Which),
    RefundAccepted,
    RefundPending,
    /// An operator's word on the charge's payment; none: no money was taken.
    Resolved(Option<PaymentStatus>),
    Allocated,
    SeatsLost {
        /// Seating has them for the order all the same.
        ours: bool,
    },
    HoldExpired,
    Released {
        settled: bool,
    },
    Silence {
        may_land: bool,
    },
    Cancel,
    Refund,
}

impl ModelEvent {
    /// The real event.
    pub fn event(self) -> Event {
        let payment = |which: Which, status| Payment { id: which.id(), status };
        match self {
            Self::Reserved { observed, may_land, free } => {
                let items = vec![Item { seat_id: 1, seat_code: None, price_cents: price_cents(free) }];
                Event::Reserved(Reservation { items, observed, may_land })
            }
            Self::ReservedDear => Event::ReservedBeyondRange,
            Self::ReserveRefused { held_in_part, may_land } => {
                let failure = Failure::new(FailureCode::SeatsUnavailable, String::new());
                Event::ReserveRefused(Refusal { failure, held_in_part, may_land })
            }
            Self::EventCancelled => Event::EventCancelled,
            Self::Charged(status) => Event::Charged(payment(Which::Charged, status)),
            Self::ChargedUnfamiliar => Event::PaymentUnfamiliar(Which::Charged.id()),
            Self::ChargeUnanswered => Event::NoAnswer { may_land: false },
            Self::Paid(which, status) => Event::PaymentIs(payment(which, status)),
            Self::PaidWithoutSeats(which, status) => Event::PaidWithoutSeats(payment(which, status)),
            Self::ChargeRefused => Event::ChargeRefused,
            Self::Unsure => Event::PaymentUnsure,
            Self::Unknown => Event::PaymentUnknown,
            Self::Unfamiliar(which) => Event::PaymentUnfamiliar(which.id()),
            Self::RefundAccepted => Event::RefundAccepted,
            Self::RefundPending => Event::RefundPending,
            Self::Resolved(said) => Event::Resolved(match said {
                Some(PaymentStatus::Success) => Verdict::Taken(Which::Charged.id()),
                Some(PaymentStatus::Refunded) => Verdict::Refunded(Which::Charged.id()),
                Some(PaymentStatus::Failed | PaymentStatus::Pending) | None => Verdict::NotTaken(None),
            }),
            Self::Allocated => Event::Allocated,
            Self::SeatsLost { .. } => Event::SeatsLost,
            Self::HoldExpired => Event::HoldExpired,
            Self::Released { settled } => Event::Released { settled },
            Self::Silence { may_land } => Event::NoAnswer { may_land },
            Self::Cancel => Event::CancelRequested,
            Self::Refund => Event::RefundRequested,
        }
    }
}

impl ModelEvent {
    /// The payment that it reports, if it does.
    pub fn reported(self) -> Option<(Which, PaymentStatus)> {
        match self {
            Self::Charged(status) => Some((Which::Charged, status)),
            Self::ChargedUnfamiliar => Some((Which::Charged, PaymentStatus::Pending)),
            Self::Unfamiliar(which) => Some((which, PaymentStatus::Pending)),
            Self::Paid(which, status) => Some((which, status)),
            _ => None,
        }
    }
}

/// The price of the seat.
fn price_cents(free: bool) -> i64 {
    if free { 0 } else { 15_000 }
}

/// The tax that the modelled service adds.
pub fn tax() -> TaxRate {
    static RATE: LazyLock<TaxRate> = LazyLock::new(|| TaxRate::parse("5").expect("a rate"));
    *RATE
}

impl Row {
    /// No such order yet.
    pub const ABSENT: Self = Self {
        placed: false,
        status: Status::Pending,
        phase: Phase::Reserving,
        hold: Hold::Nothing,
        failure: None,
        priced: false,
        free: false,
        payment: None,
        which: Which::Charged,
        again: Again::Never,
        tried: false,
        expired: false,
        lapsed: false,
        in_flight: false,
        given_up: false,
        unsure: false,
        when: When::Never,
        tickets: Issued::None,
    };

    /// What `insert_order` inserts.
    pub const PLACED: Self = Self { placed: true, when: When::Lease, ..Self::ABSENT };

    /// Whether the order is over, and was not confirmed.
    pub fn dead(&self) -> bool {
        matches!(self.status, Status::Cancelled | Status::Failed | Status::Refunded)
    }

    /// As a statement reads it: the `Order` on which the saga decides.
    pub fn order(&self) -> Order {
        let ms = |over: bool| if over { -1 } else { 1 };
        Order {
            id: OrderId(Uuid::nil()),
            version: 1,
            user_id: 1,
            event_id: 1,
            seats: vec![1],
            status: self.status,
            phase: self.phase,
            hold: self.hold,
            failure: self.failure.map(|code| Failure { code, detail: String::new() }),
            currency: String::new(),
            amounts: if self.priced { Amounts::of([price_cents(self.free)], tax()) } else { None },
            payment: self.payment.map(|status| Payment { id: self.which.id(), status }),
            attempts: u32::from(self.tried),
            lease: 1,
            expires_in_ms: ms(self.expired),
            hold_in_ms: ms(self.lapsed),
            in_flight_ms: ms(!self.in_flight),
            given_up: self.given_up,
            payment_unsure: self.unsure,
            phase_ms: 0,
            refund_again_in_ms: match self.again {
                Again::Never => None,
                Again::Waits => Some(1),
                Again::Over => Some(-1),
                Again::Repeated => Some(retry::REFUND_NEVER_MS as i64),
            },
            parked: false,
            trace: None,
        }
    }

    /// What `apply_transition` writes into the row, claims aside.
    pub fn write(&mut self, transition: &Transition) {
        let order = &transition.order;
        let resting = order.phase == Phase::Done;
        self.status = order.status;
        self.phase = order.phase;
        self.hold = order.hold;
        self.failure = order.failure.as_ref().map(|failure| failure.code);
        self.priced |= transition.items.is_some();
        self.free = order.amounts.is_some_and(|amounts| amounts.total_cents == 0);
        self.payment = order.payment.map(|payment| payment.status);
        self.which = order.payment.map_or(Which::Charged, |payment| Which::of(payment.id));
        self.again = match order.refund_again_in_ms {
            None => Again::Never,
            Some(left) if retry::refund_is_repeated(left) => Again::Repeated,
            Some(1..) => Again::Waits,
            Some(_) => Again::Over,
        };
        self.tried = order.attempts > 0;
        self.in_flight |= transition.in_flight;
        self.given_up = order.given_up;
        self.unsure = order.payment_unsure;
        if transition.renew_expiry {
            (self.expired, self.lapsed) = (false, false);
        }
        self.lapsed |= transition.hold_observed;
        self.when = match transition.due {
            Due::Never => When::Never,
            Due::Held => When::Lease,
            Due::Unchanged => self.when,
            Due::Now | Due::Backoff => When::Soon,
            Due::AtExpiry => When::Expiry,
            Due::Settled => When::Settled,
            Due::Watch => When::Watch,
        };
        debug_assert!(!resting || matches!(self.when, When::Never | When::Soon | When::Watch));
        self.tickets = match (transition.tickets, self.tickets) {
            (Tickets::Keep, kept) => kept,
            (Tickets::Issue, _) => Issued::Valid,
            (Tickets::Void, Issued::None) => Issued::None,
            (Tickets::Void, _) => Issued::Void,
        };
    }
}
