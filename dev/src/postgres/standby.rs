//! Streaming replication: a standby of a server, and the failover to it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Options, SUPERUSER, Server, data_dir};

/// How long a standby may take to catch up, or to be promoted.
const LIMIT: Duration = Duration::from_secs(30);
/// The standby's name at its primary.
const NAME: &str = "standby";

impl Server {
    /// Starts a hot standby of this server: it has all databases, and answers reads. `options` must name an empty data directory.
    ///
    /// # Errors
    /// When the copy cannot be made, or the standby does not start.
    pub async fn start_standby(&self, options: Options) -> Result<Server> {
        let mut options = options;
        // A commit waits for the standby: it must come back soon when the connection between them breaks.
        options.settings.push(("wal_retrieve_retry_interval".into(), "100ms".into()));
        let place = data_dir::place_of(&options.data_dir)?;
        data_dir::make_private(&place, &self.programs)?;
        let source = format!("host=127.0.0.1 port={} user={SUPERUSER} application_name={NAME}", self.port);
        let mut copy = self.programs.other_command("pg_basebackup");
        copy.arg("-D").arg(&place).args(["-d", &source, "-R", "-X", "stream", "-c", "fast", "--no-sync"]);
        let mut copy = tokio::process::Command::from(copy);
        let output = copy.kill_on_drop(true).output().await.context("starting pg_basebackup")?;
        if !output.status.success() {
            bail!(
                "pg_basebackup failed ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Server::start(options).await
    }

    /// From now on a commit waits until the standby has it on disk, as far as `synchronous_commit` asks for that. Ends when the
    /// standby takes part.
    ///
    /// # Errors
    /// When this server does not answer, or the standby does not come.
    pub async fn replicate_synchronously(&self) -> Result<()> {
        self.set("synchronous_standby_names", NAME).await?;
        let synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        until("the standby is synchronous", self, synchronous, |count: i64| count == 1).await
    }

    /// Fences this server: it goes on with reads and refuses every write, also on sessions that are open. Ends when no write is
    /// under way any more.
    ///
    /// # Errors
    /// When this server does not answer.
    pub async fn fence(&self) -> Result<()> {
        self.set("default_transaction_read_only", "on").await?;
        // As long as a server process may not have read the setting: each does so before its next statement.
        let writes = "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL";
        until("the last write ends", self, writes, |count: i64| count == 0).await
    }

    /// Ends [`Server::fence`]. Sessions that are open heed it as well.
    ///
    /// # Errors
    /// When this server does not answer.
    pub async fn unfence(&self) -> Result<()> {
        self.set("default_transaction_read_only", "off").await
    }

    /// Promotes a standby of this server to a primary, after it has received all that this server has written. This server
    /// should be fenced before.
    ///
    /// # Errors
    /// When one of them does not answer, or it takes too long.
    pub async fn fail_over_to(&self, standby: &Server) -> Result<()> {
        let client = self.database(SUPERUSER).connect().await?;
        let written: String = client.query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).await?.get(0);
        let behind = format!("SELECT pg_wal_lsn_diff('{written}', pg_last_wal_replay_lsn())::bigint");
        until("the standby catches up", standby, &behind, |bytes: i64| bytes <= 0).await?;
        standby.promote().await
    }

    /// Promotes this standby to a primary.
    ///
    /// # Errors
    /// When it does not answer, or it takes too long.
    pub async fn promote(&self) -> Result<()> {
        let client = self.database(SUPERUSER).connect().await?;
        let promoted = client.query_one("SELECT pg_promote(true, 30)", &[]).await?.get::<_, bool>(0);
        if promoted { Ok(()) } else { bail!("the standby was not promoted within {LIMIT:?}") }
    }

    /// Changes a setting of the running server.
    async fn set(&self, name: &str, value: &str) -> Result<()> {
        let client = self.database(SUPERUSER).connect().await?;
        client.batch_execute(&format!("ALTER SYSTEM SET {name} = '{value}'")).await?;
        client.batch_execute("SELECT pg_reload_conf()").await?;
        let setting = format!("SELECT current_setting('{name}')");
        // A new connection shows what the server has read.
        until("the setting is read", self, &setting, |read: String| read == value).await
    }
}

/// Polls a value of the server until it is as it should be.
async fn until<T>(
    what: &str,
    server: &Server,
    query: &str,
    mut is_reached: impl FnMut(T) -> bool,
) -> Result<()>
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    let deadline = Instant::now() + LIMIT;
    loop {
        let client = server.database(SUPERUSER).connect().await?;
        if is_reached(client.query_one(query, &[]).await?.try_get(0)?) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("this took longer than {LIMIT:?}: {what}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
