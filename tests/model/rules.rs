//! What is explored, and the rules that hold: the saga's, and without one of them in a negative control.

use super::order::{Again, ModelEvent, Row, Which, tax};
use super::state::Budget;
use order_service::domain::order::{Hold, OWN_CALLBACK_MS, PaymentStatus, Phase};
use order_service::domain::saga::{self, Action, Claims, Rejected, Transition};

/// Declares the rules, and the list of all of them.
macro_rules! guards {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// A rule that a negative control leaves out.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Guard { $($(#[$doc])* $name),+ }

        impl Guard {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

guards! {
    /// A store is refused when the version has moved on.
    Version,
    /// No answer of the charge is not a refusal.
    SilenceSaysNothing,
    /// Claims are kept while a request may land.
    InFlight,
    /// A refund is repeated only after Payment was asked.
    AskBeforeRefund,
    /// A cancel of an order that expired is remembered.
    GivenUp,
    /// A sweep that takes over a lease counts the lost holder's request as in flight.
    LeaseCountsAsFlight,
    /// What came of an action counts only while its holder still has the order's lease.
    Lease,
    /// That nothing is held any more must be seen after nothing is in flight any more.
    LookAfterFlight,
    /// A cancel that overtakes an allocation waits for whoever is at it, and not only for what it has sent.
    OvertakenForTheLease,
    /// A hold that was learnt by looking counts as over at once.
    ObservedIsOver,
    /// A hold that is over is looked at before it is allocated.
    LookBeforeAllocate,
    /// Seats are looked at before they are released.
    LookBeforeRelease,
    /// Claims are kept until a look has shown whose the seats are.
    ClaimsUntilALook,
    /// Of a reservation that is refused, what a look has shown to be held is released before the claims are dropped.
    HeldInPart,
    /// What a gateway answers for Seating is no answer.
    OwnAnswers,
    /// Seats whose allocation is refused are lost only when Seating's list does not have them either ...
    ListBeforeLost,
    /// ... and seats that the list does not have only when Seating itself has refused to allocate them.
    RefusalBeforeLost,
    /// A reserve that had no answer may land even if a later one of the same attempt has one.
    EarlierMayLand,
    /// An operator's redrive does not take an order from somebody who is at it.
    RedriveSparesHolders,
    /// A charge without an answer is repeated after its order has ended.
    ChargeGoesOn,
    /// A refused charge is a refusal only when no earlier attempt was made.
    EveryAttemptRefused,
    /// A payment that succeeds after the order's own goes back.
    SecondGoesBack,
    /// A charge that a callback about another payment has overtaken is repeated until its payment is known.
    OvertakenChargeGoesOn,
    /// A payment that a callback told of when Payment could not be asked is asked about later.
    ToldIsAskedAbout,
    /// A refund that Payment has accepted is asked about, and not asked for again.
    AcceptedIsAskedAbout,
    /// Money that comes after an operator said that none was taken goes back.
    DeniedIsGivenUp,
    /// The first successful payment is the order's, also where an undecided or failed one was known before.
    FirstSuccessIsTheOrders,
    /// A payment without money that another one has replaced goes back if it succeeds.
    ReplacedGoesBack,
    /// An order whose charge has no answer ends in time, and its seats are released.
    UnansweredEnds,
    /// An order whose payment Payment does not know any more ends in time.
    UnknownEnds,
    /// An order whose hold may be over does not end for that, before its time.
    NotBeforeTheTime,
    /// A payment that another order has is refused.
    OnePaymentOneOrder,
    /// A refund that was accepted a day ago, and not made, is asked for once more ...
    RefundIsRepeated,
    /// ... under the same key ...
    RefundUnderOneKey,
    /// ... and is only watched then.
    RefundIsRepeatedOnce,
    /// Catalog is asked for the event before the seats of a late payment are reserved.
    EventIsAsked,
    /// No answer of Catalog is no permission.
    EventSilenceIsNoYes,
    /// When the event is cancelled, the seats are looked at before their claims are dropped.
    LookWhenEventCancelled,
    /// A status that is not known is undecided, and neither silence ...
    UnfamiliarIsAnAnswer,
    /// ... nor a failure.
    UnfamiliarIsUndecided,
    /// A refund whose payment Payment does not know has not been made.
    UnknownIsNoRefund,
    /// An operator may say what became of it.
    RefundIsResolvable,
    /// An operator hears of a payment at rest that is not known, or whose status is not; of a refund that is asked for once more, and
    /// of one whose payment is not known.
    OperatorHears,
    /// What costs nothing is not charged.
    FreeIsNotCharged,
    /// What costs nothing is given back without a refund.
    FreeIsNotRefunded,
}

/// What is explored: how many orders, which troubles, and which rule is left out.
#[derive(Clone, Debug)]
pub struct Model {
    pub orders: usize,
    /// The two orders are of one user.
    pub same_user: bool,
    /// The first order's user holds the seat already, since nobody knows when.
    pub older_hold: bool,
    /// Whether somebody reserves at Seating past the service.
    pub stranger: bool,
    /// Whether somebody else buys the seat once its claims are free.
    pub next_buyer: bool,
    /// The seat may be one of several, and another one somebody else's when a look shows this one to be held.
    pub in_part: bool,
    /// Holders at any one time.
    pub holders: usize,
    /// Callbacks are signed, and so believed however old they are.
    pub signed: bool,
    /// The callbacks that come are signed, and name the wrong order of two, which knows of no payment; the right one has its own.
    pub misdirected: bool,
    /// Payment may refuse the charge, and Seating's prices may be too high to be charged.
    pub refusals: bool,
    /// Payment pays out again when a refund is repeated; then nothing may be overtaken or come late.
    pub careless_refunds: bool,
    /// Payment accepts refunds and makes them later.
    pub async_refunds: bool,
    /// More than a day later, or never: it may lose what it has accepted.
    pub lost_refunds: bool,
    /// Payment may forget payments that are not decided, and find a charge invalid that it has made.
    pub forgets: bool,
    /// Payment may forget payments that have succeeded.
    pub forgets_paid: bool,
    /// No operator ever speaks.
    pub no_operator: bool,
    /// The event may be cancelled at Catalog. Else nobody asks.
    pub event_cancels: bool,
    /// Payment may show an undecided payment, or one to refund, with a status that is not known.
    pub unfamiliar: bool,
    /// The seat costs nothing.
    pub free: bool,
    pub budget: Budget,
    pub without: Option<Guard>,
}

impl Model {
    /// Whether a rule is left out.
    pub fn lacks(&self, guard: Guard) -> bool {
        self.without == Some(guard)
    }

    /// What the saga decides.
    pub fn next(&self, row: &Row, ev: ModelEvent) -> Result<Transition, Rejected> {
        let (row, ev) = self.heard(*row, ev);
        if let (ModelEvent::Resolved(_), Phase::Refunding, true) =
            (ev, row.phase, self.lacks(Guard::RefundIsResolvable))
        {
            return Err(Rejected::NotResolvable);
        }
        let mut order = row.order();
        if matches!(ev, ModelEvent::Paid(Which::Second | Which::Others, _)) {
            // Nobody pays a second time so soon; about the charge's own payment there is a callback at once.
            order.phase_ms = OWN_CALLBACK_MS;
        }
        let mut transition = saga::next(&order, &ev.event(), tax())?;
        if transition.replaced.is_some() && self.lacks(Guard::FirstSuccessIsTheOrders) {
            return Err(Rejected::OtherPayment);
        }
        if self.lacks(Guard::ReplacedGoesBack) {
            transition.replaced = None;
        }
        transition.charge_open &= !self.lacks(Guard::OvertakenChargeGoesOn);
        if ev == ModelEvent::Cancel && self.lacks(Guard::GivenUp) {
            transition.order.given_up = false;
        }
        transition.hold_observed &= !self.lacks(Guard::ObservedIsOver);
        if matches!(ev, ModelEvent::Resolved(_)) && self.lacks(Guard::DeniedIsGivenUp) {
            transition.order.given_up = row.given_up;
        }
        if ev == ModelEvent::EventCancelled && self.lacks(Guard::LookWhenEventCancelled) {
            (transition.order.hold, transition.order.phase) = (Hold::Nothing, Phase::Refunding);
            transition.claims = Claims::Drop;
        }
        transition.order.parked &= !self.lacks(Guard::OperatorHears);
        if transition.order.is_free() {
            let phase = &mut transition.order.phase;
            *phase = match (row.phase, *phase) {
                (Phase::Reserving, Phase::Allocating) if self.lacks(Guard::FreeIsNotCharged) => {
                    Phase::Charging
                }
                (Phase::Allocating | Phase::Done, Phase::Releasing)
                    if self.lacks(Guard::FreeIsNotRefunded) =>
                {
                    Phase::Refunding
                }
                (_, phase) => phase,
            };
        }
        Ok(transition)
    }

    /// What the saga is told: the row and the event, where no rule is left out.
    fn heard(&self, mut row: Row, ev: ModelEvent) -> (Row, ModelEvent) {
        row.in_flight &= !self.lacks(Guard::InFlight);
        if row.payment.is_none() {
            row.unsure &= !(row.phase == Phase::Releasing && self.lacks(Guard::ChargeGoesOn));
            if ev == ModelEvent::ChargeRefused && self.lacks(Guard::EveryAttemptRefused) {
                (row.tried, row.unsure) = (false, false);
            }
        }
        let silent = matches!(ev, ModelEvent::Silence { .. } | ModelEvent::ChargeUnanswered);
        let unanswered = silent || ev == ModelEvent::ChargeRefused;
        let waits = unanswered && row.phase == Phase::Charging && self.lacks(Guard::UnansweredEnds)
            || ev == ModelEvent::Unknown && self.lacks(Guard::UnknownEnds);
        let waits_on_a_lapsed_hold = silent && row.phase == Phase::AwaitingPayment && row.lapsed;
        row.expired |= waits_on_a_lapsed_hold && self.lacks(Guard::NotBeforeTheTime);
        row.expired &= !waits;
        let refused = silent && row.phase == Phase::Charging && self.lacks(Guard::SilenceSaysNothing);
        let ev = match ev {
            _ if refused => ModelEvent::ChargeRefused,
            ModelEvent::Released { .. }
                if self.lacks(Guard::LookAfterFlight) || self.lacks(Guard::InFlight) =>
            {
                ModelEvent::Released { settled: true }
            }
            ModelEvent::Silence { .. }
                if row.phase == Phase::Releasing && self.lacks(Guard::ClaimsUntilALook) =>
            {
                ModelEvent::Released { settled: true }
            }
            ModelEvent::Reserved { observed, free, .. } if self.lacks(Guard::EarlierMayLand) => {
                ModelEvent::Reserved { observed, may_land: false, free }
            }
            ModelEvent::ChargedUnfamiliar if self.lacks(Guard::UnfamiliarIsAnAnswer) => {
                ModelEvent::ChargeUnanswered
            }
            ModelEvent::Unfamiliar(_) if self.lacks(Guard::UnfamiliarIsAnAnswer) => {
                ModelEvent::Silence { may_land: false }
            }
            ModelEvent::ChargedUnfamiliar if self.lacks(Guard::UnfamiliarIsUndecided) => {
                ModelEvent::Charged(PaymentStatus::Failed)
            }
            ModelEvent::Unfamiliar(which) if self.lacks(Guard::UnfamiliarIsUndecided) => {
                ModelEvent::Paid(which, PaymentStatus::Failed)
            }
            ModelEvent::Unknown if row.phase == Phase::Refunding && self.lacks(Guard::UnknownIsNoRefund) => {
                ModelEvent::Paid(row.which, PaymentStatus::Refunded)
            }
            ModelEvent::ReserveRefused { held_in_part, .. } if self.lacks(Guard::EarlierMayLand) => {
                ModelEvent::ReserveRefused { held_in_part, may_land: false }
            }
            ModelEvent::ReserveRefused { may_land, .. } if self.lacks(Guard::HeldInPart) => {
                ModelEvent::ReserveRefused { held_in_part: false, may_land }
            }
            ev => ev,
        };
        (row, ev)
    }

    /// What the saga does next.
    pub fn action(&self, row: &Row) -> Option<Action> {
        Some(match saga::action(&row.order())? {
            Action::AskThenRefund if self.lacks(Guard::AskBeforeRefund) => Action::Refund,
            Action::LookThenAllocate if self.lacks(Guard::LookBeforeAllocate) => Action::Allocate,
            Action::AskThenRefund if row.again == Again::Over && self.lacks(Guard::RefundIsRepeated) => {
                Action::AskRefund
            }
            Action::AskRefund if row.again == Again::Repeated && self.lacks(Guard::RefundIsRepeatedOnce) => {
                Action::AskThenRefund
            }
            Action::AskRefund if self.lacks(Guard::AcceptedIsAskedAbout) => Action::Refund,
            action => action,
        })
    }
}
