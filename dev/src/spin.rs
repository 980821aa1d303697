//! A Spin that is installed on this machine: `$SPIN`, or a `spin` on the PATH.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

/// The oldest Spin that runs the component, which exports `wasi:http/handler@0.3.0`.
const OLDEST: (u32, u32) = (4, 1);

/// How long `spin --version` may take. It reads a configuration, and asks nobody.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// A program that runs Spin applications, of a version that runs ours.
#[derive(Clone, Debug)]
pub struct Spin {
    /// Where it is; absolute, unless `$SPIN` is a bare name.
    pub path: PathBuf,
    /// What it says that it is, such as `spin 4.1.0 (94a8fc8 2026-10-01)`.
    pub version: String,
}

impl fmt::Display for Spin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.version)
    }
}

/// `$SPIN`, when it is set and not empty.
pub fn named() -> Result<Option<PathBuf>> {
    let Some(spin) = std::env::var_os("SPIN").filter(|spin| !spin.is_empty()) else {
        return Ok(None);
    };
    // Hosts are started from the root of the repository, wherever we are.
    let spin = PathBuf::from(spin);
    Ok(Some(if spin.components().count() > 1 { std::path::absolute(spin)? } else { spin }))
}

/// `$SPIN`, else a `spin` on the PATH that is new enough. One on the PATH that is not is told of, and left alone: it
/// may be there for something else.
///
/// # Errors
/// When `$SPIN` is set and is not a Spin that runs the component.
pub async fn find() -> Result<Option<Spin>> {
    if let Some(path) = named()? {
        let version = version(&path).await.with_context(|| format!("SPIN={}", path.display()))?;
        return Ok(Some(Spin { path, version }));
    }
    for path in on_the_path(std::env::var_os("PATH")) {
        match version(&path).await {
            Ok(version) => return Ok(Some(Spin { path, version })),
            Err(error) => eprintln!("Not using {}: {error:#}.", path.display()),
        }
    }
    Ok(None)
}

/// Every file named `spin` in a folder of the search path.
fn on_the_path(search_path: Option<OsString>) -> Vec<PathBuf> {
    let search_path = search_path.unwrap_or_default();
    let files = std::env::split_paths(&search_path).filter(|folder| folder.is_absolute());
    files.map(|folder| folder.join("spin")).filter(|file| file.is_file()).collect()
}

/// The first line of `--version`, when the program runs the component.
async fn version(program: &Path) -> Result<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(VERSION_LIMIT, command.output())
        .await
        .context("it does not tell its version")?
        .context("it cannot be started")?;
    ensure!(output.status.success(), "it does not tell its version");
    let line = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned();
    check_version(&line)?;
    Ok(line)
}

/// `spin <major>.<minor>…` of 4.1 or later, or our own stand-in for it. Debian has another program of that name.
fn check_version(line: &str) -> Result<()> {
    if line.starts_with("dev-host ") {
        return Ok(());
    }
    let number = line.strip_prefix("spin ").and_then(|rest| rest.split_whitespace().next());
    let mut parts = number.unwrap_or_default().split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        bail!("it is not the Spin that runs WebAssembly (its version: {line:?})");
    };
    ensure!((major, minor) >= OLDEST, "{line} is too old: the component needs Spin 4.1 or later");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn spin_4_1_and_later_and_the_stand_in_are_taken() {
        for line in [
            "spin 4.1.0 (94a8fc8 2026-10-01)",
            "spin 4.1.0-pre0",
            "spin 4.2.1",
            "spin 5.0.0",
            "dev-host 0.1.0",
        ] {
            assert!(check_version(line).is_ok(), "{line}");
        }
        for line in [
            "spin 4.0.2 (abc 2026-05-01)",
            "spin 3.6.3",
            "Spin Version 6.5.2 -- 6 December 2019",
            "spin",
            "",
            "spin x.y",
        ] {
            assert!(check_version(line).is_err(), "{line}");
        }
    }

    #[tokio::test]
    async fn a_program_that_is_no_spin_is_refused_with_a_reason() {
        let folder = std::env::temp_dir().join(format!("order-dev-spin-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("spin");
        assert!(on_the_path(Some(folder.clone().into())).is_empty());
        let says = |text: &str| {
            std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        says("echo 'spin 4.1.2 (0123456 2026-11-01)'");
        assert_eq!(on_the_path(Some(folder.clone().into())), std::slice::from_ref(&file));
        assert_eq!(version(&file).await.unwrap(), "spin 4.1.2 (0123456 2026-11-01)");
        says("echo 'spin 3.6.3'");
        assert!(version(&file).await.unwrap_err().to_string().contains("too old"));
        says("exit 1");
        assert_eq!(version(&file).await.unwrap_err().to_string(), "it does not tell its version");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
