//! The HTTP server: from an accepted connection to a call of the component and back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::app::App;
use crate::routes::{self, Route};
use crate::worker::Workers;

/// The reserved paths that the host answers itself.
const WELL_KNOWN: &str = "/.well-known/spin/";

/// Serves the application.
#[derive(Clone)]
pub struct Server {
    /// The application.
    pub app: Arc<App>,
    /// Its instances.
    pub workers: Workers,
}

impl Server {
    /// Accepts connections until the process is killed.
    pub async fn run(self, listener: TcpListener) -> Result<()> {
        loop {
            // As in Spin, running out of file descriptors ends the server.
            let (stream, client) = listener.accept().await.context("cannot accept connections")?;
            // Spin does not set it, so it must not be set here: see the connector.
            stream.set_nodelay(false).ok();
            tokio::spawn(self.clone().serve(stream, client));
        }
    }

    async fn serve(self, stream: TcpStream, client: SocketAddr) {
        let service = service_fn(|request| self.handle(request, client));
        if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
            // Clients that go away are no news.
            if !(error.is_incomplete_message() || error.is_canceled() || error.is_closed()) {
                eprintln!("Connection from {client}: {error}");
            }
        }
    }

    /// An error closes the connection without an answer.
    async fn handle(&self, request: Request<Incoming>, client: SocketAddr) -> Result<Response<WasiBody>> {
        if let Some(name) = request.uri().path().strip_prefix(WELL_KNOWN)
            && let Some(response) = self.well_known(name)
        {
            return Ok(response);
        }
        let request = with_full_uri(request)?;
        let path = request.uri().path().to_owned();
        let Some((route, rest)) = routes::find(&self.app.routes, &path) else {
            return Ok(empty(StatusCode::NOT_FOUND));
        };
        let request = match with_spin_headers(request, route, rest, client) {
            Ok(request) => request,
            Err(error) => {
                eprintln!("Bad request from {client}: {error:#}");
                return Ok(empty(StatusCode::INTERNAL_SERVER_ERROR));
            }
        };
        let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
        match self.workers.handle((), request).await {
            Ok(response) => Ok(response),
            Err(error) => {
                eprintln!("Request for {path} failed: {error:?}");
                Ok(empty(StatusCode::INTERNAL_SERVER_ERROR))
            }
        }
    }

    fn well_known(&self, name: &str) -> Option<Response<WasiBody>> {
        match name {
            "health" => Some(full("text/plain", "OK".to_owned())),
            "info" => {
                let info = serde_json::json!({ "name": self.app.name, "version": self.app.version });
                Some(full("application/json", info.to_string()))
            }
            _ => None,
        }
    }
}

/// Gives the request the absolute URI that the guest expects. An error means that the request does not say, or says in
/// two ways, whom it is for.
fn with_full_uri<B>(mut request: Request<B>) -> Result<Request<B>> {
    let host = request.headers().get(HOST).context("no Host header")?;
    let authority = Authority::try_from(host.as_bytes()).context("bad Host header")?;
    let mut parts = request.uri().clone().into_parts();
    ensure!(
        parts.authority.as_ref().is_none_or(|stated| *stated == authority),
        "the Host header differs from the request's target"
    );
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    if parts.path_and_query.is_none() {
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    }
    *request.uri_mut() = Uri::from_parts(parts)?;
    Ok(request)
}

/// Adds what Spin tells the guest about the request, after what the client sent, which may have the same names.
fn with_spin_headers<B>(
    mut request: Request<B>,
    route: &Route,
    rest: &str,
    client: SocketAddr,
) -> Result<Request<B>> {
    for (name, value) in request.headers() {
        std::str::from_utf8(value.as_bytes()).with_context(|| format!("header {name} is not UTF-8"))?;
    }
    let full_url = request.uri().to_string();
    let client = client.to_string();
    let headers = [
        ("spin-path-info", rest),
        ("spin-full-url", &full_url),
        ("spin-matched-route", route.raw()),
        ("spin-base-path", "/"),
        ("spin-raw-component-route", route.raw()),
        ("spin-component-route", route.prefix()),
        ("spin-client-addr", &client),
    ];
    for (name, value) in headers {
        request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    }
    Ok(request)
}

fn full(content_type: &'static str, text: String) -> Response<WasiBody> {
    let mut response = Response::new(body(text.into()));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn empty(status: StatusCode) -> Response<WasiBody> {
    let mut response = Response::new(body(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn body(bytes: Bytes) -> WasiBody {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&str, &[u8])]) -> Request<()> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value).expect("valid"));
        }
        request.body(()).expect("valid")
    }

    #[test]
    fn the_uri_is_completed_from_the_host() {
        let request = with_full_uri(request("/a?b=c", &[("host", b"shop:81")])).expect("complete");
        assert_eq!(request.uri(), "http://shop:81/a?b=c");
    }

    #[test]
    fn a_request_must_say_whom_it_is_for() {
        for bad in [
            request("/", &[]),
            request("/", &[("host", b"a b")]),
            request("http://other/", &[("host", b"shop")]),
        ] {
            assert!(with_full_uri(bad).is_err());
        }
        with_full_uri(request("http://shop/", &[("host", b"shop")])).expect("says the same twice");
    }

    #[test]
    fn the_hosts_headers_come_after_the_clients() {
        let route: Route = "/v1/...".parse().expect("valid");
        let client: SocketAddr = "10.0.0.1:5".parse().expect("valid");
        let spoofed = request("http://shop/v1/a%20b?c", &[("spin-client-addr", b"spoofed")]);
        let request = with_spin_headers(spoofed, &route, "/a%20b", client).expect("good headers");
        let all = |name| {
            request.headers().get_all(name).iter().map(|v| v.to_str().expect("text")).collect::<Vec<_>>()
        };
        assert_eq!(all("spin-client-addr"), ["spoofed", "10.0.0.1:5"]);
        assert_eq!(all("spin-path-info"), ["/a%20b"]);
        assert_eq!(all("spin-full-url"), ["http://shop/v1/a%20b?c"]);
        assert_eq!(all("spin-matched-route"), ["/v1/..."]);
        assert_eq!(all("spin-raw-component-route"), ["/v1/..."]);
        assert_eq!(all("spin-component-route"), ["/v1"]);
        assert_eq!(all("spin-base-path"), ["/"]);
    }

    #[test]
    fn header_values_must_be_utf_8() {
        let route: Route = "/...".parse().expect("valid");
        let client: SocketAddr = "10.0.0.1:5".parse().expect("valid");
        let add = |value: &[u8]| with_spin_headers(request("/", &[("x", value)]), &route, "/", client);
        assert!(add("é".as_bytes()).is_ok());
        assert!(add(b"\xff").is_err());
    }
}
