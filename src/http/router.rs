//! One table of every route.

use super::problem::ApiError;
use super::request::{RequestBody, RequestHead};
use super::response::Reply;
use super::{
    cors, docs, documentation, events, internal, list_orders, monitoring, orders, payment_callback,
    place_order,
};
use crate::commands::Context;
use crate::telemetry::series::Series;
use crate::telemetry::tracing::current::Begin;
use ::http::{Method, StatusCode};

/// An endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// Places an order.
    PlaceOrder,
    /// Lists orders.
    ListOrders,
    /// Reads an order.
    GetOrder,
    /// Reads an order's journal.
    OrderEvents,
    /// Cancels an order.
    CancelOrder,
    /// Refunds an order.
    RefundOrder,
    /// The callback (webhook) of Payment.
    PaymentCallback,
    /// Leads to the documentation.
    Root,
    /// The feed of events.
    Events,
    /// Sends events again.
    ReplayEvents,
    /// How far sinks have got.
    Deliveries,
    /// The documentation as a page.
    Docs,
    /// The OpenAPI document.
    OpenApi,
    /// The health check.
    Health,
    /// The liveness probe.
    Live,
    /// The metrics.
    Metrics,
    /// Sweeps: processes due work.
    Sweep,
    /// Lists the orders and messages that need an operator.
    Stuck,
    /// Redrives parked orders and dead letters.
    Redrive,
    /// Resolves the payment of an order by an operator's word.
    ResolveOrder,
}

/// Method, path (`{id}` stands for one segment), endpoint. `HEAD` works where `GET` does.
const ROUTES: &[(Method, &str, Endpoint)] = &[
    (Method::POST, "/v1/orders", Endpoint::PlaceOrder),
    (Method::GET, "/v1/orders", Endpoint::ListOrders),
    (Method::GET, "/v1/orders/{id}", Endpoint::GetOrder),
    (Method::GET, "/v1/orders/{id}/events", Endpoint::OrderEvents),
    (Method::POST, "/v1/orders/{id}/cancel", Endpoint::CancelOrder),
    (Method::POST, "/v1/orders/{id}/refund", Endpoint::RefundOrder),
    (Method::POST, "/v1/payments/callback", Endpoint::PaymentCallback),
    (Method::GET, "/v1/events", Endpoint::Events),
    (Method::GET, "/", Endpoint::Root),
    (Method::GET, "/docs", Endpoint::Docs),
    (Method::GET, "/openapi.json", Endpoint::OpenApi),
    (Method::GET, "/health", Endpoint::Health),
    (Method::GET, "/health/live", Endpoint::Live),
    (Method::GET, "/metrics", Endpoint::Metrics),
    (Method::POST, "/internal/sweep", Endpoint::Sweep),
    (Method::GET, "/internal/stuck", Endpoint::Stuck),
    (Method::POST, "/internal/redrive", Endpoint::Redrive),
    (Method::POST, "/internal/events/replay", Endpoint::ReplayEvents),
    (Method::GET, "/internal/deliveries", Endpoint::Deliveries),
    (Method::POST, "/internal/orders/{id}/resolve", Endpoint::ResolveOrder),
];

/// The result of routing a request by method and path.
#[derive(Debug)]
pub enum Match<'a> {
    /// A route.
    Found {
        /// The path as in the table.
        path: &'static str,
        /// Its endpoint.
        endpoint: Endpoint,
        /// The segment in the place of `{id}`.
        id: Option<&'a str>,
    },
    /// The path exists, with other methods (405).
    MethodNotAllowed {
        /// The value of the `Allow` header.
        allow: String,
        /// Whether the path is below `/internal/`.
        is_internal: bool,
    },
    /// No route has this path (404).
    NotFound {
        /// Whether the path is below `/internal/`.
        is_internal: bool,
    },
}

/// Routes a request.
pub fn find<'a>(method: &Method, path: &'a str) -> Match<'a> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let mut allowed = Vec::new();
    for (route_method, pattern, endpoint) in ROUTES {
        let Some(id) = match_path(pattern, path) else {
            continue;
        };
        if route_method == method {
            return Match::Found { path: pattern, endpoint: *endpoint, id };
        }
        allowed.push(route_method.as_str());
        if route_method == Method::GET {
            allowed.push("HEAD");
        }
    }
    let is_internal = path.starts_with("/internal/");
    if allowed.is_empty() {
        Match::NotFound { is_internal }
    } else {
        Match::MethodNotAllowed { allow: allowed.join(", "), is_internal }
    }
}

/// `None`: no match. `Some(id)`: a match, with the segment in the place of `{id}` if the pattern has one.
fn match_path<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    // Splitting at single characters is faster than preparing a substring search for `{id}`.
    let Some((prefix, rest)) = pattern.split_once('{') else {
        return (pattern == path).then_some(None);
    };
    let (_, suffix) = rest.split_once('}')?;
    let id = path.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (!id.is_empty() && !id.contains('/')).then_some(Some(id))
}

impl Endpoint {
    /// The status of the answer when all is well; some have others beside it.
    const fn success(self) -> StatusCode {
        match self {
            Self::PlaceOrder => StatusCode::CREATED,
            Self::Root => StatusCode::FOUND,
            _ => StatusCode::OK,
        }
    }

    /// Other statuses that begin at zero in the metrics: those that tell what became of an order.
    const fn other_outcomes(self) -> &'static [StatusCode] {
        match self {
            Self::PlaceOrder => &[
                StatusCode::ACCEPTED,
                StatusCode::PAYMENT_REQUIRED,
                StatusCode::CONFLICT,
                StatusCode::UNPROCESSABLE_ENTITY,
                StatusCode::TOO_MANY_REQUESTS,
            ],
            Self::GetOrder => &[StatusCode::NOT_FOUND],
            Self::CancelOrder | Self::ResolveOrder => &[StatusCode::CONFLICT],
            Self::RefundOrder => &[StatusCode::ACCEPTED, StatusCode::CONFLICT],
            Self::PaymentCallback => &[StatusCode::FORBIDDEN, StatusCode::NOT_FOUND],
            _ => &[],
        }
    }
}

/// What each route answers when all is well, what else may become of an order, and when something fails, for metrics that begin at zero: the
/// first 500 is a change then.
pub fn usual_answers() -> impl Iterator<Item = Series> {
    const FAILURES: [StatusCode; 2] = [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE];
    ROUTES.iter().flat_map(|(method, route, endpoint)| {
        let answers = std::iter::once(endpoint.success()).chain(endpoint.other_outcomes().iter().copied());
        answers.chain(FAILURES).map(|status| Series::Request { method: method.into(), route, status })
    })
}

impl Match<'_> {
    /// The endpoint, if there is one.
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Found { endpoint, .. } => Some(*endpoint),
            Self::MethodNotAllowed { .. } | Self::NotFound { .. } => None,
        }
    }

    /// The route as a label of metrics: one of a fixed set (low cardinality), whatever path a client asks for.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Found { path, .. } => path,
            Self::MethodNotAllowed { .. } | Self::NotFound { .. } => "none",
        }
    }

    /// The route as in the table, if there is one.
    pub fn pattern(&self) -> Option<&'static str> {
        match self {
            Self::Found { path, .. } => Some(path),
            Self::MethodNotAllowed { .. } | Self::NotFound { .. } => None,
        }
    }

    /// Whether the request begins a trace when its caller has sent none.
    pub fn begin_of_trace(&self) -> Begin {
        match self.endpoint() {
            Some(Endpoint::PaymentCallback) => Begin::Adoptable,
            Some(
                Endpoint::Health
                | Endpoint::Live
                | Endpoint::Metrics
                | Endpoint::Root
                | Endpoint::Docs
                | Endpoint::OpenApi,
            ) => Begin::Nothing,
            _ => Begin::Root,
        }
    }

    /// The actor of this request's changes, for the journal.
    pub fn actor(&self) -> &'static str {
        match self.endpoint() {
            Some(Endpoint::PaymentCallback) => "payment",
            Some(Endpoint::Sweep) => "sweep",
            Some(Endpoint::Redrive | Endpoint::ReplayEvents | Endpoint::ResolveOrder) => "operator",
            _ => "client",
        }
    }
}

/// Calls the endpoint's handler.
///
/// # Errors
/// The problem to answer with.
pub async fn dispatch(
    context: &Context,
    matched: Match<'_>,
    head: &RequestHead,
    body: RequestBody,
) -> Result<Reply, ApiError> {
    match matched {
        Match::Found { endpoint, id, .. } => match endpoint {
            Endpoint::PlaceOrder => place_order::handle(context, head, body).await,
            Endpoint::ListOrders => list_orders::handle(context, head).await,
            Endpoint::GetOrder => orders::get(context, head, id.unwrap_or_default()).await,
            Endpoint::OrderEvents => orders::events(context, head, id.unwrap_or_default()).await,
            Endpoint::CancelOrder => orders::cancel(context, head, id.unwrap_or_default(), body).await,
            Endpoint::RefundOrder => orders::refund(context, head, id.unwrap_or_default(), body).await,
            Endpoint::PaymentCallback => payment_callback::handle(context, head, body).await,
            Endpoint::Events => events::feed(context, head).await,
            Endpoint::ReplayEvents => events::replay_events(context, head, body).await,
            Endpoint::Deliveries => events::deliveries(context, head).await,
            Endpoint::Root => Ok(docs::redirect()),
            Endpoint::Docs => Ok(docs::page(head)),
            Endpoint::OpenApi => Ok(documentation::openapi(head)),
            Endpoint::Health => Ok(monitoring::health(context).await),
            Endpoint::Live => Ok(monitoring::live()),
            Endpoint::Metrics => monitoring::metrics(context, usual_answers()).await,
            Endpoint::Sweep => internal::sweep(context, head).await,
            Endpoint::Stuck => internal::stuck(context, head).await,
            Endpoint::Redrive => internal::redrive(context, head, body).await,
            Endpoint::ResolveOrder => internal::resolve(context, head, id.unwrap_or_default(), body).await,
        },
        Match::MethodNotAllowed { allow, is_internal } => {
            // The sweep alone is open while no token is set.
            if is_internal && (head.path != "/internal/sweep" || context.config.internal_token.is_some()) {
                internal::require_token(context, head)?;
            }
            match cors::preflight(&context.config, head, &allow) {
                Some(reply) => Ok(reply),
                None => Err(ApiError::method_not_allowed(allow)),
            }
        }
        Match::NotFound { is_internal } => {
            if is_internal {
                internal::require_token(context, head)?;
            }
            Err(ApiError::route_not_found())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_found_by_method_and_path() {
        for (method, path, expected) in [
            ("POST", "/v1/orders", "/v1/orders"),
            ("GET", "/v1/orders/x", "/v1/orders/{id}"),
            ("HEAD", "/v1/orders/x", "/v1/orders/{id}"),
            ("GET", "/v1/orders/x/events", "/v1/orders/{id}/events"),
            ("POST", "/v1/orders/x/cancel", "/v1/orders/{id}/cancel"),
            ("POST", "/v1/orders//cancel", "none"),
            ("POST", "/v1/orders/cancel", "none"),
            ("HEAD", "/health/live", "/health/live"),
            ("GET", "/v1/orders/", "none"),
            ("GET", "/v1/orders/a/b", "none"),
            ("GET", "/V1/orders/x", "none"),
            ("GET", "/", "/"),
            ("HEAD", "/docs", "/docs"),
            ("GET", "/docs/", "none"),
            ("GET", "", "none"),
            ("POST", "/health", "none"),
        ] {
            let method: Method = method.parse().unwrap();
            assert_eq!(find(&method, path).label(), expected, "{method} {path}");
        }
        for (method, path, expected) in
            [(Method::PATCH, "/v1/orders", "POST, GET, HEAD"), (Method::PUT, "/v1/orders/x", "GET, HEAD")]
        {
            let matched = find(&method, path);
            assert!(matches!(matched, Match::MethodNotAllowed { allow, .. } if allow == expected), "{path}");
        }
        assert!(matches!(find(&Method::GET, "/internal/x"), Match::NotFound { is_internal: true }));
    }
}
