//! The native floor: the calls that the service makes, made without WebAssembly.
//!
//! A few connections to PostgreSQL with statements that are prepared once, shared by all requests, whose statements
//! queue on them; a pool of connections to the peers; `TCP_NODELAY` everywhere.
//!
//! A statement goes to the connection on which the fewest wait, the first of those. Taking turns would be dearer: a
//! backend of PostgreSQL whose turn comes seldom finds little of its own in the processor's caches.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use futures::TryStreamExt;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use order_dev_floor::calls::{Answer, Call, HEADERS, Peer, Sequence, Statement, Step};
use order_dev_floor::templates;
use tokio::net::TcpListener;
use tokio_postgres::{Client, NoTls};

use crate::postgres::Database;
use crate::serve::serve;

mod parameters;

/// Connections to PostgreSQL.
const CONNECTIONS: usize = 8;

/// Serves `POST /v1/orders` and `GET /v1/orders/{id}` until the process ends, and says on standard output when it
/// begins. The peers are below `peers_url`, as the sandbox's are: `/seating` and `/payment`.
pub async fn run(listen: SocketAddr, database: Database, peers_url: &str) -> Result<()> {
    let floor = Arc::new(Floor::start(&database, peers_url).await?);
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listening on {listen}"))?;
    println!("Serving http://{}", listener.local_addr()?);
    serve(listener, floor, Floor::answer).await;
    Ok(())
}

struct Floor {
    connections: Vec<Connection>,
    http: HttpClient<HttpConnector, Full<Bytes>>,
    peers_url: String,
    sequence: Mutex<Sequence>,
}

/// A connection with its prepared statements.
struct Connection {
    client: Client,
    prepared: HashMap<&'static str, tokio_postgres::Statement>,
    /// Statements whose end has not come.
    waiting: AtomicUsize,
}

/// Counts a statement for as long as it lasts.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn on(connection: &'a Connection) -> Self {
        connection.waiting.fetch_add(1, Ordering::Relaxed);
        Self(&connection.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Floor {
    async fn start(database: &Database, peers_url: &str) -> Result<Self> {
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(database).await?);
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            connections,
            http: HttpClient::builder(TokioExecutor::new()).build(connector),
            peers_url: peers_url.trim_end_matches('/').to_owned(),
            sequence: Mutex::new(Sequence::start()),
        })
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let next_order =
            || self.sequence.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next_order();
        let work = templates::work(request.uri().path(), next_order);
        let answer = match request.into_body().collect().await {
            Ok(_) => self.perform(work.steps).await.map(|()| work.answer),
            Err(error) => Err(error.into()),
        };
        Ok(response(answer.unwrap_or_else(|error| Answer::failure(format!("{error:#}")))))
    }

    async fn perform(&self, steps: Vec<Step>) -> Result<()> {
        for step in steps {
            match step {
                Step::Statement(statement) => self.query(statement).await?,
                Step::Call(call) => self.send(call).await?,
            }
        }
        Ok(())
    }

    async fn query(&self, statement: Statement) -> Result<()> {
        let least =
            self.connections.iter().min_by_key(|connection| connection.waiting.load(Ordering::Relaxed));
        let connection = least.context("no connection")?;
        let _waiting = Waiting::on(connection);
        let prepared = connection.prepared.get(statement.sql).context("a statement that was not prepared")?;
        let parameters = parameters::convert(statement.parameters)?;
        let rows = connection.client.query_raw(prepared, parameters).await.map_err(|error| told(&error))?;
        rows.try_for_each(|_| async { Ok(()) }).await.map_err(|error| told(&error))
    }

    async fn send(&self, call: Call) -> Result<()> {
        let peer = match call.peer {
            Peer::Seating => "seating",
            Peer::Payment => "payment",
        };
        let mut request = Request::post(format!("{}/{peer}{}", self.peers_url, call.path));
        for (name, value) in HEADERS {
            request = request.header(name, value);
        }
        if let Some(key) = call.key {
            request = request.header("idempotency-key", key);
        }
        let response = self.http.request(request.body(Full::from(call.body))?).await?;
        response.into_body().collect().await?;
        Ok(())
    }
}

impl Connection {
    async fn open(database: &Database) -> Result<Self> {
        let mut config = tokio_postgres::Config::new();
        config.host(&database.host).port(database.port).user(&database.user).dbname(&database.name);
        config.password(&database.password).connect_timeout(Duration::from_secs(5));
        config.application_name("order-floor").options(templates::SESSION_OPTIONS);
        let (client, connection) = config.connect(NoTls).await.context("connecting to PostgreSQL")?;
        tokio::spawn(connection);
        let mut prepared = HashMap::new();
        for sql in templates::STATEMENTS {
            prepared.insert(sql, client.prepare(sql).await.map_err(|error| told(&error))?);
        }
        Ok(Self { client, prepared, waiting: AtomicUsize::new(0) })
    }
}

/// With what the server says: the error's own text leaves it out.
fn told(error: &tokio_postgres::Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(db) => anyhow!("{} ({})", db.message(), db.code().code()),
        None => anyhow!("{error}"),
    }
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body.into()));
    *response.status_mut() = answer.status.try_into().expect("a status");
    for (name, value) in answer.headers {
        response.headers_mut().insert(name, value.try_into().expect("a header's value"));
    }
    response
}
