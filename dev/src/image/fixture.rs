//! What the service needs in order to run from its image: a database, the sandbox from its own image, and a network.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::build::Images;
use super::buildah::Buildah;
use super::container::{Container, Image, LIMIT, Run};
use super::network::Network;
use crate::peers::Control;
use crate::postgres::{Database, Server};

/// The role of the service, which owns its databases. Its password is checked.
pub(super) const ROLE: &str = "appuser";
/// Has all that a shell, SQL or a connection string would take for something else.
pub(super) const PASSWORD: &str = r#"it's "secret" $HOME \ %s & more"#;
/// The port of PostgreSQL in the network.
pub(super) const DATABASE_PORT: u16 = 5432;
/// The port on which the service listens when nobody says another.
pub(super) const PORT: u16 = 4003;
const SANDBOX_PORT: u16 = 4010;

/// Everything that runs beside the container that is tried.
pub(super) struct Fixture<'a> {
    pub buildah: &'a Buildah,
    pub images: &'a Images,
    pub runtime: Image,
    pub network: Network,
    pub server: &'a Server,
    pub folder: PathBuf,
    /// `http://…` of the service on [`PORT`].
    pub service: String,
    sandbox: Image,
    sandbox_container: Option<Container>,
    control: Control,
    databases: AtomicU32,
    seats: AtomicI64,
    client: reqwest::Client,
}

impl<'a> Fixture<'a> {
    pub async fn start(
        buildah: &'a Buildah,
        images: &'a Images,
        server: &'a Server,
        folder: &Path,
    ) -> Result<Fixture<'a>> {
        let logs = folder.join("logs");
        let _ = std::fs::remove_dir_all(&logs);
        std::fs::create_dir_all(&logs)?;
        std::fs::write(folder.join("hosts"), "127.0.0.1 localhost order-service sandbox postgres\n")?;
        ask_for_passwords(server).await?;
        let mut network = Network::new()?;
        network.lead_out(SocketAddrV4::new(Ipv4Addr::LOCALHOST, DATABASE_PORT), server.port())?;
        let service = network.publish(PORT).await?;
        let control = Control::new(&network.publish(SANDBOX_PORT).await?);
        let mut fixture = Fixture {
            buildah,
            images,
            runtime: Image::mount(buildah, &images.runtime).await?,
            network,
            server,
            folder: folder.to_path_buf(),
            service,
            sandbox: Image::mount(buildah, &images.sandbox).await?,
            sandbox_container: None,
            control,
            databases: AtomicU32::new(0),
            seats: AtomicI64::new(0),
            client: reqwest::Client::builder().timeout(Duration::from_secs(15)).build()?,
        };
        fixture.start_sandbox(Run::default()).await?;
        Ok(fixture)
    }

    /// Starts the sandbox anew, from its image, and waits until its health check is good.
    pub async fn start_sandbox(&mut self, mut run: Run) -> Result<()> {
        self.sandbox_container = None;
        let data = self.folder.join("data");
        let _ = std::fs::remove_dir_all(&data);
        std::fs::create_dir_all(&data)?;
        std::os::unix::fs::chown(&data, Some(10001), Some(10001))?;
        run.mounts.extend([(data, "/data".to_owned()), self.hosts()]);
        let log = self.log("sandbox");
        let container = Container::start(&self.sandbox, &run, &self.network, &log)?;
        let health_check = self.sandbox.health_check()?;
        wait_for("the health check of the sandbox", async || Ok(container.exec(&health_check).await?.0))
            .await?;
        self.sandbox_container = Some(container);
        Ok(())
    }

    /// Ends what was started.
    pub async fn stop(mut self) {
        if let Some(mut sandbox) = self.sandbox_container.take() {
            let _ = sandbox.stop().await;
        }
    }

    /// The sandbox, while it runs.
    pub fn sandbox(&mut self) -> Result<&mut Container> {
        self.sandbox_container.as_mut().context("the sandbox does not run")
    }

    /// The sandbox's image.
    pub fn sandbox_image(&self) -> &Image {
        &self.sandbox
    }

    /// A new, empty database that belongs to [`ROLE`].
    pub async fn database(&self) -> Result<Database> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let database = self.server.create_database(&format!("image_{number}"), None).await?;
        let owner = format!("ALTER DATABASE {} OWNER TO {ROLE}", database.name);
        database.connect().await?.batch_execute(&owner).await?;
        Ok(database)
    }

    /// The variables of a service with this database and the sandbox, in plain upper case.
    pub fn run(&self, database: &Database) -> Run {
        let sandbox = |peer: &str| format!("http://sandbox:{SANDBOX_PORT}/{peer}");
        let run = Run::with([
            ("DATABASE_HOST", "postgres"),
            ("DATABASE_USERNAME", ROLE),
            ("DATABASE_PASSWORD", PASSWORD),
            ("DATABASE_NAME", &database.name),
            ("DATABASE_SSLMODE", "disable"),
            ("CATALOG_URL", &sandbox("catalog")),
            ("SEATING_URL", &sandbox("seating")),
            ("PAYMENT_URL", &sandbox("payment")),
            ("NOTIFICATION_URL", &sandbox("notification")),
            ("TAX_PERCENT", "5"),
        ]);
        Run { mounts: vec![self.hosts()], ..run }
    }

    /// Starts the service from its image.
    pub fn start_service(&self, name: &str, run: &Run) -> Result<Container> {
        Container::start(&self.runtime, run, &self.network, &self.log(name))
    }

    /// The names of the containers.
    pub fn hosts(&self) -> (PathBuf, String) {
        (self.folder.join("hosts"), "/etc/hosts".to_owned())
    }

    /// A file with a secret, as an orchestrator mounts it.
    pub fn secret(&self, name: &str, text: &str) -> Result<(PathBuf, String)> {
        let file = self.folder.join(format!("secret-{name}"));
        std::fs::write(&file, text)?;
        Ok((file, format!("/run/{name}")))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }

    /// Status and body of a GET.
    pub async fn get(&self, url: &str, token: Option<&str>) -> Result<(u16, Value)> {
        let mut request = self.client.get(url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.json().await.unwrap_or(Value::Null)))
    }

    /// Waits until `/health` of the service on `base` answers with this status; the answer.
    pub async fn health(&self, base: &str, wanted: u16) -> Result<Value> {
        let mut last = None;
        let url = format!("{base}/health");
        let is_wanted = async || {
            let answer = self.get(&url, None).await;
            let is_wanted = answer.as_ref().is_ok_and(|(status, _)| *status == wanted);
            last = Some(answer);
            Ok(is_wanted)
        };
        let waited = wait_for("/health", is_wanted).await;
        match last {
            Some(Ok((status, body))) if status == wanted => Ok(body),
            Some(Ok((status, body))) => bail!("/health is {status}, and not {wanted}: {body}"),
            Some(Err(error)) => Err(error),
            None => waited.map(|()| Value::Null),
        }
    }

    /// Places an order for a seat of its own, which must be confirmed with a ticket and this total, and reads it. `base` leads to the
    /// service that listens on `port` inside.
    pub async fn place(&self, base: &str, port: u16, total_cents: u64) -> Result<()> {
        let callback_url = format!("http://order-service:{port}/v1/payments/callback");
        self.control.set_callback_url(Some(&callback_url)).await?;
        let number = self.seats.fetch_add(1, Ordering::Relaxed);
        // Each time, because the sandbox may have been started anew.
        let (event, seat) = (9000, 900_000 + number);
        self.control.put_event(event, "ON_SALE").await?;
        self.control.put_seat_range(event, seat, 1).await?;
        let body = json!({ "user_id": 101, "event_id": event, "seats": [seat] });
        let request = self.client.post(format!("{base}/v1/orders")).json(&body);
        let response = request.header("Idempotency-Key", format!("image-{number}")).send().await?;
        let status = response.status().as_u16();
        let document: Value = response.json().await?;
        let (read, again) = match document["order"]["id"].as_str() {
            Some(id) => self.get(&format!("{base}/v1/orders/{id}"), None).await?,
            None => bail!("an order is answered with {status}: {document}"),
        };
        for (status, document, wanted) in [(status, &document, 201), (read, &again, 200)] {
            let tickets = document["tickets"].as_array().map_or(0, Vec::len);
            let order = &document["order"];
            let is_confirmed =
                order["status"] == "CONFIRMED" && tickets == 1 && order["total_cents"] == total_cents;
            if status != wanted || !is_confirmed {
                bail!("the order is {status} and not CONFIRMED with one ticket at {total_cents}: {document}");
            }
        }
        Ok(())
    }
}

/// Asks again and again until it is so, for [`LIMIT`] at most.
pub(super) async fn wait_for(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if is_so().await? {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{what}: not within {LIMIT:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The superuser needs none: that is this test itself.
async fn ask_for_passwords(server: &Server) -> Result<()> {
    let rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(server.data_dir().join("pg_hba.conf"), rules)?;
    let client = server.database("postgres").connect().await?;
    client.batch_execute("SELECT pg_reload_conf()").await?;
    set_password(server, ROLE, PASSWORD).await
}

/// Makes a role, or gives it another password.
pub(super) async fn set_password(server: &Server, role: &str, password: &str) -> Result<()> {
    let client = server.database("postgres").connect().await?;
    let there = client.query("SELECT FROM pg_roles WHERE rolname = $1", &[&role]).await?;
    let verb = if there.is_empty() { "CREATE" } else { "ALTER" };
    let format = "SELECT format('%s ROLE %I LOGIN PASSWORD %L', $1::text, $2::text, $3::text)";
    let statement: String = client.query_one(format, &[&verb, &role, &password]).await?.get(0);
    Ok(client.batch_execute(&statement).await?)
}
