//! The collector of spans (OTLP over HTTP, version 1).

use super::send::{Prepared, exchange_within};
use super::{Answer, CallFailure, Extra};
use crate::config::Tracing;
use crate::runtime::task;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::time::Duration;

/// What became of a request to the collector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The collector has taken the spans.
    Taken {
        /// Except so many, which are lost ("Partial Success").
        rejected: usize,
    },
    /// It may be tried again: the collector is busy or away, or there was no connection. How long it asks to wait.
    Later(Option<Duration>),
    /// The spans are lost: it does not take them.
    Refused,
    /// The spans are lost: there was no answer in time, and it may have taken them.
    Unanswered,
}

/// The media type of requests and answers.
const PROTOBUF: &str = "application/x-protobuf";

/// Sends encoded spans. It is no part of any trace.
pub async fn send_spans(tracing: &Tracing, spans: Vec<u8>, deadline: Duration) -> Outcome {
    let request = Prepared {
        name: "collector.traces",
        base: tracing.endpoint.clone(),
        path: "/v1/traces".to_owned(),
        body: Some(spans),
        extra: Extra { content_type: PROTOBUF, accept: PROTOBUF, headers: tracing.headers.expose().clone() },
        deadline: task::now() + deadline,
        span: Default::default(),
    };
    outcome(&exchange_within(deadline, request).await)
}

/// What to try again is in the specification of OTLP, docs/specification.md of opentelemetry-proto: these four statuses ("Retryable
/// Response Codes"), and a connection that could not be made ("OTLP/HTTP Connection"), for which nothing has left. Its "All Other
/// Responses" has a connection that ended without an answer tried again, too; here that is lost, because the spans may have arrived.
fn outcome(result: &Result<Answer<Vec<u8>>, CallFailure>) -> Outcome {
    match result {
        Ok(answer) if answer.status.is_success() => Outcome::Taken { rejected: rejected(&answer.body) },
        Ok(answer) if matches!(answer.status.as_u16(), 429 | 502 | 503 | 504) => {
            Outcome::Later(answer.retry_after)
        }
        Err(failure) if !failure.may_land => Outcome::Later(None),
        Ok(_) => Outcome::Refused,
        Err(_) => Outcome::Unanswered,
    }
}

/// How many spans the collector has not taken. A success that cannot be read has taken all.
fn rejected(body: &[u8]) -> usize {
    let response = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let rejected = response.partial_success.map(|partial| partial.rejected_spans).unwrap_or_default();
    usize::try_from(rejected).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::answer_with;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    fn answer(status: u16, body: &[u8]) -> Answer<Vec<u8>> {
        answer_with(status, body.to_vec())
    }

    #[test]
    fn what_a_collector_rejects_of_a_batch_is_told() {
        for (rejected_spans, expected) in [(0, 0), (1, 1), (500, 500), (-1, 0)] {
            let partial_success =
                Some(ExportTracePartialSuccess { rejected_spans, error_message: "why".to_owned() });
            let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
            assert_eq!(outcome(&Ok(answer(200, &body))), Outcome::Taken { rejected: expected });
            assert_eq!(outcome(&Ok(answer(400, &body))), Outcome::Refused);
        }
        for body in [&b""[..], b"{}", b"<html></html>", b"\xff"] {
            assert_eq!(outcome(&Ok(answer(200, body))), Outcome::Taken { rejected: 0 });
        }
    }

    #[test]
    fn only_a_busy_collector_or_no_connection_is_tried_again() {
        for (status, expected) in [
            (200, Outcome::Taken { rejected: 0 }),
            (202, Outcome::Taken { rejected: 0 }),
            (429, Outcome::Later(None)),
            (502, Outcome::Later(None)),
            (503, Outcome::Later(None)),
            (504, Outcome::Later(None)),
            (301, Outcome::Refused),
            (400, Outcome::Refused),
            (401, Outcome::Refused),
            (404, Outcome::Refused),
            (408, Outcome::Refused),
            (500, Outcome::Refused),
            (501, Outcome::Refused),
        ] {
            assert_eq!(outcome(&Ok(answer(status, b""))), expected, "{status}");
        }
        let wait = Some(Duration::from_secs(7));
        let busy = Answer { retry_after: wait, ..answer(429, b"") };
        assert_eq!(outcome(&Ok(busy)), Outcome::Later(wait));
        let failed = |may_land| CallFailure { may_land, ..CallFailure::from("why".to_owned()) };
        assert_eq!(outcome(&Err(failed(false))), Outcome::Later(None));
        assert_eq!(outcome(&Err(failed(true))), Outcome::Unanswered);
    }
}
