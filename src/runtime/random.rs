//! Random bytes from the host's generator.

/// Cryptographically secure random bytes (`wasi:random`), fit for secrets.
///
/// # Panics
/// When the host gives none: a code that could be guessed must never be issued.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the host gives random bytes");
    bytes
}
