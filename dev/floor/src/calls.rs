//! What a request does, as a list of steps, and where what must be unique comes from.

use uuid::Uuid;

/// What is done for a request.
#[derive(Clone, PartialEq, Debug)]
pub struct Work {
    /// The headers of the request that are looked at.
    pub reads: &'static [&'static str],
    /// Whether the request has a body, which is read to its end.
    pub has_body: bool,
    /// What is waited for.
    pub steps: Vec<Step>,
    /// What is answered then.
    pub answer: Answer,
}

/// An answer, beside `Content-Length`.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// 500, with the reason.
    pub fn failure(reason: String) -> Self {
        Self { status: 500, headers: Vec::new(), body: reason }
    }
}

/// One thing that a request waits for.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// A statement at PostgreSQL, whose rows are read to their end.
    Statement(Statement),
    /// A call of a peer, whose answer is read to its end.
    Call(Call),
}

/// One statement of the service's.
#[derive(Clone, PartialEq, Debug)]
pub struct Statement {
    /// Its text.
    pub sql: &'static str,
    /// Its parameters, in order.
    pub parameters: Vec<Parameter>,
}

/// A parameter of a statement.
#[derive(Clone, PartialEq, Debug)]
pub enum Parameter {
    /// `boolean`
    Bool(bool),
    /// `int4`
    Int(i32),
    /// `int4[]`
    Ints(Vec<i32>),
    /// `int8`
    Long(i64),
    /// NULL
    Null,
    /// `jsonb`, as text.
    Json(String),
    /// `text`
    Text(String),
    /// `text[]`
    Texts(Vec<String>),
    /// `uuid`, as text.
    Uuid(String),
}

/// A `POST` of JSON to a peer.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// The peer.
    pub peer: Peer,
    /// The path below the peer's base URL.
    pub path: &'static str,
    /// The body.
    pub body: String,
    /// Sent as `Idempotency-Key`.
    pub key: Option<String>,
}

/// The peers that are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// Seating.
    Seating,
    /// Payment.
    Payment,
}

/// The headers that every call of the service's has, beside its length and its key.
pub const HEADERS: [(&str, &str); 3] =
    [("accept", "application/json"), ("user-agent", "order-service"), ("content-type", "application/json")];

/// How many seats an order has.
pub const SEATS: usize = 3;

/// What must differ from order to order, because the database says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fresh {
    /// The order's id, also used as idempotency key and as the payment's id.
    pub order: String,
    /// The event.
    pub event: i32,
    /// Its seats, ascending.
    pub seats: [i32; SEATS],
}

/// Fresh ids, one order after the other: the seats of one event in ascending order, as buyers would take them.
#[derive(Debug)]
pub struct Sequence {
    event: i32,
    next_seat: i32,
}

impl Sequence {
    /// A sequence of an event of its own, drawn at random so that no two sequences meet.
    pub fn start() -> Self {
        // The lower half of such an id is random, but for its two highest bits.
        let random = Uuid::now_v7().as_u128();
        let bits = |from: u32, count: u32| ((random >> from) as i32) & ((1 << count) - 1);
        Self { event: 1 + bits(0, 30), next_seat: 1 + bits(30, 29) }
    }

    /// The next order's.
    pub fn next_order(&mut self) -> Fresh {
        let first = self.next_seat;
        self.next_seat += SEATS as i32;
        Fresh {
            order: Uuid::now_v7().to_string(),
            event: self.event,
            seats: std::array::from_fn(|index| first + index as i32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_twice() {
        let (mut one, mut other) = (Sequence::start(), Sequence::start());
        let orders = [one.next_order(), one.next_order(), other.next_order(), other.next_order()];
        for (index, order) in orders.iter().enumerate() {
            assert!(order.event > 0 && order.seats.is_sorted() && order.seats[0] > 0, "{order:?}");
            for later in &orders[index + 1..] {
                assert_ne!(order.order, later.order);
                let common =
                    order.event == later.event && order.seats.iter().any(|seat| later.seats.contains(seat));
                assert!(!common, "{order:?} {later:?}");
            }
        }
    }
}
