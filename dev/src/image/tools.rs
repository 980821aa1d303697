//! What the test needs of this machine.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process;

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
    if !process::is_root() {
        bail!("image-test needs root: it makes namespaces and mounts");
    }
    let missing: Vec<String> = PROGRAMS
        .iter()
        .filter(|(program, _)| process::find(program).is_none())
        .map(|(program, package)| format!("{program} (Debian: {package})"))
        .collect();
    if !missing.is_empty() {
        bail!("image-test needs {}: apt-get install buildah debootstrap", missing.join(", "));
    }
    Ok(())
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
