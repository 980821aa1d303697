//! Installs what is missing with Debian's package manager, where we may.

use std::path::Path;
use std::process::Stdio;

use anyhow::Result;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::process;

const PROGRAM: &str = "/usr/bin/apt-get";

/// Installs a package; false where there is no `apt-get`, where we are not root, or where it fails.
///
/// # Errors
/// When `apt-get` cannot be started.
pub async fn install(package: &str) -> Result<bool> {
    if !process::is_root() || !Path::new(PROGRAM).exists() {
        return Ok(false);
    }
    // It refuses to run twice at once, as two tests would have it.
    static ONE: Mutex<()> = Mutex::const_new(());
    let _one = ONE.lock().await;
    eprintln!("{package} is not installed: installing it with apt-get (once, a minute or two) …");
    let arguments = ["install", "-y", "--no-install-recommends", package];
    // A fresh image has no package lists.
    Ok(run(&arguments).await? || run(&["update"]).await? && run(&arguments).await?)
}

async fn run(arguments: &[&str]) -> Result<bool> {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).status().await?;
    Ok(status.success())
}
