//! A line for each check, and the verdict.

use std::time::Duration;

use anyhow::{Result, bail};

/// How the checks went so far.
#[derive(Default)]
pub struct Report {
    passed: usize,
    failed: usize,
    left_out: usize,
}

impl Report {
    /// A check that found `problems`; it has passed when there are none.
    pub fn check(&mut self, what: &str, problems: Vec<String>) {
        if problems.is_empty() {
            self.passed += 1;
            println!("ok        {what}");
            return;
        }
        self.failed += 1;
        println!("FAILED    {what}");
        for problem in problems {
            println!("          {problem}");
        }
    }

    /// A check that cannot be made here, and why.
    pub fn left_out(&mut self, what: &str) {
        self.left_out += 1;
        println!("left out  {what}");
    }

    /// # Errors
    /// When a check has failed.
    pub fn verdict(&self, elapsed: Duration) -> Result<()> {
        let Report { passed, failed, left_out } = self;
        println!(
            "\n{passed} checks passed, {failed} failed, {left_out} left out, in {:.0} s",
            elapsed.as_secs_f64()
        );
        if *failed > 0 {
            bail!("{failed} checks failed");
        }
        Ok(())
    }
}
