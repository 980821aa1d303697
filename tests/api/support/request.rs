//! Builder of HTTP requests.

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::answer::Answer;

/// A request before it is sent.
pub struct Request {
    builder: RequestBuilder,
    method: Method,
    path: String,
}

impl Request {
    pub(super) fn new(client: &reqwest::Client, base_url: &str, method: Method, path: &str) -> Request {
        Request {
            builder: client.request(method.clone(), format!("{base_url}{path}")),
            method,
            path: path.to_owned(),
        }
    }

    /// Adds a header; any bytes that HTTP allows.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Request {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header value");
        self.builder = self.builder.header(name, value);
        self
    }

    /// A JSON body with its content type.
    pub fn json(self, body: &Value) -> Request {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// Any body, without a content type.
    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Request {
        self.builder = self.builder.body(body);
        self
    }

    /// Sends it; an answer must come.
    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        self.try_send().await.unwrap_or_else(|error| panic!("{what} is not answered: {error:?}"))
    }

    /// Sends it to a service that may be gone.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let response = self.builder.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?.to_vec();
        Ok(Answer::new(self.method, self.path, status, headers, body))
    }
}
