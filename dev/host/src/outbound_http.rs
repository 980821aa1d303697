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
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, Sleep, timeout};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::allowed_hosts::AllowedHosts;
use crate::connector::{ConnectError, Connector, with_connect_timeout};
use crate::runtime_config::RuntimeConfig;

/// For each phase of a request that the guest sets no limit for.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// Sends requests for the guest. Clones share their connections.
#[derive(Clone)]
pub struct OutboundHttp {
    client: Client<Connector, WasiBody>,
    allowed_hosts: Arc<AllowedHosts>,
}

impl OutboundHttp {
    /// A client without connections.
    pub fn new(config: &RuntimeConfig, allowed_hosts: Arc<AllowedHosts>) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        if !config.http_pooling {
            builder.pool_max_idle_per_host(0);
        }
        // There is no pool timer, as in Spin: an idle connection is closed when it is next looked at, or by the peer.
        Self { client: builder.build(Connector::new(config.http_max_connections)), allowed_hosts }
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
        let client = self.client.clone();
        let options = options.unwrap_or_default();
        let connect = options.connect_timeout.unwrap_or(DEFAULT_TIMEOUT);
        let first_byte = options.first_byte_timeout.unwrap_or(DEFAULT_TIMEOUT);
        let between_bytes = options.between_bytes_timeout.unwrap_or(DEFAULT_TIMEOUT);
        Box::new(async move {
            let sent = with_connect_timeout(connect, client.request(request));
            let response = match timeout(first_byte, sent).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(send_error(&error)),
                Err(_) => return Err(Error::ConnectionReadTimeout),
            };
            let response = response.map(|body| TimedBody::new(body, between_bytes).boxed_unsync());
            // The client drives its connections itself.
            Ok((response, Box::new(async { Ok(()) }) as Transmission))
        })
    }
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
struct TimedBody {
    body: Incoming,
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    waiting: bool,
}

impl TimedBody {
    fn new(body: Incoming, limit: Duration) -> Self {
        Self { body, limit, sleep: Box::pin(tokio::time::sleep(limit)), waiting: false }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(|_| Error::HttpProtocolError)));
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
