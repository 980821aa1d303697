//! How long a holder may take, and how long to wait before asking again.

use super::order::Phase;

/// Milliseconds that Catalog may take.
pub const CATALOG_DEADLINE_MS: u64 = 2_000;
/// Milliseconds that one call of Seating may take.
pub const SEATING_DEADLINE_MS: u64 = 3_000;
/// Milliseconds that one call of Payment may take.
pub const PAYMENT_DEADLINE_MS: u64 = 8_000;
/// Milliseconds that Notification may take.
pub const NOTIFICATION_DEADLINE_MS: u64 = 2_000;

/// Seconds for which a reserve surely holds: Seating's 15 minutes, less what clocks and a slow answer may take.
pub const HOLD_WINDOW_SECONDS: u32 = 870;

/// Room in a lease for storing what was learnt, beside the peers' deadlines.
const STORE_MS: u64 = 4_000;

/// The lease of a phase in milliseconds: for so long the one who made the transition holds the order, to perform its
/// next action. Longer than the action's deadlines and a healthy store, so that a living holder is not overtaken (if
/// it is, `version` decides); short, because it is also the time for which a crash leaves the order alone.
pub fn lease_ms(phase: Phase) -> u64 {
    match phase {
        // A repeated reserve looks at the seats and then reserves.
        Phase::Reserving => 2 * SEATING_DEADLINE_MS + STORE_MS,
        Phase::Charging | Phase::AwaitingPayment => PAYMENT_DEADLINE_MS + STORE_MS,
        // Ask, allocate, and ask again when that is refused; list, look, and release.
        Phase::Allocating | Phase::Releasing => 3 * SEATING_DEADLINE_MS + STORE_MS,
        // Ask, refund, and ask again when that is refused.
        Phase::Refunding => 3 * PAYMENT_DEADLINE_MS + STORE_MS,
        // At rest, but its payment is asked about.
        Phase::Done => PAYMENT_DEADLINE_MS + STORE_MS,
    }
}

/// Milliseconds for which a request that had no answer may still take effect after we stopped waiting for it. Peers
/// do not promise one; so long a dying order keeps its claims.
pub const IN_FLIGHT_MS: u64 = 10_000;

/// Attempts without an answer, in one phase, after which the operator is told: about ten minutes.
pub const PARK_AFTER_ATTEMPTS: u32 = 15;

/// Milliseconds between two questions about the payment of an order at rest: at least.
pub const WATCH_FIRST_MS: u64 = 60_000;
/// The same: at most (twenty days). Between them it is asked again when twice as much time has passed, so that a
/// payment that nobody ever completes costs sixteen questions in its first forty days, and one in twenty days then.
pub const WATCH_CAP_MS: u64 = 20 * 24 * 3_600_000;

/// The lease of an outbox message in milliseconds.
pub const MESSAGE_LEASE_MS: u64 = NOTIFICATION_DEADLINE_MS + STORE_MS;

/// Attempts after which a message is a dead letter: with the back-off below, after about a day.
pub const MESSAGE_MAX_ATTEMPTS: u32 = 40;

const FIRST_MS: u64 = 1_000;

/// Milliseconds to wait before attempt number `attempts + 1`: exponential from one second up to `cap_ms`, of which
/// a quarter is jitter, so that what failed together does not come back together.
///
/// `jitter` is random, 0 to 255.
pub fn backoff_ms(attempts: u32, cap_ms: u64, jitter: u8) -> u64 {
    let exponential = FIRST_MS.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(cap_ms);
    exponential - exponential / 4 * u64::from(jitter) / 255
}

/// The longest wait of an order between two attempts: a minute, because a buyer is waiting; ten minutes once the
/// operator was told and an hour has passed.
pub const fn order_backoff_cap_ms(attempts: u32) -> u64 {
    if attempts <= 60 { 60_000 } else { 600_000 }
}
/// The longest wait of a message between two attempts: an hour.
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
