//! A server in a child process: this program with a hidden subcommand.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;

const START_LIMIT: Duration = Duration::from_secs(20);

/// A server in its own process, so that its CPU time can be measured. Dropping it kills it.
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts this program with these arguments in this environment (beside our own), and waits until it prints `… http://<address> …`.
    ///
    /// # Errors
    /// When it does not, or ends.
    pub async fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Result<ServerProcess> {
        let name = arguments.first().copied().unwrap_or_default().to_owned();
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command.args(arguments).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child =
            process::spawn_bound(command, libc::SIGKILL).with_context(|| format!("starting `{name}`"))?;
        let out = child.stdout.take().context("no standard output")?;
        // From here on it is killed when anything goes wrong.
        let mut started = ServerProcess { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let said = tokio::task::spawn_blocking(move || announced(out));
        let said = tokio::time::timeout(START_LIMIT, said).await;
        match said.with_context(|| format!("`{name}` does not say where it serves"))?? {
            Some(address) => started.address = address,
            None => bail!("`{name}` ended at once"),
        }
        Ok(started)
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        process::signal_group(&self.child, libc::SIGKILL);
        let _ = self.child.wait();
    }
}

/// The address in the first line that has one. What comes after it is read and thrown away, so that the process can
/// go on printing.
fn announced(out: ChildStdout) -> Option<SocketAddr> {
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    let address = lines.by_ref().find_map(|line| address_in(&line))?;
    std::thread::spawn(move || lines.for_each(drop));
    Some(address)
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("http://").map_or(line, |(_, rest)| rest);
    rest.split(|c: char| c.is_whitespace() || c == '/').find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_what_is_printed() {
        for line in ["Serving http://127.0.0.1:4000", "127.0.0.1:4000", "on http://127.0.0.1:4000/ now"] {
            assert_eq!(address_in(line).unwrap().port(), 4000, "{line}");
        }
        assert_eq!(address_in("Starting …"), None);
    }
}
