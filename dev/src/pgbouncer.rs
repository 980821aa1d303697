//! A private PgBouncer in front of a PostgreSQL server, with the configuration of `deploy/pgbouncer/pgbouncer.ini`.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use std::os::unix::process::CommandExt;
use tokio::net::TcpStream;

use crate::postgres::{Database, temporary_in, unprivileged_user};
use crate::{apt, free_port, process, repo_root};

/// The configuration that operators are given.
const CONFIGURATION: &str = "deploy/pgbouncer/pgbouncer.ini";
/// How long a start or a stop may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A running PgBouncer. Dropping it kills it.
pub struct PgBouncer {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl PgBouncer {
    /// Starts one in front of a database, for the user of that and with its password, on a free port of 127.0.0.1.
    /// `settings` override those of the file.
    ///
    /// # Errors
    /// When PgBouncer is not installed, or does not start.
    pub async fn start(database: &Database, settings: &[(String, String)]) -> Result<PgBouncer> {
        let program = find().await?;
        let folder = temporary_in(&std::env::temp_dir())?;
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let port = free_port()?;
        let users = folder.join("userlist.txt");
        std::fs::write(&users, format!("\"{}\" \"{}\"\n", database.user, database.password))?;
        std::fs::write(folder.join("pgbouncer.ini"), configuration(database, port, &users, settings)?)?;
        let mut pgbouncer = PgBouncer { program, folder, port, child: None };
        pgbouncer.start_again().await?;
        Ok(pgbouncer)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes a setting of the file for the next start.
    ///
    /// # Errors
    /// When the file does not have it.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let file = self.folder.join("pgbouncer.ini");
        let text = std::fs::read_to_string(&file)?;
        Ok(std::fs::write(&file, with_values(&text, [(name.to_owned(), value.to_owned())])?)?)
    }

    /// Adds a user for the next start.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_user(&self, name: &str, password: &str) -> Result<()> {
        let file = self.folder.join("userlist.txt");
        let text = std::fs::read_to_string(&file)?;
        Ok(std::fs::write(&file, format!("{text}\"{name}\" \"{password}\"\n"))?)
    }

    /// What it has written to its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Ends it without waiting for its clients: every connection is cut.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::signal(&child, libc::SIGTERM);
            let ended = tokio::task::spawn_blocking(move || {
                if !matches!(process::wait_at_most(&mut child, LIMIT), Ok(Some(_))) {
                    process::signal(&child, libc::SIGKILL);
                    let _ = child.wait();
                }
            });
            let _ = ended.await;
        }
    }

    /// Starts it on the same port, after [`PgBouncer::stop`].
    ///
    /// # Errors
    /// When it does not start; the end of its log tells why.
    pub async fn start_again(&mut self) -> Result<()> {
        self.stop().await;
        let out = OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(&self.program);
        command.arg(self.folder.join("pgbouncer.ini")).current_dir("/");
        if let Some((user, group)) = unprivileged_user()? {
            // It refuses to run as root.
            for path in [&self.folder, &self.folder.join("pgbouncer.ini"), &self.folder.join("userlist.txt")]
            {
                std::os::unix::fs::chown(path, Some(user), Some(group))?;
            }
            command.uid(user).gid(group);
        }
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = process::spawn_bound(command, libc::SIGKILL).context("starting PgBouncer")?;
        let child = self.child.insert(child);
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("PgBouncer ended at once ({status}):\n{}", self.log());
            }
            if Instant::now() > deadline {
                bail!("PgBouncer does not listen:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("pgbouncer.log")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::signal(&child, libc::SIGKILL);
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The file of the operators, with what is different here.
fn configuration(
    database: &Database,
    port: u16,
    users: &Path,
    settings: &[(String, String)],
) -> Result<String> {
    let file = repo_root().join(CONFIGURATION);
    let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let Database { host, port: database_port, name, .. } = database;
    let own = [
        (name.clone(), format!("host={host} port={database_port}")),
        ("listen_addr".into(), "127.0.0.1".into()),
        ("listen_port".into(), port.to_string()),
        ("auth_file".into(), users.display().to_string()),
    ];
    Ok(with_values(&text, own.into_iter().chain(settings.iter().cloned()))? + "unix_socket_dir =\n")
}

/// The text with other values in the place of its own. A second section of one name would begin with defaults.
fn with_values(text: &str, values: impl IntoIterator<Item = (String, String)>) -> Result<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (name, value) in values {
        let is_named = |line: &&mut String| line.split_once(" = ").is_some_and(|(known, _)| known == name);
        let line = lines.iter_mut().find(is_named);
        *line.with_context(|| format!("{CONFIGURATION} has no {name}"))? = format!("{name} = {value}");
    }
    Ok(lines.join("\n") + "\n")
}

/// PgBouncer's program, installed where it can be.
async fn find() -> Result<PathBuf> {
    if let Some(program) = process::find("pgbouncer") {
        return Ok(program);
    }
    apt::install("pgbouncer").await?;
    process::find("pgbouncer").context(
        "PgBouncer is not installed: install it (Debian, Ubuntu: `apt-get install pgbouncer`; macOS: `brew install pgbouncer`)",
    )
}
