//! Payments beside an order's own, as `commands::second_payment` and `commands::payment_check` deal with them, each attempt in one step.

use crate::order::{ModelEvent, OrderIndex, Which};
use crate::peers;
use crate::properties;
use crate::rules::{Guard, Model};
use crate::state::{Beside, ModelState, PeerRequest};
use crate::steps;
use order_service::domain::ids::PaymentId;
use order_service::domain::order::{Payment, PaymentStatus};
use order_service::domain::payment_check::{self, PaymentCheck};
use order_service::domain::payment_refund::{self, Answer, Next, PaymentRefund};
use order_service::domain::retry;
use order_service::domain::saga::{self, ChargeCheck, Rejected};
use uuid::Uuid;

impl Model {
    /// `add_second_payment`.
    pub(super) fn add_second(&self, state: &mut ModelState, order: OrderIndex, ev: ModelEvent) {
        let Some((which, _)) = ev.reported() else { return };
        if state.is_foreign(order, which) && !self.lacks(Guard::OnePaymentOneOrder) {
            return;
        }
        let pay = state.payment_mut(order, which);
        if matches!(pay.beside, Beside::None | Beside::Failed) && !self.lacks(Guard::SecondGoesBack) {
            pay.beside = Beside::Open;
        }
    }

    /// As `drive::follow_overtaken_charge`. `tried`: there were attempts before.
    pub(super) fn follow_overtaken_charge(
        &self,
        state: &mut ModelState,
        order: OrderIndex,
        tried: bool,
        ev: ModelEvent,
        rejected: Rejected,
    ) {
        use ModelEvent::{ChargeRefused, ChargeUnanswered, Charged, ChargedUnfamiliar};
        let of_charge = matches!(ev, Charged(_) | ChargedUnfamiliar | ChargeUnanswered | ChargeRefused);
        if !of_charge || state.rows[order].payment.is_none() {
            return;
        }
        match saga::overtaken_charge(tried.into(), &ev.event(), rejected) {
            Some(ChargeCheck::Open) => state.open_charge[order] = !self.lacks(Guard::OvertakenChargeGoesOn),
            Some(ChargeCheck::Closed) => state.open_charge[order] = false,
            None => {}
        }
    }

    /// As `mark_payment_unsure` about a payment other than the order's own, which Payment has told of and will not tell of again.
    pub fn remember(&self, state: &mut ModelState, order: OrderIndex, about: Which) {
        let pay = &mut state.payments[order][about as usize];
        let Some(status) = pay.status else { return };
        pay.acknowledged |= about == Which::Second;
        let could_change = match self.next(&state.rows[order], ModelEvent::Paid(about, status)) {
            Ok(_) | Err(Rejected::SecondPayment) => status != PaymentStatus::Pending,
            Err(_) => false,
        };
        state.told[order][about as usize] |= could_change && !self.lacks(Guard::ToldIsAskedAbout);
    }

    /// A sweep repeats a charge that was overtaken. `charged`: what a new payment becomes; `heard`: the answer arrives.
    pub fn check_charge(
        &self,
        state: &mut ModelState,
        order: OrderIndex,
        charged: Option<PaymentStatus>,
        heard: bool,
    ) {
        let answered = peers::perform(self, state, order, PeerRequest::Charge, charged) && heard;
        let Some(status) = state.payments[order][Which::Charged as usize].status.filter(|_| answered) else {
            return;
        };
        if self.report_check(state, order, Which::Charged, status) {
            state.open_charge[order] = false;
        }
    }

    /// A sweep asks about a payment that a callback told of.
    pub fn check_told(&self, state: &mut ModelState, order: OrderIndex, which: Which) {
        let pay = state.payments[order][which as usize];
        let known = pay.status.filter(|_| !pay.forgotten);
        if known.is_none_or(|status| self.report_check(state, order, which, status)) {
            state.told[order][which as usize] = false;
        }
    }

    /// Payment shows the payment of a check; whether the check is closed.
    fn report_check(
        &self,
        state: &mut ModelState,
        order: OrderIndex,
        which: Which,
        status: PaymentStatus,
    ) -> bool {
        let check = PaymentCheck {
            id: 0,
            told: None,
            attempts: 1,
            age_ms: 0,
            seen: false,
            unknown: 0,
            parked: false,
        };
        let shown = payment_check::Answer::Is(Payment { id: which.id(), status });
        match payment_check::next(&check, &state.rows[order].order(), shown) {
            payment_check::Next::Report(_) => {
                self.store_news(state, order, ModelEvent::Paid(which, status));
                true
            }
            payment_check::Next::Close => true,
            payment_check::Next::Later { .. } => false,
        }
    }

    /// Somebody reads the order and stores news of it, in one step.
    pub fn store_news(&self, state: &mut ModelState, order: OrderIndex, ev: ModelEvent) -> bool {
        state.add_holder(steps::news(state, order, ev, false));
        let last = state.holders.iter().rposition(Option::is_some).expect("the holder just hired");
        self.store(state, last)
    }

    /// A sweep deals with a payment of `payment_refunds`: it asks, refunds, and stores what came of it. `heard`: Payment's answer
    /// to the refund arrives.
    pub fn sweep_beside(&self, state: &mut ModelState, order: OrderIndex, which: Which, heard: bool) {
        let pay = state.payments[order][which as usize];
        let claimed = PaymentRefund {
            payment: PaymentId(Uuid::nil()),
            attempts: 1,
            age_ms: 0,
            again_in_ms: match pay.beside {
                Beside::Accepted => Some(1),
                Beside::Overdue => Some(-1),
                Beside::Repeated if self.lacks(Guard::RefundIsRepeatedOnce) => Some(-1),
                Beside::Repeated => Some(retry::REFUND_NEVER_MS as i64),
                _ => None,
            },
            undecided: false,
            foreign: false,
            parked: false,
        };
        let asked = pay.status.map_or(Answer::Unknown, Answer::Is);
        let mut next = payment_refund::next(&claimed, asked, false);
        if let Next::Refund(claimed) = next {
            let agrees = peers::perform(self, state, order, PeerRequest::Refund(which), None);
            let answer = match (heard, agrees) {
                (false, _) | (true, false) => Answer::None(None),
                (true, true) if self.async_refunds => Answer::Accepted,
                (true, true) => Answer::Is(PaymentStatus::Refunded),
            };
            if answer == Answer::Accepted && pay.beside == Beside::Repeated {
                state.wrong = Some(properties::ONCE_MORE);
            }
            next = payment_refund::next(&claimed, answer, true);
        }
        let again = match next {
            Next::Settled(_) | Next::Refund(_) => None,
            Next::Later(after) => after.again_in_ms,
        };
        state.payments[order][which as usize].beside = match (next, again) {
            (Next::Settled(PaymentStatus::Failed), _) => Beside::Failed,
            (Next::Settled(_), _) => Beside::Settled,
            (_, None) => Beside::Open,
            (_, Some(left)) if retry::refund_is_repeated(left) => Beside::Repeated,
            (_, Some(1..)) => Beside::Accepted,
            (_, Some(_)) => Beside::Overdue,
        };
    }
}
