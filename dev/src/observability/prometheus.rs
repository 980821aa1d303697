//! Prometheus: its server, and `promtool`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::manifests::report::Report;
use crate::manifests::tools::{output, said};
use crate::{apt, free_port, process};

/// How long it may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Where the programs are.
pub struct Programs {
    prometheus: PathBuf,
    promtool: PathBuf,
}

impl Programs {
    /// Finds them, or installs Debian's package.
    ///
    /// # Errors
    /// When they are missing and cannot be installed.
    pub async fn find() -> Result<Programs> {
        if process::find("promtool").is_none() || process::find("prometheus").is_none() {
            apt::install("prometheus").await?;
        }
        match (process::find("prometheus"), process::find("promtool")) {
            (Some(prometheus), Some(promtool)) => Ok(Programs { prometheus, promtool }),
            _ => bail!("prometheus and promtool are needed (Debian: prometheus)"),
        }
    }

    /// Has `promtool` check something: a file of `folder`, or a text that it gets as its input.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn check(
        &self,
        arguments: &[&str],
        folder: &Path,
        input: Option<(&str, &str)>,
        report: &mut Report,
    ) -> Result<()> {
        let mut what = format!("promtool {}", arguments.join(" "));
        let output = match input {
            None => output(&mut self.promtool(arguments, folder))?,
            Some((name, text)) => {
                what = format!("{what}: {name}, {} lines", text.lines().count());
                let mut command = self.promtool(arguments, folder);
                let mut child =
                    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
                let mut pipe = child.stdin.take().context("a pipe")?;
                pipe.write_all(text.as_bytes())?;
                drop(pipe);
                child.wait_with_output()?
            }
        };
        // It only warns of what it would rather have otherwise.
        let is_clean = output.status.success() && (input.is_none() || said(&output).is_empty());
        report
            .check(&what, if is_clean { vec![] } else { said(&output).lines().map(str::to_owned).collect() });
        Ok(())
    }

    /// Whether `promtool test rules` passes.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn tests_pass(&self, folder: &Path, tests: &str) -> Result<bool> {
        Ok(output(&mut self.promtool(&["test", "rules", tests], folder))?.status.success())
    }

    fn promtool(&self, arguments: &[&str], folder: &Path) -> Command {
        let mut command = Command::new(&self.promtool);
        command.args(arguments).current_dir(folder);
        command
    }
}

/// A server that scrapes the service. Dropping it ends it.
pub struct Prometheus {
    child: Child,
    folder: PathBuf,
    base_url: String,
}

/// One series of an answer.
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Seconds since the begin of the range, and values; those that are no numbers are left out.
    pub points: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Starts it with the configuration of `folder`, but for the target's address and the intervals.
    ///
    /// # Errors
    /// When it does not start; the end of its log tells why.
    pub async fn start(
        programs: &Programs,
        folder: &Path,
        target: &str,
        interval: Duration,
    ) -> Result<Prometheus> {
        let data = std::env::temp_dir().join(format!("order-service-prometheus-{}", std::process::id()));
        std::fs::create_dir_all(&data)?;
        let mut config = std::fs::read_to_string(folder.join("prometheus.yml"))?;
        let seconds = format!("{}s", interval.as_secs());
        let alerts = folder.join("alerts.yml").display().to_string();
        for (was, is) in [
            ("order-service:4003", target.trim_start_matches("http://")),
            ("scrape_interval: 15s", &format!("scrape_interval: {seconds}")),
            ("scrape_timeout: 10s", &format!("scrape_timeout: {seconds}")),
            ("evaluation_interval: 15s", &format!("evaluation_interval: {seconds}")),
            ("/etc/prometheus/alerts.yml", &alerts),
        ] {
            if !config.contains(was) {
                bail!("prometheus.yml has no {was}");
            }
            config = config.replace(was, is);
        }
        std::fs::write(data.join("prometheus.yml"), config)?;
        let port = free_port()?;
        let log = data.join("prometheus.log");
        let out = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = Command::new(&programs.prometheus);
        command
            .arg(format!("--config.file={}", data.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", data.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let child = process::spawn_bound(command, libc::SIGKILL).context("starting Prometheus")?;
        let mut server = Prometheus { child, folder: data, base_url: format!("http://127.0.0.1:{port}") };
        let deadline = Instant::now() + START_LIMIT;
        while !server.is_ready().await {
            let ended = server.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("Prometheus does not start:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }

    async fn is_ready(&self) -> bool {
        let answer = reqwest::get(format!("{}/-/ready", self.base_url)).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The series that an expression has now.
    ///
    /// # Errors
    /// When it is none.
    pub async fn now(&self, expression: &str) -> Result<Vec<Series>> {
        self.ask("query", &[("query", expression)]).await
    }

    /// The series that an expression has had.
    ///
    /// # Errors
    /// When it is none.
    pub async fn range(
        &self,
        expression: &str,
        begin: SystemTime,
        end: SystemTime,
        step: Duration,
    ) -> Result<Vec<Series>> {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let (start, end) = (seconds(begin), seconds(end).to_string());
        let step = step.as_secs().to_string();
        let parameters =
            [("query", expression), ("start", &start.to_string()), ("end", &end), ("step", &step)];
        let mut all = self.ask("query_range", &parameters).await?;
        for (time, _) in all.iter_mut().flat_map(|series| &mut series.points) {
            *time -= start;
        }
        Ok(all)
    }

    async fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Vec<Series>> {
        let url = format!("{}/api/v1/{what}", self.base_url);
        let url = reqwest::Url::parse_with_params(&url, parameters)?;
        let answer: Value = reqwest::get(url).await?.json().await?;
        if answer["status"] != "success" {
            bail!("{}: {}", parameters[0].1, answer["error"]);
        }
        let found = answer["data"]["result"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(found.iter().map(series).collect())
    }

    /// Ends it.
    pub fn stop(self) {}
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn series(value: &Value) -> Series {
    let labels = value["metric"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let points = value["values"].as_array().map_or(std::slice::from_ref(&value["value"]), Vec::as_slice);
    let points = points.iter().filter_map(|point| {
        let number: f64 = point[1].as_str()?.parse().ok()?;
        Some((point[0].as_f64()?, number)).filter(|_| number.is_finite())
    });
    Series { labels: labels.collect(), points: points.collect() }
}
