//! `cargo dev events-test`: proves that every event of many orders is there in the end, and in order per order, whatever the sinks do.
//!
//! In reading order: `arrivals` says of what arrived what is missing, out of order or different, `consumer` merges a broker with the feed
//! as docs/events tells consumers to do; both are pure. `workload` places the orders, `feed` asks the service, `door` is before an endpoint,
//! `broker` is what is restarted, `subscriber` fills an `inbox` from it; `http` and `mqtt` are the runs, `testbed` what they share, `figures` what they print.

mod arrivals;
mod broker;
mod consumer;
mod door;
mod feed;
mod figures;
mod http;
mod inbox;
mod mqtt;
mod testbed;
mod subscriber;
mod workload;

use std::time::Instant;

use anyhow::Result;

use crate::component;
use crate::component::target_dir;
use crate::manifests::report::Report;
use broker::Broker;

/// How to run it.
#[derive(clap::Args)]
pub struct Options {
    /// How many orders are placed for each sink
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=50_000))]
    orders: u64,
    /// Only these sinks; without it all of them
    #[arg(long, value_enum)]
    sink: Vec<Sink>,
}

/// Where events go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Sink {
    /// An endpoint that takes each by POST
    Http,
    /// The newest NATS, from PyPI
    Nats,
    /// Debian's NATS
    NatsDebian,
    /// Mosquitto
    Mosquitto,
}

impl Sink {
    const ALL: [Sink; 4] = [Sink::Http, Sink::Nats, Sink::NatsDebian, Sink::Mosquitto];

    fn name(self) -> &'static str {
        match self {
            Sink::Http => "http",
            Sink::Nats => "nats",
            Sink::NatsDebian => "nats-debian",
            Sink::Mosquitto => "mosquitto",
        }
    }
}

/// Runs all of it and prints a line a check, and a table.
///
/// # Errors
/// When a check fails, something takes too long, or a broker is missing.
pub async fn run(options: &Options) -> Result<()> {
    let begin = Instant::now();
    let chosen = if options.sink.is_empty() { &Sink::ALL[..] } else { &options.sink };
    let orders = usize::try_from(options.orders)?;
    let folder = target_dir().await?.join("events-test");
    // What is missing is told before anything else takes its time.
    let mut runs = Vec::new();
    for sink in chosen {
        runs.push((*sink, broker::Program::find(*sink, &folder).await?));
    }
    component::build().await?;
    component::host_program().await?;
    let mut report = Report::default();
    let mut table = Vec::new();
    for (sink, program) in runs {
        let logs = folder.join(sink.name());
        let figures = match program {
            None => http::run(orders, &logs, &mut report).await?,
            Some(program) => {
                println!("{}: {}", sink.name(), program.version);
                mqtt::run(sink.name(), Broker::start(&program).await?, orders, &logs, &mut report).await?
            }
        };
        table.push(figures);
    }
    println!("\n{}", figures::table(&table));
    report.verdict(begin.elapsed())
}
