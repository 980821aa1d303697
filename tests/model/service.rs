//! The shell around the saga, as `commands::drive` and `commands::perform` are written: one step is one statement of
//! the database, or one answer of a peer.

mod beside;

use super::order::{Again, Issued, ModelEvent, OrderIndex, Row, When, Which};
use super::peers::{self, Owner, Reply};
use super::properties;
use super::rules::{Guard, Model};
use super::state::{Beside, Holder, ModelState, PaymentState, PeerRequest, ProgramCounter, Seat, SeatOwner};
use order_service::domain::order::{Hold, Payment, PaymentStatus, Phase, Status};
use order_service::domain::retry;
use order_service::domain::saga::{self, Action, Claims, Rejected, Transition};

impl Model {
    /// `claim_due_orders` gives a due order to a sweep.
    pub fn claim(&self, state: &mut ModelState, order: OrderIndex) {
        let row = &mut state.rows[order];
        row.tried = true;
        let at_seating = matches!(row.phase, Phase::Reserving | Phase::Allocating | Phase::Releasing);
        let lost = row.when == When::Lease && at_seating && !self.lacks(Guard::LeaseCountsAsFlight);
        row.in_flight |= lost;
        state.rows[order].when = When::Lease;
        state.holders.iter_mut().flatten().filter(|one| one.order == order).for_each(|one| {
            one.leases = false;
        });
        state.add_holder(Holder::of_lease(order, state.rows[order]));
        let last = state.holders.iter().rposition(Option::is_some).expect("the holder just hired");
        self.begin(state, last);
        if lost {
            state.cover(order, false);
        }
    }

    /// `redrive_stuck` makes an order due before its time, and a sweep claims it.
    pub fn redrive(&self, state: &mut ModelState, order: OrderIndex) {
        for one in state.holders.iter_mut().flatten().filter(|one| one.order == order) {
            one.fresh = false;
        }
        if state.rows[order].when != When::Lease || self.lacks(Guard::RedriveSparesHolders) {
            self.claim(state, order);
        }
    }

    /// The holder begins the order's next action, or has nothing to do.
    pub fn begin(&self, state: &mut ModelState, h: usize) {
        let Some(holder) = &mut state.holders[h] else { return };
        let seen = &holder.seen;
        let Some(action) = self.action(seen) else {
            state.holders[h] = None;
            return;
        };
        let late = self.event_cancels
            && seen.payment == Some(PaymentStatus::Success)
            && !self.lacks(Guard::EventIsAsked);
        holder.pc = match action {
            Action::Reserve | Action::LookThenReserve if late => {
                ProgramCounter::AskEvent { first: action == Action::Reserve, flies: seen.in_flight }
            }
            Action::Reserve => ProgramCounter::Reserve { first: true, flies: seen.in_flight },
            Action::LookThenReserve => ProgramCounter::LookThenReserve { flies: seen.in_flight },
            Action::Charge => ProgramCounter::Charge,
            Action::AskPayment | Action::Refund | Action::AskThenRefund | Action::AskRefund
                if seen.payment.is_none() =>
            {
                SILENCE
            }
            Action::AskPayment => ProgramCounter::Ask,
            Action::Refund => ProgramCounter::Refund,
            Action::AskThenRefund => ProgramCounter::AskThenRefund,
            Action::AskRefund => ProgramCounter::AskRefund,
            Action::Allocate => ProgramCounter::Allocate,
            Action::AskThenAllocate => ProgramCounter::ListThenAllocate { looks: false },
            Action::LookThenAllocate if seen.tried => ProgramCounter::ListThenAllocate { looks: true },
            Action::LookThenAllocate => ProgramCounter::LookThenAllocate,
            Action::LookThenRelease if self.lacks(Guard::LookBeforeRelease) => ProgramCounter::Release,
            Action::LookThenRelease if seen.hold == Hold::Allocated => ProgramCounter::ListThenRelease,
            Action::LookThenRelease => ProgramCounter::LookThenRelease,
        };
    }

    /// The peer answers what the holder asks.
    pub fn answer(&self, state: &mut ModelState, h: usize, reply: Reply) {
        let Reply { charged, dear, in_part, unfamiliar } = reply;
        let Some(Holder { order, seen, drives, pc, .. }) = state.holders[h] else { return };
        let reserved = |observed, may_land| match dear {
            false => ModelEvent::Reserved { observed, may_land, free: self.free },
            true if may_land => ModelEvent::Silence { may_land },
            true => ModelEvent::ReservedDear,
        };
        let refused = |held_in_part, may_land| {
            ProgramCounter::Store(ModelEvent::ReserveRefused { held_in_part, may_land })
        };
        let silence = |may_land| ProgramCounter::Store(ModelEvent::Silence { may_land });
        let which = asked(&seen, drives, pc);
        let PaymentState { status: truth, forgotten, .. } = *state.payment(order, which);
        let told = if forgotten {
            ModelEvent::Unknown
        } else if unfamiliar {
            ModelEvent::Unfamiliar(which)
        } else {
            truth.map_or(UNKNOWN, |status| ModelEvent::Paid(which, status))
        };
        let listed = state.seat == Seat::Allocated(SeatOwner::Order(order));
        let lost = ModelEvent::SeatsLost { ours: self.has_seat(state, order) };
        let paid = seen.payment == Some(PaymentStatus::Success);
        let event_cancelled = state.event_cancelled;
        let mut ask = |request| peers::perform(self, state, order, request, charged);
        let pc = match pc {
            ProgramCounter::AskEvent { .. } if event_cancelled => {
                ProgramCounter::Store(ModelEvent::EventCancelled)
            }
            ProgramCounter::AskEvent { first, flies } => on_sale(first, flies),
            ProgramCounter::Reserve { first, flies } => match ask(PeerRequest::Reserve) {
                true => ProgramCounter::Store(reserved(false, flies)),
                false => ProgramCounter::LookAtRefusal { first, flies },
            },
            ProgramCounter::LookAtRefusal { first, flies } => match peers::look(self, state, order) {
                Owner::Held | Owner::Allocated if in_part => refused(true, flies),
                Owner::Held | Owner::Allocated => ProgramCounter::Store(reserved(true, flies)),
                Owner::Free if first && !paid => refused(false, flies),
                Owner::Free => silence(flies),
                Owner::Other => refused(false, flies),
            },
            ProgramCounter::LookThenReserve { flies } => match peers::look(self, state, order) {
                Owner::Held | Owner::Allocated if in_part => refused(true, flies),
                Owner::Held | Owner::Allocated => ProgramCounter::Store(reserved(true, flies)),
                Owner::Other => refused(false, flies),
                Owner::Free if paid => ProgramCounter::Reserve { first: false, flies },
                Owner::Free if seen.status != Status::Pending => refused(false, flies),
                Owner::Free if seen.expired => silence(flies),
                Owner::Free => ProgramCounter::Reserve { first: false, flies },
            },
            ProgramCounter::Charge if ask(PeerRequest::Charge) => {
                let made = state.payments[order][Which::Charged as usize].status;
                if unfamiliar && made == Some(PaymentStatus::Pending) {
                    ProgramCounter::Store(ModelEvent::ChargedUnfamiliar)
                } else {
                    ProgramCounter::Store(made.map_or(ModelEvent::ChargeUnanswered, ModelEvent::Charged))
                }
            }
            ProgramCounter::Charge => ProgramCounter::Store(ModelEvent::ChargeRefused),
            // A callback's question: it leaves the order in doubt.
            ProgramCounter::Ask | ProgramCounter::AskSecond if !drives && unfamiliar => {
                if seen.payment.is_some() && seen.which == which {
                    ProgramCounter::Store(ModelEvent::Unsure)
                } else {
                    state.holders[h] = None;
                    self.remember(state, order, which);
                    return;
                }
            }
            ProgramCounter::Ask | ProgramCounter::AskSecond
                if !drives && (forgotten || matches!(truth, None | Some(PaymentStatus::Pending))) =>
            {
                state.holders[h] = None;
                return;
            }
            ProgramCounter::AskRefund if truth == Some(PaymentStatus::Success) && !forgotten => {
                ProgramCounter::Store(ModelEvent::RefundPending)
            }
            ProgramCounter::AskThenRefund
                if truth == Some(PaymentStatus::Success) && !forgotten && !unfamiliar =>
            {
                ProgramCounter::Refund
            }
            ProgramCounter::Ask
            | ProgramCounter::AskSecond
            | ProgramCounter::AskRefund
            | ProgramCounter::AskThenRefund => ProgramCounter::Store(told),
            ProgramCounter::Refund | ProgramCounter::AskAfterRefund if forgotten => {
                ProgramCounter::Store(told)
            }
            ProgramCounter::Refund if ask(PeerRequest::Refund(which)) => {
                ProgramCounter::Store(match self.async_refunds {
                    true => ModelEvent::RefundAccepted,
                    false => ModelEvent::Paid(which, PaymentStatus::Refunded),
                })
            }
            ProgramCounter::Refund => ProgramCounter::AskAfterRefund,
            ProgramCounter::AskAfterRefund => match truth {
                None | Some(PaymentStatus::Success | PaymentStatus::Pending) => SILENCE,
                Some(_) => ProgramCounter::Store(told),
            },
            ProgramCounter::ListThenAllocate { .. } if listed => ProgramCounter::Store(ModelEvent::Allocated),
            ProgramCounter::ListThenAllocate { looks: true } => ProgramCounter::LookThenAllocate,
            ProgramCounter::ListThenAllocate { looks: false } => ProgramCounter::Allocate,
            ProgramCounter::LookThenAllocate => match peers::look(self, state, order) {
                Owner::Held | Owner::Allocated => ProgramCounter::Allocate,
                Owner::Free => ProgramCounter::Store(ModelEvent::HoldExpired),
                Owner::Other => ProgramCounter::ListAfterAllocate,
            },
            ProgramCounter::Allocate if ask(PeerRequest::Allocate) => {
                ProgramCounter::Store(ModelEvent::Allocated)
            }
            ProgramCounter::Allocate if self.lacks(Guard::ListBeforeLost) => ProgramCounter::Store(lost),
            ProgramCounter::Allocate => ProgramCounter::ListAfterAllocate,
            ProgramCounter::ListAfterAllocate => {
                ProgramCounter::Store(if listed { ModelEvent::Allocated } else { lost })
            }
            ProgramCounter::Release => {
                ask(PeerRequest::Release);
                released(&seen)
            }
            ProgramCounter::ListThenRelease if listed => ProgramCounter::Release,
            ProgramCounter::ListThenRelease => ProgramCounter::LookThenRelease,
            ProgramCounter::LookThenRelease => match peers::look(self, state, order) {
                Owner::Held | Owner::Allocated => ProgramCounter::Release,
                Owner::Free | Owner::Other => released(&seen),
            },
            ProgramCounter::Store(_) => pc,
        };
        if let Some(holder) = &mut state.holders[h] {
            holder.pc = pc;
        }
    }

    /// Whether Seating has the seat for the order: allocated, or held for as long as the hold window is not over. Where two holders are
    /// at Seating for one order, a hold may be younger than the refusal.
    fn has_seat(&self, state: &ModelState, order: OrderIndex) -> bool {
        let is_held = !state.rows[order].lapsed && state.seat.is_of(SeatOwner::Order(order));
        let is_allocated = state.seat == Seat::Allocated(SeatOwner::Order(order));
        (is_held || is_allocated) && !self.lacks(Guard::Lease)
    }

    /// The holder stores what it knows, deciding again when somebody was faster, and goes on if it then has the order.
    /// Whether anything was stored.
    pub fn store(&self, state: &mut ModelState, h: usize) -> bool {
        let Some(Holder { order, seen, drives, pc: ProgramCounter::Store(ev), .. }) = state.holders[h] else {
            return false;
        };
        let stored = self.store_event(state, h);
        if let (true, Err(rejected)) = (drives, stored) {
            self.follow_overtaken_charge(state, order, seen.tried, ev, rejected);
        }
        matches!(stored, Ok(()) | Err(Rejected::SecondPayment))
    }

    fn store_event(&self, state: &mut ModelState, h: usize) -> Result<(), Rejected> {
        let Some(Holder {
            order,
            mut seen,
            mut fresh,
            leases,
            mut drives,
            pc: ProgramCounter::Store(mut ev),
            ..
        }) = state.holders[h].take()
        else {
            return Err(Rejected::Stale);
        };
        if !drives {
            self.tell(state, order, ev);
        }
        let mut unmoved = drives;
        loop {
            // What the order as it was read says was decided as soon as it was outdated: see `tidy`.
            let conflict = !fresh && !self.lacks(Guard::Version);
            let row = state.rows[order];
            if conflict && is_unheard_payment(&row, ev) {
                // Nobody else learns of it.
                (seen, fresh, unmoved, drives) = (row, true, false, false);
                continue;
            }
            if conflict && (leases || !drives || self.lacks(Guard::Lease)) {
                (seen, fresh, unmoved) = (state.rows[order], true, false);
                continue;
            }
            if conflict {
                return Err(Rejected::Stale);
            }
            let decided = self.next(&seen, ev);
            let transition = match decided {
                Err(Rejected::SecondPayment) => {
                    self.add_second(state, order, ev);
                    return Err(Rejected::SecondPayment);
                }
                Err(rejected) if !unmoved => return Err(rejected),
                Err(_) => {
                    (ev, unmoved) = (UNKNOWN, false);
                    continue;
                }
                Ok(transition) => transition,
            };
            if drives && !leases && !self.lacks(Guard::Lease) {
                return Err(Rejected::Stale);
            }
            let is_foreign = |paid: Payment| state.is_foreign(order, Which::of(paid.id));
            if transition.order.payment.is_some_and(is_foreign) && !self.lacks(Guard::OnePaymentOneOrder) {
                return Err(Rejected::ForeignPayment);
            }
            if transition.claims == Claims::Take
                && state.claim.is_some_and(|owner| owner != SeatOwner::Order(order))
            {
                let Some((which, status)) = taken(ev) else {
                    state.wrong = Some("claims were refused to an order without money");
                    return Err(Rejected::Stale);
                };
                seen = state.rows[order];
                if matches!(ev, ModelEvent::Charged(_)) {
                    // As `Order::with_answered_charge`.
                    seen.tried &= seen.phase != Phase::Charging;
                    seen.unsure &= seen.payment.is_some();
                }
                ev = ModelEvent::PaidWithoutSeats(which, status);
                continue;
            }
            self.apply(state, order, ev, &transition);
            if transition.due == saga::Due::Held {
                state.holders[h] = Some(Holder::of_lease(order, state.rows[order]));
                self.begin(state, h);
            }
            return Ok(());
        }
    }

    /// The canonical form: equal for states that differ only in order, or in what is never read again.
    pub fn tidy(&self, state: &mut ModelState) {
        for h in 0..state.holders.len() {
            let Some(holder) = &mut state.holders[h] else { continue };
            (holder.seen.when, holder.seen.tickets) = (When::Never, Issued::None);
            if holder.fresh || self.lacks(Guard::Version) || !holder.seen.placed {
                continue;
            }
            let ProgramCounter::Store(mut ev) = holder.pc else {
                holder.seen = holder.still_looks_at();
                continue;
            };
            // When an earlier attempt has left the charge open, a refusal says no more than silence.
            let lacks = self.lacks(Guard::EveryAttemptRefused) || self.lacks(Guard::Lease);
            if ev == ModelEvent::ChargeRefused && holder.seen.tried && !lacks {
                ev = ModelEvent::ChargeUnanswered;
                holder.pc = ProgramCounter::Store(ev);
            }
            // It decides on the order as it was read first: only if that hears of it, it is told the order as it is.
            if self.next(&holder.seen, ev).is_err_and(|rejected| rejected != Rejected::SecondPayment) {
                if !holder.drives {
                    let order = holder.order;
                    state.holders[h] = None;
                    self.tell(state, order, ev);
                    continue;
                }
                holder.pc = SILENCE;
            }
            holder.seen = Row::ABSENT;
        }
        state.canonicalize();
    }

    /// What is true of the payment now is not forgotten from here on.
    fn tell(&self, state: &mut ModelState, order: OrderIndex, ev: ModelEvent) {
        if let Some((which, status)) = ev.reported() {
            let pay = state.payment_mut(order, which);
            pay.acknowledged |= Some(status) == pay.status;
        }
    }

    /// `apply_transition`.
    fn apply(&self, state: &mut ModelState, order: OrderIndex, ev: ModelEvent, transition: &Transition) {
        let row = &mut state.rows[order];
        if transition.tickets == saga::Tickets::Issue && row.tickets != Issued::None {
            state.wrong = Some("tickets were issued twice");
        }
        let (phase, unsure) = (row.phase, row.unsure);
        let unfamiliar = matches!(ev, ModelEvent::Unfamiliar(_)) && phase == Phase::Done;
        let rests = unfamiliar && transition.order.phase == Phase::Done;
        if ev == ModelEvent::RefundAccepted && row.again == Again::Repeated {
            state.wrong = Some(properties::ONCE_MORE);
        }
        let again = ev == ModelEvent::RefundAccepted && row.again != Again::Never
            || ev == ModelEvent::RefundPending && row.again == Again::Repeated;
        let unknown = ev == ModelEvent::Unknown && matches!(phase, Phase::Refunding | Phase::Done);
        if ev == (ModelEvent::SeatsLost { ours: true }) {
            state.wrong = Some(properties::LOST);
        }
        state.untold |= (rests || again || unknown) && !transition.order.parked;
        let holds_again = transition.renew_expiry && transition.order.is_paid();
        state.too_late[order] |= holds_again && state.event_cancelled;
        let ends_early = transition.order.status == Status::Cancelled && row.status == Status::Pending;
        if ends_early && !row.expired && ev != ModelEvent::Cancel {
            state.wrong = Some(properties::IN_TIME);
        }
        row.write(transition);
        self.tell(state, order, ev);
        state.cancelled[order] |= ev == ModelEvent::Cancel;
        state.denied[order] |= ev == ModelEvent::Resolved(None);
        if let Some(replaced) = transition.replaced {
            let beside = &mut state.payment_mut(order, Which::of(replaced.id)).beside;
            if *beside == Beside::None {
                let failed = replaced.status == PaymentStatus::Failed && !unsure;
                *beside = if failed { Beside::Failed } else { Beside::Open };
            }
        }
        state.open_charge[order] |= transition.charge_open;
        if transition.in_flight {
            let after_the_lease = (retry::lease_ms(phase) + retry::IN_FLIGHT_MS) as i64;
            let long = transition.order.in_flight_ms >= after_the_lease;
            state.cover(order, long && !self.lacks(Guard::OvertakenForTheLease));
        }
        match transition.claims {
            Claims::Keep => {}
            Claims::Take => state.claim = Some(SeatOwner::Order(order)),
            Claims::Drop if state.claim == Some(SeatOwner::Order(order)) => state.claim = None,
            Claims::Drop => {}
        }
        if let (true, Seat::Reserved { owner, aged }) = (transition.renew_expiry, &mut state.seat) {
            *aged |= *owner == SeatOwner::Order(order);
        }
        for other in state.holders.iter_mut().flatten().filter(|other| other.order == order) {
            other.fresh = false;
            other.leases &= transition.due == saga::Due::Unchanged;
        }
    }
}

/// As `drive::is_unheard_payment`.
fn is_unheard_payment(row: &Row, ev: ModelEvent) -> bool {
    let charge_is_repeated = row.phase == Phase::Charging || row.unsure;
    let is_unheard = |which| if row.payment.is_some() { row.which != which } else { !charge_is_repeated };
    ev.reported().is_some_and(|(which, _)| is_unheard(which))
}

/// The payment that was made, as it is reported or as an operator says.
fn taken(ev: ModelEvent) -> Option<(Which, PaymentStatus)> {
    match ev {
        ModelEvent::Resolved(Some(PaymentStatus::Success)) => Some((Which::Charged, PaymentStatus::Success)),
        ev => ev.reported(),
    }
}

/// Which payment a holder asks about. A callback is about the charge's, or about the second one.
pub fn asked(seen: &Row, drives: bool, pc: ProgramCounter) -> Which {
    match pc {
        ProgramCounter::AskSecond => Which::Second,
        _ if !drives => Which::Charged,
        _ => seen.which,
    }
}

/// The event of a late payment is on sale.
pub fn on_sale(first: bool, flies: bool) -> ProgramCounter {
    match first {
        true => ProgramCounter::Reserve { first, flies },
        false => ProgramCounter::LookThenReserve { flies },
    }
}

/// As `released` of `perform::seats`.
pub fn released(seen: &Row) -> ProgramCounter {
    ProgramCounter::Store(ModelEvent::Released { settled: !seen.in_flight })
}

const UNKNOWN: ModelEvent = ModelEvent::Silence { may_land: false };
const SILENCE: ProgramCounter = ProgramCounter::Store(UNKNOWN);
