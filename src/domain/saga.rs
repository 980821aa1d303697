//! The saga of an order, as a state machine: what every event does in every phase, compensations included.
//!
//! [`next`] decides and has no side effects: a command loads the order, calls it, stores the [`Transition`] in one
//! statement, and performs the [`Action`] of the new phase. What a crash interrupts is recovered by the sweep, by the same code.

use super::ids::PaymentId;
use super::money::{Amounts, TaxRate};
use super::order::{Failure, FailureCode, Hold, MessageKind, Order, Payment, PaymentStatus, Phase, Status};
use super::retry::{self, AskedWaits, Peer};
use super::seats::Item;

/// An event of the state machine: the outcome of the phase's action, a buyer's request, or a report of the payment's status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Seating has reserved the seats.
    Reserved(Reservation),
    /// Seating has reserved the seats, at prices that cannot be charged.
    ReservedBeyondRange,
    /// Seating refused the reservation for good.
    ReserveRefused(Refusal),
    /// Catalog shows the event as cancelled: nothing is reserved for a late payment.
    EventCancelled,
    /// The charge's answer: its payment.
    Charged(Payment),
    /// The payment's status, from any other trusted source: a verified callback, or Payment when asked.
    PaymentIs(Payment),
    /// Payment shows a status that means "undecided" at best: the payment is pending, and an operator hears of it if that lasts.
    PaymentUnfamiliar(PaymentId),
    /// The same, shown for the order's own payment when a callback was checked. Anybody can send callbacks: a second one changes nothing.
    CallbackUnfamiliar,
    /// The payment succeeded, but another live order has claimed the seats meanwhile.
    PaidWithoutSeats(Payment),
    /// Payment found the charge invalid: this attempt has made no payment.
    ChargeRefused,
    /// A callback could not be verified: Payment must be asked.
    PaymentUnsure,
    /// Payment does not know the payment any more.
    PaymentUnknown,
    /// Payment has accepted the refund, and makes it later; or refuses what it has accepted before, and has not made.
    RefundAccepted,
    /// Payment has not made the refund yet that it accepted.
    RefundPending,
    /// An operator's word, where Payment never gives one.
    Resolved(Verdict),
    /// The seats are allocated to the order.
    Allocated,
    /// The seats are somebody else's.
    SeatsLost,
    /// The hold is over, and the seats are free.
    HoldExpired,
    /// The order's seats are free.
    Released {
        /// No request of the order to Seating was in flight when this was found.
        settled: bool,
    },
    /// The phase's action had no answer, which says nothing about its effect.
    NoAnswer {
        /// In flight: the request was sent to Seating without an answer, and may still take effect.
        may_land: bool,
    },
    /// The buyer cancels.
    CancelRequested,
    /// The buyer requests a refund.
    RefundRequested,
}

/// Seats that Seating has reserved for the order's user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// The seats with their prices.
    pub items: Vec<Item>,
    /// Learnt by looking at the seats, and not from the answer to a reserve of the order: the hold may be older than the order, and
    /// may lapse at any time.
    pub observed: bool,
    /// In flight: an earlier reserve had no answer, and may still take effect.
    pub may_land: bool,
}

/// A reservation that Seating refused for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why.
    pub failure: Failure,
    /// A look has shown some of the seats to be reserved for the order's user, and not all of them.
    pub held_in_part: bool,
    /// In flight: an earlier reserve had no answer, and may still take effect.
    pub may_land: bool,
}

/// What an operator says of a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// No money was taken. With the payment, if there is one.
    NotTaken(Option<PaymentId>),
    /// The money was taken, by this payment.
    Taken(PaymentId),
    /// The money went back.
    Refunded(PaymentId),
}

impl Event {
    /// The event's type in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reserved(_) => "seats_reserved",
            Self::ReservedBeyondRange => "amount_out_of_range",
            Self::ReserveRefused(_) => "seats_refused",
            Self::EventCancelled => "event_cancelled",
            Self::Charged(payment) | Self::PaymentIs(payment) => match payment.status {
                PaymentStatus::Pending => "payment_pending",
                PaymentStatus::Success => "payment_succeeded",
                PaymentStatus::Failed => "payment_failed",
                PaymentStatus::Refunded => "payment_refunded",
            },
            Self::PaymentUnfamiliar(_) | Self::CallbackUnfamiliar => "payment_unfamiliar",
            Self::PaidWithoutSeats(_) => "paid_without_seats",
            Self::ChargeRefused => "charge_refused",
            Self::PaymentUnsure => "payment_unsure",
            Self::PaymentUnknown => "payment_unknown",
            Self::RefundAccepted => "refund_accepted",
            Self::RefundPending => "refund_pending",
            Self::Resolved(_) => "resolved",
            Self::Allocated => "seats_allocated",
            Self::SeatsLost => "seats_lost",
            Self::HoldExpired => "hold_expired",
            Self::Released { .. } => "seats_released",
            Self::NoAnswer { .. } => "no_answer",
            Self::CancelRequested => "cancel_requested",
            Self::RefundRequested => "refund_requested",
        }
    }

    /// The payment that it reports, if it does.
    pub const fn reported(&self) -> Option<Payment> {
        match self {
            Self::Charged(payment) | Self::PaymentIs(payment) | Self::PaidWithoutSeats(payment) => {
                Some(*payment)
            }
            Self::PaymentUnfamiliar(id) => Some(Payment { id: *id, status: PaymentStatus::Pending }),
            _ => None,
        }
    }
}

/// Why an event is rejected: it changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejected {
    /// A duplicate, or too late for the order's state.
    Stale,
    /// The order can no longer be cancelled.
    NotCancellable,
    /// There is nothing to refund.
    NotRefundable,
    /// The order has another payment, and this one has taken no money.
    OtherPayment,
    /// The order has another payment, which succeeded first: this one is refunded, now or when it succeeds.
    SecondPayment,
    /// Nothing about the order's payment is open.
    NotResolvable,
    /// The payment is another order's.
    ForeignPayment,
}

/// When the order is due next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Nothing is left to do.
    Never,
    /// Leased: the request that stores the transition performs the next action, and holds the order for the phase's lease.
    Held,
    /// The current lease and due time stay.
    Unchanged,
    /// At once, for the sweep.
    Now,
    /// After the exponential back-off for the number of attempts.
    Backoff,
    /// When the order expires.
    AtExpiry,
    /// When no request to Seating is in flight any more.
    Settled,
    /// Watch: at rest, Payment is asked about the payment, at intervals that double.
    Watch,
}

/// What a transition does to the tickets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tickets {
    /// Nothing.
    Keep,
    /// One is issued for each seat.
    Issue,
    /// They become invalid.
    Void,
}

/// What a transition does to the order's seat claims.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claims {
    /// Nothing.
    Keep,
    /// Missing claims are inserted; the transition fails when another live order has one of the seats.
    Take,
    /// They are deleted.
    Drop,
}

/// A transition of the state machine: everything that one statement stores.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transition {
    /// The order after the transition; its version is still the one before.
    pub order: Order,
    /// When the order is due next.
    pub due: Due,
    /// The time to pay and the hold window begin anew.
    pub renew_expiry: bool,
    /// The hold window is over at once, because nobody knows how old the hold is.
    pub hold_observed: bool,
    /// A request to Seating is in flight from now on, for `order.in_flight_ms`.
    pub in_flight: bool,
    /// Seats with prices in cents, when they have just become known.
    pub items: Option<Vec<Item>>,
    /// What it does to the tickets.
    pub tickets: Tickets,
    /// What it does to the seat claims.
    pub claims: Claims,
    /// The notification that is written to the outbox with it.
    pub message: Option<MessageKind>,
    /// A payment without money that another one has replaced: it is refunded if it succeeds after all.
    pub replaced: Option<Payment>,
    /// The order learns of a payment, and a charge without an answer may have made another one: it is repeated beside the order, as a
    /// check, until Payment tells.
    pub charge_open: bool,
}

/// The check of a charge: see [`super::payment_check`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChargeCheck {
    /// The charge must be repeated.
    Open,
    /// Its payment is known.
    Closed,
}

/// The next action of a phase, performed at a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Ask Seating for the seats.
    Reserve,
    /// A retry: a reserve may have taken effect. Look at the seats, and reserve only if they are free.
    LookThenReserve,
    /// Charge, with the order's id as idempotency key: safe to repeat.
    Charge,
    /// Ask Payment for the payment's status.
    AskPayment,
    /// Allocate the reserved seats to the order.
    Allocate,
    /// A retry: an allocation may have taken effect. Ask Seating for the order's seats, and allocate only if it did not.
    AskThenAllocate,
    /// The hold window is over, or its start is not known: whoever has reserved the seats, Seating would allocate them to the order.
    /// Look at the seats, and allocate only if they are still reserved for the order's user.
    LookThenAllocate,
    /// Refund the payment.
    Refund,
    /// A retry: a refund may have taken effect. Ask Payment, and refund only if it did not.
    AskThenRefund,
    /// Ask Payment whether it has made the refund that it accepted.
    AskRefund,
    /// Find out which seats are still the order's, and release those: Seating would release anybody's.
    LookThenRelease,
}

impl Action {
    /// The peer that it calls.
    pub const fn peer(self) -> Peer {
        match self {
            Self::Reserve
            | Self::LookThenReserve
            | Self::Allocate
            | Self::AskThenAllocate
            | Self::LookThenAllocate
            | Self::LookThenRelease => Peer::Seating,
            Self::Charge | Self::AskPayment | Self::Refund | Self::AskThenRefund | Self::AskRefund => {
                Peer::Payment
            }
        }
    }
}

/// Milliseconds for which the peer of an order's next action asks to be left alone; `None` when it may be called at once.
pub fn asked_wait_ms(order: &Order, asked: AskedWaits) -> Option<u64> {
    asked.left(action(order)?.peer())
}

/// The next action of an order; `None` when it is done and the final status of its payment is known.
pub fn action(order: &Order) -> Option<Action> {
    let first = order.attempts == 0;
    Some(match order.phase {
        Phase::Reserving if first => Action::Reserve,
        Phase::Reserving => Action::LookThenReserve,
        Phase::Charging => Action::Charge,
        Phase::AwaitingPayment => Action::AskPayment,
        Phase::Allocating if order.hold_lapsed() => Action::LookThenAllocate,
        Phase::Allocating if first => Action::Allocate,
        Phase::Allocating => Action::AskThenAllocate,
        Phase::Refunding if first => Action::Refund,
        Phase::Refunding if order.refund_is_accepted() => Action::AskRefund,
        Phase::Refunding => Action::AskThenRefund,
        Phase::Releasing => Action::LookThenRelease,
        Phase::Done if order.is_watched() => Action::AskPayment,
        Phase::Done => return None,
    })
}

/// The transition function of the state machine: decides what an event does to an order. `tax` applies when prices become known.
///
/// # Errors
/// A [`Rejected`] when the event changes nothing.
pub fn next(order: &Order, event: &Event, tax: TaxRate) -> Result<Transition, Rejected> {
    let replaced = replaces(order, event)?;
    let mut transition = match event {
        Event::Charged(payment) => decide(order, &Event::PaymentIs(*payment), tax)?,
        told => decide(order, told, tax)?,
    };
    transition.replaced = replaced;
    transition.charge_open = leaves_charge_open(order, event, &transition.order);
    Ok(transition.at_rest())
}

/// Whether somebody else than the charge tells of the order's payment, and an attempt at the charge may stay without an answer. An
/// operator's word ends the doubt.
fn leaves_charge_open(before: &Order, event: &Event, after: &Order) -> bool {
    let is_told = matches!(event, Event::PaymentIs(_) | Event::PaidWithoutSeats(_));
    is_told && before.charge_may_be_open() && after.payment.is_some()
}

/// Whether a reported payment may be the order's, when another one is known: the first that succeeds is. Returns the known one when
/// it is replaced.
fn replaces(order: &Order, event: &Event) -> Result<Option<Payment>, Rejected> {
    use PaymentStatus::{Failed, Pending, Refunded, Success};
    let Some(reported) = event.reported() else {
        return Ok(None);
    };
    if order.is_free() {
        return Err(Rejected::OtherPayment);
    }
    let Some(known) = order.payment.filter(|known| known.id != reported.id) else {
        return Ok(None);
    };
    match (known.status, reported.status) {
        (Pending | Failed, Success) => Ok(Some(known)),
        (Success | Refunded, Success | Pending) => Err(Rejected::SecondPayment),
        (Pending | Failed, Pending | Failed | Refunded) | (Success | Refunded, Failed | Refunded) => {
            Err(Rejected::OtherPayment)
        }
    }
}

/// What becomes of the check of a charge that a report of another payment has overtaken, once the charge's action has its outcome;
/// `None` when nothing does. `attempts`: those before this one; `rejected`: why the outcome changed nothing.
pub fn overtaken_charge(attempts: u32, outcome: &Event, rejected: Rejected) -> Option<ChargeCheck> {
    match (outcome, outcome.reported()) {
        (Event::NoAnswer { .. }, _) => Some(ChargeCheck::Open),
        // It may succeed yet, and nothing else remembers it.
        (_, Some(Payment { status: PaymentStatus::Pending, .. })) if rejected == Rejected::OtherPayment => {
            Some(ChargeCheck::Open)
        }
        (_, Some(_)) => Some(ChargeCheck::Closed),
        (Event::ChargeRefused, _) if attempts == 0 => Some(ChargeCheck::Closed),
        _ => None,
    }
}

fn decide(order: &Order, event: &Event, tax: TaxRate) -> Result<Transition, Rejected> {
    match (event, order.phase) {
        (Event::CancelRequested, _) => cancel(order),
        (Event::RefundRequested, _) => refund(order),
        (Event::Resolved(verdict), _) => resolve(order, *verdict, tax),
        (Event::PaymentUnfamiliar(id), _) => unfamiliar(order, *id, tax),
        (Event::CallbackUnfamiliar, _) => callback_unfamiliar(order),
        (_, Phase::Reserving) => reserving(order, event, tax),
        (_, Phase::Charging) => charging(order, event),
        (_, Phase::AwaitingPayment) => awaiting_payment(order, event),
        (_, Phase::Allocating) => allocating(order, event),
        (_, Phase::Refunding) => refunding(order, event),
        (_, Phase::Releasing) => releasing(order, event),
        (_, Phase::Done) => done(order, event),
    }
}

fn reserving(order: &Order, event: &Event, tax: TaxRate) -> Result<Transition, Rejected> {
    match event {
        // The seats of a late payment are reserved again, at the price that was paid.
        Event::Reserved(_) | Event::ReservedBeyondRange if order.is_paid() => {
            let after = with_hold(order, event);
            Ok(if order.is_wanted() { after.enter(Phase::Allocating) } else { after.give_up_seats() })
        }
        Event::Reserved(reservation) => {
            let prices = reservation.items.iter().map(|item| item.price_cents);
            let Some(amounts) = Amounts::of(prices, tax) else {
                return Ok(beyond_range(order, event));
            };
            let mut after = with_hold(order, event);
            if order.amounts.is_none() {
                after.order.amounts = Some(amounts);
                after.items = Some(reservation.items.clone());
            }
            // Cancelled meanwhile, or refunded while the seats were reserved again: nothing to charge.
            let wanted = order.status == Status::Pending && order.payment.is_none();
            Ok(match wanted {
                // The outcome of the reserve was unknown until the order expired: no client waits for it any more.
                true if order.expired() => after.expire().give_up_seats(),
                true if after.order.is_free() => after.enter(Phase::Allocating),
                true => after.enter(Phase::Charging),
                false => after.give_up_seats(),
            })
        }
        Event::ReservedBeyondRange => Ok(beyond_range(order, event)),
        Event::ReserveRefused(refusal) => {
            Ok(seats_refused(unchanged(order).may_land(refusal.may_land), refusal))
        }
        Event::EventCancelled if order.is_paid() => Ok(event_cancelled(order, event)),
        // The money is taken: the seats are lost on Seating's word, and not because there is none.
        Event::NoAnswer { may_land } if !order.expired() || order.is_paid() && order.is_wanted() => {
            Ok(retry_later(order, *may_land))
        }
        // Some reserve may have taken effect: the seats are looked at before the claims are dropped.
        Event::NoAnswer { may_land } => {
            let mut after = unchanged(order).may_land(*may_land).expire();
            after.order.hold = Hold::Reserved;
            after.order.given_up |= order.is_paid();
            Ok(after.give_up_seats())
        }
        // Refunded while its seats were being reserved again: the order ends.
        Event::PaymentIs(reported) => {
            let mut after = record_payment(order, *reported)?;
            if reported.status == PaymentStatus::Refunded && order.status == Status::Pending {
                after.order.status = Status::Refunded;
                after.message = Some(MessageKind::OrderRefunded);
            }
            Ok(after)
        }
        Event::PaymentUnsure => doubt_payment(order),
        Event::PaidWithoutSeats(_)
        | Event::ChargeRefused
        | Event::Allocated
        | Event::SeatsLost
        | Event::HoldExpired
        | Event::Released { .. }
        | Event::CancelRequested
        | Event::EventCancelled
        | Event::Charged(_)
        | Event::PaymentUnfamiliar(_)
        | Event::CallbackUnfamiliar
        | Event::PaymentUnknown
        | Event::RefundAccepted
        | Event::RefundPending
        | Event::Resolved(_)
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn charging(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        Event::PaymentIs(reported) => Ok(payment_known(order, *reported)),
        // Only where every attempt was refused is it known that there is no payment.
        Event::ChargeRefused if order.attempts == 0 && !order.charge_is_open() => {
            Ok(unchanged(order).decline().give_up_seats())
        }
        Event::ChargeRefused | Event::NoAnswer { .. } => Ok(charge_unanswered(order)),
        Event::PaidWithoutSeats(reported) => paid_without_seats(order, *reported),
        Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::EventCancelled
        // The charge is repeated anyway.
        | Event::PaymentUnsure
        | Event::Allocated
        | Event::SeatsLost
        | Event::HoldExpired
        | Event::Released { .. }
        | Event::CancelRequested
        | Event::Charged(_)
        | Event::PaymentUnfamiliar(_)
        | Event::CallbackUnfamiliar
        | Event::PaymentUnknown
        | Event::RefundAccepted
        | Event::RefundPending
        | Event::Resolved(_)
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn awaiting_payment(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        Event::PaymentIs(reported) => Ok(payment_known(order, *reported)),
        Event::PaymentUnsure => ask_soon(order),
        Event::PaidWithoutSeats(reported) => paid_without_seats(order, *reported),
        // Payment will not decide it any more.
        Event::PaymentUnknown if order.expired() || order.status != Status::Pending => {
            Ok(unchanged(order).in_doubt().expire().give_up_seats())
        }
        // Seating frees the seats by itself, and the order ends with them: the payment is asked about at rest.
        Event::NoAnswer { .. } if order.expired() && order.hold_lapsed() => {
            Ok(unchanged(order).in_doubt().expire().give_up_seats())
        }
        Event::PaymentUnknown => Ok(retry_later(order, false)),
        Event::NoAnswer { may_land } => Ok(retry_later(order, *may_land)),
        Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::EventCancelled
        | Event::ChargeRefused
        | Event::Allocated
        | Event::SeatsLost
        | Event::HoldExpired
        | Event::Released { .. }
        | Event::CancelRequested
        | Event::Charged(_)
        | Event::PaymentUnfamiliar(_)
        | Event::CallbackUnfamiliar
        | Event::RefundAccepted
        | Event::RefundPending
        | Event::Resolved(_)
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn allocating(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        Event::Allocated => {
            let mut after = unchanged(order).enter(Phase::Done);
            after.order.status = Status::Confirmed;
            after.order.failure = None;
            after.tickets = Tickets::Issue;
            after.message = Some(MessageKind::OrderConfirmed);
            Ok(after)
        }
        Event::SeatsLost => Ok(unchanged(order).lose_seats()),
        Event::HoldExpired => Ok(unchanged(order).hold_again()),
        Event::PaymentIs(reported) if reported.status == PaymentStatus::Refunded => {
            Ok(money_back(unchanged(order).overtakes(), *reported))
        }
        Event::PaymentUnsure => doubt_payment(order),
        Event::NoAnswer { may_land } => Ok(retry_later(order, *may_land)),
        Event::PaidWithoutSeats(_)
        | Event::PaymentIs(_)
        | Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::EventCancelled
        | Event::ChargeRefused
        | Event::Released { .. }
        | Event::CancelRequested
        | Event::Charged(_)
        | Event::PaymentUnfamiliar(_)
        | Event::CallbackUnfamiliar
        | Event::PaymentUnknown
        | Event::RefundAccepted
        | Event::RefundPending
        | Event::Resolved(_)
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn refunding(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        Event::PaymentIs(reported) => match reported.status {
            PaymentStatus::Refunded => Ok(money_back(unchanged(order), *reported)),
            // The money was never taken, and there is nothing to refund; but a report that contradicts an earlier one may be
            // out of date: Payment is asked once the order is at rest.
            PaymentStatus::Failed => {
                let mut after = if order.status == Status::Confirmed {
                    money_back(unchanged(order), *reported)
                } else {
                    unchanged(order).with_payment(*reported).decline().give_up_seats()
                };
                after.order.payment_unsure = true;
                Ok(after)
            }
            PaymentStatus::Success | PaymentStatus::Pending => Err(Rejected::Stale),
        },
        Event::NoAnswer { may_land } => Ok(retry_later(order, *may_land)),
        // Parked until an operator says what became of it.
        Event::PaymentUnknown => Ok(retry_later(order, false).park()),
        Event::RefundAccepted => Ok(refund_accepted(order)),
        Event::RefundPending => {
            let mut after = retry_later(order, false);
            // Payment has answered: it is parked neither for the number of its answers nor for its silence before.
            after.order.attempts = after.order.attempts.min(retry::PARK_AFTER_ATTEMPTS - 1);
            after.order.parked = order.refund_again_in_ms.is_some_and(retry::refund_is_repeated);
            Ok(after)
        }
        Event::PaymentUnsure => doubt_payment(order),
        Event::PaidWithoutSeats(_)
        | Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::EventCancelled
        | Event::ChargeRefused
        | Event::Allocated
        | Event::SeatsLost
        | Event::HoldExpired
        | Event::Released { .. }
        | Event::CancelRequested
        | Event::Charged(_)
        | Event::PaymentUnfamiliar(_)
        | Event::CallbackUnfamiliar
        | Event::Resolved(_)
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn releasing(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        // A request in flight could change the next buyer's hold: the claims are kept until none is.
        Event::Released { settled } if !settled || order.in_flight() => {
            let mut after = unchanged(order);
            after.order.attempts = order.attempts.max(1);
            after.due = Due::Settled;
            Ok(after)
        }
        Event::Released { .. } => Ok(unchanged(order).seats_given_up()),
        Event::NoAnswer { may_land } => Ok(retry_later(order, *may_land)),
        // A payment is acted on when the seats are released: a release in flight could free them under a new hold.
        Event::PaymentIs(reported) if order.payment.is_none() => {
            let mut after = unchanged(order).with_payment(*reported);
            after.due = Due::Unchanged;
            Ok(after)
        }
        Event::PaymentIs(reported) => record_payment(order, *reported),
        Event::PaymentUnsure => doubt_payment(order),
        Event::PaidWithoutSeats(_)
        | Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::EventCancelled
        | Event::ChargeRefused
        | Event::Allocated
        | Event::SeatsLost
        | Event::HoldExpired
        | Event::CancelRequested
        | Event::Charged(_)
        | Event::PaymentUnfamiliar(_)
        | Event::CallbackUnfamiliar
        | Event::PaymentUnknown
        | Event::RefundAccepted
        | Event::RefundPending
        | Event::Resolved(_)
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn done(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        Event::PaymentIs(reported) => match (order.status, reported.status) {
            // A charge-back.
            (Status::Confirmed, PaymentStatus::Refunded) => {
                let mut after = money_back(unchanged(order), *reported);
                after.tickets = Tickets::Void;
                Ok(after)
            }
            // An order of the service that this one replaced, paid after all.
            (Status::Pending, PaymentStatus::Success) if order.seats.is_empty() => {
                Ok(unchanged(order).with_payment(*reported).enter(Phase::Refunding))
            }
            (Status::Pending, PaymentStatus::Success) => {
                let mut after = unchanged(order).with_payment(*reported).enter(Phase::Allocating);
                after.claims = Claims::Take;
                Ok(after)
            }
            (Status::Pending, PaymentStatus::Failed) => {
                Ok(unchanged(order).with_payment(*reported).decline())
            }
            (Status::Cancelled | Status::Failed | Status::Refunded, PaymentStatus::Success)
                if !matches!(
                    order.payment_status(),
                    Some(PaymentStatus::Success | PaymentStatus::Refunded)
                ) =>
            {
                Ok(unchanged(order).with_payment(*reported).pay_back_or_hold_again())
            }
            // What a charge made of which an operator said that it took nothing: it is watched.
            (Status::Cancelled | Status::Failed, PaymentStatus::Pending) if order.payment.is_none() => {
                Ok(unchanged(order).with_payment(*reported))
            }
            (
                Status::Pending | Status::Confirmed | Status::Cancelled | Status::Failed | Status::Refunded,
                PaymentStatus::Pending
                | PaymentStatus::Success
                | PaymentStatus::Failed
                | PaymentStatus::Refunded,
            ) => record_payment(order, *reported),
        },
        Event::PaidWithoutSeats(reported) => paid_without_seats(order, *reported),
        Event::PaymentUnsure => ask_soon(order),
        Event::NoAnswer { may_land } if order.is_watched() => Ok(watch_later(order, *may_land)),
        // Only an operator can say what became of it.
        Event::PaymentUnknown if order.is_watched() => Ok(watch_later(order, false).park()),
        Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::EventCancelled
        | Event::ChargeRefused
        | Event::Allocated
        | Event::SeatsLost
        | Event::HoldExpired
        | Event::Released { .. }
        | Event::NoAnswer { .. }
        | Event::PaymentUnknown
        | Event::CancelRequested
        | Event::Charged(_)
        | Event::PaymentUnfamiliar(_)
        | Event::CallbackUnfamiliar
        | Event::RefundAccepted
        | Event::RefundPending
        | Event::Resolved(_)
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

/// The buyer cancels. `CANCELLED` at once; where a charge may exist, the phase goes on until the payment's status is known. A
/// cancel of an expired order is stored, because a late payment would revive it.
fn cancel(order: &Order) -> Result<Transition, Rejected> {
    match order.status {
        Status::Pending => {}
        Status::Cancelled if order.may_revive() => {}
        Status::Cancelled => return Err(Rejected::Stale),
        Status::Confirmed | Status::Failed | Status::Refunded => return Err(Rejected::NotCancellable),
    }
    let mut after = unchanged(order);
    after.due = Due::Unchanged;
    match order.phase {
        // The holder of the lease finds the order cancelled when its peer answers, and compensates.
        Phase::Reserving | Phase::Charging | Phase::Refunding | Phase::Releasing | Phase::Done => {}
        Phase::AwaitingPayment => after.due = Due::Held,
        Phase::Allocating => after = after.overtakes().pay_back(),
    }
    after.order.given_up = true;
    if order.status == Status::Pending {
        after.order.status = Status::Cancelled;
        after.order.failure = None;
        after.message = Some(MessageKind::OrderCancelled);
    }
    Ok(after)
}

/// The buyer requests a refund. The tickets are void at once, before the money is refunded.
fn refund(order: &Order) -> Result<Transition, Rejected> {
    match (order.status, order.phase) {
        (Status::Confirmed, Phase::Done) if order.is_paid() => {
            let mut after = unchanged(order).enter(Phase::Refunding);
            after.tickets = Tickets::Void;
            Ok(after)
        }
        (Status::Confirmed, Phase::Done) if order.is_free() => {
            let mut after = unchanged(order);
            after.order.status = Status::Refunded;
            after.tickets = Tickets::Void;
            after.message = Some(MessageKind::OrderRefunded);
            Ok(after.give_up_seats())
        }
        (Status::Confirmed, Phase::Refunding) | (Status::Refunded, _) => Err(Rejected::Stale),
        (Status::Pending | Status::Confirmed | Status::Cancelled | Status::Failed, _) => {
            Err(Rejected::NotRefundable)
        }
    }
}

/// An operator's word is news of the payment like any other; nothing is doubted any more. A success after "not taken" is refunded.
fn resolve(order: &Order, verdict: Verdict, tax: TaxRate) -> Result<Transition, Rejected> {
    if !order.is_resolvable() {
        return Err(Rejected::NotResolvable);
    }
    let known = order.payment.map(|known| known.id);
    let (id, status) = match verdict {
        Verdict::NotTaken(id) => (id.or(known), PaymentStatus::Failed),
        Verdict::Taken(id) => (Some(id), PaymentStatus::Success),
        Verdict::Refunded(id) => (Some(id), PaymentStatus::Refunded),
    };
    let mut after = match (id, order.phase) {
        (Some(id), _) => {
            let said = Event::PaymentIs(Payment { id, status });
            replaces(order, &said)
                .and_then(|_| decide(order, &said, tax))
                .map_err(|_| Rejected::NotResolvable)?
        }
        // There is no payment, and none will be made.
        (None, Phase::Charging) => {
            let mut after = unchanged(order);
            after.order.payment_unsure = false;
            after.decline().give_up_seats()
        }
        (None, _) => {
            let mut after = unchanged(order);
            after.due = Due::Unchanged;
            after
        }
    };
    after.order.payment_unsure = false;
    after.order.given_up |= status == PaymentStatus::Failed;
    Ok(after)
}

/// A status that is not known is undecided. An operator hears of it when nothing else is left to wait for.
fn unfamiliar(order: &Order, id: PaymentId, tax: TaxRate) -> Result<Transition, Rejected> {
    let pending = Event::PaymentIs(Payment { id, status: PaymentStatus::Pending });
    let after = decide(order, &pending, tax)?;
    if order.is_watched() {
        return Ok(after.park());
    }
    let has_ended = order.phase == Phase::AwaitingPayment && after.order.phase != Phase::AwaitingPayment;
    Ok(if has_ended { after.in_doubt() } else { after })
}

/// As [`unfamiliar`], told by a callback: the payment is in doubt until Payment is asked when the order is due anyway, so that a second
/// callback changes nothing. Of an order at rest that is parked an operator has heard; any other may be parked for its seats.
fn callback_unfamiliar(order: &Order) -> Result<Transition, Rejected> {
    if order.parked && order.is_watched() {
        return Err(Rejected::Stale);
    }
    let after = if order.phase == Phase::Done && !order.is_watched() {
        // Nobody would ask: the status may be that of a charge-back, for example.
        ask_soon(order)?
    } else {
        doubt_payment(order)?
    };
    Ok(if order.is_watched() { after.park() } else { after })
}

const SEATS_GONE: &str = "The seats were given to somebody else before the payment was complete.";
const EVENT_CANCELLED: &str = "The event was cancelled before the payment was complete.";
const NOT_PAID: &str = "The order was not paid in time.";
const DECLINED: &str = "The payment was declined.";
const AMOUNT_OUT_OF_RANGE: &str = "The total of the order is outside of what can be charged.";

/// A report of the payment's status while it is awaited.
fn payment_known(order: &Order, reported: Payment) -> Transition {
    let after = unchanged(order).with_payment(reported);
    let pending_order = order.status == Status::Pending;
    match reported.status {
        PaymentStatus::Success if pending_order => after.enter(Phase::Allocating),
        PaymentStatus::Success => after.pay_back_or_hold_again(),
        PaymentStatus::Failed | PaymentStatus::Refunded => after.decline().give_up_seats(),
        PaymentStatus::Pending if pending_order && !order.expired() => after.enter(Phase::AwaitingPayment),
        // Still pending when the order has expired: the callback may still come.
        PaymentStatus::Pending => after.expire().give_up_seats(),
    }
}

/// A report that changes only the known status of the payment, not the phase.
fn record_payment(order: &Order, reported: Payment) -> Result<Transition, Rejected> {
    use PaymentStatus::{Failed, Pending, Refunded, Success};
    let advances = match (order.payment_status(), reported.status) {
        (Some(Pending), Success | Failed | Refunded)
        | (Some(Failed), Success | Refunded)
        | (Some(Success), Refunded) => true,
        (None, _) | (Some(Pending), Pending) | (Some(Failed), Pending | Failed) => false,
        (Some(Success), Pending | Success | Failed) | (Some(Refunded), _) => false,
    };
    // An answer about a watched payment is stored even if the status is the same: it resets the attempts.
    let answers = order.is_watched() && order.payment_status() == Some(reported.status);
    if !advances && !answers {
        return Err(Rejected::Stale);
    }
    let mut after = unchanged(order).with_payment(reported);
    if answers {
        after.order.attempts = 0;
        after.order.parked = false;
    }
    after.due = Due::Unchanged;
    Ok(after)
}

/// A callback could not be verified: Payment is asked once the order is at rest.
fn doubt_payment(order: &Order) -> Result<Transition, Rejected> {
    if order.payment_unsure || matches!(order.payment_status(), None | Some(PaymentStatus::Refunded)) {
        return Err(Rejected::Stale);
    }
    let mut after = unchanged(order);
    after.order.payment_unsure = true;
    after.due = Due::Unchanged;
    Ok(after)
}

/// As [`doubt_payment`]; Payment is asked at once, unless it has given no answer before: then with the back-off.
fn ask_soon(order: &Order) -> Result<Transition, Rejected> {
    let mut after = doubt_payment(order)?;
    let is_asked_about = order.phase != Phase::Done || order.is_watched();
    if order.attempts == 0 || !is_asked_about {
        after.due = Due::Now;
    }
    Ok(after)
}

/// The money was refunded, or was never taken.
fn money_back(after: Transition, reported: Payment) -> Transition {
    let mut after = after.with_payment(reported);
    // An order that failed or was cancelled keeps its status; the payment's status shows the refund.
    if matches!(after.order.status, Status::Pending | Status::Confirmed) {
        after.order.status = Status::Refunded;
    }
    after.message = Some(MessageKind::OrderRefunded);
    after.give_up_seats()
}

fn paid_without_seats(order: &Order, reported: Payment) -> Result<Transition, Rejected> {
    if matches!(order.status, Status::Confirmed | Status::Refunded) {
        return Err(Rejected::Stale);
    }
    Ok(unchanged(order).with_payment(reported).lose_seats())
}

/// The claims of all seats stay until those that a look has shown to be held are released.
fn seats_refused(mut after: Transition, refusal: &Refusal) -> Transition {
    after.order.hold = if refusal.held_in_part { Hold::Reserved } else { Hold::Nothing };
    after.hold_observed = refusal.held_in_part;
    after.order.given_up |= after.order.is_paid();
    after.fail(refusal.failure.clone()).give_up_seats()
}

/// The money goes back. A reserve may have taken effect, also one of before the hold lapsed, after the look that showed the seats
/// free: they are looked at and released first.
fn event_cancelled(order: &Order, event: &Event) -> Transition {
    let mut after = with_hold(order, event);
    after.order.given_up = true;
    let mut after = after.fail(Failure::new(FailureCode::SeatsUnavailable, EVENT_CANCELLED)).give_up_seats();
    // Nobody has seen that they are the order's.
    after.order.attempts = 1;
    after
}

fn beyond_range(order: &Order, event: &Event) -> Transition {
    with_hold(order, event)
        .fail(Failure::new(FailureCode::AmountOutOfRange, AMOUNT_OUT_OF_RANGE))
        .give_up_seats()
}

/// The charge has no answer, which says nothing about the money. When the time to pay is over, or the buyer has cancelled, the order
/// ends and its seats are released; then the same charge is repeated without them.
fn charge_unanswered(order: &Order) -> Transition {
    let is_over = order.expired() || order.status != Status::Pending;
    let mut after = retry_later(order, false);
    if is_over && order.hold != Hold::Nothing {
        after = unchanged(order);
        after.order.payment_unsure = true;
        return after.expire().give_up_seats();
    }
    after.order.payment_unsure = true;
    after
}

/// Payment makes the refund later. It is asked for once more after a day, of which an operator hears, and then it is watched.
fn refund_accepted(order: &Order) -> Transition {
    let mut after = retry_later(order, false);
    after.order.attempts = 1;
    after.order.parked = order.refund_again_in_ms.is_some();
    after.order.refund_again_in_ms = Some(retry::refund_again_ms(order.refund_again_in_ms));
    after
}

/// At rest, Payment is asked later.
fn watch_later(order: &Order, may_land: bool) -> Transition {
    let mut after = retry_later(order, may_land);
    if !order.payment_unsure {
        // No client waits for it.
        after.due = Due::Watch;
    }
    after
}

/// Retries the same action after a back-off. After many attempts the order is parked, which alerts the operator; it stays due, so
/// that it recovers by itself when the peer is back.
fn retry_later(order: &Order, may_land: bool) -> Transition {
    let mut after = unchanged(order).may_land(may_land);
    // The sweep's claim counts an attempt when it begins; only the first attempt is not counted yet.
    after.order.attempts = order.attempts.max(1);
    after.order.parked |= after.order.attempts >= retry::PARK_AFTER_ATTEMPTS;
    after.due = Due::Backoff;
    after
}

/// A transition that changes nothing yet.
fn unchanged(order: &Order) -> Transition {
    Transition {
        order: order.clone(),
        due: if order.phase == Phase::Done { Due::Never } else { Due::Held },
        renew_expiry: false,
        hold_observed: false,
        in_flight: false,
        items: None,
        tickets: Tickets::Keep,
        claims: Claims::Keep,
        message: None,
        replaced: None,
        charge_open: false,
    }
}

/// Seating holds the seats. Only the answer to a reserve of the order tells since when: any other hold counts as over at once, so
/// that it is looked at before it is allocated.
fn with_hold(order: &Order, event: &Event) -> Transition {
    let (observed, may_land) = match event {
        Event::Reserved(reservation) => (reservation.observed, reservation.may_land),
        _ => (true, false),
    };
    let mut after = unchanged(order).may_land(may_land);
    after.order.hold = Hold::Reserved;
    after.hold_observed = observed;
    after
}

impl Transition {
    /// The transition when peers ask to be left alone: whoever stores it does not go on at once if it is the peer of the next action.
    pub fn after_asked_waits(mut self, asked: AskedWaits) -> Self {
        if self.due == Due::Held && asked_wait_ms(&self.order, asked).is_some() {
            self.due = Due::Backoff;
        }
        self
    }

    fn enter(mut self, phase: Phase) -> Self {
        self.order.phase = phase;
        self.order.attempts = 0;
        self.order.parked = false;
        self.order.refund_again_in_ms = None;
        self.order.phase_ms = 0;
        self.due = match phase {
            Phase::Done => Due::Never,
            Phase::AwaitingPayment => Due::AtExpiry,
            Phase::Reserving | Phase::Charging | Phase::Allocating | Phase::Refunding | Phase::Releasing => {
                Due::Held
            }
        };
        if phase == Phase::Allocating {
            // Intent is stored before the call: after a crash Seating must be asked which seats are allocated to the order.
            self.order.hold = Hold::Allocated;
        }
        self
    }

    /// At rest nothing is due, except for the watch of a payment whose final status is not known.
    fn at_rest(mut self) -> Self {
        if self.order.phase == Phase::Done {
            let watched = self.order.is_watched();
            self.order.parked &= watched;
            self.due = match self.due {
                _ if !watched => Due::Never,
                due @ (Due::Now | Due::Backoff) => due,
                Due::Never | Due::Held | Due::Unchanged | Due::AtExpiry | Due::Settled | Due::Watch => {
                    Due::Watch
                }
            };
        }
        self
    }

    /// Marks a request to Seating as in flight, if it may still take effect.
    fn may_land(mut self, may_land: bool) -> Self {
        if may_land {
            self.in_flight = true;
            self.order.in_flight_ms = retry::IN_FLIGHT_MS as i64;
        }
        self
    }

    /// Marks requests of the current lease's holder as in flight: it may send some to Seating until the lease is over.
    fn overtakes(mut self) -> Self {
        self.in_flight = true;
        self.order.in_flight_ms = (retry::lease_ms(self.order.phase) + retry::IN_FLIGHT_MS) as i64;
        self
    }

    /// The payment is asked about as soon as the order is at rest: what Payment shows then is the operator's.
    fn in_doubt(mut self) -> Self {
        self.order.payment_unsure = true;
        self
    }

    /// An operator must hear of it.
    fn park(mut self) -> Self {
        self.order.parked = true;
        self
    }

    fn with_payment(mut self, reported: Payment) -> Self {
        self.order.payment = Some(reported);
        self.order.payment_unsure = false;
        self
    }

    fn fail(self, failure: Failure) -> Self {
        self.end(Status::Failed, failure, MessageKind::OrderFailed)
    }

    fn decline(self) -> Self {
        self.fail(Failure::new(FailureCode::PaymentDeclined, DECLINED))
    }

    fn expire(self) -> Self {
        self.end(Status::Cancelled, Failure::new(FailureCode::Expired, NOT_PAID), MessageKind::OrderCancelled)
    }

    /// Ends a pending order with a failure; the status of any other is final already.
    fn end(mut self, status: Status, failure: Failure, message: MessageKind) -> Self {
        if self.order.status == Status::Pending {
            self.order.status = status;
            self.order.failure = Some(failure);
            self.message = Some(message);
        }
        self
    }

    /// Paid, but the seats belong to another order: refund.
    fn lose_seats(mut self) -> Self {
        self.order.given_up = true;
        let gone = Failure::new(FailureCode::SeatsUnavailable, SEATS_GONE);
        if self.order.is_free() {
            return self.fail(gone).give_up_seats();
        }
        if self.order.status == Status::Pending {
            self.order.failure = Some(gone);
        }
        self.enter(Phase::Refunding)
    }

    /// The money goes back, and then the seats are given up; for an order that costs nothing, at once.
    fn pay_back(self) -> Self {
        if self.order.is_free() { self.give_up_seats() } else { self.enter(Phase::Refunding) }
    }

    /// Compensates the reservation: releases what Seating may hold for the order. Skipped when it holds nothing and no request is
    /// in flight. Also after the hold window the claims stay until a look has shown whose the seats are.
    fn give_up_seats(mut self) -> Self {
        if self.order.in_flight() && self.order.hold == Hold::Nothing {
            self.order.hold = Hold::Reserved;
        }
        if self.order.hold == Hold::Nothing { self.seats_given_up() } else { self.enter(Phase::Releasing) }
    }

    /// The seats are released. A payment that succeeded meanwhile is acted on now.
    fn seats_given_up(mut self) -> Self {
        self.order.hold = Hold::Nothing;
        if self.order.is_paid() && self.order.phase != Phase::Reserving {
            return self.pay_back_or_hold_again();
        }
        self.claims = Claims::Drop;
        if self.order.is_paid() {
            self.enter(Phase::Refunding)
        } else if self.order.charge_is_open() {
            self.charge_again()
        } else {
            let mut after = self.enter(Phase::Done);
            if after.order.payment_unsure {
                after.due = Due::Backoff;
            }
            after
        }
    }

    /// The charge has had no answer yet: it is repeated under the same key, without a hold.
    fn charge_again(self) -> Self {
        let mut after = self.enter(Phase::Charging);
        after.order.attempts = 1;
        after.due = Due::Backoff;
        after
    }

    /// A payment for an order that has ended: if it expired, the same seats are reserved again; else the payment is refunded.
    fn pay_back_or_hold_again(mut self) -> Self {
        if !self.order.may_revive() {
            if self.order.hold == Hold::Nothing {
                self.claims = Claims::Drop;
            }
            return self.enter(Phase::Refunding);
        }
        self.hold_again()
    }

    fn hold_again(mut self) -> Self {
        self.claims = Claims::Take;
        self.renew_expiry = true;
        self.order.hold = Hold::Nothing;
        self.enter(Phase::Reserving)
    }
}

#[cfg(test)]
#[path = "saga_tests.rs"]
mod tests;
