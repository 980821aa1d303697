//! The shell around the saga, as `commands::drive` and `commands::perform` are written: one step is one statement of
//! the database, or one answer of a peer.

use super::order::{Ev, Issued, No, Row, When};
use super::peers::{self, Owner};
use super::rules::{Guard, Model};
use super::world::{At, Deed, Holder, Seat, Who, World};
use order_service::domain::order::{Hold, PaymentStatus, Phase, Status};
use order_service::domain::retry;
use order_service::domain::saga::{self, Action, Claims, Transition};

impl Model {
    /// `claim_due_orders` gives a due order to a sweep.
    pub fn claim(&self, world: &mut World, order: No) {
        let row = &mut world.rows[order];
        row.tried = true;
        let at_seating = matches!(row.phase, Phase::Reserving | Phase::Allocating | Phase::Releasing);
        let lost = row.when == When::Lease && at_seating && !self.lacks(Guard::LeaseCountsAsFlight);
        row.in_flight |= lost;
        world.rows[order].when = When::Lease;
        world.holders.iter_mut().flatten().filter(|one| one.order == order).for_each(|one| {
            one.leases = false;
        });
        world.hire(Holder::of_lease(order, world.rows[order]));
        let last = world.holders.iter().rposition(Option::is_some).expect("the holder just hired");
        self.begin(world, last);
        if lost {
            world.cover(order, false);
        }
    }

    /// `redrive_stuck` makes an order due before its time, and a sweep claims it.
    pub fn redrive(&self, world: &mut World, order: No) {
        for one in world.holders.iter_mut().flatten().filter(|one| one.order == order) {
            one.fresh = false;
        }
        if world.rows[order].when != When::Lease || self.lacks(Guard::RedriveSparesHolders) {
            self.claim(world, order);
        }
    }

    /// The holder begins the order's next action, or has nothing to do.
    pub fn begin(&self, world: &mut World, h: usize) {
        let Some(holder) = &mut world.holders[h] else { return };
        let seen = &holder.seen;
        let Some(action) = self.action(seen) else {
            world.holders[h] = None;
            return;
        };
        holder.at = match action {
            Action::Reserve => At::Reserve { first: true },
            Action::LookThenReserve => At::LookThenReserve,
            Action::Charge => At::Charge,
            Action::AskPayment | Action::Refund | Action::AskThenRefund if seen.payment.is_none() => SILENCE,
            Action::AskPayment => At::Ask,
            Action::Refund => At::Refund,
            Action::AskThenRefund => At::AskThenRefund,
            Action::Allocate => At::Allocate,
            Action::AskThenAllocate => At::ListThenAllocate,
            Action::Release => At::Release,
            Action::LookThenRelease if seen.hold == Hold::Allocated => At::ListThenRelease,
            Action::LookThenRelease => Self::look_unless_lapsed(seen),
        };
    }

    fn look_unless_lapsed(seen: &Row) -> At {
        if seen.lapsed { released(seen) } else { At::LookThenRelease }
    }

    /// The peer answers what the holder asks. `charged`: what a new payment becomes; `dear`: the prices are too high.
    pub fn answer(&self, world: &mut World, h: usize, charged: Option<PaymentStatus>, dear: bool) {
        let Some(Holder { order, seen, drives, at, .. }) = world.holders[h] else { return };
        let reserved = if dear { Ev::ReservedDear } else { Ev::Reserved };
        let truth = world.pays[order].status;
        let listed = world.seat == Seat::Allocated(Who::Order(order));
        let paid = seen.payment == Some(PaymentStatus::Success);
        let mut ask = |deed| peers::perform(self, world, order, deed, charged);
        let at = match at {
            At::Reserve { first } => match (ask(Deed::Reserve), first) {
                (true, _) => At::Store(reserved),
                (false, true) => At::LookAtRefusal,
                (false, false) => SILENCE,
            },
            At::LookAtRefusal => match peers::look(self, world, order) {
                Owner::Held => At::Store(reserved),
                Owner::Free if paid => SILENCE,
                Owner::Free | Owner::Other | Owner::Allocated => At::Store(Ev::ReserveRefused),
            },
            At::LookThenReserve => match peers::look(self, world, order) {
                Owner::Held => At::Store(reserved),
                Owner::Other | Owner::Allocated => At::Store(Ev::ReserveRefused),
                Owner::Free if seen.status != Status::Pending && !paid => At::Store(Ev::ReserveRefused),
                Owner::Free if seen.expired => SILENCE,
                Owner::Free => At::Reserve { first: false },
            },
            At::Charge if ask(Deed::Charge) => At::Store(world.pays[order].status.map_or(UNKNOWN, Ev::Paid)),
            At::Charge => At::Store(Ev::ChargeRefused),
            // A callback's question.
            At::Ask if !drives && matches!(truth, None | Some(PaymentStatus::Pending)) => {
                world.holders[h] = None;
                return;
            }
            At::Ask => At::Store(truth.map_or(UNKNOWN, Ev::Paid)),
            At::AskThenRefund if truth == Some(PaymentStatus::Success) => At::Refund,
            At::AskThenRefund => At::Store(truth.map_or(UNKNOWN, Ev::Paid)),
            At::Refund if ask(Deed::Refund) => At::Store(Ev::Paid(PaymentStatus::Refunded)),
            At::Refund => At::AskAfterRefund,
            At::AskAfterRefund => match truth {
                None | Some(PaymentStatus::Success | PaymentStatus::Pending) => SILENCE,
                Some(status) => At::Store(Ev::Paid(status)),
            },
            At::ListThenAllocate if listed => At::Store(Ev::Allocated),
            At::ListThenAllocate => At::Allocate,
            At::Allocate if ask(Deed::Allocate) => At::Store(Ev::Allocated),
            At::Allocate => At::ListAfterAllocate,
            At::ListAfterAllocate => At::Store(if listed { Ev::Allocated } else { Ev::SeatsLost }),
            At::Release => {
                ask(Deed::Release);
                released(&seen)
            }
            At::ListThenRelease if listed => At::Release,
            At::ListThenRelease => Self::look_unless_lapsed(&seen),
            At::LookThenRelease => match peers::look(self, world, order) {
                Owner::Held | Owner::Allocated => At::Release,
                Owner::Free | Owner::Other => released(&seen),
            },
            At::Store(_) => at,
        };
        if let Some(holder) = &mut world.holders[h] {
            holder.at = at;
        }
    }

    /// The holder stores what it knows, deciding again when somebody was faster, and goes on if it then has the order.
    /// Whether anything was stored.
    pub fn store(&self, world: &mut World, h: usize) -> bool {
        let Some(Holder { order, mut seen, mut fresh, leases, drives, at: At::Store(mut ev), .. }) =
            world.holders[h].take()
        else {
            return false;
        };
        if !drives {
            self.tell(world, order, ev);
        }
        let mut unmoved = drives;
        loop {
            // What the order as it was read says was decided as soon as it was outdated: see `tidy`.
            let conflict = !fresh && !self.lacks(Guard::Version);
            if conflict && (leases || !drives || self.lacks(Guard::Lease)) {
                (seen, fresh, unmoved) = (world.rows[order], true, false);
                continue;
            }
            if conflict {
                return false;
            }
            let Ok(transition) = self.next(&seen, ev) else {
                if !unmoved {
                    return false;
                }
                (ev, unmoved) = (UNKNOWN, false);
                continue;
            };
            if drives && !leases && !self.lacks(Guard::Lease) {
                return false;
            }
            if transition.claims == Claims::Take && world.claim.is_some_and(|who| who != Who::Order(order)) {
                let Ev::Paid(status) = ev else {
                    world.wrong = Some("claims were refused to an order without money");
                    return false;
                };
                (ev, seen) = (Ev::PaidWithoutSeats(status), world.rows[order]);
                continue;
            }
            self.apply(world, order, ev, &transition);
            if transition.due == saga::Due::Held {
                world.holders[h] = Some(Holder::of_lease(order, world.rows[order]));
                self.begin(world, h);
            }
            return true;
        }
    }

    /// One written form for states that differ only in the order of things, or in what nobody will look at again.
    pub fn tidy(&self, world: &mut World) {
        for h in 0..world.holders.len() {
            let Some(holder) = &mut world.holders[h] else { continue };
            (holder.seen.when, holder.seen.tickets) = (When::Never, Issued::None);
            if holder.fresh || self.lacks(Guard::Version) || !holder.seen.placed {
                continue;
            }
            let At::Store(ev) = holder.at else {
                holder.seen = holder.still_looks_at();
                continue;
            };
            // It decides on the order as it was read first: only if that hears of it, it is told the order as it is.
            if self.next(&holder.seen, ev).is_err() {
                if !holder.drives {
                    let order = holder.order;
                    world.holders[h] = None;
                    self.tell(world, order, ev);
                    continue;
                }
                holder.at = SILENCE;
            }
            holder.seen = Row::ABSENT;
        }
        world.arrange();
    }

    /// What is true of the payment now is not forgotten from here on.
    fn tell(&self, world: &mut World, order: No, ev: Ev) {
        let pay = &mut world.pays[order];
        pay.told |= matches!(ev, Ev::Paid(status) if Some(status) == pay.status);
    }

    /// `store_transition`.
    fn apply(&self, world: &mut World, order: No, ev: Ev, transition: &Transition) {
        let row = &mut world.rows[order];
        if transition.tickets == saga::Tickets::Issue && row.tickets != Issued::None {
            world.wrong = Some("tickets were issued twice");
        }
        let phase = row.phase;
        row.write(transition);
        self.tell(world, order, ev);
        world.cancelled[order] |= ev == Ev::Cancel;
        if transition.in_flight {
            let after_the_lease = (retry::lease_ms(phase) + retry::IN_FLIGHT_MS) as i64;
            let long = transition.order.in_flight_ms >= after_the_lease;
            world.cover(order, long && !self.lacks(Guard::OvertakenForTheLease));
        }
        match transition.claims {
            Claims::Keep => {}
            Claims::Take => world.claim = Some(Who::Order(order)),
            Claims::Drop if world.claim == Some(Who::Order(order)) => world.claim = None,
            Claims::Drop => {}
        }
        if let (true, Seat::Reserved { who, aged }) = (transition.renew_expiry, &mut world.seat) {
            *aged |= *who == Who::Order(order);
        }
        for other in world.holders.iter_mut().flatten().filter(|other| other.order == order) {
            other.fresh = false;
            other.leases &= transition.due == saga::Due::Unchanged;
        }
    }
}

/// As `perform::released`.
fn released(seen: &Row) -> At {
    At::Store(Ev::Released { settled: !seen.in_flight })
}

const UNKNOWN: Ev = Ev::Silence { may_land: false };
const SILENCE: At = At::Store(UNKNOWN);
