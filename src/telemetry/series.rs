//! What the counters are of: the series that instances flush, and how a row of theirs is written.
//!
//! A row is a name, a label and a value. The label of an observation ends with the upper bound of its bucket, in seconds, or with
//! [`SUM`]: the number in the bucket alone, not in all below it, so that only buckets that were touched are flushed.

use http::{Method, StatusCode};

/// Requests: method, route, status.
pub const REQUESTS: &str = "http";
/// Calls of peers: call, outcome.
pub const PEER_CALLS: &str = "peer";
/// Statements: name.
pub const STATEMENTS: &str = "statement";
/// Attempts of statements that failed: class.
pub const STATEMENT_FAILURES: &str = "statement_failures";
/// CPU seconds of the guest, sampled.
pub const BUSY_SECONDS: &str = "busy_seconds";
/// The end of the label of a sum of seconds.
pub const SUM: &str = "sum";
/// The end of the label of the last bucket.
pub const INFINITY: &str = "+Inf";

/// Upper bounds of the buckets of requests and of calls, in seconds.
pub const BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The same of statements, most of which take a millisecond and none more than four seconds.
pub const STATEMENT_BOUNDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// The most buckets that a series has, with that without a bound.
pub const BUCKETS: usize = 12;

/// A series of durations, with labels of a small closed set each, so that neither a client nor a peer can make new ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Series {
    /// Requests that were answered.
    Request {
        /// How.
        method: KnownMethod,
        /// Its route, as in the router's table.
        route: &'static str,
        /// The answer's status code: one of those that the service has.
        status: StatusCode,
    },
    /// Calls of a peer.
    PeerCall {
        /// Peer and operation, as `seating.reserve`.
        call: &'static str,
        /// The class of the answer's status; none when there was no answer.
        class: Option<StatusClass>,
    },
    /// Attempts of a statement.
    Statement {
        /// The function's name, as `read_order`.
        name: &'static str,
    },
}

impl Series {
    /// The name of its rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request { .. } => REQUESTS,
            Self::PeerCall { .. } => PEER_CALLS,
            Self::Statement { .. } => STATEMENTS,
        }
    }

    /// The label of one of its rows.
    pub fn label(self, end: &str) -> String {
        match self {
            Self::Request { method, route, status } => {
                format!("{} {route} {} {end}", method.0, status.as_str())
            }
            Self::PeerCall { call, class } => {
                format!("{call} {} {end}", class.map_or(NO_ANSWER, |class| class.0))
            }
            Self::Statement { name } => format!("{name} {end}"),
        }
    }

    /// The upper bounds of its buckets, in seconds.
    pub const fn bounds(self) -> &'static [f64] {
        match self {
            Self::Request { .. } | Self::PeerCall { .. } => BOUNDS,
            Self::Statement { .. } => STATEMENT_BOUNDS,
        }
    }
}

/// The outcome of a call without an answer.
const NO_ANSWER: &str = "none";

/// What a call of a peer can come to, by the class of its status.
pub const OUTCOMES: [&str; 7] = [NO_ANSWER, "1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// The class of a peer's status code, as `2xx`. A peer may answer with any of a thousand codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusClass(&'static str);

impl From<StatusCode> for StatusClass {
    fn from(status: StatusCode) -> Self {
        let class = usize::from(status.as_u16() / 100);
        Self(OUTCOMES[class.min(OUTCOMES.len() - 1)])
    }
}

/// A method that HTTP has (RFC 9110, 5789), or `other`. A client may send any word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnownMethod(&'static str);

impl From<&Method> for KnownMethod {
    fn from(method: &Method) -> Self {
        const KNOWN: [&str; 9] =
            ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];
        Self(KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_of_closed_sets() {
        for (status, class) in [(99, None), (100, Some("1xx")), (204, Some("2xx")), (599, Some("5xx"))] {
            let known = StatusCode::from_u16(status).ok().map(|status| StatusClass::from(status).0);
            assert_eq!(known, class, "{status}");
        }
        for status in [600, 700, 999] {
            assert_eq!(StatusClass::from(StatusCode::from_u16(status).unwrap()).0, "other");
        }
        assert_eq!(KnownMethod::from(&Method::PATCH).0, "PATCH");
        for made_up in ["MADEUP", "get", "X\"Y"] {
            if let Ok(method) = made_up.parse::<Method>() {
                assert_eq!(KnownMethod::from(&method).0, "other");
            }
        }
    }

    #[test]
    fn every_series_has_a_bucket_for_each_bound_and_one_without() {
        for bounds in [BOUNDS, STATEMENT_BOUNDS] {
            assert_eq!(bounds.len() + 1, BUCKETS);
            assert!(bounds.is_sorted());
        }
    }
}
