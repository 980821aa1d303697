//! Raw HTTP over TCP, for requests that an HTTP library would not send.

use std::time::Duration;

use order_dev::host::Host;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::openapi::Answered;

/// What came back before the connection was closed.
#[derive(Debug)]
pub struct RawResponse {
    /// The status; 0 when the connection was closed without an answer.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Everything after them.
    pub body: String,
}

impl RawResponse {
    fn parse(sent: &[u8], received: &[u8]) -> RawResponse {
        let text = String::from_utf8_lossy(received).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let response =
            RawResponse { status: status.unwrap_or(0), head: head.to_owned(), body: body.to_owned() };
        response.check_contract(sent);
        response
    }

    /// An answer of the component is as the OpenAPI document says. One of the host alone has no request id.
    fn check_contract(&self, sent: &[u8]) {
        if self.header("x-request-id").is_none() {
            assert_eq!(
                self.header("content-type"),
                None,
                "only the host answers without X-Request-Id: {self:?}"
            );
            return;
        }
        let sent = String::from_utf8_lossy(sent);
        let mut line = sent.lines().next().unwrap_or_default().split(' ');
        let method: Method = line.next().and_then(|method| method.parse().ok()).expect("a method");
        let path = line.next().expect("a path");
        let mut headers = HeaderMap::new();
        for (name, value) in self.head.lines().skip(1).filter_map(|line| line.split_once(':')) {
            let name: HeaderName = name.parse().expect("a header's name");
            headers.append(name, value.trim().parse().expect("a header's value"));
        }
        let (status, body) = (self.status, self.body.as_bytes());
        let answered = Answered { method: &method, path, status, headers: &headers, body };
        if let Err(what) = answered.check() {
            panic!("{what}\nin {method} {path}: {self:?}");
        }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The `code` of the problem in the body.
    pub fn code(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends these bytes, which must ask for the connection to be closed, and reads what comes, even when the other side
/// answers before it has read them all.
pub async fn exchange(host: &Host, bytes: impl AsRef<[u8]>) -> RawResponse {
    let address = host.base_url.trim_start_matches("http://").to_owned();
    let stream = TcpStream::connect(address).await.expect("the host accepts");
    let (mut reader, mut writer) = stream.into_split();
    let bytes = bytes.as_ref().to_vec();
    let sent = bytes.clone();
    let writing = tokio::spawn(async move {
        let _ = writer.write_all(&sent).await;
        writer
    });
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    // A connection that is reset after the answer is as good as one that is closed.
    while let Ok(n @ 1..) = within(reader.read(&mut buffer)).await {
        received.extend_from_slice(&buffer[..n]);
    }
    drop(writing.await);
    RawResponse::parse(&bytes, &received)
}

async fn within<T>(read: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), read).await.expect("the host answers or closes")
}

/// `POST /v1/orders` with these further header lines, written as they are, and this body.
pub fn post_order(headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = "POST /v1/orders HTTP/1.1\r\nHost: order-service\r\nConnection: close\r\n".to_owned();
    for header in headers {
        text += header;
        text += "\r\n";
    }
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

/// Sends these bytes, says that no more will come, and reads what comes.
pub async fn send_and_close(host: &Host, bytes: &[u8]) -> RawResponse {
    let address = host.base_url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("the host accepts");
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut received = Vec::new();
    let _ = within(stream.read_to_end(&mut received)).await;
    RawResponse::parse(bytes, &received)
}
