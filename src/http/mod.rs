//! The HTTP contract: routes, requests, answers, problems.

pub mod callback;
pub mod extract;
pub mod ops;
pub mod orders;
pub mod problem;
pub mod respond;
pub mod router;

use crate::commands::Context;
use crate::commands::deliver::deliver_all;
use crate::commands::housekeeping::{self, Serving};
use crate::config;
use crate::runtime::task;
use crate::telemetry::log::{self, Log};
use crate::telemetry::work::{self, Count};
use extract::Head;
use problem::ApiError;
use spin_sdk::wasip3::http::types::{Request, Response};

/// Answers one request. What can wait is done after the answer.
pub async fn serve(request: Request) -> Response {
    let (begun, serving) = (task::now(), Serving::begin());
    let (head, body) = Head::of(request);
    let request_id = head.request_id();
    let log = Log::new(&request_id);

    let matched = router::find(&head.method, &head.path);
    let route = matched.label();
    let (result, context) = match config::get().await {
        Ok(config) => {
            log::set_level(config.log_level);
            let context = Context::new(config, log.clone(), matched.actor());
            (router::dispatch(&context, matched, &head, body).await, Some(context))
        }
        // A liveness probe asks for the process, which is alive whatever its configuration says.
        Err(_) if matched.is_live() => (Ok(ops::live()), None),
        Err(error) => (Err(ApiError::misconfigured(&error)), None),
    };
    let reply = result.unwrap_or_else(|error| {
        error.log(&log);
        error.into_reply(&head.path)
    });

    work::add(Count::Request { route, status: reply.status }, 1.0);
    work::add(Count::RequestSeconds { route }, begun.elapsed().as_secs_f64());
    let response = reply.send(&request_id, head.method == "HEAD").await;
    drop(serving);
    if let Some(context) = context
        && has_work_behind(&context)
    {
        task::spawn(afterwards(context));
    }
    response
}

/// Whether anything is to be done after the response. Most requests of a busy instance have nothing, and a task of its own
/// costs calls of the host.
fn has_work_behind(context: &Context) -> bool {
    !context.messages.borrow().is_empty() || housekeeping::is_due()
}

/// After the response: the notifications of this request's order, and the instance's housekeeping.
async fn afterwards(context: Context) {
    deliver_all(&context).await;
    housekeeping::keep_house(&context).await;
}
