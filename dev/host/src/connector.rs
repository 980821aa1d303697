//! Outbound TCP connections for HTTP.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wasmtime_wasi_http::Error;

tokio::task_local! {
    // Requests differ in their limits and the pool's interface has no place for one.
    static CONNECT_TIMEOUT: Duration;
}

/// Runs a request whose connection, if it needs a new one, must be there within `limit`.
pub async fn with_connect_timeout<F: Future>(limit: Duration, request: F) -> F::Output {
    CONNECT_TIMEOUT.scope(limit, request).await
}

/// Opens connections, at most so many at a time.
#[derive(Clone)]
pub struct Connector {
    permits: Option<Arc<Semaphore>>,
}

impl Connector {
    /// A connector with a limit, or none.
    pub fn new(max_connections: Option<usize>) -> Self {
        Self { permits: max_connections.map(|n| Arc::new(Semaphore::new(n))) }
    }

    async fn connect(self, uri: Uri, limit: Duration) -> Result<HttpConnection, ConnectError> {
        if uri.scheme_str() != Some("http") {
            return Err(ConnectError::Tls);
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let addresses = tokio::net::lookup_host((host, uri.port_u16().unwrap_or(80))).await;
        // The name's lookup does not count against the limit in Spin.
        let addresses: Vec<_> = addresses.map_err(|error| ConnectError::Dns(error.to_string()))?.collect();
        timeout(limit, self.open(&addresses)).await.map_err(|_| ConnectError::TimedOut)?
    }

    async fn open(self, addresses: &[SocketAddr]) -> Result<HttpConnection, ConnectError> {
        let permit = match self.permits {
            Some(permits) => permits.acquire_owned().await.ok(),
            None => None,
        };
        let stream = TcpStream::connect(addresses).await.map_err(ConnectError::Refused)?;
        // Spin does not set it, so it must not be set here: a body sent late is slow there, and tests must show that.
        stream.set_nodelay(false).map_err(ConnectError::Refused)?;
        Ok(HttpConnection { stream: TokioIo::new(stream), _permit: permit })
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = HttpConnection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpConnection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // Read here: the future may end up in another task when a pooled connection becomes free first.
        let limit = CONNECT_TIMEOUT.try_with(|limit| *limit).unwrap_or(Duration::MAX);
        Box::pin(self.clone().connect(uri, limit))
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The name has no address.
    Dns(String),
    /// No address answered.
    Refused(io::Error),
    /// Not in time.
    TimedOut,
    /// This host does not speak TLS.
    Tls,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(error) => write!(f, "cannot resolve the name: {error}"),
            Self::Refused(error) => write!(f, "cannot connect: {error}"),
            Self::TimedOut => f.write_str("no connection in time"),
            Self::Tls => f.write_str("the dev host speaks http only, not https"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<&ConnectError> for Error {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::Dns(reason) => Self::DnsError { rcode: Some(reason.clone()), info_code: None },
            ConnectError::Refused(_) => Self::ConnectionRefused,
            ConnectError::TimedOut => Self::ConnectionTimeout,
            ConnectError::Tls => Self::TlsProtocolError,
        }
    }
}

/// An open connection, which counts against the limit until it is closed.
pub struct HttpConnection {
    stream: TokioIo<TcpStream>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection for HttpConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for HttpConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for HttpConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
