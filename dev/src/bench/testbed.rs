//! The testbed that all servers under test share: PostgreSQL and the fast peers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use tokio_postgres::Client;

use super::peers::PeersProcess;
use crate::postgres::{self, Database, Server};
use crate::{migrations, repo_root};

/// Durable as in production, and with enough WAL for no checkpoint during a run.
const SETTINGS: [(&str, &str); 6] = [
    ("shared_preload_libraries", "pg_stat_statements"),
    // Enabled by database, where statements are counted.
    ("pg_stat_statements.track", "none"),
    ("pg_stat_statements.track_utility", "off"),
    // Small, so that the page cache keeps all files: disk reads are not measured.
    ("shared_buffers", "1GB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
];
const TEMPLATE: &str = "bench_template";

/// A private PostgreSQL with a migrated, empty database to copy, and the fast peers. Dropping it ends both and deletes
/// the data.
pub struct Testbed {
    /// The server.
    pub server: Server,
    /// The peers.
    pub peers: Arc<PeersProcess>,
    /// A connection to the server's own database, for questions about all of it.
    pub admin: Client,
    folder: TempDir,
}

impl Testbed {
    /// Starts all of it; `settings` are more of PostgreSQL's.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(settings: &[(&str, &str)]) -> Result<Testbed> {
        let folder = TempDir::new()?;
        // In the clone, not in the temporary folder: that one may be in memory, where fsync costs nothing.
        let options =
            postgres::Options::durable_below(&repo_root().join(".dev"), &[&SETTINGS, settings].concat())?;
        let server = Server::start(options).await.context("PostgreSQL (with its pg_stat_statements)")?;
        let admin = server.database("postgres").connect().await?;
        admin.batch_execute("CREATE EXTENSION pg_stat_statements").await?;
        let peers = Arc::new(PeersProcess::start().await?);
        let testbed = Testbed { server, peers, admin, folder };
        testbed.make_template(TEMPLATE, &repo_root().join("migrations")).await?;
        Ok(testbed)
    }

    /// Creates a template database with the migrations of a folder, for [`Testbed::clone_template`].
    ///
    /// # Errors
    /// When there is one of that name, or a migration fails.
    pub async fn make_template(&self, name: &str, migrations: &Path) -> Result<()> {
        let template = self.server.create_database(name, None).await?;
        migrations::apply_folder(&template, migrations).await.map(drop)
    }

    /// A new database, migrated and without orders.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn migrated_database(&self) -> Result<Database> {
        self.clone_template(TEMPLATE).await
    }

    /// A new database cloned from this template.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn clone_template(&self, template: &str) -> Result<Database> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bench_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.server.create_database(&name, Some(template)).await
    }

    /// Runs a checkpoint, so that none starts during a run.
    ///
    /// # Errors
    /// When the server does not.
    pub async fn checkpoint(&self) -> Result<()> {
        self.admin.batch_execute("CHECKPOINT").await.context("a checkpoint")
    }

    /// Vacuums and analyzes the database, and runs a checkpoint.
    ///
    /// # Errors
    /// When the server does not.
    pub async fn vacuum(&self, database: &Database) -> Result<()> {
        database.connect().await?.batch_execute("VACUUM (ANALYZE)").await.context("a vacuum")?;
        self.checkpoint().await
    }

    /// Directory of the logs.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// The server's version.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn server_version(&self) -> Result<String> {
        Ok(self.admin.query_one("SELECT current_setting('server_version')", &[]).await?.get(0))
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        self.server.stop_now();
        let _ = postgres::remove(self.server.data_dir());
    }
}

/// A directory that is deleted when dropped.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Result<TempDir> {
        let path = std::env::temp_dir().join(format!("order-service-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(TempDir(path))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
