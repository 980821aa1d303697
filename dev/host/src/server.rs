//! The HTTP server: from an accepted connection to a call of the component and back.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::app::App;
use crate::chaining;
use crate::dispatch::{body, dispatch, empty};
use crate::routes;

/// The reserved paths that the host answers itself.
const WELL_KNOWN: &str = "/.well-known/spin/";

/// Serves the application.
#[derive(Clone)]
pub struct Server {
    /// The application.
    pub app: Arc<App>,
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
    async fn handle(&self, mut request: Request<Incoming>, client: SocketAddr) -> Result<Response<WasiBody>> {
        strip_forbidden_headers(&mut request);
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
        let workers = self.app.services.get(route.component()).context("the component does not serve yet")?;
        let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
        Ok(dispatch(workers, route, rest, request, client).await)
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

/// Takes away what Spin takes away: the name of a component, which only a component may use, and what is about the connection.
fn strip_forbidden_headers<B>(request: &mut Request<B>) {
    let headers = request.headers_mut();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if host.and_then(chaining::named).is_some() {
        headers.remove(HOST);
    }
    headers.remove(CONNECTION);
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

fn full(content_type: &'static str, text: String) -> Response<WasiBody> {
    let mut response = Response::new(body(text.into()));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
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
    fn a_client_cannot_name_a_component() {
        let named = |host: &str| {
            let mut request = request("/publish", &[("host", host.as_bytes()), ("connection", b"close")]);
            strip_forbidden_headers(&mut request);
            assert!(!request.headers().contains_key(CONNECTION));
            with_full_uri(request)
        };
        assert!(named("till.spin.internal").is_err() && named("till.spin.internal:80").is_err());
        assert!(named("spin.internal.example").is_ok());
    }
}
