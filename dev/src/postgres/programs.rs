//! Where PostgreSQL's programs are, and which user may run them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use std::os::unix::process::CommandExt;

use crate::{apt, process};

/// Folders in which packages put the programs without adding them to PATH; `*` is a version.
const USUAL_FOLDERS: [&str; 4] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/pgsql*/bin",
];

/// One installation of PostgreSQL, and who runs it.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// PostgreSQL refuses to run as root, so root runs it as another user: user and group id.
    user: Option<(u32, u32)>,
}

impl Programs {
    /// Finds an installation, of the given major version if there is one: those on PATH first, then the newest.
    /// As root on a Debian-like system it installs the package when there is none.
    pub async fn find_or_install(version: Option<String>) -> Result<Programs> {
        let mut folders = installations();
        if folders.is_empty() {
            install().await?;
            folders = installations();
        }
        let newest =
            folders.first().context("PostgreSQL was installed, but initdb and postgres are not found")?;
        let folder = match &version {
            None => newest,
            Some(wanted) => {
                match folders.iter().find(|folder| major_version(folder).as_ref() == Some(wanted)) {
                    Some(folder) => folder,
                    None => bail!(
                        "the data was made by PostgreSQL {wanted}, but only {} is here: install postgresql-{wanted}, \
                     or start afresh with `cargo dev reset`",
                        major_version(newest).unwrap_or_else(|| "another version".into())
                    ),
                }
            }
        };
        Ok(Programs { folder: folder.clone(), user: unprivileged_user()? })
    }

    /// A command for one of the programs, run as the right user from a folder which that user can read.
    pub fn command(&self, name: &str) -> std::process::Command {
        self.run(self.folder.join(name))
    }

    /// The same for a program that is not needed to run a server, and so may not be linked to where the server's are.
    pub fn other_command(&self, name: &str) -> std::process::Command {
        let server = self.folder.join("postgres").canonicalize();
        let beside = server.ok().and_then(|path| Some(path.parent()?.join(name)));
        self.run(beside.filter(|path| path.is_file()).unwrap_or_else(|| name.into()))
    }

    fn run(&self, program: PathBuf) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        command.current_dir("/");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes the user that runs PostgreSQL the owner of a file or folder.
    pub fn give(&self, path: &Path) -> Result<()> {
        if let Some((user, group)) = self.user {
            std::os::unix::fs::chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }
}

/// The user and group that root runs PostgreSQL as; `None` when we are not root.
pub(crate) fn unprivileged_user() -> Result<Option<(u32, u32)>> {
    if !process::is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    let ids = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let (user, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            (name == wanted).then_some((user, group))
        })
    };
    let found = ids("postgres").or_else(|| ids("nobody"));
    found
        .map(Some)
        .context("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
}

fn installations() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(usual_folders());
    folders.retain(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file());
    folders
}

/// Highest version first.
fn usual_folders() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in USUAL_FOLDERS {
        let Some((before, after)) = pattern.split_once('*') else {
            continue;
        };
        let (parent, prefix) = before.rsplit_once('/').unwrap_or((before, ""));
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(version) = name.strip_prefix(prefix) {
                let version: f64 = version.parse().unwrap_or(0.0);
                found.push((version, PathBuf::from(format!("{parent}/{name}{after}"))));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// `postgres --version` prints `postgres (PostgreSQL) 15.18 (…)`; the data directory says `15`.
fn major_version(folder: &Path) -> Option<String> {
    let output = std::process::Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_once("(PostgreSQL)")?.1.split_whitespace().next()?;
    Some(version.split(|c: char| !c.is_ascii_digit()).next()?.to_owned())
}

async fn install() -> Result<()> {
    const ADVICE: &str = "PostgreSQL is not installed: install it (Debian, Ubuntu: `apt-get install postgresql`; \
         Fedora: `dnf install postgresql-server`; macOS: `brew install postgresql@17`), or name a running one with \
         DATABASE_HOST, DATABASE_PORT, DATABASE_USERNAME, DATABASE_PASSWORD, DATABASE_NAME";
    if !apt::install("postgresql").await? {
        bail!(ADVICE);
    }
    Ok(())
}
