//! Random bytes from the host's generator.

use std::time::Duration;

/// Cryptographically secure random bytes (`wasi:random`), fit for secrets.
///
/// # Panics
/// When the host gives none: a code that could be guessed must never be issued.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the host gives random bytes");
    bytes
}

/// A random duration from zero to `limit`, so that many instances do not do the same thing at the same time.
///
/// # Panics
/// As [`random`].
pub fn jitter(limit: Duration) -> Duration {
    limit * u32::from(random::<1>()[0]) / 256
}
