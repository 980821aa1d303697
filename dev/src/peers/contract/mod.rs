//! The peers' contracts: their operations and where those are, in `shapes` what they read and write, and in `errors` how they
//! say that something is wrong.
//!
//! The sandbox keeps them with a memory and with faults, the fast peers of the benchmark with neither.

pub mod errors;
pub mod shapes;

use std::net::SocketAddr;

use hyper::Method;
use serde::{Deserialize, Serialize};

/// One of the peer services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Peer {
    Catalog,
    Seating,
    Payment,
    Notification,
    User,
    /// A sink of events.
    Events,
}

impl Peer {
    /// All of them, with the first segment of their paths.
    const ALL: [(Peer, &str); 6] = [
        (Peer::Catalog, "catalog"),
        (Peer::Seating, "seating"),
        (Peer::Payment, "payment"),
        (Peer::Notification, "notification"),
        (Peer::User, "user"),
        (Peer::Events, "events"),
    ];
}

/// One operation of a peer. [`CallName::Unknown`] is what none of them offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum CallName {
    Event,
    Reserve,
    Allocate,
    Release,
    Seat,
    OrderSeats,
    Availability,
    Charge,
    Payment,
    Refund,
    Notify,
    Login,
    ByName,
    TakeEvent,
    Produce,
    Unknown,
}

/// The peer, its operation, and the id that the path ends with, if it has one. `None` when the path belongs to no peer.
pub fn route<'a>(method: &Method, path: &'a str) -> Option<(Peer, CallName, &'a str)> {
    let mut segments = path.trim_start_matches('/').split('/');
    let first = segments.next()?;
    let (peer, _) = Peer::ALL.into_iter().find(|(_, name)| *name == first)?;
    let rest: Vec<&str> = segments.collect();
    let (name, id) = match (peer, method.as_str(), rest.as_slice()) {
        (Peer::Catalog, "GET", ["v1", "events", id]) => (CallName::Event, *id),
        (Peer::Seating, "POST", ["v1", "seats", "reserve"]) => (CallName::Reserve, ""),
        (Peer::Seating, "POST", ["v1", "seats", "allocate"]) => (CallName::Allocate, ""),
        (Peer::Seating, "POST", ["v1", "seats", "release"]) => (CallName::Release, ""),
        (Peer::Seating, "GET", ["v1", "seats", "availability"]) => (CallName::Availability, ""),
        (Peer::Seating, "GET", ["v1", "seats", "order", id]) => (CallName::OrderSeats, *id),
        (Peer::Seating, "GET", ["v1", "seats", id]) => (CallName::Seat, *id),
        (Peer::Payment, "POST", ["v1", "charge"]) => (CallName::Charge, ""),
        (Peer::Payment, "GET", ["v1", "payments", id]) => (CallName::Payment, *id),
        (Peer::Payment, "POST", ["v1", "refund"]) => (CallName::Refund, ""),
        (Peer::Notification, "POST", ["v1", "notify"]) => (CallName::Notify, ""),
        (Peer::User, "POST", ["v1", "users", "login"]) => (CallName::Login, ""),
        (Peer::User, "GET", ["v1", "users", "username", name]) => (CallName::ByName, *name),
        (Peer::Events, "POST", ["hook"]) => (CallName::TakeEvent, ""),
        (Peer::Events, "POST", ["topics", topic]) => (CallName::Produce, *topic),
        _ => (CallName::Unknown, ""),
    };
    Some((peer, name, id))
}

/// The Spin variables that lead the component to peers at this address and allow it nobody else. Events are sent where a test says so.
pub fn spin_variables(address: SocketAddr) -> Vec<(String, String)> {
    let peers = Peer::ALL.into_iter().filter(|(peer, _)| *peer != Peer::Events);
    let urls = peers.map(|(_, name)| (format!("{name}_url"), format!("http://{address}/{name}")));
    let hosts =
        [("peers_http".into(), format!("http://{}:*", address.ip())), ("peers_https".into(), String::new())];
    urls.chain(hosts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_are_told_apart() {
        let get = |path| route(&Method::GET, path).map(|(_, name, id)| (name, id));
        let post = |path| route(&Method::POST, path).map(|(_, name, id)| (name, id));
        assert_eq!(get("/catalog/v1/events/101"), Some((CallName::Event, "101")));
        assert_eq!(get("/seating/v1/seats/order/abc"), Some((CallName::OrderSeats, "abc")));
        assert_eq!(get("/seating/v1/seats/7"), Some((CallName::Seat, "7")));
        assert_eq!(get("/payment/v1/payments/x"), Some((CallName::Payment, "x")));
        assert_eq!(post("/seating/v1/seats/reserve"), Some((CallName::Reserve, "")));
        assert_eq!(post("/catalog/v1/events/101"), Some((CallName::Unknown, "")));
        assert_eq!(get("/elsewhere"), None);
    }
}
