//! `cargo dev up`: everything that an order needs, until Ctrl-C.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use order_dev::host::Host;
use order_dev::peers::{self, Peers};
use order_dev::postgres::{self, Database, Server};
use order_dev::spin::{self, Spin};
use order_dev::{component, migrations, repo_root};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::settings::Settings;

mod page;

/// How often the service is asked for its health, as a deployment's probe would. Work that is due is done after
/// answers, so this also drives what waits for a time or for a retry.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Options {
    /// The port of the order service [default: PORT, else 4003]
    #[arg(long)]
    port: Option<u16>,
    /// The port of the sandbox peers; a free one when it is taken
    #[arg(long, default_value_t = 4010)]
    peers_port: u16,
}

/// What runs, in the order in which it stops.
struct Running {
    host: Host,
    peers: Option<Peers>,
    server: Option<Server>,
    database: Database,
}

pub async fn up(options: Options) -> Result<()> {
    let settings = Settings::read()?;
    let folder = repo_root().join(".dev");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let _lock = Lock::take(&folder)?;
    let mut stop = StopSignal::new()?;
    let port = options.port.or(settings.port).unwrap_or(4003);
    let mut running = tokio::select! {
        started = start(&settings, port, options.peers_port, &folder) => started?,
        () = stop.wait() => return Ok(()),
    };
    println!("{}", page::page(&running, &settings));
    let ended = tokio::select! {
        ended = watch(&mut running.host) => Some(ended),
        () = stop.wait() => None,
    };
    eprintln!("\nStopping …");
    let log_dir = running.host.log_dir().to_path_buf();
    stop_all(running).await?;
    match ended {
        Some(Ok(why)) => bail!("the host has ended by itself ({why}); see {}", log_dir.display()),
        Some(Err(error)) => Err(error),
        None => Ok(()),
    }
}

async fn start(settings: &Settings, port: u16, peers_port: u16, folder: &Path) -> Result<Running> {
    // Before the long steps: it would be a pity to find out after them.
    TcpListener::bind(("127.0.0.1", port)).map(drop).with_context(|| {
        format!(
            "port {port} is taken: stop what listens there, or choose another with `cargo dev up --port 4004`"
        )
    })?;
    let spin = spin::find().await?;
    match &spin {
        Some(spin) => eprintln!("The host is {spin}."),
        None => eprintln!(
            "The host is the dev host, because no Spin 4.1 or later is on the PATH; it stands in for one."
        ),
    }
    let (server, database) = start_database(settings, folder).await?;
    for version in migrations::apply(&database).await? {
        eprintln!("Applied migration {version}.");
    }
    let program = build(spin).await?;
    let peers = match settings.names_all_peers() {
        true => None,
        false => Some(start_peers(port, peers_port, folder).await?),
    };
    eprintln!("Starting the host …");
    let logs = folder.join("logs");
    if logs.exists() {
        std::fs::remove_dir_all(&logs)?;
    }
    let variables = settings.spin_variables(&database, peers.as_ref());
    let host = Host::start(program, &variables, &logs, Some(port)).await?;
    Ok(Running { host, peers, server, database })
}

/// Builds the component and, where there is no Spin, the dev host beside it: each has stretches that keep only one processor busy.
async fn build(spin: Option<Spin>) -> Result<PathBuf> {
    match spin {
        Some(spin) => {
            eprintln!("Building the component …");
            component::build().await?;
            Ok(spin.path)
        }
        None => {
            eprintln!("Building the component and the dev host …");
            let ((), program) = tokio::try_join!(component::build(), component::dev_host())?;
            Ok(program)
        }
    }
}

async fn start_database(settings: &Settings, folder: &Path) -> Result<(Option<Server>, Database)> {
    let (server, database) = if settings.names_a_database_server() {
        let database = settings.database();
        eprintln!("Using the PostgreSQL on {}:{} …", database.host, database.port);
        (None, database)
    } else {
        eprintln!("Starting PostgreSQL …");
        let data_dir = folder.join("postgres");
        let options = postgres::Options { data_dir, port: None, durable: true, settings: Vec::new() };
        let server = Server::start(options).await?;
        let database = server.database(settings.database_name());
        (Some(server), database)
    };
    if database.create_if_missing().await? {
        eprintln!("Made database {}.", database.name);
    }
    Ok((server, database))
}

async fn start_peers(port: u16, peers_port: u16, folder: &Path) -> Result<Peers> {
    let options = |peers_port: u16| peers::Options {
        listen: SocketAddr::from(([127, 0, 0, 1], peers_port)),
        callback_url: Some(format!("http://127.0.0.1:{port}/v1/payments/callback")),
        state_file: Some(folder.join("sandbox.json")),
        ..peers::Options::default()
    };
    eprintln!("Starting the sandbox peers …");
    if TcpListener::bind(("127.0.0.1", peers_port)).is_err() {
        eprintln!("Port {peers_port} is taken; the sandbox peers use another.");
        return Peers::start(options(0)).await;
    }
    Peers::start(options(peers_port)).await
}

/// Returns when the host has ended.
async fn watch(host: &mut Host) -> Result<String> {
    let client = reqwest::Client::builder().timeout(PROBE_INTERVAL).build()?;
    let health = format!("{}/health", host.base_url);
    let mut probe = tokio::time::interval(PROBE_INTERVAL);
    loop {
        tokio::select! {
            _ = probe.tick() => drop(tokio::spawn(client.get(&health).send())),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        if let Some(status) = host.has_ended()? {
            return Ok(status.to_string());
        }
    }
}

async fn stop_all(running: Running) -> Result<()> {
    running.host.stop();
    let saved = running.peers.map_or(Ok(()), Peers::stop);
    if let Some(server) = running.server {
        server.stop().await;
    }
    saved
}

/// Held while `.dev` is in use. The system frees it when the process ends, however it ends.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Fails when another process holds it, and says which.
    pub fn take(folder: &Path) -> Result<Lock> {
        let path = folder.join("up.lock");
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.with_context(|| format!("opening {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)?;
                bail!("`cargo dev up` is running here already (process {}): stop it first", holder.trim());
            }
            Err(TryLockError::Error(error)) => return Err(error).context("locking .dev"),
        }
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        Ok(Lock { _file: file })
    }
}

/// Ctrl-C, a polite kill, or the terminal being closed.
pub struct StopSignal {
    signals: [Signal; 3],
}

impl StopSignal {
    /// From here on these signals no longer end the process.
    pub fn new() -> Result<StopSignal> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [a, b, c] = kinds.map(signal);
        Ok(StopSignal { signals: [a?, b?, c?] })
    }

    /// Waits for the next of them.
    pub async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
