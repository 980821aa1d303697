//! The data directory: where it can be, how it is made, and what a crash leaves in it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::SUPERUSER;
use super::programs::{Programs, unprivileged_user};

/// Where the data of a server with the wished `data_dir` is: there, except when root runs PostgreSQL as another user
/// who cannot get there (such as below `/root`). Then it is a folder of `/var/tmp`, always the same for the same wish.
pub fn place_of(data_dir: &Path) -> Result<PathBuf> {
    let wished = std::path::absolute(data_dir)?;
    if unprivileged_user()?.is_none() || wished.ancestors().skip(1).all(others_may_pass) {
        return Ok(wished);
    }
    Ok(PathBuf::from(format!("/var/tmp/order-service-{:016x}", fingerprint(&wished))))
}

/// Deletes the data of the wished `data_dir`, wherever it is. No server may run on it.
pub fn remove(data_dir: &Path) -> Result<()> {
    for folder in [std::path::absolute(data_dir)?, place_of(data_dir)?] {
        if folder.symlink_metadata().is_ok() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("deleting {}", folder.display()))?;
        }
    }
    Ok(())
}

/// What the server writes to standard error.
pub(super) fn log_file(data_dir: &Path) -> PathBuf {
    data_dir.join("server.log")
}

/// The major version that made the data; `None` when there is no data yet.
pub(super) fn version(data_dir: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(data_dir.join("PG_VERSION")) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}/PG_VERSION", data_dir.display())),
    }
}

/// Makes the data directory if there is none. It is made under another name and renamed, so that one that exists is
/// whole.
pub(super) async fn ensure(data_dir: &Path, programs: &Programs) -> Result<()> {
    if version(data_dir)?.is_some() {
        return Ok(());
    }
    if data_dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty, and is no data directory of PostgreSQL", data_dir.display());
    }
    let new = data_dir.with_extension("new");
    if new.symlink_metadata().is_ok() {
        std::fs::remove_dir_all(&new).with_context(|| format!("deleting {}", new.display()))?;
    }
    make_private(&new, programs)?;
    let mut initdb = programs.command("initdb");
    initdb.arg("-D").arg(&new).args(["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8"]);
    initdb.args(["--no-locale", "--no-sync"]);
    let mut initdb = tokio::process::Command::from(initdb);
    let output = initdb.kill_on_drop(true).output().await.context("starting initdb")?;
    if !output.status.success() {
        bail!("initdb failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    std::fs::rename(&new, data_dir).with_context(|| format!("making {}", data_dir.display()))
}

/// Makes an empty folder that belongs to the user who runs PostgreSQL.
pub(super) fn make_private(folder: &Path, programs: &Programs) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    programs.give(folder)
}

/// A killed server leaves `postmaster.pid` behind. PostgreSQL ignores it when no process has that id, but the id may
/// belong to somebody else by now. A server that really still runs here gets a moment to end.
pub(super) async fn free_from_dead_server(data_dir: &Path) -> Result<()> {
    let file = data_dir.join("postmaster.pid");
    let data_dir = data_dir.canonicalize()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Ok(text) = std::fs::read_to_string(&file) {
        let pid: Option<u32> = text.lines().next().and_then(|line| line.trim().parse().ok());
        match pid.and_then(works_in) {
            Some(folder) if folder == data_dir => {
                if Instant::now() > deadline {
                    bail!(
                        "a PostgreSQL (process {}) already runs on {}",
                        pid.unwrap_or(0),
                        data_dir.display()
                    );
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Some(_) => std::fs::remove_file(&file)?,
            None => return Ok(()),
        }
    }
    Ok(())
}

/// A new folder below `parent` for a server that is not to stay, after deleting those of processes that have ended.
pub(crate) fn temporary_in(parent: &Path) -> Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let prefix = "order-service-test-";
    for entry in std::fs::read_dir(parent)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(prefix).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !is_alive(pid)) {
            // Somebody else may be deleting it too, or it may be somebody else's.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Ok(parent.join(format!("{prefix}{}-{count}", std::process::id())))
}

fn is_alive(pid: u32) -> bool {
    // SAFETY: signal 0 only asks whether the process exists.
    let answer = unsafe { libc::kill(pid as libc::pid_t, 0) };
    answer == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// The working directory of a living process, which for a PostgreSQL server is its data directory. `None` when there
/// is no such process, or no way to know.
fn works_in(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

fn others_may_pass(folder: &Path) -> bool {
    // What does not exist yet will be made by us, and be open.
    folder.metadata().map_or(true, |meta| meta.mode() & 0o001 != 0)
}

/// FNV-1a: short, and the same in every version of Rust.
fn fingerprint(path: &Path) -> u64 {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
