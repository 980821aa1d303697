//! The HTTP contract: routes, requests, answers, problems.
//!
//! Start at [`router`], the table of all routes. Each endpoint is in a file that is named by it or by its group, with the
//! fields of its body: [`place_order`], [`list_orders`], [`orders`], [`payment_callback`], [`monitoring`], [`internal`], [`events`], and the
//! documentation: [`documentation`], [`docs`]. What they share:
//! [`request`], [`body`], [`json_object`], [`query_parameters`], [`access`], [`validation`] and [`problem`] for what comes in, [`response`], [`entity_tag`], [`compact_json`] and [`cors`] for what goes out.

pub mod access;
pub mod bearer_token;
pub mod body;
pub mod compact_json;
pub mod cors;
pub mod docs;
pub mod documentation;
pub mod entity_tag;
pub mod events;
#[cfg(not(target_arch = "wasm32"))]
pub mod fuzz;
pub mod internal;
pub mod json_object;
pub mod list_orders;
pub mod monitoring;
pub mod orders;
pub mod payment_callback;
pub mod place_order;
pub mod problem;
pub mod query_parameters;
pub mod request;
mod request_span;
pub mod response;
pub mod router;
pub mod validation;
pub mod webhook_signature;

use crate::commands::Context;
use crate::commands::background;
use crate::commands::deliver::deliver_all;
use crate::commands::export_spans;
use crate::commands::in_flight::InFlightRequest;
use crate::config::{self, Config};
use crate::runtime::task;
use crate::telemetry::counters;
use crate::telemetry::log::{self, Log};
use crate::telemetry::series::Series;
use crate::telemetry::tracing::current::Scope;
use crate::telemetry::tracing::span::Span;
use ::http::Method;
use problem::ApiError;
use request::{RequestBody, RequestHead};
use response::Reply;
use router::{Endpoint, Match};
use serde_json::json;
use spin_sdk::wasip3::http::types::{Request, Response};
use std::rc::Rc;
use std::time::Instant;

/// Answers one request, as a task of its own. Work that can wait is done after the response, in a background task.
pub async fn serve(request: Request) -> Response {
    let (begun, serving) = (task::now(), InFlightRequest::begin());
    let (head, body) = request::split(request);
    let matched = router::find(&head.method, &head.path);
    let scope = Scope::of_request(head.trace_headers());
    let config = config::get().await;
    scope.may_begin(matched.begin_of_trace());
    let span = request_span::begin(&scope, &head, &body, matched.pattern());
    scope.within(span.as_ref()).enter();
    answer(config, matched, &head, body, begun, span, serving).await
}

async fn answer(
    config: anyhow::Result<Rc<Config>>,
    matched: Match<'_>,
    head: &RequestHead,
    body: RequestBody,
    begun: Instant,
    span: Option<Span>,
    serving: InFlightRequest,
) -> Response {
    let request_id = head.request_id();
    let log = Log::new(&request_id);
    let route = matched.label();
    let (result, context) = match config {
        Ok(config) => {
            log::set_level(config.log_level);
            export_spans::begin(&config);
            let context = Context::new(config, log.clone(), matched.actor());
            (router::dispatch(&context, matched, head, body).await, Some(context))
        }
        Err(error) => (answer_misconfigured(matched.endpoint(), head, error, &log), None),
    };
    let reply = result.unwrap_or_else(|error| {
        error.log(&log);
        error.into_reply(&head.path)
    });
    let reply = match &context {
        Some(context) => cors::allow(&context.config, head, reply),
        None => reply,
    };

    let series = Series::Request { method: (&head.method).into(), route, status: reply.status };
    counters::observe(series, begun.elapsed());
    let status = reply.status;
    let response = reply.send(&request_id, head.method == Method::HEAD).await;
    request_span::end(span, status, begun);
    drop(serving);
    if let Some(context) = context
        && has_background_work(&context)
    {
        task::spawn(work_in_background(context));
    }
    response
}

/// The answer while the configuration is invalid, by endpoint.
fn answer_misconfigured(
    endpoint: Option<Endpoint>,
    head: &RequestHead,
    error: anyhow::Error,
    log: &Log,
) -> Result<Reply, ApiError> {
    match endpoint {
        // The liveness probe is about the process, which is alive whatever its configuration.
        Some(Endpoint::Live) => Ok(monitoring::live()),
        Some(Endpoint::Root) => Ok(docs::redirect()),
        Some(Endpoint::Docs) => Ok(docs::page(head)),
        Some(Endpoint::OpenApi) => Ok(documentation::openapi(head)),
        Some(Endpoint::Health) => {
            log.error("the configuration is wrong", json!({ "cause": format!("{error:#}") }));
            Ok(monitoring::misconfigured(&error))
        }
        _ => Err(ApiError::misconfigured(error)),
    }
}

/// Whether to spawn a background task after the response. Most requests of a busy instance need none, and it costs host calls.
fn has_background_work(context: &Context) -> bool {
    !context.messages.borrow().is_empty() || background::is_due()
}

/// The background task after the response: delivers this request's notifications, flushes the counters, sweeps a small batch.
async fn work_in_background(context: Context) {
    deliver_all(&context).await;
    background::flush_and_sweep(&context).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A future is allocated for each request, and copied where it is passed on. An `async fn` that awaits a future which it was given
    /// holds it three times, so that a few of them around one another make kilobytes of bytes.
    #[test]
    fn what_a_request_keeps_in_memory_is_small() {
        fn size<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
            size_of::<F>()
        }
        fn size_of_answer<C, M, H, B, F: Future>(_: impl FnOnce(C, M, H, B) -> F) -> usize {
            size_of::<F>()
        }
        for size in [size(serve), size_of_answer(router::dispatch), size(work_in_background)] {
            assert!(size <= 8 * 1024, "{size} bytes");
        }
    }
}
