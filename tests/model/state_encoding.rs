//! Encodes a state in a few words, and a hash set of encoded states: the tests are built without optimisation, and visit
//! millions of states.

use super::order::{ModelEvent, Row};
use super::state::{
    Budget, Holder, InFlightRequest, ModelState, PaymentState, PeerRequest, ProgramCounter, Seat, SeatOwner,
};
use order_service::domain::order::PaymentStatus;

/// The encoding of a state, distinct for every state.
pub type Packed = [u64; 8];

/// Small numbers side by side.
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    // Inlined also without optimisation.
    #[inline(always)]
    fn with(self, bits: u32, n: u64) -> Self {
        debug_assert!(n >> bits == 0, "{n} does not fit into {bits} bits");
        Self(self.0 << bits | n)
    }
}

fn payment(status: Option<PaymentStatus>) -> u64 {
    match status {
        None => 0,
        Some(status) => 1 + status as u64,
    }
}

#[inline(always)]
fn flags<const N: usize>(flags: [bool; N]) -> u64 {
    // An iterator costs more than what it is for.
    let (mut word, mut n) = (0, 0);
    while n < N {
        word = word << 1 | flags[n] as u64;
        n += 1;
    }
    word
}

const ROW_BITS: u32 = 32;

fn row(row: &Row) -> u64 {
    let Row { placed, status, phase, hold, failure, priced, free, payment: paid, tried, .. } = *row;
    let Row { expired, lapsed, in_flight, given_up, unsure, when, tickets, which, again, .. } = *row;
    let failure = match failure {
        None => 0,
        Some(code) => 1 + code as u64,
    };
    Word(flags([placed, priced, free, tried, expired, lapsed, in_flight, given_up, unsure]))
        .with(3, status as u64)
        .with(3, phase as u64)
        .with(2, hold as u64)
        .with(3, failure)
        .with(3, payment(paid))
        .with(3, when as u64)
        .with(2, tickets as u64)
        .with(2, which as u64)
        .with(2, again as u64)
        .0
}

fn ev(ev: ModelEvent) -> u64 {
    let (kind, more) = match ev {
        ModelEvent::Reserved { observed, may_land, free } => (0, flags([observed, may_land, free])),
        ModelEvent::ReservedDear => (1, 0),
        ModelEvent::ReserveRefused { held_in_part, may_land } => (2, flags([held_in_part, may_land])),
        ModelEvent::Paid(which, status) => (3, 4 * which as u64 + status as u64),
        ModelEvent::PaidWithoutSeats(which, status) => (4, 4 * which as u64 + status as u64),
        ModelEvent::ChargeRefused => (5, 0),
        ModelEvent::Unsure => (6, 0),
        ModelEvent::Allocated => (7, 0),
        ModelEvent::SeatsLost { ours } => (8, ours as u64),
        ModelEvent::Released { settled } => (9, settled as u64),
        ModelEvent::Silence { may_land } => (10, may_land as u64),
        ModelEvent::Cancel => (11, 0),
        ModelEvent::Refund => (12, 0),
        ModelEvent::HoldExpired => (13, 0),
        ModelEvent::Unknown => (14, 0),
        ModelEvent::RefundAccepted => (15, 0),
        ModelEvent::RefundPending => (16, 0),
        ModelEvent::Resolved(said) => (17, payment(said)),
        ModelEvent::Charged(status) => (18, status as u64),
        ModelEvent::ChargeUnanswered => (19, 0),
        ModelEvent::ChargedUnfamiliar => (20, 0),
        ModelEvent::Unfamiliar(which) => (21, which as u64),
        ModelEvent::EventCancelled => (22, 0),
    };
    Word(kind).with(4, more).0
}

fn pc(pc: ProgramCounter) -> u64 {
    let (kind, more) = match pc {
        ProgramCounter::Reserve { first, flies } => (0, flags([first, flies])),
        ProgramCounter::LookAtRefusal { first, flies } => (1, flags([first, flies])),
        ProgramCounter::LookThenReserve { flies } => (2, flies as u64),
        ProgramCounter::Charge => (3, 0),
        ProgramCounter::Ask => (4, 0),
        ProgramCounter::AskThenRefund => (5, 0),
        ProgramCounter::Refund => (6, 0),
        ProgramCounter::AskAfterRefund => (7, 0),
        ProgramCounter::ListThenAllocate { looks } => (8, looks as u64),
        ProgramCounter::Allocate => (9, 0),
        ProgramCounter::ListAfterAllocate => (10, 0),
        ProgramCounter::Release => (11, 0),
        ProgramCounter::ListThenRelease => (12, 0),
        ProgramCounter::LookThenRelease => (13, 0),
        ProgramCounter::LookThenAllocate => (14, 0),
        ProgramCounter::AskSecond => (15, 0),
        ProgramCounter::AskRefund => (16, 0),
        ProgramCounter::AskEvent { first, flies } => (17, flags([first, flies])),
        ProgramCounter::Store(known) => (18, ev(known)),
    };
    Word(kind).with(9, more).0
}

/// A holder in one word, which is zero when there is none.
pub fn holder(one: &Option<Holder>) -> u64 {
    let Some(Holder { order, seen, fresh, leases, within, sheltered, drives, pc: does }) = one else {
        return 0;
    };
    Word(1)
        .with(1, *order as u64)
        .with(5, flags([*fresh, *leases, *within, *sheltered, *drives]))
        .with(14, pc(*does))
        .with(ROW_BITS, row(seen))
        .0
}

/// A request in one word, which is zero when there is none.
pub fn in_flight_requests(one: &Option<InFlightRequest>) -> u64 {
    let Some(InFlightRequest { order, request, covered }) = one else { return 0 };
    let request = match *request {
        PeerRequest::Reserve => 0,
        PeerRequest::Allocate => 1,
        PeerRequest::Release => 2,
        PeerRequest::Charge => 3,
        PeerRequest::Refund(which) => 4 + which as u64,
    };
    Word(1).with(1, *order as u64).with(3, request).with(1, *covered as u64).0
}

fn owner(owner: SeatOwner) -> u64 {
    match owner {
        SeatOwner::Order(order) => order as u64,
        SeatOwner::NextBuyer => 2,
        SeatOwner::Elsewhere => 3,
        SeatOwner::Stranger => 4,
    }
}

fn seat(seat: Seat) -> u64 {
    let (kind, whose) = match seat {
        Seat::Free => (0, 0),
        Seat::Reserved { owner: one, aged } => (1 + aged as u64, owner(one)),
        Seat::Allocated(one) => (3, owner(one)),
    };
    Word(kind).with(3, whose).0
}

fn pay(pay: &PaymentState) -> u64 {
    let PaymentState {
        status,
        refuses,
        succeeded,
        failed,
        refunds,
        charged_back,
        acknowledged,
        accepted,
        forgotten,
        beside,
    } = *pay;
    Word(payment(status))
        .with(6, flags([refuses, succeeded, failed, charged_back, acknowledged, forgotten]))
        .with(2, u64::from(refunds))
        .with(2, u64::from(accepted))
        .with(3, beside as u64)
        .0
}

fn budget(left: &Budget) -> u64 {
    let Budget { crashes, faults, callbacks, cancels, refunds, turns, flips, overtakes, redrives, seconds } =
        *left;
    Word(u64::from(crashes))
        .with(3, u64::from(faults))
        .with(3, u64::from(callbacks))
        .with(3, u64::from(cancels))
        .with(3, u64::from(refunds))
        .with(3, u64::from(turns))
        .with(3, u64::from(flips))
        .with(3, u64::from(overtakes))
        .with(3, u64::from(redrives))
        .with(3, u64::from(seconds))
        .0
}

/// All of a state.
pub fn state_encoding(state: &ModelState) -> Packed {
    let ModelState {
        rows,
        claim,
        seat: place,
        payments,
        holders,
        in_flight_requests: flies,
        next,
        stranger,
        left,
        open_charge,
        told,
        cancelled,
        denied,
        event_cancelled,
        too_late,
        untold,
        wrong,
    } = state;
    let mut aloft = Word(0);
    for one in flies {
        aloft = aloft.with(6, in_flight_requests(one));
    }
    let aloft = aloft.with(5, seat(*place)).with(2, *stranger as u64);
    let claim = match *claim {
        None => 0,
        Some(one) => 1 + owner(one),
    };
    let rest = Word(budget(left))
        .with(2, claim)
        .with(3, *next as u64)
        .with(5, flags([cancelled[0], cancelled[1], denied[0], denied[1], wrong.is_some()]))
        .with(4, flags([*event_cancelled, too_late[0], too_late[1], *untold]))
        .with(2, flags(*open_charge))
        .with(2, flags(told[0]))
        .with(2, flags(told[1]));
    let mut money = Word(0);
    for one in payments.iter().flatten() {
        money = money.with(16, pay(one));
    }
    let rows = Word(row(&rows[0])).with(ROW_BITS, row(&rows[1]));
    let [a, b, c, d] = holders;
    [rows.0, rest.0, money.0, aloft.0, holder(a), holder(b), holder(c), holder(d)]
}

/// A state's fingerprint, which is never zero. Two states share one with a probability of about one in ten million at two million states.
pub fn fingerprint(state: &ModelState) -> u64 {
    let mut mixed: u64 = 0x243f_6a88_85a3_08d3;
    for word in state_encoding(state) {
        mixed = (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 29;
    }
    mixed.max(1)
}

/// A table of fingerprints, each with a number, that finds one in a few instructions.
pub struct Fingerprints {
    /// A power of two of places, more than half of them zero: nobody's.
    keys: Box<[u64]>,
    numbers: Box<[u64]>,
    count: usize,
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self::with_places(1 << 12)
    }
}

impl Fingerprints {
    fn with_places(places: usize) -> Self {
        Self { keys: vec![0; places].into(), numbers: vec![0; places].into(), count: 0 }
    }

    /// Where a fingerprint is, or would be.
    #[inline(always)]
    fn place(&self, key: u64) -> usize {
        let mask = self.keys.len() - 1;
        let mut place = key as usize & mask;
        while self.keys[place] != key && self.keys[place] != 0 {
            place = (place + 1) & mask;
        }
        place
    }

    /// Adds a fingerprint, unless it is known. Whether it was new.
    pub fn insert(&mut self, key: u64, number: u64) -> bool {
        let place = self.place(key);
        if self.keys[place] == key {
            return false;
        }
        (self.keys[place], self.numbers[place]) = (key, number);
        self.count += 1;
        if self.count * 2 > self.keys.len() {
            let mut larger = Self::with_places(self.keys.len() * 2);
            for n in 0..self.keys.len() {
                if self.keys[n] != 0 {
                    larger.insert(self.keys[n], self.numbers[n]);
                }
            }
            *self = larger;
        }
        true
    }

    /// The number of a known fingerprint.
    pub fn get(&self, key: u64) -> Option<u64> {
        let place = self.place(key);
        (self.keys[place] == key).then(|| self.numbers[place])
    }
}
