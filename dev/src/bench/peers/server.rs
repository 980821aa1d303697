//! The way of a call, from the wire and back.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::routes::{Call, route};
use super::{Callback, Charged, State, is_paid_at_once, other_id, shapes};
use crate::bench::http::{Connection, host_of, post};

/// How long Payment waits for the answer to a callback.
const CALLBACK_LIMIT: Duration = Duration::from_secs(2);
/// How it says that it serves; the address follows.
pub(super) const SERVING: &str = "Serving http://";

/// Serves until the process ends, and prints where.
///
/// # Errors
/// When it cannot listen there, or the callback URL is of no use.
pub async fn serve(listen: SocketAddr, callback_url: Option<&str>) -> Result<()> {
    let state = Arc::new(State::default());
    *state.callback() = callback_url.map(Callback::to).transpose()?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    println!("{SERVING}{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await.context("accepting a connection")?;
        tokio::spawn(serve_connection(stream, state.clone()));
    }
}

fn serve_connection(stream: TcpStream, state: Arc<State>) -> impl Future<Output = hyper::Result<()>> {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(state.clone(), request));
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service)
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = head.uri.path();
    let (status, text) = if let Some(control) = path.strip_prefix("/control/") {
        control_answer(&state, &head.method, control, &body)
    } else {
        let (call, id) = route(&head.method, path);
        state.count(call);
        match call {
            Call::Charge if head.headers.contains_key("idempotency-key") => charge(&state, &body).await,
            call => perform(&state, call, id, &body),
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status.try_into().expect("a status");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

type Said = (u16, Vec<u8>);

fn perform(state: &State, call: Call, id: &str, body: &[u8]) -> Said {
    match call {
        Call::Event => match id.parse::<i64>() {
            Ok(id) => (200, event(id).into_bytes()),
            Err(_) => problem(400, "invalid id"),
        },
        Call::Reserve => with(body, |request: shapes::Reserve| (200, shapes::reserved(&request))),
        Call::Allocate | Call::Release | Call::Notify => (200, Vec::new()),
        Call::Seat => match id.parse() {
            Ok(id) => (200, shapes::seat(id)),
            Err(_) => problem(400, "invalid id"),
        },
        Call::OrderSeats => (200, b"[]".to_vec()),
        Call::Availability => {
            (200, br#"{"totalSeats":0,"availableSeats":0,"availableSeatsList":[]}"#.to_vec())
        }
        Call::Payment => {
            let order = Uuid::try_parse(id).map(other_id).ok();
            let found = order.and_then(|order| Some((order, state.charges().get(&order)?.clone())));
            found.map_or_else(
                || problem(404, "not found"),
                |(order, charged)| (200, shapes::payment(order, &charged)),
            )
        }
        Call::Refund => with(body, |request| refund(state, &request)),
        Call::Charge => problem(400, "Idempotency-Key header is required"),
        Call::Callback | Call::Unknown => problem(404, "not found"),
    }
}

fn event(id: i64) -> String {
    format!(
        r#"{{"id":{id},"venue_id":1,"title":"An evening","type":"CONCERT","start_time":"2030-01-01T20:00:00.000Z","end_time":null,"status":"ON_SALE","description":null,"venue":{{"id":1,"name":"Hall","city":"Pune"}}}}"#
    )
}

async fn charge(state: &Arc<State>, body: &[u8]) -> Said {
    let Ok(request) = serde_json::from_slice::<shapes::Charge>(body) else {
        return problem(400, "invalid body");
    };
    if request.amount_cents < 1 || !request.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return problem(400, "invalid body");
    }
    let order = request.merchant_order_id;
    let new = Charged { amount_cents: request.amount_cents, currency: request.currency, refunded: false };
    let (charged, is_new) = match state.charges().entry(order) {
        std::collections::hash_map::Entry::Occupied(known) => (known.get().clone(), false),
        std::collections::hash_map::Entry::Vacant(place) => (place.insert(new).clone(), true),
    };
    if is_new && is_paid_at_once(charged.amount_cents) && !call_back(state, order).await {
        return problem(500, "callback failed");
    }
    (200, shapes::charged(order, &charged))
}

fn refund(state: &State, request: &shapes::Refund) -> Said {
    match state.charges().get_mut(&other_id(request.payment_id)) {
        Some(charged) if charged.status() == "SUCCESS" => {
            charged.refunded = true;
            (200, format!(r#"{{"id":"{}","status":"REFUNDED"}}"#, request.payment_id).into_bytes())
        }
        Some(_) => problem(400, "payment is not SUCCESS"),
        None => problem(404, "not found"),
    }
}

/// Tells the order service that an order is paid; whether it took the news. With nobody to tell, all is well.
async fn call_back(state: &State, order: Uuid) -> bool {
    let taken = state.callback().as_mut().map(|callback| {
        let connection = callback.idle.pop().unwrap_or_else(|| Connection::to(callback.address));
        (connection, callback.address, callback.path.clone())
    });
    let Some((mut connection, address, path)) = taken else {
        return true;
    };
    state.count(Call::Callback);
    let request = post(&host_of(address), &path, shapes::callback(order));
    let Ok(Ok(answer)) = tokio::time::timeout(CALLBACK_LIMIT, connection.ask(request)).await else {
        return false;
    };
    if let Some(callback) = state.callback().as_mut().filter(|callback| callback.address == address) {
        callback.idle.push(connection);
    }
    answer.status.is_success()
}

fn control_answer(state: &State, method: &Method, path: &str, body: &[u8]) -> Said {
    match (method, path) {
        (&Method::GET, "counts") => {
            let count = |call: Call| (call.name().to_owned(), state.counted(call).into());
            let counts: serde_json::Map<_, _> = Call::ALL.map(count).into_iter().collect();
            (200, serde_json::Value::Object(counts).to_string().into_bytes())
        }
        (&Method::POST, "callback") => {
            match std::str::from_utf8(body).map_err(anyhow::Error::from).and_then(Callback::to) {
                Ok(callback) => {
                    *state.callback() = Some(callback);
                    (204, Vec::new())
                }
                Err(error) => problem(400, &format!("{error:#}")),
            }
        }
        _ => problem(404, "not found"),
    }
}

impl Callback {
    /// Only plain addresses: looking names up takes time.
    fn to(url: &str) -> Result<Callback> {
        let uri: Uri = url.trim().parse().with_context(|| format!("the callback URL {url:?}"))?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            bail!("the callback URL {url:?} is not one of http");
        };
        let address =
            authority.as_str().parse().with_context(|| format!("the callback URL {url:?} has no address"))?;
        Ok(Callback { address, path: uri.path().to_owned(), idle: Vec::new() })
    }
}

impl Charged {
    pub(super) fn status(&self) -> &'static str {
        match (is_paid_at_once(self.amount_cents), self.refunded) {
            (_, true) => "REFUNDED",
            (true, false) => "SUCCESS",
            (false, false) => "PENDING",
        }
    }
}

fn with<T: DeserializeOwned>(body: &[u8], perform: impl FnOnce(T) -> Said) -> Said {
    serde_json::from_slice(body).map_or_else(|_| problem(400, "invalid body"), perform)
}

fn problem(status: u16, message: &str) -> Said {
    (
        status,
        serde_json::json!({ "status": status, "message": message, "error": message })
            .to_string()
            .into_bytes(),
    )
}
