//! The final state of one order across all systems: the service, Seating, Payment and Notification.

use std::collections::BTreeMap;

use order_dev::peers::{PaymentStatus, SeatStatus};

use super::app::App;

/// The state of one order across all systems.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The order's status.
    pub status: String,
    /// The order's phase.
    pub phase: String,
    /// Who has its seats.
    pub seats: Seats,
    /// Its charges, of which there should never be two. One that was paid back is `Refunded`.
    pub payments: Vec<PaymentStatus>,
    /// What the buyer was told, each message once however often it was sent, in alphabetical order.
    pub told: Vec<String>,
}

/// Who has an order's seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seats {
    /// Nobody.
    Free,
    /// They are held for the order's user.
    Held,
    /// They are allocated to the order.
    Sold,
    /// Somebody else.
    Others,
}

impl Outcome {
    fn new(status: &str, seats: Seats, payments: &[PaymentStatus], told: &[&str]) -> Outcome {
        Outcome {
            status: status.to_owned(),
            phase: "done".to_owned(),
            seats,
            payments: payments.to_vec(),
            told: told.iter().map(|kind| (*kind).to_owned()).collect(),
        }
    }

    /// Paid, with tickets.
    pub fn confirmed() -> Outcome {
        Outcome::new("CONFIRMED", Seats::Sold, &[PaymentStatus::Success], &["ORDER_CONFIRMED"])
    }

    /// Placed, and Payment has not decided.
    pub fn awaiting_payment() -> Outcome {
        let phase = "awaiting_payment".to_owned();
        Outcome { phase, ..Outcome::new("PENDING", Seats::Held, &[PaymentStatus::Pending], &[]) }
    }

    /// Payment said no.
    pub fn declined() -> Outcome {
        Outcome::new("FAILED", Seats::Free, &[PaymentStatus::Failed], &["ORDER_FAILED"])
    }

    /// Given up by the buyer, or by time; with this payment, if there is one.
    pub fn cancelled(payment: Option<PaymentStatus>) -> Outcome {
        Outcome::new("CANCELLED", Seats::Free, payment.as_slice(), &["ORDER_CANCELLED"])
    }

    /// Paid, and the money went back because the seats were lost.
    pub fn paid_back() -> Outcome {
        Outcome::new("REFUNDED", Seats::Free, &[PaymentStatus::Refunded], &["ORDER_REFUNDED"])
    }

    /// Confirmed, and then the money went back.
    pub fn refunded() -> Outcome {
        Outcome::paid_back().after_telling("ORDER_CONFIRMED")
    }

    /// The seats are with these.
    pub fn with_seats(self, seats: Seats) -> Outcome {
        Outcome { seats, ..self }
    }

    /// The buyer was told something else as well.
    pub fn after_telling(mut self, kind: &str) -> Outcome {
        self.told.push(kind.to_owned());
        self.told.sort();
        self
    }
}

impl App {
    /// Collects the state of an order.
    pub async fn outcome(&self, order_id: &str) -> Outcome {
        let document = self.read(order_id).await;
        let sandbox = self.peers.state().await.expect("the sandbox's state");
        let payments = sandbox.payments_of(order_id).iter().map(|payment| payment.status).collect();
        let mut told = BTreeMap::new();
        for message in sandbox.notifications_of(order_id) {
            let text = |name: &str| message[name].as_str().expect("a text").to_owned();
            let other = told.insert(text("id"), text("type"));
            assert!(other.is_none_or(|other| other == text("type")), "one id, two messages: {message}");
        }
        let mut told: Vec<String> = told.into_values().collect();
        told.sort();
        Outcome {
            status: document.status().to_owned(),
            phase: document.phase().to_owned(),
            seats: self.seats_of(order_id).await,
            payments,
            told,
        }
    }

    /// Who has this order's seats, which must be the same for all of them.
    async fn seats_of(&self, order_id: &str) -> Seats {
        let row =
            self.store.rows(&format!("SELECT seats, user_id FROM orders WHERE id = '{order_id}'")).await;
        let mut all = Vec::new();
        for id in row[0]["seats"].as_array().expect("seats").iter().filter_map(|id| id.as_i64()) {
            let seat = self.seat(id).await;
            all.push(match seat.status {
                SeatStatus::Available => Seats::Free,
                SeatStatus::Reserved if seat.reserved_by == row[0]["user_id"].as_i64() => Seats::Held,
                SeatStatus::Allocated if seat.order_id.as_deref() == Some(order_id) => Seats::Sold,
                SeatStatus::Reserved | SeatStatus::Allocated | SeatStatus::Blocked => Seats::Others,
            });
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "some seats are not as the others: {all:?}");
        all[0]
    }
}
