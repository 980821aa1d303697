//! One table of every route.

use super::extract::{Content, Head};
use super::problem::ApiError;
use super::respond::Reply;
use super::{callback, ops, orders};
use crate::commands::Context;

/// What an endpoint is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// Places an order.
    PlaceOrder,
    /// Reads an order.
    GetOrder,
    /// Reads an order's journal.
    OrderEvents,
    /// Gives an order up.
    CancelOrder,
    /// Gives an order's money back.
    RefundOrder,
    /// Hears Payment's news.
    PaymentCallback,
    /// Tells whether the service can work.
    Health,
    /// Tells that the process is alive.
    Live,
    /// Tells what there is to measure.
    Metrics,
    /// Does the work that is due.
    Sweep,
    /// Lists what needs a person.
    Stuck,
    /// Tries again what was given to a person.
    Redrive,
}

/// Method, path (`{id}` stands for one segment), endpoint. `HEAD` works where `GET` does.
const ROUTES: &[(&str, &str, Endpoint)] = &[
    ("POST", "/v1/orders", Endpoint::PlaceOrder),
    ("GET", "/v1/orders/{id}", Endpoint::GetOrder),
    ("GET", "/v1/orders/{id}/events", Endpoint::OrderEvents),
    ("POST", "/v1/orders/{id}/cancel", Endpoint::CancelOrder),
    ("POST", "/v1/orders/{id}/refund", Endpoint::RefundOrder),
    ("POST", "/v1/payments/callback", Endpoint::PaymentCallback),
    ("GET", "/health", Endpoint::Health),
    ("GET", "/health/live", Endpoint::Live),
    ("GET", "/metrics", Endpoint::Metrics),
    ("POST", "/internal/sweep", Endpoint::Sweep),
    ("GET", "/internal/stuck", Endpoint::Stuck),
    ("POST", "/internal/redrive", Endpoint::Redrive),
];

/// What a request's method and path match.
#[derive(Debug)]
pub enum Match<'a> {
    /// An endpoint, with its path's parameter.
    Found {
        /// The path as in the table.
        path: &'static str,
        /// What answers.
        endpoint: Endpoint,
        /// What stands for `{id}`.
        id: Option<&'a str>,
    },
    /// A path of the table with another method; what it allows.
    OtherMethod(String, bool),
    /// Nothing; whether it is below `/internal/`.
    Nothing(bool),
}

/// Finds the endpoint of a request.
pub fn find<'a>(method: &str, path: &'a str) -> Match<'a> {
    let method = if method == "HEAD" { "GET" } else { method };
    let mut allowed = Vec::new();
    for (route_method, pattern, endpoint) in ROUTES {
        let Some(id) = matches(pattern, path) else {
            continue;
        };
        if *route_method == method {
            return Match::Found { path: pattern, endpoint: *endpoint, id };
        }
        allowed.push(*route_method);
        if *route_method == "GET" {
            allowed.push("HEAD");
        }
    }
    let internal = path.starts_with("/internal/");
    if allowed.is_empty() {
        Match::Nothing(internal)
    } else {
        Match::OtherMethod(allowed.join(", "), internal)
    }
}

/// `None`: no match. `Some(id)`: a match, with what stands for `{id}` if the pattern has one.
fn matches<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    // Split at single characters, which takes less than to prepare a search for `{id}`.
    let Some((prefix, rest)) = pattern.split_once('{') else {
        return (pattern == path).then_some(None);
    };
    let (_, suffix) = rest.split_once('}')?;
    let id = path.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (!id.is_empty() && !id.contains('/')).then_some(Some(id))
}

impl Match<'_> {
    /// The route for metrics: one of a fixed few, whatever clients ask for.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Found { path, .. } => path,
            Self::OtherMethod(..) | Self::Nothing(_) => "none",
        }
    }

    /// Whether it is the liveness probe.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Found { endpoint: Endpoint::Live, .. })
    }

    /// Who causes what this request changes, for the journal.
    pub fn actor(&self) -> &'static str {
        match self {
            Self::Found { endpoint: Endpoint::PaymentCallback, .. } => "payment",
            Self::Found { endpoint: Endpoint::Sweep, .. } => "sweep",
            Self::Found { endpoint: Endpoint::Redrive, .. } => "operator",
            _ => "client",
        }
    }
}

/// Runs what a request matched.
///
/// # Errors
/// The problem to answer with.
pub async fn dispatch(
    context: &Context,
    matched: Match<'_>,
    head: &Head,
    body: Content,
) -> Result<Reply, ApiError> {
    match matched {
        Match::Found { endpoint, id, .. } => match endpoint {
            Endpoint::PlaceOrder => orders::place(context, head, body).await,
            Endpoint::GetOrder => orders::get(context, head, id.unwrap_or_default()).await,
            Endpoint::OrderEvents => orders::events(context, id.unwrap_or_default()).await,
            Endpoint::CancelOrder => orders::cancel(context, head, id.unwrap_or_default(), body).await,
            Endpoint::RefundOrder => orders::refund(context, head, id.unwrap_or_default(), body).await,
            Endpoint::PaymentCallback => callback::hear(context, head, body).await,
            Endpoint::Health => ops::health(context).await,
            Endpoint::Live => Ok(ops::live()),
            Endpoint::Metrics => ops::metrics(context).await,
            Endpoint::Sweep => ops::sweep(context, head).await,
            Endpoint::Stuck => ops::stuck(context, head).await,
            Endpoint::Redrive => ops::redrive(context, head, body).await,
        },
        Match::OtherMethod(allow, internal) => {
            if internal && context.config.internal_token.is_some() {
                ops::require_internal(context, head)?;
            }
            Err(ApiError::method_not_allowed(allow))
        }
        Match::Nothing(internal) => {
            if internal {
                ops::require_internal(context, head)?;
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
            ("GET", "/", "none"),
            ("GET", "", "none"),
            ("POST", "/health", "none"),
        ] {
            assert_eq!(find(method, path).label(), expected, "{method} {path}");
        }
        assert!(matches!(find("GET", "/v1/orders"), Match::OtherMethod(allow, false) if allow == "POST"));
        assert!(
            matches!(find("PUT", "/v1/orders/x"), Match::OtherMethod(allow, false) if allow == "GET, HEAD")
        );
        assert!(matches!(find("GET", "/internal/x"), Match::Nothing(true)));
    }
}
