//! A private PostgreSQL server on the loopback interface, and the databases in it.

mod address;
mod data_dir;
mod database;
mod programs;
mod standby;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{free_port, process};
use programs::Programs;

pub use address::MovableAddress;
pub(crate) use data_dir::temporary_in;
pub use data_dir::{place_of, remove};
pub use database::Database;
pub(crate) use programs::unprivileged_user;

/// How long a start may take: after a crash it reads the log from the last checkpoint.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a stop may take before it becomes a harder one.
const STOP_LIMIT: Duration = Duration::from_secs(20);
const SUPERUSER: &str = "postgres";

/// What server to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the data is; made when it is not there. See [`place_of`] for the exception.
    pub data_dir: PathBuf,
    /// The TCP port on 127.0.0.1; `None`: a free one.
    pub port: Option<u16>,
    /// Whether the data has to survive a crash of the machine. A crash of the server it survives anyway.
    pub durable: bool,
    /// More settings, as for `postgres -c`; they override those that every server here gets.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// An empty, fast, not durable server in a temporary folder. The folder goes when the next such server starts
    /// after the death of this process.
    pub fn for_tests() -> Result<Options> {
        let data_dir = data_dir::temporary_in(&std::env::temp_dir())?;
        Ok(Options { data_dir, port: None, durable: false, settings: Vec::new() })
    }

    /// An empty, durable server with these settings, its data in a folder of its own below `parent`. That folder goes when
    /// the next such server starts there after the death of this process.
    pub fn durable_below(parent: &Path, settings: &[(&str, &str)]) -> Result<Options> {
        std::fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        let data_dir = data_dir::temporary_in(parent)?;
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Ok(Options { data_dir, port: None, durable: true, settings })
    }
}

/// A running server. Dropping it stops it at once; so does, on Linux, the death of this process.
pub struct Server {
    programs: Programs,
    data_dir: PathBuf,
    durable: bool,
    settings: Vec<(String, String)>,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts a server and waits until it answers. Installs PostgreSQL when it is missing and that is possible, and
    /// makes the data directory when there is none.
    pub async fn start(options: Options) -> Result<Server> {
        let place = data_dir::place_of(&options.data_dir)?;
        let programs = Programs::find_or_install(data_dir::version(&place)?).await?;
        data_dir::ensure(&place, &programs).await?;
        let mut attempts = if options.port.is_some() { 1 } else { 5 };
        loop {
            let port = options.port.map_or_else(free_port, Ok)?;
            let (programs, data_dir) = (programs.clone(), place.clone());
            let (durable, settings) = (options.durable, options.settings.clone());
            let mut server = Server { programs, data_dir, durable, settings, port, child: None };
            attempts -= 1;
            match server.start_again().await {
                Ok(()) => return Ok(server),
                // Somebody was faster on the port that was free a moment ago.
                Err(error) if attempts > 0 && format!("{error:#}").contains("in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the data really is.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// What the server says of itself.
    pub fn log_file(&self) -> PathBuf {
        data_dir::log_file(&self.data_dir)
    }

    /// The process id of the server, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// A command for another program of the same installation, such as `pgbench`.
    pub fn program(&self, name: &str) -> Command {
        self.programs.other_command(name)
    }

    /// Names a database of this server, which may or may not exist.
    pub fn database(&self, name: &str) -> Database {
        Database {
            host: "127.0.0.1".into(),
            port: self.port,
            user: SUPERUSER.into(),
            password: String::new(),
            name: name.into(),
        }
    }

    /// Makes a database, empty or as a copy of `template`, which must have no connections meanwhile. Fails when
    /// there is one of that name.
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Result<Database> {
        let database = self.database(name);
        database.create(template).await?;
        Ok(database)
    }

    /// Drops a database and terminates its connections. One that does not exist is no error.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        let client = self.database(SUPERUSER).connect().await?;
        client
            .batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database::quoted(name)))
            .await?;
        Ok(())
    }

    /// Stops the server as an administrator does it: every connection is cut, and everything is written out.
    pub async fn stop_orderly(&mut self) {
        self.end_meanwhile(libc::SIGINT).await;
    }

    /// Stops the server without a checkpoint and cuts every connection, as a crash does.
    pub async fn stop_immediately(&mut self) {
        self.end_meanwhile(libc::SIGQUIT).await;
    }

    /// Starts the server on the same data and port, after [`Server::stop_immediately`].
    pub async fn start_again(&mut self) -> Result<()> {
        self.end(libc::SIGQUIT);
        data_dir::free_from_dead_server(&self.data_dir).await?;
        let deadline = Instant::now() + START_LIMIT;
        let log = data_dir::log_file(&self.data_dir);
        loop {
            let before = std::fs::metadata(&log).map_or(0, |meta| meta.len()) as usize;
            self.child = Some(self.spawn(&log)?);
            let Some(status) = self.wait_until_it_answers(deadline).await? else {
                return Ok(());
            };
            self.child = None;
            let said = String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
            let said = said.get(before..).unwrap_or_default().trim();
            // Children of a killed server may need a moment to notice that it is gone.
            if !said.contains("pre-existing shared memory block") || Instant::now() > deadline {
                bail!("PostgreSQL ended at once ({status}); {} says:\n{said}", log.display());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Cuts every connection, writes everything out and stops.
    pub async fn stop(mut self) {
        self.end(libc::SIGINT);
    }

    /// Stops the server without a checkpoint, and waits for it. A blocking call, for `Drop`.
    pub fn stop_now(&mut self) {
        self.end(libc::SIGQUIT);
    }

    /// `Some` when the process ended instead of answering.
    async fn wait_until_it_answers(&mut self, deadline: Instant) -> Result<Option<std::process::ExitStatus>> {
        let database = self.database(SUPERUSER);
        loop {
            let child = self.child.as_mut().context("no server process")?;
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            match database.connect().await {
                Ok(_) => return Ok(None),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context("PostgreSQL was started but does not answer"));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn spawn(&self, log: &Path) -> Result<Child> {
        let out = OpenOptions::new().create(true).append(true).open(log)?;
        self.programs.give(log)?;
        let mut command = self.programs.command("postgres");
        command.arg("-D").arg(&self.data_dir);
        let port = self.port.to_string();
        let mut settings = vec![
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("unix_socket_directories", ""),
            // Many tests at once, each with a host that has a pool of its own.
            ("max_connections", "400"),
        ];
        if !self.durable {
            settings.extend([("fsync", "off"), ("full_page_writes", "off")]);
        }
        settings.extend(self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        process::spawn_bound(command, libc::SIGQUIT).context("starting PostgreSQL")
    }

    fn end(&mut self, signal: i32) {
        if let Some(child) = self.child.take() {
            end(child, signal);
        }
    }

    /// The same without keeping others from their work.
    async fn end_meanwhile(&mut self, signal: i32) {
        if let Some(child) = self.child.take() {
            let _ = tokio::task::spawn_blocking(move || end(child, signal)).await;
        }
    }
}

/// Ends the process in this way, or in a harder one when that takes too long.
fn end(mut child: Child, signal: i32) {
    for signal in [signal, libc::SIGQUIT, libc::SIGKILL] {
        process::signal(&child, signal);
        if !matches!(process::wait_at_most(&mut child, STOP_LIMIT), Ok(None)) {
            break;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(libc::SIGQUIT);
    }
}

#[cfg(test)]
mod tests;
