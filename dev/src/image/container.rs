//! A container: an image's files and configuration, in namespaces of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::buildah::Buildah;
use super::network::Network;
use crate::process;

/// How long a process may need to start, to end, and to answer.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// An image whose files are mounted.
pub(super) struct Image {
    root: PathBuf,
    config: Value,
}

impl Image {
    pub async fn mount(buildah: &Buildah, image: &str) -> Result<Image> {
        let container = buildah.container(image).await?;
        Ok(Image { root: buildah.mount(&container).await?, config: buildah.config(image).await? })
    }

    /// Where the files are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A label.
    pub fn label(&self, name: &str) -> &str {
        self.config["Labels"][name].as_str().unwrap_or_default()
    }

    /// A list of words of the configuration, such as `Entrypoint`.
    pub fn words(&self, name: &str) -> Vec<String> {
        words(&self.config[name])
    }

    /// The words of the health check, as they are run: without the leading `CMD`.
    pub fn health_check(&self) -> Result<Vec<String>> {
        let words = words(&self.config["Healthcheck"]["Test"]);
        match words.split_first() {
            Some((first, rest)) if first == "CMD" && !rest.is_empty() => Ok(rest.to_vec()),
            _ => bail!("the image has no health check, or one that needs a shell: {words:?}"),
        }
    }

    /// The ports that are exposed, such as `4003/tcp`.
    pub fn ports(&self) -> Vec<String> {
        self.config["ExposedPorts"].as_object().into_iter().flatten().map(|(port, _)| port.clone()).collect()
    }

    fn user(&self) -> Result<(u32, u32)> {
        let text = self.config["User"].as_str().unwrap_or_default();
        let ids =
            text.split_once(':').and_then(|(user, group)| Some((user.parse().ok()?, group.parse().ok()?)));
        ids.with_context(|| format!("the image's user is {text:?}, and not two numbers"))
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let pairs = self.words("Env").into_iter();
        pairs
            .filter_map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect()
    }
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// How to run an image, as options of `docker run`.
#[derive(Clone, Default)]
pub(super) struct Run {
    /// `--env`.
    pub environment: Vec<(String, String)>,
    /// `--volume`: paths of this machine, and their places.
    pub mounts: Vec<(PathBuf, String)>,
    /// Without `--read-only --tmpfs /tmp`.
    pub writable: bool,
    /// In the place of the image's own command.
    pub command: Option<Vec<String>>,
    /// `--entrypoint`: in the place of the image's own.
    pub entrypoint: Option<Vec<String>>,
}

impl Run {
    /// With these variables.
    pub fn with<N: Into<String>, V: Into<String>>(environment: impl IntoIterator<Item = (N, V)>) -> Run {
        let environment = environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Run { environment, ..Run::default() }
    }

    /// And with this one, which takes the place of another one of that name.
    pub fn and(mut self, name: &str, value: &str) -> Run {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without this variable.
    pub fn without(mut self, name: &str) -> Run {
        self.environment.retain(|(other, _)| other != name);
        self
    }
}

/// A running container. Dropping it kills everything in it.
pub(super) struct Container {
    child: Child,
    environment: BTreeMap<String, String>,
    user: (u32, u32),
    log: PathBuf,
}

impl Container {
    /// Starts it; what it says goes to `log`.
    pub fn start(image: &Image, run: &Run, network: &Network, log: &Path) -> Result<Container> {
        let user = image.user()?;
        let mut environment = image.environment();
        environment.extend(run.environment.iter().cloned());
        let out = File::create(log).with_context(|| format!("making {}", log.display()))?;
        let find = |program| crate::process::find(program).with_context(|| format!("{program} is not there"));
        let mut command = Command::new(find("nsenter")?);
        command.arg(format!("--net={}", network.path().display())).arg(find("unshare")?);
        command.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child=SIGKILL",
            "/bin/sh",
            "-c",
            include_str!("run.sh"),
            "run.sh",
        ]);
        let mounts: Vec<String> =
            run.mounts.iter().map(|(from, to)| format!("{}\t{to}", from.display())).collect();
        let folder = image.config["WorkingDir"].as_str().filter(|folder| !folder.is_empty()).unwrap_or("/");
        command.arg(image.root()).args([user.0.to_string(), user.1.to_string()]).arg(folder);
        command.args([if run.writable { "" } else { "read-only" }, &mounts.join("\n")]);
        command.args(run.entrypoint.clone().unwrap_or_else(|| image.words("Entrypoint")));
        command.args(run.command.clone().unwrap_or_else(|| image.words("Cmd")));
        command.env_clear().envs(&environment);
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = process::spawn_bound(command, libc::SIGKILL).context("starting a container")?;
        Ok(Container { child, environment, user, log: log.to_path_buf() })
    }

    /// What it has said so far, without empty lines.
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    }

    /// Waits until a line contains `text`.
    pub async fn wait_for_line(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !self.lines().iter().any(|line| line.contains(text)) {
            if let Some(status) = self.child.try_wait()? {
                bail!("it has ended ({status}), and said {:?}", self.lines());
            }
            if Instant::now() > deadline {
                bail!("no line contains {text:?} after {LIMIT:?}: {:?}", self.lines());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until it ends by itself, or by a signal.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("it still runs after {LIMIT:?}, and said {:?}", self.lines());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// `docker stop`, without its patience: SIGTERM to process 1. How it ended, and whether everything in it did.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let first = self.first_process().await?;
        let namespace = std::fs::read_link(format!("/proc/{first}/ns/pid"))?;
        // SAFETY: kill(2) touches no memory; the process is a child of ours that has not been waited for.
        unsafe { libc::kill(first, libc::SIGTERM) };
        let status = self.ended().await?;
        let left: Vec<String> = processes_in(&namespace);
        if !left.is_empty() {
            bail!("it has ended, and these processes of it have not: {}", left.join(", "));
        }
        Ok(status)
    }

    /// `docker exec`: runs a command in it as its user; how it ended, and what it said.
    pub async fn exec(&self, words: &[String]) -> Result<(bool, String)> {
        let first = self.first_process().await?.to_string();
        let mut command =
            tokio::process::Command::new(crate::process::find("nsenter").context("nsenter is not there")?);
        command.args(["--target", &first, "--mount", "--pid", "--net", "--root", "--wd"]);
        command.args(["--setuid", &self.user.0.to_string(), "--setgid", &self.user.1.to_string(), "--"]);
        command.args(words).env_clear().envs(&self.environment).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT, command.output()).await.context("it does not end")??;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).trim().to_owned()))
    }

    /// Process 1, once `unshare` has forked it.
    fn children(&self) -> Vec<libc::pid_t> {
        let ours = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{ours}/task/{ours}/children"));
        let children = children.unwrap_or_default();
        children.split_whitespace().filter_map(|child| child.parse().ok()).collect()
    }

    /// Its process 1, by its id outside. It is another program until everything is mounted.
    async fn first_process(&self) -> Result<libc::pid_t> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(child) = self.children().first().copied()
                && std::fs::read_to_string(format!("/proc/{child}/status")).is_ok_and(|status| {
                    status
                        .lines()
                        .any(|line| line.starts_with("Uid:") && line.contains(&self.user.0.to_string()))
                })
            {
                return Ok(child);
            }
            if Instant::now() > deadline {
                bail!("it has no process that runs as its user: {:?}", self.lines());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Process 1 takes all others with it. `unshare` would not take it along: a change of the user clears its death signal.
        for child in self.children() {
            // SAFETY: kill(2) touches no memory; its parent, our child, has not been waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        process::signal(&self.child, libc::SIGKILL);
        let _ = self.child.wait();
    }
}

/// The command lines of the processes in a process namespace.
fn processes_in(namespace: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let inside = entries.filter(|entry| {
        let number = entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
        number && std::fs::read_link(entry.path().join("ns/pid")).is_ok_and(|other| other == namespace)
    });
    inside
        .map(|entry| {
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).replace('\0', " ")
        })
        .collect()
}
