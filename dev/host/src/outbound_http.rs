//! The guest's outbound HTTP requests: checked against the allowed hosts, sent over a pool that all instances share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, Sleep, timeout};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::allowed_hosts::AllowedHosts;
use crate::chaining::{self, Services};
use crate::connector::{ConnectError, Connector, with_connect_timeout};
use crate::runtime_config::RuntimeConfig;

/// For each phase of a request that the guest sets no limit for.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// The pool of connections that all components share.
pub type Pool = Client<Connector, WasiBody>;

/// A pool without connections.
pub fn client(config: &RuntimeConfig) -> Pool {
    let mut builder = Client::builder(TokioExecutor::new());
    if !config.http_pooling {
        builder.pool_max_idle_per_host(0);
    }
    // There is no pool timer, as in Spin: an idle connection is closed when it is next looked at, or by the peer. A request
    // that was not yet written when a kept connection turned out to be closed is sent again on another one, as in Spin: the
    // client's own default. One that was written is not.
    builder.retry_canceled_requests(true);
    builder.build(Connector::new(config.http_max_connections))
}

/// Sends a component's requests.
#[derive(Clone)]
pub struct OutboundHttp {
    client: Pool,
    allowed_hosts: Arc<AllowedHosts>,
    services: Services,
}

impl OutboundHttp {
    /// A component's way out over the pool, and to the other components.
    pub fn new(client: Pool, allowed_hosts: Arc<AllowedHosts>, services: Services) -> Self {
        Self { client, allowed_hosts, services }
    }

    fn is_allowed(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return false;
        };
        match self.allowed_hosts.allows(scheme, authority.host(), authority.port_u16()) {
            Ok(true) => true,
            Ok(false) => {
                eprintln!(
                    "The component may not call {scheme}://{authority}: not in allowed_outbound_hosts."
                );
                false
            }
            Err(error) => {
                eprintln!("The component may not call {scheme}://{authority}: {error}");
                false
            }
        }
    }
}

type Transmission = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(Response<WasiBody>, Transmission), Error>;

impl WasiHttpHooks for OutboundHttp {
    // The client derives it from the URI; the header that came in with a request must never leave with another.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Transmission,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        if !self.is_allowed(request.uri()) {
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        request.headers_mut().remove(HOST);
        let options = options.unwrap_or_default();
        let between_bytes = options.between_bytes_timeout.unwrap_or(DEFAULT_TIMEOUT);
        if let Some(component) = chaining::target(request.uri()).map(str::to_owned) {
            let services = self.services.clone();
            return Box::new(async move {
                let response = services.call(&component, request).await?;
                Ok(answer(response, between_bytes))
            });
        }
        let client = self.client.clone();
        let connect = options.connect_timeout.unwrap_or(DEFAULT_TIMEOUT);
        let first_byte = options.first_byte_timeout.unwrap_or(DEFAULT_TIMEOUT);
        Box::new(async move {
            let sent = with_connect_timeout(connect, client.request(request));
            let response = match timeout(first_byte, sent).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(send_error(&error)),
                Err(_) => return Err(Error::ConnectionReadTimeout),
            };
            let response = response.map(|body| body.map_err(|_| Error::HttpProtocolError));
            Ok(answer(response, between_bytes))
        })
    }
}

/// What the guest gets.
fn answer<B>(response: Response<B>, between_bytes: Duration) -> (Response<WasiBody>, Transmission)
where
    B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static,
{
    let response = response.map(|body| TimedBody::new(body, between_bytes).boxed_unsync());
    // The client drives its connections itself, and a component its body.
    (response, Box::new(async { Ok(()) }))
}

fn send_error(error: &hyper_util::client::legacy::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(connect) = error.downcast_ref::<ConnectError>() {
            return connect.into();
        }
        cause = error.source();
    }
    Error::HttpProtocolError
}

/// A response body that fails when its next part does not come in time.
struct TimedBody<B> {
    body: B,
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    waiting: bool,
}

impl<B> TimedBody<B> {
    fn new(body: B, limit: Duration) -> Self {
        Self { body, limit, sleep: Box::pin(tokio::time::sleep(limit)), waiting: false }
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for TimedBody<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame);
        }
        // The gap counts from when the body was found empty, so that a slow reader is not taken for a slow peer.
        if !std::mem::replace(&mut this.waiting, true) {
            this.sleep.as_mut().reset(Instant::now() + this.limit);
        }
        ready!(this.sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::SocketAddr;

    use http::Method;
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    fn outbound_http() -> OutboundHttp {
        let hosts = AllowedHosts::resolve(&["http://127.0.0.1:*".to_owned()], |_| None);
        OutboundHttp::new(client(&RuntimeConfig::default()), Arc::new(hosts), Services::default())
    }

    async fn send(client: &mut OutboundHttp, method: Method, address: SocketAddr) -> Result<Bytes, Error> {
        let body = Full::new(Bytes::from_static(b"[]")).map_err(|never: Infallible| match never {});
        let request = Request::builder().method(method).uri(format!("http://{address}/"));
        let request = request.body(body.boxed_unsync()).expect("a request");
        let sent = client.send_request(request, None, Box::new(async { Ok(()) }));
        let (response, _) = Box::into_pin(sent).await?;
        Ok(response.into_body().collect().await?.to_bytes())
    }

    /// Reads a request with a body of two bytes.
    async fn read_request(stream: &mut tokio::net::TcpStream) {
        let mut read = Vec::new();
        while !read.ends_with(b"[]") {
            assert_ne!(stream.read_buf(&mut read).await.expect("readable"), 0, "closed in mid-request");
        }
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_request_meets_a_kept_connection_that_the_peer_has_closed_and_is_sent_on_another() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (closed, mut is_closed) = mpsc::channel(1);
        tokio::spawn(async move {
            // Each connection is kept by what the answer says, and closed all the same.
            while let Ok((mut stream, _)) = listener.accept().await {
                read_request(&mut stream).await;
                stream.write_all(OK).await.expect("writable");
                drop(stream);
                closed.send(()).await.expect("waited for");
            }
        });
        let mut client = outbound_http();
        let mut answered = 0;
        for method in [Method::GET, Method::POST].into_iter().cycle().take(100) {
            match send(&mut client, method, address).await {
                Ok(answer) => {
                    assert_eq!(answer, "ok");
                    answered += 1;
                    is_closed.recv().await.expect("closed");
                }
                // On a busy machine the client sometimes writes before it has noticed; what was written is not sent again.
                Err(error) => assert!(matches!(error, Error::HttpProtocolError), "{error:?}"),
            }
        }
        assert!(answered > 50, "only {answered} of 100 requests were answered");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_request_that_was_written_is_not_sent_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        // Requests and not connections: the client may open one that it does not use.
        let (counted, mut requests) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                read_request(&mut stream).await;
                counted.send(()).await.expect("counted");
                stream.write_all(OK).await.expect("writable");
                // The second request on this connection is read and not answered.
                read_request(&mut stream).await;
                counted.send(()).await.expect("counted");
            }
        });
        let mut client = outbound_http();
        assert_eq!(send(&mut client, Method::GET, address).await.expect("an answer"), "ok");
        assert!(matches!(send(&mut client, Method::GET, address).await, Err(Error::HttpProtocolError)));
        for _ in 0..2 {
            requests.recv().await.expect("a request");
        }
        assert!(requests.try_recv().is_err(), "the request was sent again");
    }
}
