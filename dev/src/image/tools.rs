//! What the test needs of this machine.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Programs, with the Debian package that has them.
const PROGRAMS: [(&str, &str); 7] = [
    ("buildah", "buildah"),
    ("debootstrap", "debootstrap"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("mount", "mount"),
    ("chroot", "coreutils"),
];

/// # Errors
/// In one line, when something is missing.
pub(super) fn require() -> Result<()> {
    // SAFETY: geteuid(2) cannot fail and touches no memory.
    if unsafe { libc::geteuid() } != 0 {
        bail!("image-test needs root: it makes namespaces and mounts");
    }
    let missing: Vec<String> = PROGRAMS
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(program, package)| format!("{program} (Debian: {package})"))
        .collect();
    if !missing.is_empty() {
        bail!("image-test needs {}: apt-get install buildah debootstrap", missing.join(", "));
    }
    Ok(())
}

/// Where a program is: on PATH, or where root's are.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
    folders.into_iter().map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Held while `folder` is in use. The system frees it when the process ends, however it ends.
pub(super) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another image-test is at work in {}", folder.display()),
        Err(TryLockError::Error(error)) => Err(error).context("locking the folder of image-test"),
    }
}
