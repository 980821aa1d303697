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
use crate::db::DbError;
use crate::db::metrics::{self as statements, Summary};
use page::{Kind, Page, number};
use work::Work;

/// The content type of the answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Renders all metrics.
///
/// # Errors
/// [`DbError`].
pub async fn metrics(config: &Config) -> Result<String, DbError> {
    Ok(render(&statements::read_summary(config).await?))
}

fn render(Summary { totals, load }: &Summary) -> String {
    let mut page = Page(String::with_capacity(64 * 1024));
    let work = Work::of(&totals["work"]);
    orders::orders(&mut page, totals);
    orders::messages(&mut page, totals);
    sinks::sinks(&mut page, totals);
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
