//! Connection pools, one per address.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

/// The most connections to an address.
const POOL_SIZE: usize = 64;
/// The most addresses with a pool.
const POOLS: usize = 16;

/// The pools of a component. Clones share them.
#[derive(Clone)]
pub struct Pools {
    /// By exact address, least recently used first.
    pools: Arc<Mutex<VecDeque<(String, Pool)>>>,
    permits: Option<Arc<Semaphore>>,
}

/// A connection taken from its pool. It goes back when the guest lets go of it and no statement uses it any more.
pub struct Checkout {
    /// The connection. Statements that run keep their own reference.
    pub client: Arc<Object>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Pools {
    /// No pools yet. `permits` are the connections that the guests of the application may hold.
    pub fn new(permits: Option<Arc<Semaphore>>) -> Self {
        Self { pools: Arc::default(), permits }
    }

    /// A connection to `address`: an idle one, cleaned, or a new one. Waits, without a limit, for one to become free.
    pub async fn open(&self, address: &str) -> Result<Checkout> {
        let permit = match &self.permits {
            Some(permits) => Some(Arc::clone(permits).acquire_owned().await?),
            None => None,
        };
        let client = self.pool(address)?.get().await?;
        Ok(Checkout { client: Arc::new(client), _permit: permit })
    }

    fn pool(&self, address: &str) -> Result<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            pools.iter().position(|(known, _)| known == address).and_then(|index| pools.remove(index));
        let entry = match known {
            Some(entry) => entry,
            None => (address.to_owned(), create(address).context("establishing PostgreSQL connection pool")?),
        };
        let pool = entry.1.clone();
        pools.push_back(entry);
        if pools.len() > POOLS {
            pools.pop_front();
        }
        Ok(pool)
    }
}

fn create(address: &str) -> Result<Pool> {
    let config: Config = address.parse().context("parsing Postgres connection string")?;
    // `prefer`, the default, goes on without TLS. Spin would insist on it if the server offered it.
    ensure!(
        matches!(config.get_ssl_mode(), SslMode::Disable | SslMode::Prefer),
        "the dev host does not speak TLS: use sslmode=disable or sslmode=prefer"
    );
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Clean };
    let manager = Manager::from_config(config, NoTls, manager);
    Ok(Pool::builder(manager).max_size(POOL_SIZE).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_refused_clearly() {
        create("host=h sslmode=prefer").expect("works without TLS");
        create("postgres://u:p@h/db").expect("prefer is the default");
        let error = create("host=h sslmode=require").expect_err("needs TLS");
        assert!(error.to_string().contains("does not speak TLS"), "{error}");
    }

    #[test]
    fn only_so_many_pools_are_kept() {
        let pools = Pools::new(None);
        for n in 0..POOLS {
            pools.pool(&format!("host=h{n}")).expect("valid");
        }
        pools.pool("host=h0").expect("valid");
        pools.pool("host=new").expect("valid");
        let kept = pools.pools.lock().expect("not poisoned");
        assert_eq!(kept.len(), POOLS);
        assert!(kept.iter().any(|(address, _)| address == "host=h0"), "used just now");
        assert!(!kept.iter().any(|(address, _)| address == "host=h1"), "unused the longest");
    }
}
