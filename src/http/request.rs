//! A request: its method, path and headers, and its body, which [`super::body`] reads.

use crate::runtime::random::random;
use crate::telemetry::tracing::current;
use ::http::{HeaderName, Method};
use spin_sdk::wasip3::http::types;
use std::cell::Cell;
use std::rc::Rc;

/// The request id (correlation id), chosen by the caller or by the service; in every answer and every log line.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A request without its body. Header fields are read from the host lazily, one by one: most requests have many that are never
/// read, and each costs memory and a copy.
pub struct RequestHead {
    /// Its method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Its query as it was sent, without the `?`; `None` when there is no `?`.
    pub query: Option<String>,
    headers: Rc<types::Headers>,
}

/// The body of a request, not read yet.
pub struct RequestBody(pub(super) types::Request);

/// Separates a request's head from its body.
pub fn split(request: types::Request) -> (RequestHead, RequestBody) {
    // The host accepts only valid methods; any other is treated as TRACE, which has no route.
    let method = request.get_method().try_into().unwrap_or(Method::TRACE);
    let mut path = request.get_path_with_query().unwrap_or_default();
    let query = path.find('?').map(|at| {
        let query = path[at + 1..].to_owned();
        path.truncate(at);
        query
    });
    (RequestHead { method, path, query, headers: Rc::new(request.get_headers()) }, RequestBody(request))
}

impl RequestBody {
    /// Whether the request came over `https`, as far as the host knows.
    pub fn is_https(&self) -> bool {
        matches!(self.0.get_scheme(), Some(types::Scheme::Https))
    }
}

impl RequestHead {
    /// Whether the path is one of operators' endpoints.
    pub fn is_internal(&self) -> bool {
        self.path.starts_with("/internal/")
    }

    /// All values of a header field, in the order in which they came.
    pub fn header_values(&self, name: &HeaderName) -> Vec<Vec<u8>> {
        self.headers.get(name.as_str())
    }

    /// The value of a header field that came exactly once and is UTF-8.
    pub fn header(&self, name: &HeaderName) -> Option<String> {
        let mut values = self.header_values(name).into_iter();
        match (values.next(), values.next()) {
            (Some(value), None) => String::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// Reads the headers of Trace Context when they are needed, which may be after the response.
    pub fn trace_headers(&self) -> impl FnOnce() -> current::Headers + 'static {
        let headers = self.headers.clone();
        move || {
            let parents = headers.get(TRACEPARENT.as_str());
            let states = if parents.is_empty() { Vec::new() } else { headers.get(TRACESTATE.as_str()) };
            (parents, states)
        }
    }

    /// The caller's request id if it is valid (1 to 128 letters, digits, `-`, `_`, `.`, `:`), else a new one.
    pub fn request_id(&self) -> String {
        self.header(&X_REQUEST_ID).filter(|id| is_request_id(id)).unwrap_or_else(new_request_id)
    }
}

/// Whether a caller may choose this as the request's id.
pub(super) fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

thread_local! {
    static LAST_REQUEST_ID: Cell<Option<u128>> = const { Cell::new(None) };
}

/// A unique id: a random UUID for the first request of the instance, then incremented, which needs no host call.
fn new_request_id() -> String {
    let id = LAST_REQUEST_ID.get().unwrap_or_else(|| u128::from_be_bytes(random())).wrapping_add(1);
    LAST_REQUEST_ID.set(Some(id));
    uuid::Builder::from_random_bytes(id.to_be_bytes()).into_uuid().to_string()
}
