//! Random bytes.

/// Random bytes from the host, fit for secrets.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The host's generator does not fail; a code that could be guessed must never be issued all the same.
    getrandom::fill(&mut bytes).expect("the host gives random bytes");
    bytes
}
