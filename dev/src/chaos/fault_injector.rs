//! Process faults: kills hosts, crashes and restarts PostgreSQL, cuts its connections, holds snapshots open, takes peers down.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::failover;
use super::injection::Injection;
use super::long_snapshot::LongSnapshot;
use super::plan::{AWAY_MS, ProcessFault, Target};
use super::testbed::Testbed;
use crate::peers::{Action, CallName, FaultRule, Peer};

/// Terminates every backend of the database but our own.
const TERMINATE_BACKENDS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
/// How long a process may take to serve again after a restart.
const RESTART_LIMIT: Duration = Duration::from_secs(30);
/// How long the sink of events says that it wants no more, at most.
const SWITCH_OFF_LIMIT: Duration = Duration::from_secs(10);
/// How long a restart of PostgreSQL takes at most on an idle machine.
const USUAL_RESTART: Duration = Duration::from_millis(300);

/// Injects the plan's process faults, each at its time. Every process runs again when this returns.
///
/// # Errors
/// When a process does not start again.
pub async fn run(testbed: &Testbed) -> Result<()> {
    let peers = [Peer::Catalog, Peer::Seating, Peer::Payment, Peer::Notification, Peer::Events]
        .map(FaultDomain::Peer);
    let all = [
        FaultDomain::Host(0),
        FaultDomain::Host(1),
        FaultDomain::Database,
        FaultDomain::Connections,
        FaultDomain::EventsGone,
    ]
    .into_iter()
    .chain(peers)
    .chain(testbed.plan.long_snapshots().map(FaultDomain::LongSnapshot));
    futures::future::try_join_all(all.map(|domain| run_domain(testbed, domain))).await.map(drop)
}

/// What fails as one unit: its faults are injected one after the other, those of different domains at the same time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FaultDomain {
    Host(usize),
    Database,
    Connections,
    Peer(Peer),
    EventsGone,
    LongSnapshot(usize),
}

fn fault_domain(target: Target) -> FaultDomain {
    match target {
        Target::Host(replica) => FaultDomain::Host(replica),
        Target::DatabaseCrash | Target::DatabaseRestart | Target::Failover => FaultDomain::Database,
        Target::Connections => FaultDomain::Connections,
        Target::Peer(peer) => FaultDomain::Peer(peer),
        Target::EventsGone => FaultDomain::EventsGone,
        Target::LongSnapshot(number) => FaultDomain::LongSnapshot(number),
    }
}

async fn run_domain(testbed: &Testbed, domain: FaultDomain) -> Result<()> {
    let all = testbed.plan.process_faults.iter().filter(|fault| fault_domain(fault.target) == domain);
    for fault in all {
        testbed.wait_until(fault.at).await;
        let injection = inject(testbed, *fault).await?;
        if let Some(injection) = injection {
            testbed.injections.add(injection);
        }
    }
    Ok(())
}

/// Injects one fault; `None` when there was nothing to break.
async fn inject(testbed: &Testbed, fault: ProcessFault) -> Result<Option<Injection>> {
    let down = fault.down;
    Ok(match fault.target {
        Target::Host(replica) => {
            let mut host = testbed.hosts[replica].lock().await;
            host.kill();
            tokio::time::sleep(down).await;
            retry(async || host.start_again().await).await.context("a killed host must start again")?;
            Some(Injection::HostKilled)
        }
        Target::DatabaseCrash | Target::DatabaseRestart => {
            let mut server = testbed.server.lock().await;
            let begun = Instant::now();
            let kind = if fault.target == Target::DatabaseCrash {
                server.stop_immediately().await;
                Injection::DatabaseCrashed
            } else {
                server.stop_orderly().await;
                Injection::DatabaseRestarted
            };
            tokio::time::sleep(down).await;
            retry(async || server.start_again().await).await.context("PostgreSQL must start again")?;
            // A machine that is slow to restart it is slow with everything else, too.
            testbed.delay_clock(begun.elapsed().saturating_sub(down + USUAL_RESTART) * 2);
            Some(kind)
        }
        Target::Failover => {
            let begun = Instant::now();
            failover::fail_over(testbed).await.context("PostgreSQL must fail over")?;
            testbed.delay_clock(begun.elapsed());
            Some(Injection::FailedOver)
        }
        Target::Connections => {
            // PostgreSQL may be down because of another fault.
            let cut = retry(async || {
                let client = testbed.database.connect().await?;
                Ok(client.query_one(TERMINATE_BACKENDS, &[]).await?.get::<_, i64>(0))
            });
            (cut.await? > 0).then_some(Injection::ConnectionsCut)
        }
        Target::LongSnapshot(_) => {
            let snapshot = retry(async || LongSnapshot::take(testbed).await).await;
            let held = snapshot.context("a snapshot is taken")?.hold(testbed, down).await;
            held.then_some(Injection::LongSnapshot)
        }
        Target::EventsGone => {
            let gone = FaultRule::on(CallName::TakeEvent, Action::Fail { status: 410, body: None }).always();
            let rule = testbed.control.add_fault(gone).await?;
            let is_off = until_switched_off(testbed).await;
            testbed.control.remove_fault(rule).await?;
            is_off.then_some(Injection::EventsGone)
        }
        Target::Peer(peer) => {
            testbed.control.set_down(peer, true).await?;
            tokio::time::sleep(down).await;
            testbed.control.set_down(peer, false).await?;
            Some(match peer {
                Peer::Catalog => Injection::CatalogRestarted,
                Peer::Seating => Injection::SeatingRestarted,
                Peer::Payment => Injection::PaymentRestarted,
                Peer::Notification => Injection::NotificationRestarted,
                Peer::Events if down < Duration::from_millis(AWAY_MS) => Injection::EventsRestarted,
                Peer::Events => Injection::EventsAway,
                // The service knows no users while it is tested so.
                Peer::User => return Ok(None),
            })
        }
    })
}

/// Waits until the service has switched the sink of events off, which the operator undoes; whether it was seen so.
async fn until_switched_off(testbed: &Testbed) -> bool {
    let deadline = Instant::now() + SWITCH_OFF_LIMIT;
    while Instant::now() < deadline {
        let off = testbed.rows::<Value>("SELECT sink FROM event_sinks WHERE off_at IS NOT NULL").await;
        if off.is_ok_and(|off| !off.is_empty()) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Retries until [`RESTART_LIMIT`]: a port may be in use for a moment, and the database may be down.
async fn retry<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + RESTART_LIMIT;
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
