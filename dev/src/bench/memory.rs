//! Memory leak test: the memory of one long-lived instance over many requests.

use anyhow::{Context, Result, bail};

use super::http::{Connection, get, host_of};
use super::load_generator::{self, Limit};
use super::scenario::Scenario;
use super::target::{Kind, Target};
use super::testbed::Testbed;

const STEPS: u64 = 10;
/// The host makes another instance as soon as one computes while a request comes.
const CLIENTS: usize = 1;

/// The memory of one instance over many requests.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Memory {
    /// Requests that the instance had served, and the bytes of its memory then.
    pub series: Vec<(u64, u64)>,
    /// By how many bytes it grew in the second half.
    pub grown_bytes: u64,
    /// How many instances there were at once, by their connections to PostgreSQL: each has one.
    pub instances: i64,
}

/// Has one instance serve so many requests, one in ten of them an order, and looks at its memory ten times.
///
/// # Errors
/// When something does not start, or an answer is wrong.
pub async fn measure(testbed: &Testbed, requests: u64) -> Result<Memory> {
    let reuse = (2 * requests + 10_000).to_string();
    let arguments = [
        "--max-instance-reuse-count",
        &reuse,
        "--max-instance-concurrent-reuse-count",
        "1000",
        "--idle-instance-timeout",
        "60s",
    ];
    let target =
        Target::start(Kind::Service, testbed, testbed.migrated_database().await?, &arguments).await?;
    target.peers.call_back(target.address).await?;
    let orders = target.place_orders(Scenario::Read.needs_orders(), CLIENTS, None).await?;
    let mut series = Vec::new();
    let mut served = orders.len() as u64;
    for _ in 0..STEPS {
        let (step, places) = (requests / STEPS, requests / STEPS / 10);
        for (scenario, count) in [(Scenario::Place, places), (Scenario::Read, step - places)] {
            let workload = target.workload(scenario, &orders);
            let outcome =
                load_generator::run(target.address, CLIENTS, Limit::Requests(count), workload).await?;
            if let Some(error) = outcome.first_error {
                bail!("{error}\n{}", target.errors());
            }
            served += outcome.requests();
        }
        let bytes = memory_of(&target).await?;
        eprintln!("  {served:>7} requests: {bytes} bytes of memory");
        series.push((served, bytes));
    }
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
    let instances = testbed.admin.query_one(sql, &[&target.database.name]).await?.get(0);
    Ok(Memory { grown_bytes: grown(&series), series, instances })
}

impl Memory {
    /// As text.
    pub fn shown(&self) -> String {
        let line = |(requests, bytes): &(u64, u64)| {
            format!("{requests:>9} requests {:>9.2} MB", *bytes as f64 / 1e6)
        };
        let lines: Vec<String> = self.series.iter().map(line).collect();
        let verdict = match self.grown_bytes {
            0 => "It did not grow in the second half.".into(),
            bytes => format!("It grew by {bytes} bytes in the second half."),
        };
        let instances = match self.instances {
            1 => "It was alone.".into(),
            more => format!("There were {more} instances at some time; the largest is shown."),
        };
        format!("The memory of one instance:\n{}\n{verdict} {instances}", lines.join("\n"))
    }
}

/// By how much the last is more than the one in the middle.
fn grown(series: &[(u64, u64)]) -> u64 {
    let middle = series.get((series.len() / 2).saturating_sub(1)).map_or(0, |(_, bytes)| *bytes);
    series.last().map_or(0, |(_, bytes)| bytes.saturating_sub(middle))
}

/// The instance's memory, by its own word. Should there be two for a moment, the larger is the one that has lived.
async fn memory_of(target: &Target) -> Result<u64> {
    let mut connection = Connection::to(target.address);
    let mut most = 0;
    for _ in 0..5 {
        let answer = connection.ask(get(&host_of(target.address), "/metrics")).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        most = most.max(memory_in(&text).with_context(|| format!("no memory in {}", answer.shown()))?);
    }
    Ok(most)
}

fn memory_in(metrics: &str) -> Option<u64> {
    let value = metrics.lines().find_map(|line| line.strip_prefix("order_service_instance_memory_bytes "))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_that_of_the_second_half() {
        let series = |bytes: &[u64]| bytes.iter().map(|bytes| (0, *bytes)).collect::<Vec<_>>();
        assert_eq!(grown(&series(&[1, 2, 3, 4, 5, 5, 5, 5, 5, 5])), 0);
        assert_eq!(grown(&series(&[1, 2, 3, 4, 5, 5, 5, 5, 5, 7])), 2);
        assert_eq!(grown(&[]), 0);
    }

    #[test]
    fn the_gauge_is_found_among_the_metrics() {
        let text =
            "# TYPE order_service_instance_memory_bytes gauge\norder_service_instance_memory_bytes 1310720\n";
        assert_eq!(memory_in(text), Some(1_310_720));
        assert_eq!(memory_in(""), None);
    }
}
