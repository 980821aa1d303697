//! The saga of an order: every event in every phase, and what follows from it.
//!
//! [`next`] decides, and does nothing: a command loads the order, calls it, stores the [`Transition`] in one
//! statement, and performs the [`Action`] of the phase it has come to. Whatever a crash interrupts is found by the
//! sweep, which does the same.

use super::money::{Amounts, TaxRate};
use super::order::{Failure, FailureCode, Hold, MessageKind, Order, Payment, PaymentStatus, Phase, Status};
use super::retry;
use super::seats::Item;

/// Something that happened: a peer's answer to the phase's action, a client's wish, or news of the payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Seating holds the seats for us, at these prices.
    Reserved(Vec<Item>),
    /// Seating holds the seats for us at prices that cannot be charged.
    ReservedBeyondRange,
    /// Seating refused for good.
    ReserveRefused(Failure),
    /// What is true of the payment, whoever told: the charge's answer, a checked callback, or Payment when asked.
    PaymentIs(Payment),
    /// Money came for an order whose seats another live order has meanwhile.
    PaidWithoutSeats(Payment),
    /// Payment refused to charge, without making a payment.
    ChargeRefused,
    /// A callback came that could not be checked: Payment must be asked.
    PaymentUnsure,
    /// The seats are the buyer's.
    Allocated,
    /// The seats are not ours any more.
    SeatsLost,
    /// The seats that were ours are free.
    Released {
        /// Nothing that we had sent could still take effect when this was found.
        settled: bool,
    },
    /// The phase's action had no answer, which says nothing about its effect.
    NoAnswer {
        /// The request was sent to Seating and nobody answered it: it may still take effect.
        may_land: bool,
    },
    /// The buyer gives the order up.
    CancelRequested,
    /// The buyer wants the money back.
    RefundRequested,
}

impl Event {
    /// The type under which the journal keeps it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reserved(_) => "seats_reserved",
            Self::ReservedBeyondRange => "amount_out_of_range",
            Self::ReserveRefused(_) => "seats_refused",
            Self::PaymentIs(payment) => match payment.status {
                PaymentStatus::Pending => "payment_pending",
                PaymentStatus::Success => "payment_succeeded",
                PaymentStatus::Failed => "payment_failed",
                PaymentStatus::Refunded => "payment_refunded",
            },
            Self::PaidWithoutSeats(_) => "paid_without_seats",
            Self::ChargeRefused => "charge_refused",
            Self::PaymentUnsure => "payment_unsure",
            Self::Allocated => "seats_allocated",
            Self::SeatsLost => "seats_lost",
            Self::Released { .. } => "seats_released",
            Self::NoAnswer { .. } => "no_answer",
            Self::CancelRequested => "cancel_requested",
            Self::RefundRequested => "refund_requested",
        }
    }
}

/// Why an event changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejected {
    /// Repeated, late, or overtaken by the order's state.
    Stale,
    /// The order is past cancelling.
    NotCancellable,
    /// There is nothing to refund.
    NotRefundable,
    /// The order is paid for by another payment.
    OtherPayment,
}

/// When the order is due next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Nothing is left to do.
    Never,
    /// Whoever stores the transition performs the next action, and holds the order for the phase's lease.
    Held,
    /// Whoever holds the order now goes on holding it.
    Unchanged,
    /// At once, for the sweep.
    Now,
    /// After the back-off for the number of attempts.
    Backoff,
    /// When the order expires.
    AtExpiry,
    /// When no request of ours to Seating can take effect any more.
    Settled,
    /// At rest: Payment is asked about the payment when twice as much time has passed.
    Watch,
}

/// What becomes of the tickets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tickets {
    /// Nothing.
    Keep,
    /// One is issued for each seat.
    Issue,
    /// They let nobody in any more.
    Void,
}

/// What becomes of the order's claims on its seats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claims {
    /// Nothing.
    Keep,
    /// They are taken, where the order does not have them; refused when another live order has one of the seats.
    Take,
    /// They are given up.
    Drop,
}

/// Everything that one statement stores.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transition {
    /// The order afterwards; its version is still the one before.
    pub order: Order,
    /// When it is due.
    pub due: Due,
    /// The order's time to pay begins anew.
    pub renew_expiry: bool,
    /// A request to Seating may take effect from now on for as long as such requests may.
    pub in_flight: bool,
    /// Seats with prices, when they have just become known.
    pub items: Option<Vec<Item>>,
    /// What becomes of the tickets.
    pub tickets: Tickets,
    /// What becomes of the claims.
    pub claims: Claims,
    /// The notification that goes out with it.
    pub message: Option<MessageKind>,
}

/// The one thing to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Ask Seating for the seats.
    Reserve,
    /// A reserve may have happened: look at the seats, and ask again only if they are free.
    LookThenReserve,
    /// Ask Payment for the money, under the order's id as key: safe to repeat.
    Charge,
    /// Ask what became of the payment.
    AskPayment,
    /// Make the seats the buyer's.
    Allocate,
    /// An allocation may have happened: ask whose the seats are, and allocate only if it did not.
    AskThenAllocate,
    /// Give the money back.
    Refund,
    /// A refund may have happened: ask, and refund only if it did not.
    AskThenRefund,
    /// Free the seats that we have just held.
    Release,
    /// Find out which seats are still ours, and free those.
    LookThenRelease,
}

/// The next action of an order, none when it is done and its payment's fate is known.
pub fn action(order: &Order) -> Option<Action> {
    let first = order.attempts == 0;
    Some(match order.phase {
        Phase::Reserving if first => Action::Reserve,
        Phase::Reserving => Action::LookThenReserve,
        Phase::Charging => Action::Charge,
        Phase::AwaitingPayment => Action::AskPayment,
        Phase::Allocating if first => Action::Allocate,
        Phase::Allocating => Action::AskThenAllocate,
        Phase::Refunding if first => Action::Refund,
        Phase::Refunding => Action::AskThenRefund,
        Phase::Releasing
            if first && order.hold == Hold::Reserved && !order.expired() && !order.in_flight() =>
        {
            Action::Release
        }
        Phase::Releasing => Action::LookThenRelease,
        Phase::Done if order.is_watched() => Action::AskPayment,
        Phase::Done => return None,
    })
}

/// Decides what an event does to an order.
///
/// # Errors
/// A [`Rejected`] when it changes nothing.
pub fn next(order: &Order, event: &Event, tax: TaxRate) -> Result<Transition, Rejected> {
    if let (Event::PaymentIs(news) | Event::PaidWithoutSeats(news), Some(known)) = (event, order.payment)
        && news.id != known.id
    {
        return Err(Rejected::OtherPayment);
    }
    let transition = match (event, order.phase) {
        (Event::CancelRequested, _) => cancel(order),
        (Event::RefundRequested, _) => refund(order),
        (_, Phase::Reserving) => reserving(order, event, tax),
        (_, Phase::Charging) => charging(order, event),
        (_, Phase::AwaitingPayment) => awaiting_payment(order, event),
        (_, Phase::Allocating) => allocating(order, event),
        (_, Phase::Refunding) => refunding(order, event),
        (_, Phase::Releasing) => releasing(order, event),
        (_, Phase::Done) => done(order, event),
    };
    transition.map(Transition::at_rest)
}

fn reserving(order: &Order, event: &Event, tax: TaxRate) -> Result<Transition, Rejected> {
    match event {
        // A late payment's seats are held again, at the price that was paid.
        Event::Reserved(_) | Event::ReservedBeyondRange if order.is_paid() => {
            let wanted = order.status == Status::Pending || order.may_revive();
            let after = held(order);
            Ok(if wanted { after.enter(Phase::Allocating) } else { after.give_up_seats() })
        }
        Event::Reserved(items) => {
            let prices = items.iter().map(|item| item.price_cents);
            let Some(amounts) = Amounts::of(prices, tax) else {
                return Ok(beyond_range(order));
            };
            let mut after = held(order);
            if order.amounts.is_none() {
                after.order.amounts = Some(amounts);
                after.items = Some(items.clone());
            }
            // Cancelled meanwhile, or its money went back while the seats were held again: nothing to charge.
            let wanted = order.status == Status::Pending && order.payment.is_none();
            Ok(match wanted {
                // Nobody waits any more for an order whose reserve was in doubt until its time was over.
                true if order.expired() => after.expire().give_up_seats(),
                true => after.enter(Phase::Charging),
                false => after.give_up_seats(),
            })
        }
        Event::ReservedBeyondRange => Ok(beyond_range(order)),
        Event::ReserveRefused(failure) => Ok(seats_refused(start(order), failure.clone())),
        Event::NoAnswer { may_land } if !order.expired() => Ok(again(order, *may_land)),
        Event::NoAnswer { may_land } if order.is_paid() => {
            let gone = Failure::new(FailureCode::SeatsUnavailable, SEATS_GONE);
            Ok(seats_refused(start(order).may_land(*may_land), gone))
        }
        Event::NoAnswer { may_land } => Ok(start(order).may_land(*may_land).expire().give_up_seats()),
        // The money went back while its seats were being held again: nothing is left to pay, or to wait for.
        Event::PaymentIs(news) => {
            let mut after = record_payment(order, *news)?;
            if news.status == PaymentStatus::Refunded && order.status == Status::Pending {
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
        | Event::Released { .. }
        | Event::CancelRequested
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn charging(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        Event::PaymentIs(news) => Ok(payment_known(order, *news)),
        Event::ChargeRefused => Ok(start(order).decline().give_up_seats()),
        Event::NoAnswer { may_land } => Ok(again(order, *may_land)),
        Event::PaidWithoutSeats(_)
        | Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        // The charge is asked for again anyway.
        | Event::PaymentUnsure
        | Event::Allocated
        | Event::SeatsLost
        | Event::Released { .. }
        | Event::CancelRequested
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn awaiting_payment(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        Event::PaymentIs(news) => Ok(payment_known(order, *news)),
        Event::PaymentUnsure => {
            let mut after = start(order);
            after.due = Due::Now;
            Ok(after)
        }
        Event::PaidWithoutSeats(news) => paid_without_seats(order, *news),
        Event::NoAnswer { may_land } => Ok(again(order, *may_land)),
        Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::ChargeRefused
        | Event::Allocated
        | Event::SeatsLost
        | Event::Released { .. }
        | Event::CancelRequested
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn allocating(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        Event::Allocated => {
            let mut after = start(order).enter(Phase::Done);
            after.order.status = Status::Confirmed;
            after.order.failure = None;
            after.tickets = Tickets::Issue;
            after.message = Some(MessageKind::OrderConfirmed);
            Ok(after)
        }
        Event::SeatsLost => Ok(start(order).lose_seats()),
        Event::PaymentIs(news) if news.status == PaymentStatus::Refunded => {
            Ok(money_back(start(order).overtakes(), *news))
        }
        Event::PaymentUnsure => doubt_payment(order),
        Event::NoAnswer { may_land } => Ok(again(order, *may_land)),
        Event::PaidWithoutSeats(_)
        | Event::PaymentIs(_)
        | Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::ChargeRefused
        | Event::Released { .. }
        | Event::CancelRequested
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn refunding(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        Event::PaymentIs(news) => match news.status {
            PaymentStatus::Refunded => Ok(money_back(start(order), *news)),
            // The money was never taken after all, and there is nothing to give back; but what contradicts a payment
            // that was seen may be old news: it is asked about once the order is at rest.
            PaymentStatus::Failed => {
                let mut after = if order.status == Status::Confirmed {
                    money_back(start(order), *news)
                } else {
                    start(order).know(*news).decline().give_up_seats()
                };
                after.order.payment_unsure = true;
                Ok(after)
            }
            PaymentStatus::Success | PaymentStatus::Pending => Err(Rejected::Stale),
        },
        Event::NoAnswer { may_land } => Ok(again(order, *may_land)),
        Event::PaymentUnsure => doubt_payment(order),
        Event::PaidWithoutSeats(_)
        | Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::ChargeRefused
        | Event::Allocated
        | Event::SeatsLost
        | Event::Released { .. }
        | Event::CancelRequested
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn releasing(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        // A request that is still under way could touch the next buyer's hold: until none can, the claims are kept.
        Event::Released { settled } if !settled || order.in_flight() => {
            let mut after = start(order);
            after.order.attempts = order.attempts.max(1);
            after.due = Due::Settled;
            Ok(after)
        }
        Event::Released { .. } => Ok(start(order).seats_given_up()),
        // Beyond our hold window Seating frees reserved seats by itself.
        Event::NoAnswer { may_land: false }
            if order.hold_lapsed() && order.hold == Hold::Reserved && !order.in_flight() =>
        {
            Ok(start(order).seats_given_up())
        }
        Event::NoAnswer { may_land } => Ok(again(order, *may_land)),
        // News of the money waits until the seats are given up: a release under way could free them under a new hold.
        Event::PaymentIs(news) if order.payment.is_none() => {
            let mut after = start(order).know(*news);
            after.due = Due::Unchanged;
            Ok(after)
        }
        Event::PaymentIs(news) => record_payment(order, *news),
        Event::PaymentUnsure => doubt_payment(order),
        Event::PaidWithoutSeats(_)
        | Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::ChargeRefused
        | Event::Allocated
        | Event::SeatsLost
        | Event::CancelRequested
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

fn done(order: &Order, event: &Event) -> Result<Transition, Rejected> {
    match event {
        Event::PaymentIs(news) => match (order.status, news.status) {
            // A charge-back.
            (Status::Confirmed, PaymentStatus::Refunded) => {
                let mut after = money_back(start(order), *news);
                after.tickets = Tickets::Void;
                Ok(after)
            }
            // An order of the service that this one replaced, paid after all.
            (Status::Pending, PaymentStatus::Success) if order.seats.is_empty() => {
                Ok(start(order).know(*news).enter(Phase::Refunding))
            }
            (Status::Pending, PaymentStatus::Success) => {
                let mut after = start(order).know(*news).enter(Phase::Allocating);
                after.claims = Claims::Take;
                Ok(after)
            }
            (Status::Pending, PaymentStatus::Failed) => Ok(start(order).know(*news).decline()),
            (Status::Cancelled | Status::Failed | Status::Refunded, PaymentStatus::Success)
                if !matches!(
                    order.payment_status(),
                    Some(PaymentStatus::Success | PaymentStatus::Refunded)
                ) =>
            {
                Ok(start(order).know(*news).pay_back_or_hold_again())
            }
            (
                Status::Pending | Status::Confirmed | Status::Cancelled | Status::Failed | Status::Refunded,
                PaymentStatus::Pending
                | PaymentStatus::Success
                | PaymentStatus::Failed
                | PaymentStatus::Refunded,
            ) => record_payment(order, *news),
        },
        Event::PaidWithoutSeats(news) => paid_without_seats(order, *news),
        Event::PaymentUnsure => {
            let mut after = doubt_payment(order)?;
            after.due = Due::Now;
            Ok(after)
        }
        Event::NoAnswer { may_land } if order.is_watched() => {
            let mut after = again(order, *may_land);
            if !order.payment_unsure {
                // Nobody waits for it.
                after.due = Due::Watch;
            }
            Ok(after)
        }
        Event::Reserved(_)
        | Event::ReservedBeyondRange
        | Event::ReserveRefused(_)
        | Event::ChargeRefused
        | Event::Allocated
        | Event::SeatsLost
        | Event::Released { .. }
        | Event::NoAnswer { .. }
        | Event::CancelRequested
        | Event::RefundRequested => Err(Rejected::Stale),
    }
}

/// The buyer gives up. `CANCELLED` at once; where a charge may exist, the phase goes on until the money is known. Of an
/// order that has expired it is remembered, because its payment may still come.
fn cancel(order: &Order) -> Result<Transition, Rejected> {
    match order.status {
        Status::Pending => {}
        Status::Cancelled if order.may_revive() => {}
        Status::Cancelled => return Err(Rejected::Stale),
        Status::Confirmed | Status::Failed | Status::Refunded => return Err(Rejected::NotCancellable),
    }
    let mut after = start(order);
    after.due = Due::Unchanged;
    match order.phase {
        // Whoever is at the peer finds the order cancelled when it comes back, and undoes what it got.
        Phase::Reserving | Phase::Charging | Phase::Refunding | Phase::Releasing | Phase::Done => {}
        Phase::AwaitingPayment => after.due = Due::Held,
        Phase::Allocating => after = after.overtakes().enter(Phase::Refunding),
    }
    after.order.given_up = true;
    if order.status == Status::Pending {
        after.order.status = Status::Cancelled;
        after.order.failure = None;
        after.message = Some(MessageKind::OrderCancelled);
    }
    Ok(after)
}

/// The buyer wants the money back. The tickets are void from now on, so that nobody enters on money that is going back.
fn refund(order: &Order) -> Result<Transition, Rejected> {
    match (order.status, order.phase) {
        (Status::Confirmed, Phase::Done) if order.is_paid() => {
            let mut after = start(order).enter(Phase::Refunding);
            after.tickets = Tickets::Void;
            Ok(after)
        }
        (Status::Confirmed, Phase::Refunding) | (Status::Refunded, _) => Err(Rejected::Stale),
        (Status::Pending | Status::Confirmed | Status::Cancelled | Status::Failed, _) => {
            Err(Rejected::NotRefundable)
        }
    }
}

const SEATS_GONE: &str = "The seats were given to somebody else before the payment was complete.";
const NOT_PAID: &str = "The order was not paid in time.";
const DECLINED: &str = "The payment was declined.";
const TOO_MUCH: &str = "The total of the order is outside of what can be charged.";

/// The payment's fate is known while it is awaited.
fn payment_known(order: &Order, news: Payment) -> Transition {
    let after = start(order).know(news);
    let pending_order = order.status == Status::Pending;
    match news.status {
        // Paid at the last moment, when Seating may have freed the seats by itself.
        PaymentStatus::Success if pending_order && order.hold_lapsed() => after.hold_again(),
        PaymentStatus::Success if pending_order => after.enter(Phase::Allocating),
        PaymentStatus::Success => after.pay_back_or_hold_again(),
        PaymentStatus::Failed | PaymentStatus::Refunded => after.decline().give_up_seats(),
        PaymentStatus::Pending if pending_order && !order.expired() => after.enter(Phase::AwaitingPayment),
        // Charged too late to wait for it, or told at the last question: the callback may still come.
        PaymentStatus::Pending => after.expire().give_up_seats(),
    }
}

/// News of the payment that changes only what we know.
fn record_payment(order: &Order, news: Payment) -> Result<Transition, Rejected> {
    use PaymentStatus::{Failed, Pending, Refunded, Success};
    let advances = match (order.payment_status(), news.status) {
        (Some(Pending), Success | Failed | Refunded)
        | (Some(Failed), Success | Refunded)
        | (Some(Success), Refunded) => true,
        (None, _) | (Some(Pending), Pending) | (Some(Failed), Pending | Failed) => false,
        (Some(Success), Pending | Success | Failed) | (Some(Refunded), _) => false,
    };
    // An answer to the question about a payment that is watched is worth storing, even if it tells nothing new.
    let answers = order.is_watched() && order.payment_status() == Some(news.status);
    if !advances && !answers {
        return Err(Rejected::Stale);
    }
    let mut after = start(order).know(news);
    if answers {
        after.order.attempts = 0;
        after.order.parked = false;
    }
    after.due = Due::Unchanged;
    Ok(after)
}

/// A callback that could not be checked: where nobody is going to ask Payment, it is asked once the order is at rest.
fn doubt_payment(order: &Order) -> Result<Transition, Rejected> {
    if order.payment_unsure || matches!(order.payment_status(), None | Some(PaymentStatus::Refunded)) {
        return Err(Rejected::Stale);
    }
    let mut after = start(order);
    after.order.payment_unsure = true;
    after.due = Due::Unchanged;
    Ok(after)
}

/// The money went back, or was never taken.
fn money_back(after: Transition, news: Payment) -> Transition {
    let mut after = after.know(news);
    // What failed or was cancelled stays so, and its payment shows that the money went back.
    if matches!(after.order.status, Status::Pending | Status::Confirmed) {
        after.order.status = Status::Refunded;
    }
    after.message = Some(MessageKind::OrderRefunded);
    after.give_up_seats()
}

fn paid_without_seats(order: &Order, news: Payment) -> Result<Transition, Rejected> {
    if matches!(order.status, Status::Confirmed | Status::Refunded) {
        return Err(Rejected::Stale);
    }
    Ok(start(order).know(news).lose_seats())
}

fn seats_refused(mut after: Transition, failure: Failure) -> Transition {
    after.order.hold = Hold::Nothing;
    after.order.given_up |= after.order.is_paid();
    after.fail(failure).give_up_seats()
}

fn beyond_range(order: &Order) -> Transition {
    held(order).fail(Failure::new(FailureCode::AmountOutOfRange, TOO_MUCH)).give_up_seats()
}

/// The same action again, later. After many attempts the operator is told; the order stays due, so that it heals by
/// itself when the peer comes back.
fn again(order: &Order, may_land: bool) -> Transition {
    let mut after = start(order).may_land(may_land);
    // The sweep's claim counts an attempt as it begins; only the first holder's is not counted yet.
    after.order.attempts = order.attempts.max(1);
    after.order.parked |= after.order.attempts >= retry::PARK_AFTER_ATTEMPTS;
    after.due = Due::Backoff;
    after
}

/// The order as it is, with nothing changed yet.
fn start(order: &Order) -> Transition {
    Transition {
        order: order.clone(),
        due: if order.phase == Phase::Done { Due::Never } else { Due::Held },
        renew_expiry: false,
        in_flight: false,
        items: None,
        tickets: Tickets::Keep,
        claims: Claims::Keep,
        message: None,
    }
}

fn held(order: &Order) -> Transition {
    let mut after = start(order);
    after.order.hold = Hold::Reserved;
    after
}

impl Transition {
    fn enter(mut self, phase: Phase) -> Self {
        self.order.phase = phase;
        self.order.attempts = 0;
        self.order.parked = false;
        self.due = match phase {
            Phase::Done => Due::Never,
            Phase::AwaitingPayment => Due::AtExpiry,
            Phase::Reserving | Phase::Charging | Phase::Allocating | Phase::Refunding | Phase::Releasing => {
                Due::Held
            }
        };
        if phase == Phase::Allocating {
            // Before it is asked for: after a crash Seating must be asked which seats are ours.
            self.order.hold = Hold::Allocated;
        }
        self
    }

    /// At rest nothing is due, but for questions about a payment whose fate is not known.
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

    /// Notes that a request to Seating may still take effect.
    fn may_land(mut self, may_land: bool) -> Self {
        if may_land {
            self.in_flight = true;
            self.order.in_flight_ms = retry::IN_FLIGHT_MS as i64;
        }
        self
    }

    /// Notes that somebody may be at Seating at this moment, and may send requests for as long as the lease lasts.
    fn overtakes(mut self) -> Self {
        self.in_flight = true;
        self.order.in_flight_ms = (retry::lease_ms(self.order.phase) + retry::IN_FLIGHT_MS) as i64;
        self
    }

    fn know(mut self, news: Payment) -> Self {
        self.order.payment = Some(news);
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

    /// Ends a pending order; the status of any other is decided already.
    fn end(mut self, status: Status, failure: Failure, message: MessageKind) -> Self {
        if self.order.status == Status::Pending {
            self.order.status = status;
            self.order.failure = Some(failure);
            self.message = Some(message);
        }
        self
    }

    /// Paid, but the seats are somebody else's.
    fn lose_seats(mut self) -> Self {
        self.order.given_up = true;
        if self.order.status == Status::Pending {
            self.order.failure = Some(Failure::new(FailureCode::SeatsUnavailable, SEATS_GONE));
        }
        self.enter(Phase::Refunding)
    }

    /// On to releasing what Seating may hold; when it holds nothing of ours, and never will, past it.
    fn give_up_seats(mut self) -> Self {
        let in_flight = self.order.in_flight();
        if in_flight && self.order.hold == Hold::Nothing {
            self.order.hold = Hold::Reserved;
        }
        let lapsed = self.order.hold == Hold::Reserved && self.order.hold_lapsed() && !in_flight;
        if self.order.hold == Hold::Nothing || lapsed {
            self.seats_given_up()
        } else {
            self.enter(Phase::Releasing)
        }
    }

    /// The seats are no longer ours. Money that came meanwhile is dealt with now.
    fn seats_given_up(mut self) -> Self {
        self.order.hold = Hold::Nothing;
        if self.order.is_paid() && self.order.phase != Phase::Reserving {
            return self.pay_back_or_hold_again();
        }
        self.claims = Claims::Drop;
        if self.order.is_paid() { self.enter(Phase::Refunding) } else { self.enter(Phase::Done) }
    }

    /// Money for an order that is not wanted any more: if it only expired, the same seats are tried again; else the
    /// money goes back.
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
