//! A private MQTT broker: Mosquitto.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::net::TcpStream;

use crate::postgres::{temporary_in, unprivileged_user};
use crate::{apt, free_port, process};

/// How long a start or a stop may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A running Mosquitto. It keeps what it has for subscribers who are away, over restarts too, and as much as it is given.
/// Dropping it kills it.
pub struct Mosquitto {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts one on a free port of 127.0.0.1. With an account, a user and a password, it lets in nobody else; without one everybody.
    ///
    /// # Errors
    /// When Mosquitto is not installed, or does not start.
    pub async fn start(account: Option<(&str, &str)>) -> Result<Mosquitto> {
        let program = find().await?;
        let folder = temporary_in(&std::env::temp_dir())?;
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let mut mosquitto = Mosquitto { program, folder, port: free_port()?, child: None };
        let mut text = configuration(mosquitto.port, &mosquitto.folder);
        if let Some((user, password)) = account {
            let passwords = mosquitto.folder.join("passwords");
            mosquitto.make_passwords(&passwords, user, password)?;
            text += &format!("allow_anonymous false\npassword_file {}\n", passwords.display());
        } else {
            text += "allow_anonymous true\n";
        }
        std::fs::write(mosquitto.folder.join("mosquitto.conf"), text)?;
        mosquitto.start_again().await?;
        Ok(mosquitto)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has written to its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Ends it politely: it writes down what it has for subscribers.
    pub async fn stop(&mut self) {
        if let Some(child) = self.child.take() {
            process::stop(child, LIMIT).await;
        }
    }

    /// Has it say nothing any more: connections are accepted, by the system, and nobody reads them.
    pub fn freeze(&self) {
        if let Some(child) = &self.child {
            process::signal(child, libc::SIGSTOP);
        }
    }

    /// Has it go on.
    pub fn thaw(&self) {
        if let Some(child) = &self.child {
            process::signal(child, libc::SIGCONT);
        }
    }

    /// Starts it on the same port, after [`Mosquitto::stop`].
    ///
    /// # Errors
    /// When it does not start; the end of its log tells why.
    pub async fn start_again(&mut self) -> Result<()> {
        self.stop().await;
        let out = OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.join("mosquitto.conf")).current_dir("/");
        if let Some((user, group)) = unprivileged_user()? {
            // As root it would become a user of its own, who may not read the folder.
            for entry in std::fs::read_dir(&self.folder)? {
                std::os::unix::fs::chown(entry?.path(), Some(user), Some(group))?;
            }
            std::os::unix::fs::chown(&self.folder, Some(user), Some(group))?;
            command.uid(user).gid(group);
        }
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = process::spawn_bound(command, libc::SIGKILL).context("starting Mosquitto")?;
        let child = self.child.insert(child);
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("Mosquitto ended at once ({status}):\n{}", self.log());
            }
            if Instant::now() > deadline {
                bail!("Mosquitto does not listen:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn make_passwords(&self, file: &Path, user: &str, password: &str) -> Result<()> {
        let program = process::find("mosquitto_passwd").context("mosquitto_passwd is not installed")?;
        let made = Command::new(program).args(["-b", "-c"]).arg(file).args([user, password]).output()?;
        ensure!(made.status.success(), "mosquitto_passwd: {}", String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("mosquitto.log")
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::signal(&child, libc::SIGKILL);
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Without a limit to what waits for a subscriber: beyond it Mosquitto drops messages that it has acknowledged.
fn configuration(port: u16, folder: &Path) -> String {
    format!(
        "listener {port} 127.0.0.1\nmax_queued_messages 0\npersistence true\npersistence_location {}/\nlog_dest stdout\n",
        folder.display()
    )
}

/// Mosquitto's program, installed where it can be.
///
/// # Errors
/// When it is missing and cannot be installed.
pub async fn find() -> Result<PathBuf> {
    if let Some(program) = process::find("mosquitto") {
        return Ok(program);
    }
    apt::install("mosquitto").await?;
    process::find("mosquitto").context(
        "Mosquitto is not installed: install it (Debian, Ubuntu: `apt-get install mosquitto`; macOS: `brew install mosquitto`)",
    )
}
