//! A collector of spans, or an endpoint of events: both are servers that answer a POST. It reads a body and throws it away, because it
//! shares the processors with what is measured.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use super::Health;
use crate::serve::serve;

/// How long a slow sink takes.
pub const SLOW: Duration = Duration::from_secs(2);

/// A server on a port of 127.0.0.1. It ends when this is dropped.
pub struct Endpoint {
    address: SocketAddr,
    state: Arc<State>,
    serving: Serving,
}

struct State {
    /// How long each answer takes.
    delay: Duration,
    requests: AtomicU64,
}

enum Serving {
    Task(JoinHandle<()>),
    /// A port of its own, on which it does not listen: connections are refused.
    Nothing {
        _port: TcpSocket,
    },
}

impl Endpoint {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(health: Health) -> Result<Endpoint> {
        let delay = if health == Health::Slow { SLOW } else { Duration::ZERO };
        let state = Arc::new(State { delay, requests: AtomicU64::new(0) });
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        if health == Health::Down {
            let port = TcpSocket::new_v4()?;
            port.bind(any_port).context("a port for nobody")?;
            let address = port.local_addr()?;
            return Ok(Endpoint { address, state, serving: Serving::Nothing { _port: port } });
        }
        let listener = TcpListener::bind(any_port).await.context("a port for a sink")?;
        let address = listener.local_addr()?;
        let task = match health {
            Health::Stalled => tokio::spawn(hold(listener, state.clone())),
            _ => tokio::spawn(serve(listener, state.clone(), answer)),
        };
        Ok(Endpoint { address, state, serving: Serving::Task(task) })
    }

    /// `http://<address>`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many requests have come; of one that is stalled: how many connections.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Serving::Task(task) = &self.serving {
            task.abort();
        }
    }
}

/// Accepts connections, reads nothing and says nothing.
async fn hold(listener: TcpListener, state: Arc<State>) {
    let mut held = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        state.requests.fetch_add(1, Ordering::Relaxed);
        held.push(stream);
    }
}

async fn answer(
    state: Arc<State>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    state.requests.fetch_add(1, Ordering::Relaxed);
    while let Some(Ok(_)) = request.body_mut().frame().await {}
    if !state.delay.is_zero() {
        tokio::time::sleep(state.delay).await;
    }
    // Of a collector an empty message in protobuf, which says that all was taken.
    Ok(Response::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::http::{Answer, Connection, host_of, post};

    async fn ask(endpoint: &Endpoint) -> Result<Answer> {
        let request = post(&host_of(endpoint.address), "/", "{}");
        Connection::to(endpoint.address).ask(request).await
    }

    #[tokio::test]
    async fn one_that_is_well_or_slow_takes_what_comes_and_counts_it() {
        let well = Endpoint::start(Health::Well).await.unwrap();
        assert_eq!(ask(&well).await.unwrap().status, 200);
        assert_eq!(well.requests(), 1);
        let slow = Endpoint::start(Health::Slow).await.unwrap();
        let begun = std::time::Instant::now();
        assert_eq!(ask(&slow).await.unwrap().status, 200);
        assert!(begun.elapsed() >= SLOW && slow.requests() == 1);
    }

    #[tokio::test]
    async fn one_that_is_down_refuses_and_one_that_is_stalled_never_answers() {
        let down = Endpoint::start(Health::Down).await.unwrap();
        let refused = format!("{:#}", ask(&down).await.unwrap_err());
        assert!(refused.contains("refused"), "{refused}");
        let stalled = Endpoint::start(Health::Stalled).await.unwrap();
        let is_reached = async {
            while stalled.requests() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            answer = ask(&stalled) => panic!("{answer:?}"),
            () = is_reached => {}
        }
        assert!(tokio::time::timeout(Duration::from_millis(300), ask(&stalled)).await.is_err());
    }
}
