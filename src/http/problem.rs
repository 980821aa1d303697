//! Every error that a client can see, as a problem (RFC 9457, `application/problem+json`). The only module that knows status codes
//! of errors. Nothing in here shows SQL, a stack trace, a secret or another user's data.

mod of_callers;

use super::response::Reply;
use crate::db::DbError;
use crate::domain::ids::OrderId;
use crate::domain::order::{Failure, FailureCode, Order, PaymentStatus, Status};
use crate::queries::list_orders::ListError;
use crate::telemetry::log::Log;
use ::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use ::http::{HeaderName, StatusCode};
use anyhow::{Error, anyhow};
use serde_json::json;
use std::time::Duration;

/// One wrong field of a request.
#[derive(Debug)]
pub struct FieldError {
    /// JSON pointer (RFC 6901, as a URI fragment), as `#/seats/1`.
    pub pointer: String,
    /// What the field must be.
    pub detail: String,
}

/// An error response. Boxed, because it is part of many results.
#[derive(Debug)]
pub struct ApiError(Box<Problem>);

#[derive(Debug)]
struct Problem {
    problem_type: &'static ProblemType,
    detail: String,
    order_id: Option<OrderId>,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, String)>,
    /// For logs only.
    cause: Option<Error>,
}

/// A problem type: what all problems of one code have in common.
#[derive(Debug)]
struct ProblemType {
    code: &'static str,
    status: StatusCode,
    title: &'static str,
}

macro_rules! problem_types {
    ($($name:ident = $code:literal $status:ident $title:literal;)+) => {
        $(static $name: ProblemType = ProblemType { code: $code, status: StatusCode::$status, title: $title };)+
    };
}

problem_types! {
    MALFORMED_JSON = "malformed_json" BAD_REQUEST "The body is not valid JSON";
    KEY_REQUIRED = "idempotency_key_required" BAD_REQUEST "An Idempotency-Key header is required";
    KEY_INVALID = "invalid_idempotency_key" BAD_REQUEST "The Idempotency-Key header is not valid";
    ORDER_ID_INVALID = "invalid_order_id" BAD_REQUEST "The order id is not a UUID";
    PAGE_TOKEN_INVALID = "invalid_page_token" BAD_REQUEST "The page token is not valid";
    UNAUTHORIZED = "unauthorized" UNAUTHORIZED "A valid bearer token is required";
    PAYMENT_DECLINED = "payment_declined" PAYMENT_REQUIRED "The payment was declined";
    FORBIDDEN = "forbidden" FORBIDDEN "This is not allowed";
    CALLBACK_REJECTED = "callback_rejected" FORBIDDEN "The callback could not be verified";
    ROUTE_NOT_FOUND = "route_not_found" NOT_FOUND "There is nothing at this path";
    ORDER_NOT_FOUND = "order_not_found" NOT_FOUND "There is no such order";
    METHOD_NOT_ALLOWED = "method_not_allowed" METHOD_NOT_ALLOWED "This path does not take this method";
    REQUEST_TIMEOUT = "request_timeout" REQUEST_TIMEOUT "The request did not arrive in time";
    SEATS_UNAVAILABLE = "seats_unavailable" CONFLICT "Seats are no longer available";
    EVENT_NOT_ON_SALE = "event_not_on_sale" CONFLICT "The event is not on sale";
    ORDER_NOT_CANCELLABLE = "order_not_cancellable" CONFLICT "The order can no longer be cancelled";
    ORDER_NOT_REFUNDABLE = "order_not_refundable" CONFLICT "The order cannot be refunded";
    ORDER_NOT_RESOLVABLE = "order_not_resolvable" CONFLICT "Nothing about the order's payment is open";
    ORDER_FAILED = "order_failed" CONFLICT "The order failed";
    BODY_TOO_LARGE = "body_too_large" PAYLOAD_TOO_LARGE "The body is too large";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The body must be JSON";
    VALIDATION_FAILED = "validation_failed" UNPROCESSABLE_ENTITY "The request is not valid";
    KEY_REUSED = "idempotency_key_reused" UNPROCESSABLE_ENTITY "The Idempotency-Key was used for another request";
    EVENT_NOT_FOUND = "event_not_found" UNPROCESSABLE_ENTITY "There is no such event";
    SEAT_NOT_FOUND = "seat_not_found" UNPROCESSABLE_ENTITY "There is no such seat in this event";
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range" UNPROCESSABLE_ENTITY "The total cannot be charged";
    TOO_MANY_OPEN_ORDERS = "too_many_open_orders" TOO_MANY_REQUESTS "There are too many unpaid orders";
    INTERNAL_ERROR = "internal_error" INTERNAL_SERVER_ERROR "Something went wrong on our side";
    PEER_UNAVAILABLE = "peer_unavailable" SERVICE_UNAVAILABLE "A service that is needed does not answer";
    DATABASE_UNAVAILABLE = "database_unavailable" SERVICE_UNAVAILABLE "The database does not answer";
}

/// Seconds after which a client may try again when something was down.
const RETRY_AFTER_SECONDS: u64 = 2;

impl ApiError {
    fn new(problem_type: &'static ProblemType, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Problem {
            problem_type,
            detail,
            order_id: None,
            errors: Vec::new(),
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// 400: the body is not JSON; `position` says where parsing failed.
    pub fn malformed_json(position: impl Into<String>) -> Self {
        Self::new(&MALFORMED_JSON, position)
    }

    /// 400: no idempotency key.
    pub fn key_required() -> Self {
        Self::new(&KEY_REQUIRED, "Send a key of your own making, so that a repeated request is recognised.")
    }

    /// 400: an idempotency key that cannot be used.
    pub fn key_invalid() -> Self {
        Self::new(
            &KEY_INVALID,
            "The key must be one value of 1 to 255 visible ASCII characters, quoted or bare.",
        )
    }

    /// 400: an order id that is not a UUID.
    pub fn order_id_invalid() -> Self {
        Self::new(&ORDER_ID_INVALID, "The id of an order is a UUID, as 01980000-0000-7000-8000-000000000000.")
    }

    /// 400: a page token that is none, or of another list.
    pub fn page_token_invalid() -> Self {
        Self::new(
            &PAGE_TOKEN_INVALID,
            "Send a next_page_token as it was answered, with the same other parameters; or begin again without one.",
        )
    }

    /// 401: the internal token is missing, or what was sent is not it (RFC 6750, 3.1).
    pub fn unauthorized(was_sent: bool) -> Self {
        let mut error = Self::new(&UNAUTHORIZED, "Send the internal token as Authorization: Bearer <token>.");
        let challenge = if was_sent { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        error.0.headers.push((WWW_AUTHENTICATE, challenge.into()));
        error
    }

    /// 403: an internal endpoint while no token is configured.
    pub fn forbidden() -> Self {
        Self::new(&FORBIDDEN, "Internal endpoints answer only when the variable internal_token is set.")
    }

    /// 403: a list of everybody's orders without the internal token, while authentication is off.
    pub fn list_forbidden() -> Self {
        Self::new(
            &FORBIDDEN,
            "While authentication is off, lists need the internal token as Authorization: Bearer <token>.",
        )
    }

    /// 403: the feed of events for somebody who may not read every order.
    pub fn feed_forbidden() -> Self {
        Self::new(&FORBIDDEN, "The feed of events needs the role orders:read or orders:admin.")
    }

    /// 403: a callback that could not be verified. `cause` is for the log only.
    pub fn callback_rejected(cause: &'static str) -> Self {
        let mut error = Self::new(
            &CALLBACK_REJECTED,
            "The callback does not come from Payment or does not match the order.",
        );
        error.0.cause = Some(anyhow!(cause));
        error
    }

    /// 404: an unknown path.
    pub fn route_not_found() -> Self {
        Self::new(&ROUTE_NOT_FOUND, "See /docs for the endpoints.")
    }

    /// 404: an unknown order.
    pub fn order_not_found() -> Self {
        Self::new(&ORDER_NOT_FOUND, "No order has this id.")
    }

    /// 405: a known path with another method.
    pub fn method_not_allowed(allow: String) -> Self {
        let mut error = Self::new(&METHOD_NOT_ALLOWED, format!("Allowed here: {allow}."));
        error.0.headers.push((ALLOW, allow));
        error
    }

    /// 408: the body did not arrive in time.
    pub fn request_timeout(seconds: u64) -> Self {
        Self::new(&REQUEST_TIMEOUT, format!("The body must arrive within {seconds} seconds."))
    }

    /// 409: other live orders have these seats.
    pub fn seats_taken(seats: &[i32]) -> Self {
        let list = crate::domain::seats::join_with_and(seats);
        let detail = if seats.len() == 1 {
            format!("Seat {list} is taken.")
        } else {
            format!("Seats {list} are taken.")
        };
        Self::new(&SEATS_UNAVAILABLE, detail)
    }

    /// 409: the event is not on sale.
    pub fn event_not_on_sale(event_id: i32) -> Self {
        Self::new(&EVENT_NOT_ON_SALE, format!("Event {event_id} is sold out or cancelled."))
    }

    /// 409: an order that has ended, or is confirmed.
    pub fn order_not_cancellable(order: &Order) -> Self {
        let status = order.status.as_str();
        let hint = if order.status == Status::Confirmed { " Ask for a refund instead." } else { "" };
        Self::new(&ORDER_NOT_CANCELLABLE, format!("The order is {status}.{hint}")).about(order.id)
    }

    /// 409: an order about whose payment nothing is open.
    pub fn order_not_resolvable(order: &Order) -> Self {
        let payment = order.payment_status().map_or("none", PaymentStatus::as_str);
        let (status, phase) = (order.status.as_str(), order.phase.as_str());
        let detail = format!("The order is {status} in phase {phase}, its payment {payment}.");
        Self::new(&ORDER_NOT_RESOLVABLE, detail).about(order.id)
    }

    /// 409: an order without a payment that can be refunded.
    pub fn order_not_refundable(order: &Order) -> Self {
        let detail = match order.status {
            Status::Confirmed => "No payment of the order is known.".to_owned(),
            Status::Pending => "The order is PENDING. Cancel it instead.".to_owned(),
            status => format!("The order is {}.", status.as_str()),
        };
        Self::new(&ORDER_NOT_REFUNDABLE, detail).about(order.id)
    }

    /// 413: a body beyond the limit.
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(&BODY_TOO_LARGE, format!("The limit is {} KiB.", limit / 1024))
    }

    /// 415: no JSON content type.
    pub fn unsupported_media_type() -> Self {
        Self::new(&UNSUPPORTED_MEDIA_TYPE, "Send Content-Type: application/json.")
    }

    /// 422: wrong fields; `more` of them are not listed.
    pub fn validation_failed(errors: Vec<FieldError>, more: usize) -> Self {
        let detail = match more {
            0 => "See errors for each wrong field.".to_owned(),
            _ => format!("See errors for the first {} wrong fields; there are {more} more.", errors.len()),
        };
        let mut error = Self::new(&VALIDATION_FAILED, detail);
        error.0.errors = errors;
        error
    }

    /// 422: the idempotency key was used for another request. Shows nothing of that request.
    pub fn key_reused() -> Self {
        Self::new(&KEY_REUSED, "Use a new key for a new request.")
    }

    /// 422: Catalog does not know the event.
    pub fn event_not_found(event_id: i32) -> Self {
        Self::new(&EVENT_NOT_FOUND, format!("There is no event {event_id}."))
    }

    /// 503 with `Retry-After`: a peer did not answer; as long as it asks to wait, if it does. `cause` is for the log only.
    pub fn peer_unavailable(peer: &str, cause: String, retry_after: Option<Duration>) -> Self {
        let mut error =
            Self::new(&PEER_UNAVAILABLE, format!("{peer} does not answer. Try again with the same request."));
        let seconds = retry_after.map_or(0, |wait| wait.as_secs()).max(RETRY_AFTER_SECONDS);
        error.0.headers.push((RETRY_AFTER, seconds.to_string()));
        error.0.cause = Some(anyhow!(cause));
        error
    }

    /// 500: the configuration is invalid. The error's sentence names the variable and shows no value; its causes are for the log.
    pub fn misconfigured(cause: Error) -> Self {
        let mut error = Self::new(&INTERNAL_ERROR, cause.to_string());
        error.0.cause = Some(cause);
        error
    }

    /// The answer to the request that placed an order which then failed: 402, 409 or 422, by failure code.
    pub fn failed_order(order_id: OrderId, failure: Option<&Failure>) -> Self {
        let Some(failure) = failure else {
            let mut error = Self::new(&ORDER_FAILED, "The order failed; the reason was not recorded.");
            error.0.order_id = Some(order_id);
            return error;
        };
        let problem_type = match failure.code {
            FailureCode::SeatsUnavailable => &SEATS_UNAVAILABLE,
            FailureCode::SeatNotFound => &SEAT_NOT_FOUND,
            FailureCode::AmountOutOfRange => &AMOUNT_OUT_OF_RANGE,
            FailureCode::PaymentDeclined => &PAYMENT_DECLINED,
            // An order that expired is cancelled, not failed.
            FailureCode::Expired | FailureCode::OrderFailed => &ORDER_FAILED,
        };
        let mut error = Self::new(problem_type, &*failure.detail);
        error.0.order_id = Some(order_id);
        error
    }

    /// Adds the order that the error is about (`order_id`).
    pub fn about(mut self, order_id: OrderId) -> Self {
        self.0.order_id = Some(order_id);
        self
    }

    /// Adds a header field to the answer.
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        self.0.headers.push((name, value.to_owned()));
        self
    }

    /// Writes the error to the log. Level error: a fault of the service (500). Warn, sampled: a dependency is down (503), or access
    /// was refused (401, 403). Debug: any other error of a client.
    pub fn log(&self, log: &Log) {
        let log = self.0.order_id.map_or_else(|| log.clone(), |id| log.order(id));
        let ProblemType { code, status, .. } = self.0.problem_type;
        let cause = self.0.cause.as_ref().map(|cause| format!("{cause:#}"));
        let fields = json!({ "code": code, "status": status.as_u16(), "cause": cause });
        match *status {
            StatusCode::INTERNAL_SERVER_ERROR => log.error("request failed", fields),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
                log.refusal("request refused", fields)
            }
            _ => log.debug("request refused", fields),
        }
    }

    /// The JSON pointers of the invalid fields.
    #[cfg(test)]
    pub fn pointers(&self) -> Vec<String> {
        self.0.errors.iter().map(|error| error.pointer.clone()).collect()
    }

    /// The response (RFC 9457). `instance` is the request's path.
    pub fn into_reply(self, instance: &str) -> Reply {
        let ProblemType { code, status, title } = self.0.problem_type;
        let mut body = json!({
            "type": format!("urn:order-service:problem:{}", code.replace('_', "-")),
            "title": title,
            "status": status.as_u16(),
            "detail": self.0.detail,
            "instance": instance,
            "code": code,
        });
        if let Some(order_id) = self.0.order_id {
            body["order_id"] = json!(order_id);
        }
        if !self.0.errors.is_empty() {
            body["errors"] = self
                .0
                .errors
                .iter()
                .map(|error| json!({ "pointer": error.pointer, "detail": error.detail }))
                .collect();
        }
        let mut reply = Reply::new(*status, "application/problem+json", body.to_string());
        reply.headers.extend(self.0.headers);
        reply
    }
}

impl From<ListError> for ApiError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::InvalidPageToken => Self::page_token_invalid(),
            ListError::Db(error) => error.into(),
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(cause) => {
                let mut error = Self::new(&DATABASE_UNAVAILABLE, "Try again with the same request.");
                error.0.headers.push((RETRY_AFTER, RETRY_AFTER_SECONDS.to_string()));
                error.0.cause = Some(cause);
                error
            }
            DbError::Broken(cause) => {
                let mut error = Self::new(&INTERNAL_ERROR, "The fault was recorded under the request's id.");
                error.0.cause = Some(cause);
                error
            }
        }
    }
}
