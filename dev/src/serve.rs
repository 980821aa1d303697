//! An HTTP/1.1 server, for the peers and the native floor.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A client's connection: an extension of every request that comes on it.
#[derive(Default)]
pub(crate) struct ClientConnection {
    requests: AtomicU64,
    idle_limit: watch::Sender<Option<Duration>>,
    /// When it is closed unless another request comes.
    closes_at: watch::Sender<Option<Instant>>,
}

impl ClientConnection {
    /// Whether the current request is not the first on it.
    pub fn is_kept(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 1
    }

    /// How long it may be idle after the current request; `None`: for ever.
    pub fn close_when_idle_for(&self, limit: Option<Duration>) {
        self.idle_limit.send_replace(limit);
    }

    fn begin(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.closes_at.send_if_modified(|at| at.take().is_some());
    }

    fn end(&self) {
        if let Some(limit) = *self.idle_limit.borrow() {
            self.closes_at.send_replace(Some(Instant::now() + limit));
        }
    }

    /// Returns when it was idle for too long.
    async fn idle_for_too_long(&self) {
        let mut closes_at = self.closes_at.subscribe();
        loop {
            let at = *closes_at.borrow_and_update();
            let until = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = until => return,
                _ = closes_at.changed() => {}
            }
        }
    }
}

/// Serves connections until it is aborted, which closes them. An error of `answer` closes the one connection without an
/// answer.
pub(crate) async fn serve<S, F, B, E>(
    listener: TcpListener,
    state: Arc<S>,
    answer: fn(Arc<S>, Request<Incoming>) -> F,
) where
    S: Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data = Bytes, Error: Error + Send + Sync> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Out of file descriptors, for example: some will be free again.
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                // As most HTTP servers do, so that an answer does not wait for the client's acknowledgement.
                let _ = stream.set_nodelay(true);
                connections.spawn(serve_connection(stream, state.clone(), answer));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection<S, F, B, E>(
    stream: TcpStream,
    state: Arc<S>,
    answer: fn(Arc<S>, Request<Incoming>) -> F,
) where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes, Error: Error + Send + Sync> + 'static,
    E: Error + Send + Sync + 'static,
{
    let connection = Arc::new(ClientConnection::default());
    let service = service_fn(|mut request: Request<Incoming>| {
        connection.begin();
        request.extensions_mut().insert(connection.clone());
        let answered = answer(state.clone(), request);
        let connection = connection.clone();
        async move {
            let response = answered.await;
            connection.end();
            response
        }
    });
    let mut serving = std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = serving.as_mut() => return,
        () = connection.idle_for_too_long() => {}
    }
    serving.as_mut().graceful_shutdown();
    // An error is the client's business.
    let _ = serving.await;
}
