//! Whoever kills, crashes, restarts and cuts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::kinds::Kind;
use super::plan::{Disturbance, Target};
use super::world::World;
use crate::peers::Peer;

/// Everybody but the one who asks.
const CUT: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
/// How long a process that was down may take to serve again.
const LIMIT: Duration = Duration::from_secs(30);
/// How long stopping and starting PostgreSQL takes on a machine with nothing else to do, at most.
const USUAL_START: Duration = Duration::from_millis(300);

/// Does everything that the plan has for processes. They run again when it is over.
///
/// # Errors
/// When a process does not start again.
pub async fn disturb(world: &World) -> Result<()> {
    let peers = [Peer::Catalog, Peer::Seating, Peer::Payment, Peer::Notification].map(Who::Peer);
    let all = [Who::Host(0), Who::Host(1), Who::Database, Who::Connections].into_iter().chain(peers);
    futures::future::try_join_all(all.map(|whom| disturb_one(world, whom))).await.map(drop)
}

/// What has one life: its disturbances follow each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Host(usize),
    Database,
    Connections,
    Peer(Peer),
}

fn who(target: Target) -> Who {
    match target {
        Target::Host(copy) => Who::Host(copy),
        Target::DatabaseCrash | Target::DatabaseRestart => Who::Database,
        Target::Connections => Who::Connections,
        Target::Peer(peer) => Who::Peer(peer),
    }
}

async fn disturb_one(world: &World, whom: Who) -> Result<()> {
    let all = world.plan.disturbances.iter().filter(|disturbance| who(disturbance.target) == whom);
    for disturbance in all {
        world.wait_until(disturbance.at).await;
        let kind = act(world, *disturbance).await?;
        if let Some(kind) = kind {
            world.tally.add(kind);
        }
    }
    Ok(())
}

/// `None`: it could not be done just now.
async fn act(world: &World, disturbance: Disturbance) -> Result<Option<Kind>> {
    let down = disturbance.down;
    Ok(match disturbance.target {
        Target::Host(copy) => {
            let mut host = world.hosts[copy].lock().await;
            host.kill();
            tokio::time::sleep(down).await;
            again(async || host.start_again().await).await.context("a killed host must start again")?;
            Some(Kind::HostKilled)
        }
        Target::DatabaseCrash | Target::DatabaseRestart => {
            let mut server = world.server.lock().await;
            let begun = Instant::now();
            let kind = if disturbance.target == Target::DatabaseCrash {
                server.stop_immediately().await;
                Kind::DatabaseCrashed
            } else {
                server.stop_orderly().await;
                Kind::DatabaseRestarted
            };
            tokio::time::sleep(down).await;
            again(async || server.start_again().await).await.context("PostgreSQL must start again")?;
            // A machine that takes longer to start it also takes longer for everything else.
            world.fall_behind(begun.elapsed().saturating_sub(down + USUAL_START) * 2);
            Some(kind)
        }
        Target::Connections => {
            // One that is down has no connections to cut; it will be up in a moment.
            let cut = again(async || {
                let client = world.database.connect().await?;
                Ok(client.query_one(CUT, &[]).await?.get::<_, i64>(0))
            });
            (cut.await? > 0).then_some(Kind::ConnectionsCut)
        }
        Target::Peer(peer) => {
            world.control.set_down(peer, true).await?;
            tokio::time::sleep(down).await;
            world.control.set_down(peer, false).await?;
            Some(match peer {
                Peer::Catalog => Kind::CatalogRestarted,
                Peer::Seating => Kind::SeatingRestarted,
                Peer::Payment => Kind::PaymentRestarted,
                Peer::Notification => Kind::NotificationRestarted,
            })
        }
    })
}

/// Tries for a while: a port may be in use for a moment, and the database may be down.
async fn again<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
