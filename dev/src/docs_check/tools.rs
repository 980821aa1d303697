//! What the tests need: a Chromium, Node, and the packages that the lock files name, in folders of cargo's target directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::component::{self, target_dir};
use crate::manifests::tools::install_npm_packages;
use crate::{apt, process};

/// The oldest Node that the packages and the tests run on.
const OLDEST_NODE: u32 = 20;

/// Where each package with a `package.json` comes from.
const PACKAGES: [(&str, &str); 2] = [("browser", "tests/browser"), ("client", "docs/client")];

/// Programs and folders.
pub struct Tools {
    folder: PathBuf,
    chromium: PathBuf,
}

impl Tools {
    /// Finds the programs, and installs what is not there yet, or of another version.
    ///
    /// # Errors
    /// When Chromium, Node or npm is missing and cannot be installed, or the registry does not answer.
    pub async fn prepare(root: &Path) -> Result<Tools> {
        let chromium = chromium().await?;
        let node = component::output(Command::new("node").arg("--version")).await;
        let node = node.context("Node is needed (Debian: nodejs and npm)")?;
        let major =
            node.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
        if major.is_none_or(|major: u32| major < OLDEST_NODE) {
            bail!("Node {OLDEST_NODE} or later is needed; this one is {}", node.trim());
        }
        let tools = Tools { folder: target_dir().await?.join("docs-test"), chromium };
        for (name, source) in PACKAGES {
            install_npm_packages(&root.join(source), &tools.folder.join(name))?;
        }
        Ok(tools)
    }

    /// The folder of all of it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The browser.
    pub fn chromium(&self) -> &Path {
        &self.chromium
    }

    /// Node, in the folder of a package.
    pub fn node(&self, package: &str) -> Command {
        let mut node = Command::new("node");
        node.current_dir(self.folder.join(package)).kill_on_drop(true);
        node
    }

    /// A program of a package's dependencies.
    pub fn node_program(&self, package: &str, program: &str) -> Command {
        let mut node = self.node(package);
        node.arg(Path::new("node_modules/.bin").join(program));
        node
    }

    /// Copies the packages' own files to where their dependencies are: Node looks for those beside the file that names them.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn copy_sources(&self, root: &Path) -> Result<()> {
        for (name, source) in PACKAGES {
            copy(&root.join(source), &self.folder.join(name))?;
        }
        Ok(())
    }
}

/// `$CHROMIUM`, else one that is installed, else Debian's, which is installed where we may.
async fn chromium() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("CHROMIUM").filter(|program| !program.is_empty()) {
        return Ok(PathBuf::from(program));
    }
    let found = || ["chromium", "google-chrome", "chromium-browser"].into_iter().find_map(process::find);
    if let Some(program) = found() {
        return Ok(program);
    }
    // A browser without fonts shows boxes.
    if apt::install("chromium").await? && apt::install("fonts-dejavu-core").await? {
        return found().context("Debian's chromium has no program of that name");
    }
    bail!("a Chromium is needed: install Debian's package chromium, or set CHROMIUM=/path/to/it")
}

/// Copies a folder's files, and those of its folders, over what is there.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() == "node_modules" {
            // Who works on them may have installed them in place.
        } else if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
