//! What a developer's machine lacks to run the order service: a PostgreSQL of its own, stand-ins for the four peer
//! services, and the commands that put them together with the component and a host.
//!
//! In reading order: [`component`] builds the WebAssembly component and finds the host program, [`host`] runs it,
//! [`postgres`] and [`migrations`] give it a database, [`peers`] are the services it talks to, [`chaos`] breaks all of
//! them on purpose, and [`bench`](mod@bench) measures how fast it all is. `main.rs` and `up.rs` are the
//! `cargo dev` commands over them; the black-box tests use the same parts directly.
//!
//! Nothing here is ever deployed.

pub mod bench;
pub mod chaos;
pub mod component;
pub mod host;
pub mod migrations;
pub mod peers;
pub mod postgres;
pub mod process;
mod serve;

use std::path::{Path, PathBuf};

/// The root of the repository whose package cargo runs. What was compiled in is only used without cargo: it may be the
/// path of another clone, when clones share a target directory.
pub fn repo_root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let package = package.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package.ancestors().find(|folder| folder.join("spin.toml").is_file()).map(Path::to_path_buf);
    root.unwrap_or(package)
}

/// A free TCP port of the loopback interface. Another process may take it before it is used, so callers must be ready to
/// try another one.
pub fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
