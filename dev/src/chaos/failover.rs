//! Failover: a synchronous standby, which has followed the primary from the start, is promoted in mid-run, and the database's address
//! moves to it.

use std::mem;

use anyhow::{Context, Result};

use super::testbed::{Testbed, non_ephemeral_port};
use crate::postgres::{Options, Server};

/// How much of its log a primary keeps in any case: a standby whose connection broke must find the rest of it, or no commit ends.
const KEPT_WAL: (&str, &str) = ("wal_keep_size", "128MB");

/// The options of a server that will have a standby.
///
/// # Errors
/// When no port is free.
pub fn primary() -> Result<Options> {
    let (name, value) = KEPT_WAL;
    let settings = vec![(name.to_owned(), value.to_owned())];
    Ok(Options { port: Some(non_ephemeral_port()?), settings, ..Options::for_tests()? })
}

/// Adds a standby to a primary. From now on every commit waits for it, through every crash and restart of the primary.
///
/// # Errors
/// When the standby does not start, or the primary does not answer.
pub async fn add_standby(primary: &Server) -> Result<Server> {
    let options = Options { port: Some(non_ephemeral_port()?), ..Options::for_tests()? };
    let standby = primary.start_standby(options).await.context("starting a standby")?;
    primary.replicate_synchronously().await?;
    Ok(standby)
}

/// Fences the primary, promotes the standby and moves the address. The old primary stays alive, read-only, with every session that is
/// open. What had been acknowledged is on the standby; it is not waited for the rest.
///
/// # Errors
/// When there is no standby, or a server does not answer.
pub async fn fail_over(testbed: &Testbed) -> Result<()> {
    let mut server = testbed.server.lock().await;
    let standby = testbed.standby.lock().await.take().context("there is no standby")?;
    server.fence().await?;
    standby.promote().await?;
    testbed.address.move_to(standby.port());
    let old = mem::replace(&mut *server, standby);
    testbed.retired.lock().await.push(old);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::remove;

    #[tokio::test]
    async fn what_was_committed_through_crashes_and_restarts_of_the_primary_is_on_the_standby() -> Result<()>
    {
        let mut server = Server::start(primary()?).await?;
        let database = server.create_database("orders", None).await?;
        database.connect().await?.batch_execute("CREATE TABLE t (x int)").await?;
        let standby = add_standby(&server).await?;
        for x in 0..4 {
            match x % 2 {
                0 => server.stop_immediately().await,
                _ => server.stop_orderly().await,
            }
            server.start_again().await?;
            database.connect().await?.batch_execute(&format!("INSERT INTO t VALUES ({x})")).await?;
        }
        server.fence().await?;
        standby.promote().await?;
        let promoted = standby.database("orders").connect().await?;
        assert_eq!(promoted.query_one("SELECT count(*) FROM t", &[]).await?.get::<_, i64>(0), 4);
        promoted.batch_execute("INSERT INTO t VALUES (4)").await?;
        for server in [server, standby] {
            let data_dir = server.data_dir().to_path_buf();
            server.stop().await;
            remove(&data_dir)?;
        }
        Ok(())
    }
}
