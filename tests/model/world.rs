//! The state that is explored: rows, claims, the two peers that matter, whoever is at work, and what is under way.

use super::order::{Ev, No, Row};
use super::pack;
use order_service::domain::order::PaymentStatus;

/// Who has the seat, by a claim or at Seating.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// A modelled order.
    Order(No),
    /// The next buyer: an order of the service that meets no faults, in one step a deed.
    Next,
}

/// The seat at Seating.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seat {
    Free,
    /// Held for somebody's user. `aged`: so long that Seating may free it although the order's own hold window was
    /// renewed since.
    Reserved {
        who: Who,
        aged: bool,
    },
    Allocated(Who),
}

/// An order's payment at Payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pay {
    /// None: there is no payment.
    pub status: Option<PaymentStatus>,
    /// Payment refuses this charge whenever it is asked.
    pub refuses: bool,
    /// It was `SUCCESS` at some time, so that a callback saying so may be under way.
    pub succeeded: bool,
    /// It was `FAILED` at some time.
    pub failed: bool,
    /// How often the money went back on our request.
    pub refunds: u8,
    /// The money went back on somebody else's.
    pub charged_back: bool,
    /// The service was told of its present state, and answered for that.
    pub told: bool,
}

/// A request that changes something at a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    Reserve,
    Allocate,
    Release,
    Charge,
    Refund,
}

/// A request whose sender does not wait for it any more: it takes effect later, or never.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flying {
    pub order: No,
    pub deed: Deed,
    /// The order's `in_flight_until` was set after it was left alone, so it lands before that or never.
    pub covered: bool,
}

/// Where a holder is in performing an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    Reserve {
        first: bool,
    },
    LookAtRefusal,
    LookThenReserve,
    Charge,
    Ask,
    AskThenRefund,
    Refund,
    AskAfterRefund,
    ListThenAllocate,
    Allocate,
    ListAfterAllocate,
    Release,
    ListThenRelease,
    LookThenRelease,
    /// It knows what came of it, and is about to store that.
    Store(Ev),
}

/// Somebody at work on an order: the request that places it, a callback's, a buyer's, or a sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    pub order: No,
    /// The order as it was read.
    pub seen: Row,
    /// Nobody has stored a transition since.
    pub fresh: bool,
    /// The order's lease is this one's.
    pub leases: bool,
    /// The order's `in_flight_until` was set while it was performing its present action: deadlines end that action before.
    pub within: bool,
    /// And it was set for so long that even what this action leaves behind lands before that.
    pub sheltered: bool,
    /// It performs the order's next action, rather than storing news.
    pub drives: bool,
    pub at: At,
}

impl Holder {
    /// Who has just taken the order's lease. What it does is decided by [`super::service::Model::begin`].
    pub fn of_lease(order: No, seen: Row) -> Self {
        Self {
            order,
            seen,
            fresh: true,
            leases: true,
            within: false,
            sheltered: false,
            drives: true,
            at: At::Release,
        }
    }

    /// What it still needs of the order as it was read, when it will be told the order as it is before it stores
    /// anything: what its action looks at, and what tells whether that order would hear of the outcome at all.
    pub fn still_looks_at(&self) -> Row {
        let seen = &self.seen;
        let phase = Row { placed: true, phase: seen.phase, ..Row::ABSENT };
        match self.at {
            At::Reserve { .. } | At::LookAtRefusal | At::LookThenReserve => {
                Row { status: seen.status, payment: seen.payment, expired: seen.expired, ..phase }
            }
            At::ListThenRelease | At::LookThenRelease | At::Release => {
                Row { lapsed: seen.lapsed, in_flight: seen.in_flight, ..phase }
            }
            At::Ask if !self.drives => *seen,
            At::Ask => Row { status: seen.status, payment: seen.payment, unsure: seen.unsure, ..phase },
            _ => phase,
        }
    }
}

/// How far the next buyer has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Not interested before the claims are free.
    Waits,
    Claimed,
    Reserved,
    Sold,
    Gone,
}

/// How often each kind of trouble may still happen. Bounds the exploration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Budget {
    /// Holders that vanish.
    pub crashes: u8,
    /// Requests without an answer, or with one that says nothing.
    pub faults: u8,
    /// Callbacks that arrive, first or repeated.
    pub callbacks: u8,
    /// Cancels by the buyer.
    pub cancels: u8,
    /// Refunds that the buyer asks for.
    pub refunds: u8,
    /// Charge-backs.
    pub turns: u8,
    /// Payments that failed and then succeed.
    pub flips: u8,
    /// Living holders whose lease is taken over.
    pub overtakes: u8,
    /// Orders that an operator makes due.
    pub redrives: u8,
}

/// Holders and forgotten requests at any one time.
pub const MOST: usize = 4;

/// Everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct World {
    pub rows: [Row; 2],
    /// The one row of `seat_claims`.
    pub claim: Option<Who>,
    pub seat: Seat,
    pub pays: [Pay; 2],
    pub holders: [Option<Holder>; MOST],
    pub flying: [Option<Flying>; MOST],
    pub next: Next,
    pub left: Budget,
    /// The buyer's cancel was accepted.
    pub cancelled: [bool; 2],
    /// What a step did that must never happen.
    pub wrong: Option<&'static str>,
}

impl World {
    /// Nothing has happened.
    pub fn new(left: Budget) -> Self {
        Self {
            rows: [Row::ABSENT; 2],
            claim: None,
            seat: Seat::Free,
            pays: [Pay::default(); 2],
            holders: [None; MOST],
            flying: [None; MOST],
            next: Next::Waits,
            left,
            cancelled: [false; 2],
            wrong: None,
        }
    }

    /// Adds somebody at work.
    pub fn hire(&mut self, holder: Holder) {
        let free = self.holders.iter_mut().find(|place| place.is_none()).expect("room for a holder");
        *free = Some(holder);
    }

    /// Whether there is room for another holder.
    pub fn has_room(&self, most: usize) -> bool {
        self.holders.iter().flatten().count() < most
    }

    /// Leaves a request alone.
    pub fn forget(&mut self, holder: &Holder, deed: Deed) {
        let one = Flying { order: holder.order, deed, covered: holder.sheltered };
        let free = self.flying.iter_mut().find(|place| place.is_none()).expect("room for a request");
        *free = Some(one);
    }

    /// The order's `in_flight_until` is set: requests that nobody waits for land before it. `long`: so do those that a
    /// holder who is at work has yet to send.
    pub fn cover(&mut self, order: No, long: bool) {
        for one in self.flying.iter_mut().flatten().filter(|one| one.order == order) {
            one.covered = true;
        }
        for one in self.holders.iter_mut().flatten().filter(|one| one.order == order) {
            one.within = true;
            one.sheltered |= long;
        }
    }

    /// One written form for states that differ only in the order of things.
    pub fn arrange(&mut self) {
        arrange(&mut self.flying, pack::flying);
        arrange(&mut self.holders, pack::holder);
    }
}

/// Puts things in the order of their words, and what is none behind them.
fn arrange<T>(things: &mut [Option<T>; MOST], word: fn(&Option<T>) -> u64) {
    let mut words = [0; MOST];
    for (n, thing) in things.iter().enumerate() {
        words[n] = word(thing);
    }
    for end in 1..MOST {
        let mut n = end;
        while n > 0 && words[n - 1] < words[n] {
            words.swap(n - 1, n);
            things.swap(n - 1, n);
            n -= 1;
        }
    }
}
