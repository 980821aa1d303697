//! A private MQTT broker: NATS, with JetStream.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;

use crate::postgres::temporary_in;
use crate::{apt, free_port, process};

/// How long a start or a stop may take; it reads its store when it starts.
const LIMIT: Duration = Duration::from_secs(30);

/// A running NATS. It keeps what it has for MQTT's subscribers who are away, over restarts too. Dropping it kills it.
pub struct Nats {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Nats {
    /// Starts one on free ports of 127.0.0.1. It lets everybody in.
    ///
    /// # Errors
    /// When it does not start; the end of its log tells why.
    pub async fn start(program: &Path) -> Result<Nats> {
        let folder = temporary_in(&std::env::temp_dir())?;
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let (port, own) = (free_port()?, free_port()?);
        // MQTT wants a name of the server, because sessions belong to it.
        let text = format!(
            "server_name: orders\nlisten: \"127.0.0.1:{own}\"\njetstream {{ store_dir: \"{}\" }}\nmqtt {{ listen: \"127.0.0.1:{port}\" }}\n",
            folder.join("store").display()
        );
        std::fs::write(folder.join("nats.conf"), text)?;
        let mut nats = Nats { program: program.to_owned(), folder, port, child: None };
        nats.start_again().await?;
        Ok(nats)
    }

    /// The port of MQTT on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has written to its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Ends it politely.
    pub async fn stop(&mut self) {
        if let Some(child) = self.child.take() {
            process::stop(child, LIMIT).await;
        }
    }

    /// Starts it on the same port, after [`Nats::stop`].
    ///
    /// # Errors
    /// When it does not start; the end of its log tells why.
    pub async fn start_again(&mut self) -> Result<()> {
        self.stop().await;
        let out = OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.join("nats.conf")).current_dir("/");
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = process::spawn_bound(command, libc::SIGKILL).context("starting NATS")?;
        let child = self.child.insert(child);
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("NATS ended at once ({status}):\n{}", self.log());
            }
            if Instant::now() > deadline {
                bail!("NATS does not listen:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("nats.log")
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::signal(&child, libc::SIGKILL);
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Debian's `nats-server`, installed where it can be.
///
/// # Errors
/// When it is missing and cannot be installed.
pub async fn find_debians() -> Result<PathBuf> {
    if process::find("nats-server").is_none() {
        apt::install("nats-server").await?;
    }
    process::find("nats-server")
        .context("nats-server is not installed: install it (Debian, Ubuntu: `apt-get install nats-server`)")
}
