//! A collector of spans (OTLP over HTTP) that keeps what arrives as it is, and answers as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::serve::serve;

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method and path.
    pub target: String,
    /// Header fields by name, in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
    /// The status that it is answered with.
    pub status: u16,
    /// When it arrived.
    pub at: Instant,
}

/// How requests are answered from now on.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// The status.
    pub status: u16,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// How long an answer takes.
    pub delay: Duration,
}

impl Behaviour {
    /// Answers at once with this status.
    pub fn status(status: u16) -> Behaviour {
        Behaviour { status, retry_after: None, delay: Duration::ZERO }
    }
}

#[derive(Debug)]
struct State {
    received: Vec<Received>,
    behaviour: Behaviour,
    /// See [`Collector::held`].
    held: BTreeSet<usize>,
}

/// A request that is not answered yet; dropped when it is, or when the client has gone away.
struct Held {
    state: Arc<Mutex<State>>,
    number: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        locked(&self.state).held.remove(&self.number);
    }
}

/// The running collector. Dropping it closes every connection.
pub struct Collector {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Collector {
    /// Starts it on a free port; it takes everything.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> Result<Collector> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("a port for the collector")?;
        let address = listener.local_addr()?;
        let state = State { received: Vec::new(), behaviour: Behaviour::status(200), held: BTreeSet::new() };
        let state = Arc::new(Mutex::new(state));
        let task = tokio::spawn(serve(listener, state.clone(), answer));
        Ok(Collector { address, state, task })
    }

    /// `http://<address>`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        locked(&self.state).received.clone()
    }

    /// Which of the requests that have arrived, by their place in [`Collector::received`], wait for an answer now.
    pub fn held(&self) -> BTreeSet<usize> {
        locked(&self.state).held.clone()
    }

    /// Answers so from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        locked(&self.state).behaviour = behaviour;
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let (behaviour, number) = {
        let mut state = locked(&state);
        let Behaviour { status, .. } = state.behaviour;
        let target = format!("{} {}", head.method, head.uri);
        let number = state.received.len();
        state.received.push(Received { target, headers, body, status, at: Instant::now() });
        state.held.insert(number);
        (state.behaviour, number)
    };
    let _held = Held { state, number };
    tokio::time::sleep(behaviour.delay).await;
    // An empty message in protobuf: all is taken.
    let mut response = Response::builder()
        .status(behaviour.status)
        .header("content-type", "application/x-protobuf")
        .body(Full::default())
        .unwrap_or_default();
    if let Some(seconds) = behaviour.retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    Ok(response)
}
