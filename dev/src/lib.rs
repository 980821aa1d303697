//! What a developer's machine lacks to run the order service: a PostgreSQL of its own, stand-ins for the four peer
//! services, and the commands that put them together with the component and a host.
//!
//! In reading order: [`component`] builds the WebAssembly component and the host program, [`spin`] finds a Spin that is
//! installed, [`host`] runs them, [`postgres`] and [`migrations`] give it a database, [`pgbouncer`] a connection pooler
//! before that, [`peers`] are the services it talks to, [`collector`] takes its spans, which [`otlp`] decodes, [`chaos`] breaks all of them on purpose, and
//! [`bench`](mod@bench) measures how fast it all is, [`manifests`] and `image` check what deploys it, [`api_check`] what it
//! says of its API, [`docs_check`] what people who integrate meet, [`observability`] what people who watch it see, and
//! [`events_check`] that no event for other systems is lost, with [`mosquitto`] and [`nats`] as brokers. `main.rs` and `up` are the `cargo dev` commands over them; the
//! black-box tests use the same parts directly.
//!
//! Nothing here is ever deployed.

pub mod api_check;
mod apt;
pub mod bench;
pub mod chaos;
pub mod collector;
pub mod component;
pub mod docs_check;
pub mod events_check;
pub mod host;
#[cfg(target_os = "linux")]
pub mod image;
pub mod manifests;
pub mod migrations;
pub mod mosquitto;
pub mod nats;
pub mod observability;
pub mod otlp;
pub mod peers;
pub mod pgbouncer;
pub mod postgres;
pub mod process;
mod serve;
pub mod spin;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The root of the repository whose package cargo runs. What was compiled in is only used without cargo: it may be the
/// path of another clone, when clones share a target directory.
pub fn repo_root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let package = package.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package.ancestors().find(|folder| folder.join("spin.toml").is_file()).map(Path::to_path_buf);
    root.unwrap_or(package)
}

/// A free TCP port of the loopback interface. Within this process it is given once, because a host that is started anew on its port
/// must not find another test's there. Another process may take it before it is used, so callers must be ready to try another one.
pub fn free_port() -> std::io::Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    // They all stay bound until one is new, so that the kernel gives another one each time.
    let mut taken = Vec::new();
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
        taken.push(listener);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_free_port_is_given_once() {
        let ports: Vec<u16> = (0..2_000).map(|_| super::free_port().unwrap()).collect();
        let distinct: std::collections::BTreeSet<u16> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), ports.len());
    }
}
