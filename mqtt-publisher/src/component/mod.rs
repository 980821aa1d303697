//! The component's entry: an HTTP request comes, messages go to the broker, an answer goes back.

mod body;
mod publish;

use exports::wasi::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Request, Response};

use crate::answer::Answer;
use crate::batch::{Batch, MAX_BODY_BYTES};
use crate::broker::Broker;

// The component's world. The interfaces that it calls have their bindings in the crates named here; the other imports are
// called by the standard library alone.
wit_bindgen::generate!({
    path: "../wit",
    world: "mqtt-publisher",
    with: {
        "spin:mqtt/mqtt@3.0.0": spin_sdk::mqtt,
        "spin:variables/variables@3.0.0": spin_sdk::variables,
        "wasi:clocks/monotonic-clock@0.3.0": spin_sdk::wasip3::clocks::monotonic_clock,
        "wasi:clocks/types@0.3.0": spin_sdk::wasip3::clocks::types,
        "wasi:http/types@0.3.0": spin_sdk::wasip3::http::types,
    },
    generate_all,
});

struct Component;

export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        Ok(body::response(&answer(request).await).await)
    }
}

async fn answer(request: Request) -> Answer {
    let path = request.get_path_with_query().unwrap_or_default();
    if path != "/publish" {
        return Answer::refused(404, "there is /publish only");
    }
    if !matches!(request.get_method(), Method::Post) {
        return Answer::refused(405, "there is POST only");
    }
    let url = spin_sdk::variables::get("events_mqtt_url").await.unwrap_or_default();
    let broker = match Broker::parse(url.trim()) {
        Ok(broker) => broker,
        Err(reason) => return Answer::refused(503, reason),
    };
    let batch = match body::receive(request, MAX_BODY_BYTES).await {
        Ok(Some(body)) => Batch::parse(&body),
        Ok(None) => return Answer::refused(413, format!("the batch has more than {MAX_BODY_BYTES} bytes")),
        Err(_) => return Answer::refused(400, "the body broke off"),
    };
    match batch {
        Ok(batch) => publish::publish(&broker, batch.messages).await,
        Err(reason) => Answer::refused(400, reason),
    }
}
