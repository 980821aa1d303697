//! Programs of PyPI and npm, of the versions that a folder below `deploy/` names, in folders of cargo's target directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::component::target_dir;

/// Where the validators are, and where copies of manifests may be written.
pub struct Tools {
    python: PathBuf,
    node: PathBuf,
    work: PathBuf,
}

impl Tools {
    /// Installs what the files in `validators` name (`requirements.txt`, `package-lock.json`) into a folder `name` of the target
    /// directory, unless it is there.
    ///
    /// # Errors
    /// When python3 or npm is missing, or a registry does not answer.
    pub async fn prepare(validators: &Path, name: &str) -> Result<Tools> {
        let folder = target_dir().await?.join(name);
        let tools =
            Tools { python: folder.join("python"), node: folder.join("node"), work: folder.join("work") };
        install_python_packages(&validators.join("requirements.txt"), &tools.python)?;
        install_npm_packages(validators, &tools.node)?;
        if tools.work.exists() {
            std::fs::remove_dir_all(&tools.work)?;
        }
        std::fs::create_dir_all(&tools.work)?;
        Ok(tools)
    }

    /// The path of a program of the Python packages.
    pub fn program(&self, name: &str) -> String {
        self.python.join("bin").join(name).to_string_lossy().into_owned()
    }

    /// The folder that has `node_modules`.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// An empty folder for copies.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.work.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Every document of YAML files, as JSON.
    ///
    /// # Errors
    /// When one is not YAML.
    pub fn yaml(&self, text: &str) -> Result<Vec<serde_json::Value>> {
        let file = self.work.join("document.yaml");
        std::fs::write(&file, text)?;
        // YAML 1.2, in which the `on` of a workflow is a word.
        let script = "import json, sys; from ruamel.yaml import YAML\n\
            documents = YAML(typ='safe').load_all(open(sys.argv[1]))\n\
            json.dump([document for document in documents if document], sys.stdout, default=str)";
        let output = output(Command::new(self.program("python")).arg("-c").arg(script).arg(&file))?;
        if !output.status.success() {
            bail!("no YAML: {}", last_line(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Installs the packages that a requirements file names into a virtual environment, unless they are there.
///
/// # Errors
/// When python3 is missing, or the registry does not answer.
pub fn install_python_packages(requirements: &Path, environment: &Path) -> Result<()> {
    once(environment, &[requirements], || {
        let venv = ["-m", "venv", "--clear"].map(OsStr::new);
        start("python3", venv, Some(environment), "Debian: python3-venv")?;
        let pip = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"];
        let program = environment.join("bin/pip").to_string_lossy().into_owned();
        start(&program, pip.map(OsStr::new), Some(requirements), "")
    })
}

/// Installs the packages that the lock file in `source` names into `folder`, unless they are there.
///
/// # Errors
/// When npm is missing, or the registry does not answer.
pub fn install_npm_packages(source: &Path, folder: &Path) -> Result<()> {
    let packages = ["package.json", "package-lock.json"].map(|name| source.join(name));
    once(folder, &[&packages[0], &packages[1]], || {
        std::fs::create_dir_all(folder)?;
        for package in &packages {
            std::fs::copy(package, folder.join(package.file_name().context("a file")?))?;
        }
        let npm =
            ["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"].map(OsStr::new);
        start("npm", npm, Some(folder), "Debian: npm")
    })
}

/// Runs `install` unless the folder was made from the same files before.
fn once(folder: &Path, files: &[&Path], install: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut wanted = String::new();
    for file in files {
        wanted += &std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    }
    let stamp = folder.join("installed-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    eprintln!("Installing packages into {} …", folder.display());
    install()?;
    Ok(std::fs::write(stamp, wanted)?)
}

fn start<const N: usize>(
    program: &str,
    arguments: [&OsStr; N],
    last: Option<&Path>,
    package: &str,
) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).args(last).stdin(Stdio::null());
    let status = command
        .status()
        .with_context(|| format!("`{program}` is needed and cannot be started ({package})"))?;
    if !status.success() {
        bail!("`{program}` failed ({status}): {command:?}");
    }
    Ok(())
}

/// Runs a tool whose failure is an answer.
///
/// # Errors
/// When it cannot be started.
pub fn output(command: &mut Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output();
    output.with_context(|| format!("starting {:?}", command.get_program()))
}

/// Both outputs of a tool, for a message.
pub fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).trim().to_owned()
}

fn last_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().lines().last().unwrap_or_default().to_owned()
}
