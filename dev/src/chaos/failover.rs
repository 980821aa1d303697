//! Failover: a synchronous standby is promoted in mid-run, and the database's address moves to it.

use std::mem;
use std::time::Duration;

use anyhow::{Context, Result};

use super::testbed::{Testbed, non_ephemeral_port};
use crate::postgres::Options;

/// How long the load goes on with the synchronous standby before it is promoted.
const REPLICATING: Duration = Duration::from_millis(500);

/// Adds a standby, makes commits wait for it, fences the primary, promotes the standby and moves the address. The old primary stays
/// alive, read-only, with every session that is open. What had been acknowledged is on the standby; it is not waited for the rest.
///
/// # Errors
/// When a server does not answer.
pub async fn fail_over(testbed: &Testbed) -> Result<()> {
    let mut server = testbed.server.lock().await;
    let options = Options { port: Some(non_ephemeral_port()?), ..Options::for_tests()? };
    let standby = server.start_standby(options).await.context("starting a standby")?;
    server.replicate_synchronously().await?;
    tokio::time::sleep(REPLICATING).await;
    server.fence().await?;
    standby.promote().await?;
    testbed.address.move_to(standby.port());
    let old = mem::replace(&mut *server, standby);
    testbed.retired.lock().await.push(old);
    Ok(())
}
