//! The HTTP server of the fast peers: routing, parsing and responses.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use super::payment::Payment;
use super::seating;
use crate::peers::CallName;
use crate::peers::answer::Answer;
use crate::peers::contract::{route, shapes};

/// Which messages were taken is not remembered, only how many.
#[derive(Default)]
struct State {
    payment: Payment,
    notifications: AtomicU64,
}

/// Serves until the process ends, and prints where.
///
/// # Errors
/// When it cannot listen there, or the callback URL is of no use.
pub async fn serve(listen: SocketAddr, callback_url: Option<&str>) -> Result<()> {
    let state = State::default();
    if let Some(url) = callback_url {
        state.payment.call_back(url)?;
    }
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    println!("Serving http://{}", listener.local_addr()?);
    crate::serve::serve(listener, Arc::new(state), answer).await;
    Ok(())
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = head.uri.path();
    let answer = if let Some(control) = path.strip_prefix("/control/") {
        control_answer(&state, &head.method, control, &body)
    } else {
        let (name, id) =
            route(&head.method, path).map_or((CallName::Unknown, ""), |(_, name, id)| (name, id));
        match name {
            CallName::Charge if head.headers.contains_key("idempotency-key") => charge(&state, &body).await,
            name => perform(&state, name, id, &body),
        }
    };
    Ok(answer.into_response())
}

async fn charge(state: &State, body: &[u8]) -> Answer {
    match serde_json::from_slice(body) {
        Ok(request) => state.payment.charge(request).await,
        Err(_) => Answer::error(400, "invalid body"),
    }
}

fn perform(state: &State, name: CallName, id: &str, body: &[u8]) -> Answer {
    let invalid_id = || Answer::error(400, "invalid id");
    match name {
        CallName::Event => id.parse().map_or_else(
            |_| invalid_id(),
            |id| Answer::json(200, &shapes::event(id, "An evening", "ON_SALE")),
        ),
        CallName::Reserve => with(body, seating::reserved),
        CallName::Allocate | CallName::Release => Answer::empty(200),
        CallName::Seat => id.parse().map_or_else(|_| invalid_id(), seating::seat),
        CallName::OrderSeats => Answer::json(200, &serde_json::json!([])),
        CallName::Availability => {
            let none = serde_json::json!({ "totalSeats": 0, "availableSeats": 0, "availableSeatsList": [] });
            Answer::json(200, &none)
        }
        CallName::Payment => state.payment.payment(id),
        CallName::Refund => with(body, |request| state.payment.refund(request)),
        CallName::Charge => Answer::error(400, "Idempotency-Key header is required"),
        CallName::Notify => {
            state.notifications.fetch_add(1, Ordering::Relaxed);
            Answer::empty(200)
        }
        CallName::TakeEvent => Answer::empty(204),
        CallName::Produce | CallName::Login | CallName::ByName | CallName::Unknown => {
            Answer::error(404, "not found")
        }
    }
}

fn control_answer(state: &State, method: &Method, path: &str, body: &[u8]) -> Answer {
    match (method, path) {
        (&Method::GET, "notifications") => Answer::json(200, &state.notifications.load(Ordering::Relaxed)),
        (&Method::POST, "callback") => {
            let url = std::str::from_utf8(body).map_err(anyhow::Error::from);
            match url.and_then(|url| state.payment.call_back(url)) {
                Ok(()) => Answer::empty(204),
                Err(error) => Answer::error(400, &format!("{error:#}")),
            }
        }
        _ => Answer::error(404, "not found"),
    }
}

fn with<T: DeserializeOwned>(body: &[u8], perform: impl FnOnce(&T) -> Answer) -> Answer {
    serde_json::from_slice(body)
        .map_or_else(|_| Answer::error(400, "invalid body"), |request| perform(&request))
}
