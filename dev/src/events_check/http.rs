//! By HTTP alone: the endpoint refuses connections, does not answer, is slow, answers 503, and loses its answers.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join;

use super::arrivals::{self, Event};
use super::door::Door;
use super::feed::Operator;
use super::figures::Figures;
use super::testbed;
use super::workload::Workload;
use crate::api_check::service::Service;
use crate::manifests::report::Report;
use crate::peers::{Action, CallName, FaultRule, Moment};

const NAME: &str = "http";
/// How long it may take until the service meets a failure: it may be leaving the endpoint alone for a minute.
const MEET_LIMIT: Duration = Duration::from_secs(90);
/// How long a call is stalled: longer than the service waits.
const STALL_MS: u64 = 8_000;
const SLOW_MS: u64 = 300;
/// How often a failure is met before it ends.
const HITS: u64 = 5;

/// What the endpoint does.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// Connections are refused.
    Down,
    /// Nothing is answered in time. It takes effect when the service has long given up.
    Stalled,
    /// Each answer takes its time.
    Slow,
    /// 503.
    Unavailable,
    /// The event is taken, and the connection closed without an answer.
    LosesAnswers,
}

const FAILURES: [Failure; 5] =
    [Failure::Down, Failure::Stalled, Failure::Slow, Failure::Unavailable, Failure::LosesAnswers];

/// Runs it.
///
/// # Errors
/// When something does not start or takes too long; that an event is missing is told by the report.
pub async fn run(orders: usize, logs: &Path, report: &mut Report) -> Result<Figures> {
    let begin = Instant::now();
    let mut door = None;
    let service = testbed::start(logs, async |peers| {
        let before = door.insert(Door::to(peers.url().trim_start_matches("http://")).await?);
        Ok(vec![("events_url", format!("http://127.0.0.1:{}/events/hook", before.port()))])
    });
    let service = service.await?;
    let mut door = door.expect("the service has started with it");
    let (operator, workload) = (Operator::of(&service), Workload::at(&service));
    let work = async {
        // It works before and after each failure.
        let part = orders / (2 * FAILURES.len() + 1);
        for failure in FAILURES {
            workload.place(part).await?;
            fail(failure, &service, &mut door, workload.place(part)).await?;
            report.check(&format!("{NAME}: orders were placed while it was {failure:?}"), Vec::new());
        }
        workload.place(orders - workload.count()).await?;
        testbed::settle(&service).await
    };
    testbed::while_sweeping(&operator, work).await?;
    let control = service.control();
    let is_over = async || Ok(control.open_calls().await? == 0);
    ensure!(testbed::wait_for(MEET_LIMIT, is_over).await?, "stalled calls do not end");

    let expected = testbed::journal(NAME, &service, &workload, report).await?;
    let taken = control.state().await?.events_taken;
    let taken: Vec<Event> = taken
        .iter()
        .map(|taken| Event::read(&taken.event).unwrap_or_else(|error| Event::unreadable(&error)))
        .collect();
    let missing = arrivals::missing(&expected, &taken);
    let figures = Figures {
        sink: NAME.to_owned(),
        orders: workload.count(),
        events: expected.len(),
        failures: FAILURES.len(),
        arrived: taken.len(),
        repeats: arrivals::repeats(&taken),
        time: begin.elapsed(),
        ..Figures::default()
    };
    let problems = missing.iter().map(arrivals::shown).chain(arrivals::invented(&expected, &taken));
    report.check(&format!("{NAME}: it has taken every event"), testbed::few(problems.collect()));
    let problems = arrivals::overtaking(&taken, &BTreeSet::new());
    report.check(&format!("{NAME}: those of an order in their order"), testbed::few(problems));
    let what = format!("{NAME}: {} that came again were the same", figures.repeats);
    report.check(&what, testbed::few(arrivals::differing(&taken)));
    let problem = (figures.repeats == 0).then(|| "no answer was lost: nothing came twice".to_owned());
    report.check(&format!("{NAME}: answers were lost"), problem.into_iter().collect());
    Ok(figures)
}

/// Fails while the work is done, and until the service has met it.
async fn fail(
    failure: Failure,
    service: &Service,
    door: &mut Door,
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    let control = service.control();
    let action = match failure {
        Failure::Down => {
            door.shut().await;
            let client = service.database().connect().await?;
            let sql = "SELECT coalesce(paused_until::text, '') FROM event_sinks WHERE sink = 'http'";
            let paused = async || anyhow::Ok(client.query_one(sql, &[]).await?.get::<_, String>(0));
            let before = paused().await?;
            let is_met = async || Ok(paused().await?.as_str() > before.as_str());
            try_join(work, met(failure, is_met)).await?;
            return door.open().await;
        }
        Failure::Stalled => Action::Stall { ms: STALL_MS, effect: Moment::After },
        Failure::Slow => Action::Stall { ms: SLOW_MS, effect: Moment::Before },
        Failure::Unavailable => Action::Fail { status: 503, body: None },
        Failure::LosesAnswers => Action::LoseAnswer,
    };
    let fault = control.add_fault(FaultRule::on(CallName::TakeEvent, action).always()).await?;
    let is_met = async || Ok(control.fault_hits(fault).await? >= HITS);
    try_join(work, met(failure, is_met)).await?;
    control.remove_fault(fault).await
}

async fn met(failure: Failure, is_met: impl AsyncFn() -> Result<bool>) -> Result<()> {
    ensure!(
        testbed::wait_for(MEET_LIMIT, is_met).await?,
        "the service did not meet the endpoint {failure:?}"
    );
    Ok(())
}
