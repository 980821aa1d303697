//! From a request whose route is known to the component's answer.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::WasiBody;

use crate::routes::Route;
use crate::worker::Workers;

/// Has the component answer. `rest` is what the route's wildcard stands for, `client` whom the request comes from.
pub async fn dispatch(
    workers: &Workers,
    route: &Route,
    rest: &str,
    request: Request<WasiBody>,
    client: SocketAddr,
) -> Response<WasiBody> {
    let path = request.uri().path().to_owned();
    let request = match with_spin_headers(request, route, rest, client) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("Bad request from {client}: {error:#}");
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    match workers.handle((), request).await {
        Ok(response) => response,
        Err(error) => {
            eprintln!("Request for {path} failed: {error:?}");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
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
    let uri = request.uri();
    // A chained request has none any more.
    let host =
        request.headers().get(HOST).map_or(Ok("localhost"), |host| std::str::from_utf8(host.as_bytes()))?;
    let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
    let full_url = format!("{}://{host}{path_and_query}", uri.scheme_str().unwrap_or("http"));
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

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response<WasiBody> {
    let mut response = Response::new(body(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// A body that is there already.
pub fn body(bytes: Bytes) -> WasiBody {
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

    fn all<'r>(request: &'r Request<()>, name: &str) -> Vec<&'r str> {
        request.headers().get_all(name).iter().map(|v| v.to_str().expect("text")).collect()
    }

    #[test]
    fn the_hosts_headers_come_after_the_clients() {
        let route = Route::new("/v1/...", "shop").expect("valid");
        let client: SocketAddr = "10.0.0.1:5".parse().expect("valid");
        let spoofed =
            request("http://shop/v1/a%20b?c", &[("host", b"shop"), ("spin-client-addr", b"spoofed")]);
        let request = with_spin_headers(spoofed, &route, "/a%20b", client).expect("good headers");
        let all = |name| all(&request, name);
        assert_eq!(all("spin-client-addr"), ["spoofed", "10.0.0.1:5"]);
        assert_eq!(all("spin-path-info"), ["/a%20b"]);
        assert_eq!(all("spin-full-url"), ["http://shop/v1/a%20b?c"]);
        assert_eq!(all("spin-matched-route"), ["/v1/..."]);
        assert_eq!(all("spin-raw-component-route"), ["/v1/..."]);
        assert_eq!(all("spin-component-route"), ["/v1"]);
        assert_eq!(all("spin-base-path"), ["/"]);
    }

    #[test]
    fn a_chained_request_seems_to_come_by_a_route_for_everything() {
        let client: SocketAddr = "0.0.0.0:0".parse().expect("valid");
        let chained = request("http://till.spin.internal/a?b", &[]);
        let request =
            with_spin_headers(chained, &Route::chained("till"), "/a", client).expect("good headers");
        let all = |name| all(&request, name);
        assert_eq!(all("spin-full-url"), ["http://localhost/a?b"]);
        assert_eq!(all("spin-matched-route"), ["/..."]);
        assert_eq!(all("spin-component-route"), [""]);
        assert_eq!(all("spin-path-info"), ["/a"]);
        assert_eq!(all("spin-client-addr"), ["0.0.0.0:0"]);
    }

    #[test]
    fn header_values_must_be_utf_8() {
        let route = Route::chained("shop");
        let client: SocketAddr = "10.0.0.1:5".parse().expect("valid");
        let add = |value: &[u8]| with_spin_headers(request("/", &[("x", value)]), &route, "/", client);
        assert!(add("é".as_bytes()).is_ok());
        assert!(add(b"\xff").is_err());
    }
}
