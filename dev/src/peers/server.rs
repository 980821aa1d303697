//! The HTTP server: routes a call through fault injection and the call recorder to the peer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};

use super::answer::Answer;
use super::call::Call;
use super::contract::{CallName, Peer, errors};
use super::{Sandbox, catalog, control, events, faults, notification, payment, seating, spans, user};
use crate::serve::ClientConnection;

/// How long Node keeps an idle connection open.
const NODE_IDLE_LIMIT: Duration = Duration::from_secs(5);

/// Control may send many seats at once.
const BODY_LIMIT: usize = 64 << 20;

/// The connection is closed without an answer.
#[derive(Debug)]
pub(super) struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed without an answer, as asked")
    }
}

impl std::error::Error for Closed {}

/// An error makes hyper drop the connection, which is what [`faults`] asks for with `None`.
pub(super) async fn answer(
    sandbox: Arc<Sandbox>,
    request: Request<Incoming>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Closed> {
    let connection = request.extensions().get::<Arc<ClientConnection>>().cloned();
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|_| Closed)?.to_bytes();
    // A service goes on with a call whose caller has gone away; hyper would drop it with the connection.
    let work = tokio::spawn(async move {
        if head.uri.path() == "/control" || head.uri.path().starts_with("/control/") {
            return Some(control::answer(&sandbox, &head, &body).await);
        }
        if head.uri.path() == "/v1/traces" {
            return Some(spans::take(&mut sandbox.state().spans, &head, &body));
        }
        match Call::identify(&head.method, &head.uri, &head.headers, body) {
            Some(mut call) => {
                if let Some(connection) = connection {
                    call.on_kept_connection = connection.is_kept();
                    let is_node = matches!(call.peer, Peer::Catalog | Peer::Payment);
                    connection.close_when_idle_for(is_node.then_some(NODE_IDLE_LIMIT));
                }
                answer_with_faults(&sandbox, call).await
            }
            None => Some(errors::page(404)),
        }
    });
    work.await.ok().flatten().map(respond).ok_or(Closed)
}

/// The head goes at once, and the body when it is time.
fn respond(answer: Answer) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let (delay, late) = (answer.body_delay, answer.body.clone());
    let (head, body) = answer.into_response().into_parts();
    let body = match delay {
        None => body.boxed_unsync(),
        Some(delay) => StreamBody::new(stream::once(async move {
            tokio::time::sleep(delay).await;
            Ok(Frame::data(late))
        }))
        .boxed_unsync(),
    };
    Response::from_parts(head, body)
}

/// Records the call and answers it, or does to it what a fault rule says.
async fn answer_with_faults(sandbox: &Sandbox, mut call: Call) -> Option<Answer> {
    let (number, fault, starts) = {
        let mut state = sandbox.state();
        call.look_up(&mut state);
        state.changes += 1;
        let remember = state.remember;
        (state.calls.start(&call, remember), state.faults.take(&call), state.faults.starts_of(call.peer))
    };
    let answer = faults::act(sandbox, &call, fault).await;
    let mut state = sandbox.state();
    state.changes += 1;
    // A peer that went down meanwhile has taken its connections along.
    let answer = answer.filter(|_| state.faults.starts_of(call.peer) == starts);
    state.calls.finish(number, answer.as_ref().map(|answer| answer.status));
    answer
}

/// The peer's own behaviour, without faults.
pub(super) async fn perform(sandbox: &Sandbox, call: &Call) -> Answer {
    match call.name {
        CallName::Event => catalog::event(&sandbox.state(), &call.id),
        CallName::Reserve => seating::reserve(sandbox, call).await,
        CallName::Allocate => seating::allocate(&mut sandbox.state(), call),
        CallName::Release => seating::release(&mut sandbox.state(), call),
        CallName::Seat => seating::seat(&sandbox.state(), &call.id),
        CallName::OrderSeats => seating::order_seats(&sandbox.state(), &call.id),
        CallName::Availability => seating::availability(&sandbox.state(), &call.id),
        CallName::Charge => payment::charge(sandbox, call, None).await,
        CallName::Payment => payment::payment(&sandbox.state(), &call.id),
        CallName::Refund => payment::refund(sandbox, call),
        CallName::Notify => notification::notify(&mut sandbox.state(), call),
        CallName::TakeEvent => events::take(&mut sandbox.state(), call),
        CallName::Produce => events::produce(&mut sandbox.state(), call),
        CallName::Login => user::login(&sandbox.state(), call),
        CallName::ByName => user::by_name(&sandbox.state(), &call.id),
        CallName::Unknown => match call.peer {
            Peer::User => errors::spring(404, &call.path),
            Peer::Catalog => errors::express_no_route(call.method.as_str(), &call.path),
            Peer::Seating => seating::no_operation(call),
            Peer::Payment => errors::nest_no_route(404, call.method.as_str(), &call.path),
            Peer::Notification | Peer::Events => catalog::not_found(),
        },
    }
}
