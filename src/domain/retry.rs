//! Deadlines of peer calls, leases, and exponential back-off with jitter.

use super::order::{Order, Phase, Status};
use std::time::Duration;

/// Deadline of a call of Catalog, in milliseconds.
pub const CATALOG_DEADLINE_MS: u64 = 2_000;
/// Deadline of a call of User, in milliseconds.
pub const USER_DEADLINE_MS: u64 = 2_000;
/// Deadline of asking an issuer of tokens for its keys, in milliseconds.
pub const KEY_SET_DEADLINE_MS: u64 = 2_000;
/// Deadline of a call of Seating, in milliseconds.
pub const SEATING_DEADLINE_MS: u64 = 3_000;
/// Deadline of a call of Payment, in milliseconds.
pub const PAYMENT_DEADLINE_MS: u64 = 8_000;
/// Deadline of a call of Notification, in milliseconds.
pub const NOTIFICATION_DEADLINE_MS: u64 = 2_000;

/// The hold window: seconds for which Seating surely keeps a reservation. Its 15 minutes, less a margin for clocks and a slow
/// answer.
pub const HOLD_WINDOW_SECONDS: u32 = 870;

/// The most reserves within one attempt at the phase. Seating answers 500 to reserves of neighbouring seats at once, all but one,
/// and takes them a moment later.
pub const RESERVE_ATTEMPTS: u32 = 4;
/// Milliseconds within which all of them begin.
pub const RESERVE_TIME_MS: u64 = 3_000;

/// Milliseconds between the reserve number `attempt`, which had no answer, and the look before the next one. Any time up to a
/// limit that doubles (full jitter), because what collided once would collide again.
///
/// `jitter` is random, 0 to 255.
pub fn reserve_pause_ms(attempt: u32, jitter: u8) -> u64 {
    RESERVE_PAUSE_MS + (RESERVE_SPREAD_MS << attempt.saturating_sub(1).min(3)) * u64::from(jitter) / 255
}

/// With the host's timeout, which is so much shorter than the deadline, as long as [`RESERVE_TIME_MS`]: a Seating that hangs is not
/// called again within the attempt.
const RESERVE_PAUSE_MS: u64 = 50;
const RESERVE_SPREAD_MS: u64 = 250;

/// The part of a lease for storing the outcome, beside the peers' deadlines, in milliseconds.
const STORE_MS: u64 = 4_000;

/// The lease of a phase in milliseconds: for so long the request that stored the transition has the order to itself, to perform
/// its next action. Longer than the action's deadlines and a healthy store, so that a live holder is not overtaken (if it is, the
/// version check decides); short, because after a crash the order waits until it is over.
pub fn lease_ms(phase: Phase) -> u64 {
    match phase {
        // The attempts, of which the last begins within their time: a reserve, and a look when it is refused.
        Phase::Reserving => RESERVE_TIME_MS + 2 * SEATING_DEADLINE_MS + STORE_MS,
        Phase::Charging | Phase::AwaitingPayment => PAYMENT_DEADLINE_MS + STORE_MS,
        // Four calls: ask, look, allocate, and ask again when that is refused.
        Phase::Allocating => 4 * SEATING_DEADLINE_MS + STORE_MS,
        // Three calls: list, look, and release.
        Phase::Releasing => 3 * SEATING_DEADLINE_MS + STORE_MS,
        // Three calls: ask, refund, and ask again when that is refused.
        Phase::Refunding => 3 * PAYMENT_DEADLINE_MS + STORE_MS,
        // One call: at rest, Payment is asked about the payment.
        Phase::Done => PAYMENT_DEADLINE_MS + STORE_MS,
    }
}

/// In flight: milliseconds for which a request that had no answer may still take effect after its timeout, and for which a failed
/// or cancelled order keeps its seat claims. An assumption: peers promise no limit.
pub const IN_FLIGHT_MS: u64 = 10_000;

/// Attempts without an answer in one phase after which the order is parked, which alerts the operator: about ten minutes.
pub const PARK_AFTER_ATTEMPTS: u32 = 15;

/// Milliseconds after which an operator hears of a payment beside an order's own that Payment still shows in an unfamiliar status, if
/// not after that many attempts before.
const PARK_AFTER_MS: i64 = 600_000;

/// Whether a status that Payment shows has lasted for so long that an operator should hear of it: after `attempts` to ask, and
/// `age_ms` milliseconds.
pub const fn lasts(attempts: u32, age_ms: i64) -> bool {
    attempts >= PARK_AFTER_ATTEMPTS || age_ms >= PARK_AFTER_MS
}

/// Milliseconds before Payment is asked again about a payment of which a callback told, and which it does not know: a replica of it
/// may lag behind. Doubles with each answer.
pub const UNKNOWN_FIRST_MS: u64 = 15_000;
/// How often in a row Payment does not know such a payment before that is believed: about four minutes.
pub const UNKNOWN_ANSWERS: u32 = 5;

/// Watch: the shortest interval, in milliseconds, between two queries about the payment of an order at rest.
pub const WATCH_FIRST_MS: u64 = 60_000;
/// Watch: the longest interval, in milliseconds (twenty days). The interval doubles in between (exponential back-off), so that a
/// payment that is never completed costs sixteen queries in its first forty days, and one in twenty days then.
pub const WATCH_CAP_MS: u64 = 20 * 24 * 3_600_000;

/// Milliseconds after which a refund that Payment accepted, and has not made, is asked for once more: a day.
pub const REFUND_REPEAT_MS: u64 = 24 * 3_600_000;
/// The same when that has been answered, too: a hundred years. It is not asked for again, only watched.
pub const REFUND_NEVER_MS: u64 = 100 * 365 * REFUND_REPEAT_MS;

/// Milliseconds until a refund is asked for again that Payment has just accepted. `before`: it had accepted it before, and was asked
/// once more.
pub const fn refund_again_ms(before: Option<i64>) -> i64 {
    if before.is_some() { REFUND_NEVER_MS as i64 } else { REFUND_REPEAT_MS as i64 }
}

/// Whether an accepted refund has been asked for once more, and Payment has answered. `again_in_ms`: until it is asked for again.
pub const fn refund_is_repeated(again_in_ms: i64) -> bool {
    // Far from both, whatever the servers' clocks say.
    again_in_ms > REFUND_NEVER_MS as i64 / 2
}

/// Milliseconds since Payment accepted a refund, that is not asked for again for so long.
fn accepted_ms(again_in_ms: i64) -> u64 {
    let after = if refund_is_repeated(again_in_ms) { REFUND_NEVER_MS } else { REFUND_REPEAT_MS };
    after.saturating_sub(u64::try_from(again_in_ms).unwrap_or(0))
}

/// The lease of a second payment's refund in milliseconds: two calls, ask and refund.
pub const PAYMENT_REFUND_LEASE_MS: u64 = 2 * PAYMENT_DEADLINE_MS + STORE_MS;

/// The longest `Retry-After` that is heeded, in milliseconds: ten minutes.
pub const RETRY_AFTER_CAP_MS: u64 = 600_000;

/// The lease of an outbox message in milliseconds.
pub const MESSAGE_LEASE_MS: u64 = NOTIFICATION_DEADLINE_MS + STORE_MS;

/// Delivery attempts after which a message is a dead letter: with the back-off below, after about a day.
pub const MESSAGE_MAX_ATTEMPTS: u32 = 40;

/// The first back-off, in milliseconds.
const FIRST_MS: u64 = 1_000;

/// Exponential back-off with jitter: milliseconds before attempt number `attempts + 1`. Doubles from one second up to `cap_ms`; up
/// to a quarter is subtracted as jitter, so that what failed together is not retried together.
///
/// `jitter` is random, 0 to 255.
pub fn backoff_ms(attempts: u32, cap_ms: u64, jitter: u8) -> u64 {
    let exponential = FIRST_MS.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(cap_ms);
    exponential - exponential / 4 * u64::from(jitter) / 255
}

/// Cap of an order's back-off in milliseconds: a minute, because a buyer is waiting; ten minutes after 60 attempts, which is about
/// an hour, when the order is parked.
pub const fn order_backoff_cap_ms(attempts: u32) -> u64 {
    if attempts <= 60 { 60_000 } else { 600_000 }
}

/// Milliseconds before an order's next attempt: the back-off, or the peer's `Retry-After` when that is longer. A refund that Payment
/// accepted is asked about when half as much time again has passed. Before an order's seats are allocated, never beyond the end of
/// its time to pay; after that, while it is `PENDING`, never beyond the end of its hold, when it ends or loses its seats.
///
/// `jitter` is random, 0 to 255.
pub fn order_wait_ms(order: &Order, retry_after_ms: Option<u64>, jitter: u8) -> u64 {
    let backoff = backoff_ms(order.attempts, order_backoff_cap_ms(order.attempts), jitter);
    let refund = order.refund_again_in_ms.map_or(0, |left| accepted_ms(left) / 2);
    let wait = backoff.max(refund.min(order_backoff_cap_ms(u32::MAX)));
    within_its_time(order, wait.max(capped(retry_after_ms)))
}

/// Milliseconds before the next attempt of an order that is due at once, but for a peer's `Retry-After`. Bounded like
/// [`order_wait_ms`].
pub fn asked_wait_ms(order: &Order, retry_after_ms: Option<u64>) -> u64 {
    within_its_time(order, capped(retry_after_ms))
}

/// A peer that an order's action calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// And Catalog, which is asked before the seats of a late payment are reserved.
    Seating,
    /// Charges, refunds, and questions about payments.
    Payment,
}

/// How long each peer asks to be left alone (`Retry-After`), while somebody drives an order. An answer that ends the order's phase
/// may lead to a call of the same peer, at once or after another peer's: the wait applies to that, too.
#[derive(Clone, Copy, Default, Debug)]
pub struct AskedWaits {
    seating_ms: u64,
    payment_ms: u64,
}

impl AskedWaits {
    /// What one peer asks for, in milliseconds; at most [`RETRY_AFTER_CAP_MS`] count.
    pub fn of(peer: Peer, retry_after_ms: Option<u64>) -> Self {
        let mut waits = Self::default();
        waits.ask(peer, retry_after_ms);
        waits
    }

    /// A peer has answered, and asks to wait so many milliseconds, or for nothing.
    pub fn ask(&mut self, peer: Peer, retry_after_ms: Option<u64>) {
        let left = self.left_mut(peer);
        *left = (*left).max(capped(retry_after_ms));
    }

    /// Notes that so much time has passed.
    pub fn advance_clock(&mut self, passed: Duration) {
        let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        for peer in [Peer::Seating, Peer::Payment] {
            let left = self.left_mut(peer);
            *left = left.saturating_sub(passed);
        }
    }

    /// Milliseconds for which a peer is still left alone; `None` when it may be called.
    pub fn left(mut self, peer: Peer) -> Option<u64> {
        Some(*self.left_mut(peer)).filter(|left| *left > 0)
    }

    fn left_mut(&mut self, peer: Peer) -> &mut u64 {
        match peer {
            Peer::Seating => &mut self.seating_ms,
            Peer::Payment => &mut self.payment_ms,
        }
    }
}

/// How long a peer is left alone that asks for it, whatever is asked next: at most [`RETRY_AFTER_CAP_MS`].
pub fn capped(retry_after_ms: Option<u64>) -> u64 {
    retry_after_ms.unwrap_or(0).min(RETRY_AFTER_CAP_MS)
}

fn within_its_time(order: &Order, wait: u64) -> u64 {
    let holds_seats = matches!(
        order.phase,
        Phase::Reserving | Phase::Charging | Phase::AwaitingPayment | Phase::Allocating
    );
    let left = match order.status {
        _ if !holds_seats => return wait,
        Status::Pending if order.expired() => order.hold_in_ms,
        // Late money, for which the seats are held again.
        _ if order.phase == Phase::Allocating && order.expired() => order.hold_in_ms,
        _ => order.expires_in_ms,
    };
    match u64::try_from(left) {
        Ok(left @ 1..) => wait.min(left),
        _ => wait,
    }
}

/// Cap of a message's back-off in milliseconds: an hour.
pub const MESSAGE_BACKOFF_CAP_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_cap_and_jitter_only_shortens_it() {
        let waits: Vec<u64> = (1..=8).map(|n| backoff_ms(n, order_backoff_cap_ms(n), 0)).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(backoff_ms(1, 60_000, 255), 750);
        assert_eq!(backoff_ms(u32::MAX, 60_000, 255), 45_000);
        assert_eq!(backoff_ms(0, 60_000, 0), 1_000);
    }

    #[test]
    fn reserves_that_collided_are_repeated_at_different_times_within_their_time() {
        let bounds: Vec<(u64, u64)> =
            (1..RESERVE_ATTEMPTS).map(|n| (reserve_pause_ms(n, 0), reserve_pause_ms(n, 255))).collect();
        assert_eq!(bounds, [(50, 300), (50, 550), (50, 1_050)]);
        let longest: u64 = bounds.iter().map(|(_, longest)| longest).sum();
        assert!(longest < RESERVE_TIME_MS, "{longest} ms");
    }

    #[test]
    fn the_operator_is_told_after_about_ten_minutes() {
        let total: u64 = (1..PARK_AFTER_ATTEMPTS).map(|n| backoff_ms(n, order_backoff_cap_ms(n), 128)).sum();
        assert!((7..=12).contains(&(total / 60_000)), "{total} ms");
    }

    #[test]
    fn a_message_is_tried_for_about_a_day_before_it_is_a_dead_letter() {
        let total: u64 = (1..MESSAGE_MAX_ATTEMPTS).map(|n| backoff_ms(n, MESSAGE_BACKOFF_CAP_MS, 128)).sum();
        let hours = total / 3_600_000;
        assert!((20..=30).contains(&hours), "{hours} hours");
    }
}
