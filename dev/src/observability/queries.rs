//! The queries of the dashboards.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::prometheus::Prometheus;

/// What Grafana puts in the place of `$__rate_interval`: four scrapes at least, and here as many as a short run has.
const RATE_INTERVAL: &str = "15s";

/// The queries of the system's own dashboard.
const SYSTEM: [&str; 7] = [
    "up{application=\"order-service\"}",
    "process_resident_memory_bytes{application=\"order-service\"}",
    "rate(process_cpu_seconds_total{application=\"order-service\"}[5m])",
    "rate(http_server_requests_seconds_count{application=~\".*-service\"}[5m])",
    "rate(http_server_requests_seconds_sum{application=~\".*-service\"}[5m]) / rate(http_server_requests_seconds_count{application=~\".*-service\"}[5m])",
    "rate(http_server_requests_seconds_count{application=~\".*-service\",status=~\"5.*\"}[5m])",
    "rate(orders_created_total{application=\"order-service\"}[5m])",
];

/// A query of a panel.
pub struct Query {
    /// The panel's title.
    pub panel: String,
    /// What Prometheus is asked.
    pub expression: String,
    /// How its series are named, as `{{status}}`.
    legend: String,
}

impl Query {
    /// The name of one of its series.
    pub fn name_of(&self, labels: &BTreeMap<String, String>) -> String {
        let mut name = self.legend.clone();
        for (label, value) in labels {
            name = name.replace(&format!("{{{{{label}}}}}"), value);
        }
        name
    }
}

/// All queries of a dashboard of Grafana.
///
/// # Errors
/// When it is none.
pub fn dashboard(file: &Path) -> Result<Vec<Query>> {
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let panels = dashboard["panels"].as_array().context("a dashboard has panels")?;
    let mut queries = Vec::new();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |member: &str| target[member].as_str().unwrap_or_default().to_owned();
            queries.push(Query {
                panel: panel["title"].as_str().unwrap_or_default().to_owned(),
                expression: text("expr").replace("$__rate_interval", RATE_INTERVAL),
                legend: text("legendFormat"),
            });
        }
    }
    Ok(queries)
}

/// The queries of the system's own dashboard, which was there before this service.
pub fn of_the_system() -> Vec<Query> {
    let query = |expression: &str| Query {
        panel: "the system's dashboard".to_owned(),
        expression: expression.to_owned(),
        legend: String::new(),
    };
    SYSTEM.map(query).into()
}

/// Which of them have no series with a number.
///
/// # Errors
/// When the server does not answer, or one is no query.
pub async fn without_data(server: &Prometheus, queries: &[Query]) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for query in queries {
        let found = server.now(&query.expression).await?;
        if found.iter().all(|series| series.points.is_empty()) {
            missing.push(format!("{}: {}", query.panel, query.expression));
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_named_by_their_labels() {
        let query =
            Query { panel: String::new(), expression: String::new(), legend: "{{call}} {{outcome}}".into() };
        let labels = [("call", "a"), ("outcome", "b")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(query.name_of(&labels.into()), "a b");
    }
}
