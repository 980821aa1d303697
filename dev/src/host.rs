//! A running host: the dev host or Spin, with the component in it.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{free_port, process, repo_root};

/// How long a host may take to serve; the first start of a new component compiles it.
const START_LIMIT: Duration = Duration::from_secs(120);

/// What to run in a host.
#[derive(Clone, Debug)]
pub struct Options {
    /// The host: Spin or the dev host.
    pub program: PathBuf,
    /// The manifest of the application, such as the repository's `spin.toml`.
    pub manifest: PathBuf,
    /// Spin variables.
    pub variables: Vec<(String, String)>,
    /// More arguments of `spin up`, such as `--max-instance-reuse-count 1000`.
    pub arguments: Vec<String>,
    /// More environment variables for the host, such as `SPIN_MAX_INSTANCE_COUNT`.
    pub environment: Vec<(String, String)>,
    /// Gets the component's output and the host's own (`host.log`).
    pub log_dir: PathBuf,
    /// Where to listen on 127.0.0.1; `None`: a free port.
    pub port: Option<u16>,
}

/// A host process that serves the component. Dropping it kills it.
pub struct Host {
    /// `http://127.0.0.1:<port>`, without a slash at the end.
    pub base_url: String,
    port: u16,
    options: Options,
    child: Option<Child>,
}

impl Host {
    /// Starts `program` with these Spin variables and waits until it serves. `log_dir` gets the component's output and
    /// the host's own (`host.log`). Without a port it takes a free one. The component must have been built.
    pub async fn start(
        program: PathBuf,
        vars: &[(String, String)],
        log_dir: &Path,
        port: Option<u16>,
    ) -> Result<Host> {
        let manifest = repo_root().join("spin.toml");
        let (variables, log_dir) = (vars.to_vec(), log_dir.to_path_buf());
        let (arguments, environment) = (Vec::new(), Vec::new());
        Host::start_with(Options { program, manifest, variables, arguments, environment, log_dir, port })
            .await
    }

    /// The same for any application. Its component must have been built.
    pub async fn start_with(options: Options) -> Result<Host> {
        let log_dir = &options.log_dir;
        std::fs::create_dir_all(log_dir).with_context(|| format!("making {}", log_dir.display()))?;
        let mut attempts = if options.port.is_some() { 1 } else { 5 };
        loop {
            let port = options.port.map_or_else(free_port, Ok)?;
            let base_url = format!("http://127.0.0.1:{port}");
            let mut host = Host { base_url, port, options: options.clone(), child: None };
            attempts -= 1;
            match host.start_again().await {
                Ok(()) => return Ok(host),
                // Somebody was faster on the port that was free a moment ago.
                Err(error) if attempts > 0 && format!("{error:#}").contains("in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Kills the host at once, as `kill -9` would: nothing in it gets to finish.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The whole group: `spin up` is a parent that has the server as its child.
            process::signal_group(&child, libc::SIGKILL);
            let _ = child.wait();
        }
    }

    /// Sets a Spin variable for the next start.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.options.variables.retain(|(known, _)| known != name);
        self.options.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the host anew on the same port with the same variables; one that still runs is killed first.
    pub async fn start_again(&mut self) -> Result<()> {
        self.kill();
        let log = self.options.log_dir.join("host.log");
        let out = OpenOptions::new().create(true).append(true).open(&log)?;
        let before = out.metadata()?.len() as usize;
        self.child = Some(process::spawn_bound(self.command(out)?, libc::SIGTERM).with_context(|| {
            format!(
                "starting {} (is SPIN set to something that is not there?)",
                self.options.program.display()
            )
        })?);
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let said = said.get(before..).unwrap_or_default();
            if let Some(status) = self.has_ended()? {
                bail!("the host ended at once ({status}):\n{}", said.trim());
            }
            if said.contains("Serving http") || self.is_live(&client).await {
                return Ok(());
            }
            if Instant::now() > deadline {
                self.kill();
                bail!("the host does not serve after {START_LIMIT:?}:\n{}", said.trim());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks the host to end (SIGTERM), and kills it when it does not within 5 seconds.
    pub fn stop(mut self) {
        if let Some(child) = &mut self.child {
            process::signal(child, libc::SIGTERM);
            let _ = process::wait_at_most(child, Duration::from_secs(5));
        }
    }

    /// The exit status, when the host has ended by itself.
    pub fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?),
            None => Ok(None),
        }
    }

    /// The process id, while it runs. For tests that look at the process from outside.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where the logs are.
    pub fn log_dir(&self) -> &Path {
        &self.options.log_dir
    }

    /// What the component wrote to standard output so far, over all starts, one value a line. A line that is not JSON
    /// comes as a JSON string.
    pub fn log_lines(&self) -> Vec<serde_json::Value> {
        let text = self.component_output("_stdout.txt");
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| line.into());
        text.lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
    }

    /// What the component wrote to standard error so far: panics and traps.
    pub fn error_output(&self) -> String {
        self.component_output("_stderr.txt")
    }

    fn component_output(&self, suffix: &str) -> String {
        let Ok(entries) = std::fs::read_dir(&self.options.log_dir) else {
            return String::new();
        };
        let files = entries.flatten().map(|entry| entry.path());
        let files = files.filter(|path| path.to_string_lossy().ends_with(suffix));
        files
            .map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned())
            .collect()
    }

    fn command(&self, out: File) -> Result<Command> {
        let mut command = Command::new(&self.options.program);
        command.current_dir(repo_root()).arg("up").arg("--from").arg(&self.options.manifest);
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        for (name, value) in &self.options.variables {
            command.arg("--variable").arg(format!("{name}={value}"));
        }
        command.arg("--log-dir").arg(&self.options.log_dir).arg("--quiet").args(&self.options.arguments);
        command.envs(self.options.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        Ok(command)
    }

    async fn is_live(&self, client: &reqwest::Client) -> bool {
        let answer = client.get(format!("{}/health/live", self.base_url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}
