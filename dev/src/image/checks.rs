//! What was checked, and whether it holds.

use anyhow::Result;

/// The checks so far. Each is printed when it is made.
#[derive(Default)]
pub(super) struct Checks {
    count: usize,
    failed: usize,
}

impl Checks {
    /// Notes a check: a sentence, and an error when it does not hold.
    pub fn note(&mut self, sentence: &str, result: Result<()>) {
        self.count += 1;
        match result {
            Ok(()) => println!("ok    {sentence}"),
            Err(error) => {
                self.failed += 1;
                println!("FAIL  {sentence}: {error:#}");
            }
        }
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many do not hold.
    pub fn failed(&self) -> usize {
        self.failed
    }
}
