//! `cargo dev …`: see `cargo dev --help`.

mod settings;
mod up;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use order_dev::{
    api_check, bench, chaos, component, docs_check, events_check, manifests, migrations, observability,
    peers, postgres, repo_root,
};

/// Tools for developing the order service.
#[derive(Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything: PostgreSQL, migrations, sandbox peers, the component in a host
    ///
    /// An existing PostgreSQL is used when DATABASE_HOST, DATABASE_PORT, DATABASE_USERNAME or DATABASE_PASSWORD is set,
    /// an existing peer when CATALOG_URL, SEATING_URL, PAYMENT_URL or NOTIFICATION_URL is. Every other variable of
    /// spin.toml can be set by its name in upper case, such as TAX_PERCENT.
    Up(up::Options),
    /// Deletes the data of `up`
    Reset,
    /// Applies the migrations to the database that DATABASE_HOST, … name
    Migrate {
        /// Writes the generated files of migrations/psql anew instead, after a change to migrations/
        #[arg(long)]
        refresh: bool,
    },
    /// Builds the component
    Build,
    /// Breaks everything the service stands on, again and again, and checks that no order comes to harm
    ///
    /// Three copies of the component, a PostgreSQL, the peers and a sink of events run on this machine, and are killed, restarted
    /// and made to fail while users order, cancel and ask for refunds. Then the faults end, and a judge compares the order
    /// database with what the peers and the sink recorded.
    Chaos {
        /// How many orders are placed
        #[arg(long, default_value_t = 2000)]
        orders: usize,
        /// What the plan is drawn from: the same seed gives the same plan; several, such as 1..10, one after the other
        ///
        /// Over ten campaigns of 2000 orders everything must be injected at least 50 times, over fewer orders as many
        /// times fewer, and PostgreSQL must fail over in each; below 2000 orders what is too rare is only a warning.
        #[arg(long, default_value = "1", value_parser = chaos::summary::parse_seeds)]
        seed: RangeInclusive<u64>,
        /// Another commit, as in the middle of an upgrade: one of the three copies runs its component, two with even seeds
        ///
        /// The database is migrated by this tree. The other component is built once, by its own build command.
        #[arg(long, value_name = "COMMIT")]
        beside: Option<String>,
    },
    /// Measures how fast the service is, what it costs, and how near it comes to what the platform allows
    ///
    /// The service, and floors that do only what no order can do without, get the same requests in turn, with the same
    /// PostgreSQL and the same fast stand-ins for the peers. Leave the machine alone meanwhile.
    Bench(bench::Options),
    /// The fast peers of `bench`, in a process of their own
    #[command(hide = true)]
    BenchPeers {
        /// Where to listen; it is printed
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// The order service's callback endpoint
        #[arg(long)]
        callback_url: Option<String>,
    },
    /// Serves what an order costs when nothing of ours is computed, without WebAssembly; the database as for `migrate`
    #[command(hide = true)]
    NativeFloor {
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:4004")]
        listen: SocketAddr,
        /// The sandbox peers, or others that have their paths
        #[arg(long, default_value = "http://127.0.0.1:4010")]
        peers_url: String,
    },
    /// Checks everything under deploy/, the workflows, Dockerfile and compose.yaml, and that misspelt fields would be found
    ///
    /// Needs python3 (with venv) and npm, and installs the validators that deploy/validators/ names into the target directory. The
    /// schemas of SpinKube's custom resources are looked for where SPINKUBE_SCHEMAS says, else in ../shared/crds.
    ManifestTest,
    /// Checks the OpenAPI document, and sends the service whatever requests can be made of it
    ///
    /// Lints the document, compares it with that of the last release, and has schemathesis send valid and invalid requests to a
    /// running service. Needs python3 (with venv) and npm, and installs what deploy/api-validators/ names into the target directory.
    ApiTest(api_check::Options),
    /// Tries the page of GET /docs in a browser, and the TypeScript client of docs/client, with a service that runs
    ///
    /// Needs node, npm and a Chromium (Debian's package, which is installed as root, or CHROMIUM=/path/to/it).
    DocsTest {
        /// Also writes the client's types and the screenshots below docs/ anew, after a change to the document or the page
        #[arg(long)]
        refresh: bool,
    },
    /// Checks the metrics, the alerts and the dashboard with a Prometheus that scrapes a service which works for half a minute
    ///
    /// Needs Prometheus (Debian's package, which is installed as root), and python3 (with venv) to read YAML.
    ObservabilityTest {
        /// Watches for two minutes, and draws the picture below docs/ anew, after a change to the dashboard
        #[arg(long)]
        refresh: bool,
    },
    /// Proves that every event of many orders arrives, in order per order, while sinks fail and brokers are restarted
    ///
    /// Needs python3 (with venv) for the NATS of PyPI, and Debian's packages nats-server and mosquitto, which are installed as root.
    EventsTest(events_check::Options),
    /// Builds the container images, and runs them as a container engine would, in every way in which they can be started
    ///
    /// Needs root, buildah and debootstrap, and no container engine. RUST_IMAGE, SPIN_IMAGE and DEBIAN_IMAGE name base
    /// images; without them stand-ins are made of Debian's packages, this machine's tool chain and the dev host.
    ImageTest,
    /// Runs only the sandbox peers; GET /control says how to make them misbehave
    Peers {
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:4010")]
        listen: SocketAddr,
        /// The order service's callback endpoint; without it payments call nobody back
        #[arg(long)]
        callback_url: Option<String>,
        /// A file that keeps events, seats and payments between runs
        #[arg(long)]
        state_file: Option<PathBuf>,
    },
}

fn main() {
    let arguments = Arguments::parse();
    if matches!(arguments.command, Command::Bench(_))
        && let Err(error) = component::go_on_optimised()
    {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if matches!(arguments.command, Command::BenchPeers { .. }) {
        runtime.worker_threads(2);
    }
    let runtime = runtime.enable_all().build().expect("a runtime can be started");
    let result = runtime.block_on(run(arguments.command));
    // Nothing that still runs there is worth waiting for.
    runtime.shutdown_background();
    if let Err(error) = result {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Up(options) => up::up(options).await,
        Command::Reset => reset(),
        Command::Migrate { refresh: true } => migrations::refresh(&repo_root().join("migrations")),
        Command::Migrate { refresh: false } => migrate().await,
        Command::Build => component::build().await,
        Command::Chaos { orders, seed, beside } => run_chaos(orders, seed, beside.as_deref()).await,
        Command::ManifestTest => manifests::run().await,
        Command::ApiTest(options) => api_check::run(&options).await,
        Command::DocsTest { refresh } => run_docs_test(refresh).await,
        Command::ObservabilityTest { refresh } => run_observability_test(refresh).await,
        Command::EventsTest(options) => run_events_test(&options).await,
        Command::Bench(options) => run_bench(options).await,
        Command::BenchPeers { listen, callback_url } => {
            bench::peers::serve(listen, callback_url.as_deref()).await
        }
        Command::NativeFloor { listen, peers_url } => {
            let database = settings::Settings::read()?.database();
            bench::native::run(listen, database, &peers_url).await
        }
        Command::ImageTest => image_test().await,
        Command::Peers { listen, callback_url, state_file } => {
            let options = peers::Options { listen, callback_url, state_file, ..peers::Options::default() };
            run_peers(options).await
        }
    }
}

fn reset() -> Result<()> {
    let folder = repo_root().join(".dev");
    if !folder.exists() {
        println!("There is nothing to delete.");
        return Ok(());
    }
    let _lock = up::Lock::take(&folder)?;
    postgres::remove(&folder.join("postgres"))?;
    std::fs::remove_dir_all(&folder)?;
    println!("Deleted {} and the data of its PostgreSQL.", folder.display());
    Ok(())
}

async fn migrate() -> Result<()> {
    let database = settings::Settings::read()?.database();
    let applied = migrations::apply(&database).await?;
    for version in &applied {
        println!("Applied {version}.");
    }
    if applied.is_empty() {
        println!("Nothing to apply.");
    }
    Ok(())
}

async fn run_chaos(orders: usize, seeds: RangeInclusive<u64>, beside: Option<&str>) -> Result<()> {
    component::build().await?;
    let beside = match beside {
        Some(commit) => Some(bench::against::Version::of("--beside", commit).await?),
        None => None,
    };
    let summary = chaos::summary::run_seeds(orders, seeds, beside, |report| println!("{report}\n")).await;
    print!("{summary}");
    summary.verdict()
}

async fn run_docs_test(refresh: bool) -> Result<()> {
    let mut stop = up::StopSignal::new()?;
    tokio::select! {
        result = docs_check::run(refresh) => result,
        // What was started ends with its handles.
        () = stop.wait() => bail!("stopped"),
    }
}

async fn run_observability_test(refresh: bool) -> Result<()> {
    let mut stop = up::StopSignal::new()?;
    tokio::select! {
        result = observability::run(refresh) => result,
        // What was started ends with its handles.
        () = stop.wait() => bail!("stopped"),
    }
}

async fn run_events_test(options: &events_check::Options) -> Result<()> {
    let mut stop = up::StopSignal::new()?;
    tokio::select! {
        result = events_check::run(options) => result,
        // What was started ends with its handles.
        () = stop.wait() => bail!("stopped"),
    }
}

#[cfg(target_os = "linux")]
async fn image_test() -> Result<()> {
    let mut stop = up::StopSignal::new()?;
    tokio::select! {
        result = order_dev::image::run() => result,
        () = stop.wait() => bail!("stopped"),
    }
}

#[cfg(not(target_os = "linux"))]
async fn image_test() -> Result<()> {
    bail!("image-test needs Linux: it runs containers")
}

async fn run_bench(options: bench::Options) -> Result<()> {
    let mut stop = up::StopSignal::new()?;
    tokio::select! {
        result = bench::run(options) => result,
        // What was started ends with its handles.
        () = stop.wait() => bail!("stopped"),
    }
}

async fn run_peers(options: peers::Options) -> Result<()> {
    let mut stop = up::StopSignal::new()?;
    let peers = peers::Peers::start(options).await?;
    println!("The sandbox peers serve on {0}; GET {0}/control says how to make them misbehave.", peers.url());
    stop.wait().await;
    peers.stop()
}
