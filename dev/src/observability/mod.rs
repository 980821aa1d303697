//! `cargo dev observability-test`: holds `/metrics`, the alerts and the dashboard of `deploy/observability/` against Prometheus' own
//! tools, and against a Prometheus that scrapes a service which sells, refuses and fails for a while.
//!
//! In reading order: `prometheus` finds the programs and runs the server, `alerts` proves each alert both ways, `scenario` is what
//! happens to the service meanwhile, `queries` are those that must have data then, `picture` draws some of them.

mod alerts;
mod picture;
mod prometheus;
mod queries;
mod scenario;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::api_check::service::{Authentication, Service};
use crate::component::target_dir;
use crate::manifests::report::Report;
use crate::manifests::tools::Tools;
use crate::peers::Peers;
use crate::{component, repo_root};
use prometheus::Prometheus;

/// Where the configuration, the alerts and the dashboard are.
const FOLDER: &str = "deploy/observability";
/// Where the picture is.
const PICTURE: &str = "docs/screenshots/dashboard.svg";
/// How long the service is watched.
const SHORT: Duration = Duration::from_secs(30);
/// The same for a picture, in which one is to see something.
const LONG: Duration = Duration::from_secs(120);
/// Metrics and alerts are looked at once a second, so that a short run has data.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs all checks and prints a line for each. With `refresh` it watches for longer, and draws the picture below `docs/` anew.
///
/// # Errors
/// When a check fails, or something that is needed is missing.
pub async fn run(refresh: bool) -> Result<()> {
    let begin = Instant::now();
    let root = repo_root();
    let programs = prometheus::Programs::find().await?;
    let tools = Tools::prepare(&root.join("deploy/validators"), "manifest-test").await?;
    let mut report = Report::default();
    let folder = root.join(FOLDER);
    programs.check(&["check", "config", "--syntax-only", "prometheus.yml"], &folder, None, &mut report)?;
    alerts::check(&programs, &tools, &folder, &mut report)?;

    component::build().await?;
    let work = target_dir().await?.join("observability-test");
    let sinks = async |peers: &Peers| {
        Ok(vec![("events_url", peers.events_url()), ("otel_exporter_otlp_endpoint", peers.url())])
    };
    let service = Service::start_with(Authentication::Off, &work, sinks).await?;
    let fresh = scrape(&service).await?;
    programs.check(&["check", "metrics"], &folder, Some(("a new service", &fresh)), &mut report)?;
    let server = Prometheus::start(&programs, &folder, &service.base_url, INTERVAL).await?;
    let begun = std::time::SystemTime::now();
    let counts = scenario::run(&service, if refresh { LONG } else { SHORT }).await?;
    println!("          {counts}");
    let used = scrape(&service).await?;
    programs.check(&["check", "metrics"], &folder, Some(("one that has worked", &used)), &mut report)?;

    let dashboard = queries::dashboard(&folder.join("grafana/dashboards/order-service.json"))?;
    let missing = queries::without_data(&server, &dashboard).await?;
    report.check(&format!("the dashboard: {} queries have data", dashboard.len()), missing);
    let of_system = queries::of_the_system();
    let missing = queries::without_data(&server, &of_system).await?;
    report.check(&format!("the system's dashboard: {} queries have data", of_system.len()), missing);
    report.check("no alert fires that tells of a fault of the service", alerts::of_faults(&server).await?);

    let picture = if refresh { root.join(PICTURE) } else { work.join("dashboard.svg") };
    draw(&server, &dashboard, begun, &picture).await?;
    println!("The picture is in {}.", picture.display());
    server.stop();
    report.verdict(begin.elapsed())
}

async fn draw(
    server: &Prometheus,
    dashboard: &[queries::Query],
    begun: std::time::SystemTime,
    file: &Path,
) -> Result<()> {
    let mut panels = Vec::new();
    for title in picture::PANELS {
        let mut lines = Vec::new();
        for query in dashboard.iter().filter(|query| query.panel == *title) {
            let series =
                server.range(&query.expression, begun, std::time::SystemTime::now(), INTERVAL).await?;
            lines.extend(series.into_iter().map(|series| (query.name_of(&series.labels), series.points)));
        }
        if lines.is_empty() {
            bail!("the dashboard has no panel {title:?} with data");
        }
        panels.push(picture::Panel { title, lines });
    }
    picture::draw(&panels, file)
}

/// The text of `/metrics`.
async fn scrape(service: &Service) -> Result<String> {
    let answer = reqwest::get(format!("{}/metrics", service.base_url)).await?.error_for_status()?;
    answer.text().await.context("reading /metrics")
}
