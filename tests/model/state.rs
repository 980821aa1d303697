//! The state of the model: order rows, claims, Seating, Payment, lease holders, and requests in flight.

use super::order::{ModelEvent, OrderIndex, Row, Which};
use super::state_encoding;
use order_service::domain::order::PaymentStatus;

/// Who has the seat, by a claim or at Seating.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeatOwner {
    /// A modelled order.
    Order(OrderIndex),
    /// The next buyer: an order of the service without faults, one step per request.
    NextBuyer,
    /// The first order's user, by a reserve that is older than the order: nobody knows how old.
    Elsewhere,
    /// Somebody who reserves at Seating past the service, and so without a claim.
    Stranger,
}

/// The seat's state at Seating.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seat {
    Free,
    /// Held for the owner's user. `aged`: for so long that Seating may expire the hold although the order's own hold window
    /// was renewed since.
    Reserved {
        owner: SeatOwner,
        aged: bool,
    },
    Allocated(SeatOwner),
}

impl Seat {
    /// Whether it is held for, or allocated to, the one.
    pub fn is_of(self, one: SeatOwner) -> bool {
        match self {
            Self::Free => false,
            Self::Reserved { owner, .. } | Self::Allocated(owner) => owner == one,
        }
    }
}

/// An order's payment at Payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PaymentState {
    /// None: there is no payment.
    pub status: Option<PaymentStatus>,
    /// Payment finds this charge invalid whenever it is asked, even if there is a payment.
    pub refuses: bool,
    /// It was `SUCCESS` at some time, so that a callback saying so may be under way.
    pub succeeded: bool,
    /// It was `FAILED` at some time.
    pub failed: bool,
    /// Number of refunds on our request.
    pub refunds: u8,
    /// Refunded by a charge-back, not on our request.
    pub charged_back: bool,
    /// The callback of its present status was acknowledged.
    pub acknowledged: bool,
    /// Refunds that Payment has accepted and not made.
    pub accepted: u8,
    /// Payment does not know it any more.
    pub forgotten: bool,
    /// Its row in `payment_refunds`.
    pub beside: Beside,
}

/// A row of `payment_refunds`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Beside {
    #[default]
    None,
    Open,
    /// Payment has accepted its refund, and has time left.
    Accepted,
    /// That time is over.
    Overdue,
    /// Payment has answered the refund that was asked for once more: it is only watched.
    Repeated,
    /// It went back.
    Settled,
    /// It has failed, as far as is known.
    Failed,
}

impl Beside {
    /// Whether it may have to go back.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Accepted | Self::Overdue | Self::Repeated)
    }
}

/// A request with an effect at a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerRequest {
    Reserve,
    Allocate,
    Release,
    Charge,
    Refund(Which),
}

/// A request in flight that its sender has abandoned: it takes effect later, or never.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InFlightRequest {
    pub order: OrderIndex,
    pub request: PeerRequest,
    /// The order's `in_flight_until` was set after it was abandoned, so it takes effect before that or never.
    pub covered: bool,
}

/// The program counter of a holder: its next step within an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProgramCounter {
    /// Asks Catalog whether the event of a late payment is cancelled.
    AskEvent {
        first: bool,
        flies: bool,
    },
    /// `flies`: an earlier reserve had no answer, and may still land.
    Reserve {
        first: bool,
        flies: bool,
    },
    LookAtRefusal {
        first: bool,
        flies: bool,
    },
    LookThenReserve {
        flies: bool,
    },
    Charge,
    Ask,
    /// A callback's question about the second payment.
    AskSecond,
    AskRefund,
    AskThenRefund,
    Refund,
    AskAfterRefund,
    /// `looks`: and then looks.
    ListThenAllocate {
        looks: bool,
    },
    LookThenAllocate,
    Allocate,
    ListAfterAllocate,
    Release,
    ListThenRelease,
    LookThenRelease,
    /// The action has an outcome, and storing it is next.
    Store(ModelEvent),
}

/// A task that works on an order: the request that places it, a callback, a buyer's request, or a sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    pub order: OrderIndex,
    /// The order as it was read.
    pub seen: Row,
    /// No transition was stored since.
    pub fresh: bool,
    /// The order's lease is this one's.
    pub leases: bool,
    /// The order's `in_flight_until` was set while it was performing its present action: deadlines end that action before.
    pub within: bool,
    /// And it was set for so long that even what this action leaves behind lands before that.
    pub sheltered: bool,
    /// It performs the order's next action, rather than storing news.
    pub drives: bool,
    pub pc: ProgramCounter,
}

impl Holder {
    /// A holder that has just taken the order's lease. What it does is decided by [`super::service::Model::begin`].
    pub fn of_lease(order: OrderIndex, seen: Row) -> Self {
        Self {
            order,
            seen,
            fresh: true,
            leases: true,
            within: false,
            sheltered: false,
            drives: true,
            pc: ProgramCounter::Release,
        }
    }

    /// What it still needs of the order as it was read, when it will be told the order as it is before it stores
    /// anything: what its action looks at, and what tells whether that order would hear of the outcome at all.
    pub fn still_looks_at(&self) -> Row {
        let seen = &self.seen;
        let phase = Row { placed: true, phase: seen.phase, ..Row::ABSENT };
        match self.pc {
            ProgramCounter::AskEvent { .. }
            | ProgramCounter::Reserve { .. }
            | ProgramCounter::LookAtRefusal { .. }
            | ProgramCounter::LookThenReserve { .. } => Row {
                status: seen.status,
                payment: seen.payment,
                which: seen.which,
                expired: seen.expired,
                ..phase
            },
            ProgramCounter::ListThenRelease | ProgramCounter::LookThenRelease | ProgramCounter::Release => {
                Row { in_flight: seen.in_flight, ..phase }
            }
            ProgramCounter::Ask | ProgramCounter::AskSecond if !self.drives => *seen,
            ProgramCounter::Ask => Row {
                status: seen.status,
                payment: seen.payment,
                which: seen.which,
                unsure: seen.unsure,
                expired: seen.expired,
                lapsed: seen.lapsed,
                hold: seen.hold,
                ..phase
            },
            ProgramCounter::AskRefund
            | ProgramCounter::AskThenRefund
            | ProgramCounter::Refund
            | ProgramCounter::AskAfterRefund => {
                Row { payment: seen.payment, which: seen.which, again: seen.again, ..phase }
            }
            ProgramCounter::Charge => Row { payment: seen.payment, which: seen.which, ..phase },
            _ => phase,
        }
    }
}

/// The progress of the next buyer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextBuyer {
    /// Waits for the claims to be free.
    Waits,
    Claimed,
    Reserved,
    Sold,
    Gone,
}

/// The progress of a stranger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stranger {
    /// Waits for a free seat, or there is none.
    Waits,
    Reserved,
    Sold,
    Gone,
}

/// The remaining number of faults and events of each kind. It bounds the state space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Budget {
    /// Crashes of holders.
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
    /// Second payments that the buyer makes.
    pub seconds: u8,
}

/// Maximum number of holders, and of abandoned requests, at a time.
pub const MAX_CONCURRENT: usize = 4;

/// A state of the model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ModelState {
    pub rows: [Row; 2],
    /// The one row of `seat_claims`.
    pub claim: Option<SeatOwner>,
    pub seat: Seat,
    /// Of each order: the charge's, and a second one.
    pub payments: [[PaymentState; 2]; 2],
    pub holders: [Option<Holder>; MAX_CONCURRENT],
    pub in_flight_requests: [Option<InFlightRequest>; MAX_CONCURRENT],
    pub next: NextBuyer,
    pub stranger: Stranger,
    pub left: Budget,
    /// The check of the charge: it may have made a payment of which nobody knows.
    pub open_charge: [bool; 2],
    /// The checks of payments that a callback told of when Payment could not be asked.
    pub told: [[bool; 2]; 2],
    /// The buyer's cancel was accepted.
    pub cancelled: [bool; 2],
    /// An operator said that no money was taken.
    pub denied: [bool; 2],
    /// The event is cancelled at Catalog.
    pub event_cancelled: bool,
    /// It was, when the order's seats were to be reserved again for a late payment.
    pub too_late: [bool; 2],
    /// What an operator must hear of was not told.
    pub untold: bool,
    /// The violation by a step, if there is one.
    pub wrong: Option<&'static str>,
}

impl ModelState {
    /// The initial state.
    pub fn new(left: Budget) -> Self {
        Self {
            rows: [Row::ABSENT; 2],
            claim: None,
            seat: Seat::Free,
            payments: [[PaymentState::default(); 2]; 2],
            holders: [None; MAX_CONCURRENT],
            in_flight_requests: [None; MAX_CONCURRENT],
            next: NextBuyer::Waits,
            stranger: Stranger::Waits,
            left,
            open_charge: [false; 2],
            told: [[false; 2]; 2],
            cancelled: [false; 2],
            denied: [false; 2],
            event_cancelled: false,
            too_late: [false; 2],
            untold: false,
            wrong: None,
        }
    }

    /// A payment, seen from an order.
    pub fn payment(&self, order: OrderIndex, which: Which) -> &PaymentState {
        match which {
            Which::Charged | Which::Second => &self.payments[order][which as usize],
            Which::Others => &self.payments[1 - order][Which::Charged as usize],
        }
    }

    /// As [`Self::payment`].
    pub fn payment_mut(&mut self, order: OrderIndex, which: Which) -> &mut PaymentState {
        match which {
            Which::Charged | Which::Second => &mut self.payments[order][which as usize],
            Which::Others => &mut self.payments[1 - order][Which::Charged as usize],
        }
    }

    /// Whether the other order has the payment.
    pub fn is_foreign(&self, order: OrderIndex, which: Which) -> bool {
        let other = &self.rows[1 - order];
        other.payment.is_some()
            && match which {
                Which::Charged => other.which == Which::Others,
                Which::Second => false,
                Which::Others => other.which == Which::Charged,
            }
    }

    /// Adds a holder.
    pub fn add_holder(&mut self, holder: Holder) {
        let free = self.holders.iter_mut().find(|place| place.is_none()).expect("room for a holder");
        *free = Some(holder);
    }

    /// Whether another order has the claim, and so the hold if it is of the same user.
    pub fn adopted(&self, order: OrderIndex) -> bool {
        self.claim.is_some_and(|owner| matches!(owner, SeatOwner::Order(other) if other != order))
    }

    /// Whether there is room for another holder.
    pub fn has_room(&self, most: usize) -> bool {
        self.holders.iter().flatten().count() < most
    }

    /// Abandons a request: it stays in flight.
    pub fn abandon(&mut self, holder: &Holder, request: PeerRequest) {
        let one = InFlightRequest { order: holder.order, request, covered: holder.sheltered };
        let free =
            self.in_flight_requests.iter_mut().find(|place| place.is_none()).expect("room for a request");
        *free = Some(one);
    }

    /// The order's `in_flight_until` is set: requests that nobody waits for land before it. `long`: so do those that a
    /// holder who is at work has yet to send.
    pub fn cover(&mut self, order: OrderIndex, long: bool) {
        for one in self.in_flight_requests.iter_mut().flatten().filter(|one| one.order == order) {
            one.covered = true;
        }
        for one in self.holders.iter_mut().flatten().filter(|one| one.order == order) {
            one.within = true;
            one.sheltered |= long;
        }
    }

    /// The canonical form (symmetry reduction): equal for states that differ only in the order of holders and requests.
    pub fn canonicalize(&mut self) {
        canonicalize(&mut self.in_flight_requests, state_encoding::in_flight_requests);
        canonicalize(&mut self.holders, state_encoding::holder);
    }
}

/// Sorts by encoding, `None` last.
fn canonicalize<T>(things: &mut [Option<T>; MAX_CONCURRENT], word: fn(&Option<T>) -> u64) {
    if things[1..].iter().all(Option::is_none) {
        return;
    }
    let mut words = [0; MAX_CONCURRENT];
    for (n, thing) in things.iter().enumerate() {
        words[n] = word(thing);
    }
    for end in 1..MAX_CONCURRENT {
        let mut n = end;
        while n > 0 && words[n - 1] < words[n] {
            words.swap(n - 1, n);
            things.swap(n - 1, n);
            n -= 1;
        }
    }
}
