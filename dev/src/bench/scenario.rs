//! The workload: scenarios of requests, and the checks of their responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, anyhow};
use hyper::header::{HeaderValue, LOCATION};

use super::http::{Answer, HttpRequest, get, post, sends_token};

/// A scenario: one kind of request, repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Orders of three free seats, whose payment stays pending
    Place,
    /// The same, paid: the callback, the tickets and the message to the buyer
    Life,
    /// Reads of orders that were placed before
    Read,
    /// The request of such an order, once more
    Replay,
    /// An order of seats that somebody else has
    Refused,
    /// Scrapes
    Metrics,
    /// Reads of orders from anywhere in the table, whatever became of them
    #[value(skip)]
    Stored,
    /// Sweeps that find nothing due
    #[value(skip)]
    Sweep,
}

impl Scenario {
    /// All that can be asked for by name.
    pub const ALL: [Scenario; 6] = [
        Scenario::Place,
        Scenario::Life,
        Scenario::Read,
        Scenario::Replay,
        Scenario::Refused,
        Scenario::Metrics,
    ];

    /// As it is named on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Place => "place",
            Scenario::Life => "life",
            Scenario::Read => "read",
            Scenario::Replay => "replay",
            Scenario::Refused => "refused",
            Scenario::Metrics => "metrics",
            Scenario::Stored => "stored",
            Scenario::Sweep => "sweep",
        }
    }

    /// Whether each request places an order.
    pub fn places_orders(self) -> bool {
        matches!(self, Scenario::Place | Scenario::Life)
    }

    /// How many orders have to be there before it begins.
    pub fn needs_orders(self) -> usize {
        match self {
            Scenario::Read | Scenario::Replay | Scenario::Refused => 1_000,
            _ => 0,
        }
    }
}

/// The event whose payments stay pending, and the one whose payments succeed at once.
const PENDING_EVENT: u32 = 101;
const PAID_EVENT: u32 = 1_001;
/// The user of all orders where requests carry a token.
pub const TOKEN_USER: u64 = 1;
const SEATS_PER_ORDER: u64 = 3;
/// The answer to a sweep that found nothing.
const NOTHING_SWEPT: &[u8] = br#"{"messages":0,"orders":0}"#;

/// An order that was placed, with what it was placed by.
#[derive(Clone, Debug)]
pub struct PlacedOrder {
    key: String,
    body: String,
    seats: [u64; SEATS_PER_ORDER as usize],
    path: String,
}

impl PlacedOrder {
    /// Says where it is to be read.
    pub fn is_at(&mut self, id: &str) {
        self.path = format!("/v1/orders/{id}");
    }

    /// One of which nothing is known but where it is to be read.
    pub fn stored(id: &str) -> PlacedOrder {
        let path = format!("/v1/orders/{id}");
        PlacedOrder { key: String::new(), body: String::new(), seats: [0; SEATS_PER_ORDER as usize], path }
    }
}

/// Generates a scenario's requests and checks the responses. All clients share it.
pub struct Workload {
    scenario: Scenario,
    host: HeaderValue,
    orders: Arc<[PlacedOrder]>,
    begun: u64,
    sale: Option<Sale>,
}

/// An event whose first seats are sold.
#[derive(Clone, Copy, Debug)]
pub struct Sale {
    /// The event.
    pub event: u32,
    /// New orders are for seats beyond this one.
    pub sold_to: u64,
}

/// Sequence number of the requests of this process, so that no two have the same seats or key.
static SEQUENCE: AtomicU64 = AtomicU64::new(0);

impl Workload {
    /// `orders`: what was placed before, for the scenarios that need it.
    pub fn new(scenario: Scenario, host: HeaderValue, orders: Arc<[PlacedOrder]>) -> Workload {
        let begun = SEQUENCE.load(Ordering::Relaxed);
        Workload { scenario, host, orders, begun, sale: None }
    }

    /// The same, but new orders are for this event, and their keys are as random as those of clients.
    #[must_use]
    pub fn at(self, sale: Sale) -> Workload {
        Workload { sale: Some(sale), ..self }
    }

    /// What it asks for.
    pub fn scenario(&self) -> Scenario {
        self.scenario
    }

    /// The next request.
    pub fn request(&self) -> HttpRequest {
        let number = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let known = || &self.orders[((number - self.begun) * 7_919) as usize % self.orders.len()];
        match self.scenario {
            Scenario::Place => self.place(&Order::at(number, self.sale)),
            Scenario::Life => self.place(&Order::new(number, PAID_EVENT)),
            Scenario::Read | Scenario::Stored => get(&self.host, &known().path),
            Scenario::Replay => self.post(&known().key, known().body.clone()),
            Scenario::Refused => {
                let user = if sends_token() { TOKEN_USER } else { 2_000_000 };
                let order = Order { user, seats: known().seats, ..Order::new(number, PENDING_EVENT) };
                self.place(&order)
            }
            Scenario::Metrics => get(&self.host, "/metrics"),
            Scenario::Sweep => post(&self.host, "/internal/sweep", ""),
        }
    }

    /// The error in a response, if it is not the expected one.
    pub fn error_in(&self, answer: &Answer) -> Option<String> {
        let status = answer.status.as_u16();
        let has = |name: &str, value: &str| has_member(&answer.body, name, value);
        let fine = match self.scenario {
            Scenario::Place => status == 201 && has("phase", "awaiting_payment") && has("status", "PENDING"),
            Scenario::Life => status == 201 && has("status", "CONFIRMED"),
            Scenario::Read => status == 200 && has("phase", "awaiting_payment"),
            Scenario::Replay => status == 201 && answer.headers.contains_key("idempotent-replayed"),
            Scenario::Refused => status == 409 && has("code", "seats_unavailable"),
            Scenario::Metrics => status == 200,
            Scenario::Stored => status == 200 && answer.body.starts_with(b"{"),
            Scenario::Sweep => status == 200 && answer.body[..] == *NOTHING_SWEPT,
        };
        (!fine).then(|| format!("{}: {}", self.scenario.name(), answer.shown()))
    }

    fn place(&self, order: &Order) -> HttpRequest {
        self.post(&order.key, order.body())
    }

    fn post(&self, key: &str, body: String) -> HttpRequest {
        placing(&self.host, key, body)
    }
}

/// A request that places an order which the scenarios of known orders can use, and the order that comes of it.
pub fn new_order(
    host: &HeaderValue,
    sale: Option<Sale>,
) -> (HttpRequest, impl FnOnce(&Answer) -> Result<PlacedOrder> + use<>) {
    let order = Order::at(SEQUENCE.fetch_add(1, Ordering::Relaxed), sale);
    let request = placing(host, &order.key, order.body());
    let placed = move |answer: &Answer| {
        if answer.status != 201 {
            return Err(anyhow!("placing an order: {}", answer.shown()));
        }
        let path = path_of(answer).unwrap_or_default();
        Ok(PlacedOrder { key: order.key.clone(), body: order.body(), seats: order.seats, path })
    };
    (request, placed)
}

/// Where the order is that an answer speaks of.
fn path_of(answer: &Answer) -> Option<String> {
    answer.headers.get(LOCATION)?.to_str().ok().map(String::from)
}

fn placing(host: &HeaderValue, key: &str, body: String) -> HttpRequest {
    let mut request = post(host, "/v1/orders", body);
    request.headers_mut().insert("idempotency-key", HeaderValue::try_from(key).expect("keys are ASCII"));
    request
}

/// What a client wants.
struct Order {
    key: String,
    event: u32,
    user: u64,
    seats: [u64; SEATS_PER_ORDER as usize],
}

impl Order {
    fn new(number: u64, event: u32) -> Order {
        let first = number * SEATS_PER_ORDER + 1;
        let key = format!("bench-{number}");
        // A token is of one user.
        let user = if sends_token() { TOKEN_USER } else { 1 + number % 1_000_000 };
        Order { key, event, user, seats: [first, first + 1, first + 2] }
    }

    fn at(number: u64, sale: Option<Sale>) -> Order {
        let Some(sale) = sale else {
            return Order::new(number, PENDING_EVENT);
        };
        let order = Order::new(number, sale.event);
        let seats = order.seats.map(|seat| sale.sold_to + seat);
        Order { key: uuid::Uuid::new_v4().to_string(), seats, ..order }
    }

    fn body(&self) -> String {
        let [a, b, c] = self.seats;
        format!(r#"{{"user_id":{},"event_id":{},"seats":[{a},{b},{c}]}}"#, self.user, self.event)
    }
}

/// Whether a JSON text has a member of this name and text value anywhere, without reading all of it.
fn has_member(json: &[u8], name: &str, value: &str) -> bool {
    let Ok(text) = std::str::from_utf8(json) else {
        return false;
    };
    text.match_indices(name).any(|(place, name)| {
        let after = text[place + name.len()..].strip_prefix('"').map(str::trim_start);
        let after = after.and_then(|after| after.strip_prefix(':')).map(str::trim_start);
        let after = after.and_then(|after| after.strip_prefix('"')?.strip_prefix(value));
        text[..place].ends_with('"') && after.is_some_and(|after| after.starts_with('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use hyper::{HeaderMap, StatusCode};
    use serde_json::Value;
    use std::collections::HashSet;

    const HOST: HeaderValue = HeaderValue::from_static("127.0.0.1:1");

    fn answer(status: u16, body: &'static str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) }
    }

    fn workload(scenario: Scenario) -> Workload {
        let (_, placed) = new_order(&HOST, None);
        let mut placed = placed(&answer(201, "{}")).unwrap();
        placed.is_at("some-id");
        Workload::new(scenario, HOST, Arc::from([placed]))
    }

    async fn sent(request: HttpRequest) -> (String, Value) {
        let key = request.headers().get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        (key.unwrap_or_default(), serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn no_two_orders_share_a_seat_or_a_key() {
        let (mut keys, mut seats) = (HashSet::new(), HashSet::new());
        for scenario in [Scenario::Place, Scenario::Life, Scenario::Place] {
            let workload = workload(scenario);
            for _ in 0..50 {
                let (key, body) = sent(workload.request()).await;
                assert!(keys.insert(key), "{body}");
                assert_eq!(body["event_id"], if scenario == Scenario::Life { 1001 } else { 101 });
                let asked = body["seats"].as_array().unwrap();
                assert_eq!(asked.len(), 3);
                assert!(asked.iter().all(|seat| seats.insert(seat.to_string())), "{body}");
            }
        }
    }

    #[tokio::test]
    async fn known_orders_are_read_repeated_and_wanted_by_others() {
        assert_eq!(workload(Scenario::Read).request().uri().path(), "/v1/orders/some-id");
        assert_eq!(workload(Scenario::Metrics).request().uri().path(), "/metrics");
        let replay = workload(Scenario::Replay);
        let (key, body) = sent(replay.request()).await;
        let known: Value = serde_json::from_str(&replay.orders[0].body).unwrap();
        assert_eq!((key, body), (replay.orders[0].key.clone(), known));
        let refused = workload(Scenario::Refused);
        let (key, body) = sent(refused.request()).await;
        assert_ne!(key, refused.orders[0].key);
        assert_eq!(body["seats"][0], refused.orders[0].seats[0]);
        assert_eq!(body["user_id"], 2_000_000);
    }

    #[tokio::test]
    async fn where_an_event_is_sold_to_some_seat_orders_go_beyond_it() {
        let place = workload(Scenario::Place).at(Sale { event: 203, sold_to: 5_000 });
        let (key, body) = sent(place.request()).await;
        assert!(uuid::Uuid::parse_str(&key).is_ok(), "{key}");
        assert_eq!(body["event_id"], 203);
        assert!(body["seats"].as_array().unwrap().iter().all(|seat| seat.as_u64() > Some(5_000)), "{body}");
    }

    #[test]
    fn a_sweep_that_found_something_is_complained_about() {
        let sweep = workload(Scenario::Sweep);
        assert_eq!(sweep.error_in(&answer(200, r#"{"messages":0,"orders":0}"#)), None);
        assert!(sweep.error_in(&answer(200, r#"{"messages":0,"orders":1}"#)).is_some());
    }

    #[test]
    fn an_answer_that_is_not_as_it_should_be_is_complained_about() {
        let place = workload(Scenario::Place);
        assert_eq!(
            place.error_in(&answer(201, r#"{"order" : {"status":"PENDING", "phase" : "awaiting_payment"}}"#)),
            None
        );
        let error_in = place.error_in(&answer(202, r#"{"order":{"phase":"charging"}}"#)).unwrap();
        assert_eq!(error_in, r#"place: 202 Accepted {"order":{"phase":"charging"}}"#);
        assert!(place.error_in(&answer(201, r#"{"order":{"phase":"awaiting"}}"#)).is_some());
        let refused = workload(Scenario::Refused);
        assert_eq!(refused.error_in(&answer(409, r#"{"code":"seats_unavailable"}"#)), None);
        assert!(refused.error_in(&answer(409, r#"{"code":"event_not_on_sale"}"#)).is_some());
        assert!(workload(Scenario::Replay).error_in(&answer(201, "{}")).is_some());
    }
}
