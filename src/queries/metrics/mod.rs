//! `/metrics` in the Prometheus text format (version 0.0.4).
//!
//! Metrics of orders come from summaries that the transitions keep, metrics of the work from the counters that all instances
//! flush: any instance answers for all, at a cost that does not grow with the number of orders. Only memory and heap are of the
//! instance that answers.

mod database;
mod histogram;
mod instance;
mod orders;
mod page;
mod process;
mod sinks;
mod work;

use crate::config::Config;
use crate::config::events::Events;
use crate::db::DbError;
use crate::db::metrics::{self as statements, Summary};
use crate::telemetry::series::Series;
use page::{Kind, Page, number};
use work::Work;

/// The content type of the answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Renders all metrics. `answers`: those to requests that begin at zero.
///
/// # Errors
/// [`DbError`].
pub async fn metrics(config: &Config, answers: impl Iterator<Item = Series>) -> Result<String, DbError> {
    let summary = statements::read_summary(config).await?;
    Ok(render(&summary, &config.events, answers))
}

fn render(
    Summary { totals, load }: &Summary,
    events: &Events,
    answers: impl Iterator<Item = Series>,
) -> String {
    let mut page = Page(String::with_capacity(256 * 1024));
    let work = Work::of(&totals["work"], answers);
    orders::orders(&mut page, totals);
    orders::messages(&mut page, totals);
    sinks::sinks(&mut page, totals, events);
    work.write(&mut page);
    page.single(
        "order_service_uptime_seconds",
        Kind::Gauge,
        "Seconds for which some instance has been at work without a pause of a minute.",
        number(&totals["uptime_seconds"]),
    );
    database::database(&mut page, totals);
    process::process(&mut page, work.busy_seconds, load);
    instance::this_instance(&mut page);
    page.0
}
