//! A minimal HTTP/1.1 client: one keep-alive connection, one request at a time.

use std::net::SocketAddr;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The token that every request carries, where authentication is measured.
static TOKEN: OnceLock<HeaderValue> = OnceLock::new();

/// Makes every request from now on carry this token.
pub fn send_token(token: &str) {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).expect("a token is visible ASCII");
    value.set_sensitive(true);
    // The first one stays.
    let _ = TOKEN.set(value);
}

/// Whether requests carry a token.
pub fn sends_token() -> bool {
    TOKEN.get().is_some()
}

/// A request with its body.
pub type HttpRequest = Request<Full<Bytes>>;

/// A response with its body.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its head.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// Status and body as text.
    pub fn shown(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

/// A connection that is opened lazily, and reopened after the server has closed it.
pub struct Connection {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Opens nothing yet.
    pub fn to(address: SocketAddr) -> Connection {
        Connection { address, sender: None }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer. Whether the server got the request is not known then.
    pub async fn ask(&mut self, request: HttpRequest) -> Result<Answer> {
        let mut request = request;
        // A connection that was closed while it was idle shows only when it is used: the request comes back unsent.
        let response = loop {
            let (mut sender, is_new) = match self.sender.take().filter(|sender| !sender.is_closed()) {
                Some(sender) => (sender, false),
                None => (self.open().await?, true),
            };
            let sent = match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(_) if !is_new => continue,
                Err(error) => return Err(error).context("the connection"),
            };
            match sent {
                Ok(response) => {
                    self.sender = Some(sender);
                    break response;
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(error.into_error()).context("sending a request"),
                },
            }
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await.context("reading an answer")?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>> {
        let place = || format!("connecting to {}", self.address);
        let stream = TcpStream::connect(self.address).await.with_context(place)?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.with_context(place)?;
        // It ends with the sender, or with the server's side.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// A GET.
pub fn get(host: &HeaderValue, path: &str) -> HttpRequest {
    ask(Method::GET, host, path, Bytes::new())
}

/// A POST of JSON.
pub fn post(host: &HeaderValue, path: &str, body: impl Into<Bytes>) -> HttpRequest {
    let mut request = ask(Method::POST, host, path, body.into());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

/// The `Host` of a server.
pub fn host_of(address: SocketAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).expect("an address is visible ASCII")
}

fn ask(method: Method, host: &HeaderValue, path: &str, body: Bytes) -> HttpRequest {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().expect("the paths here are paths");
    request.headers_mut().insert(HOST, host.clone());
    if let Some(token) = TOKEN.get() {
        request.headers_mut().insert(AUTHORIZATION, token.clone());
    }
    request
}
