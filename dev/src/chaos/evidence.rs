//! What the checker looks at: the order database, what the peers recorded, and what users were told.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::log::Exchange;
use super::world::{self, TOKEN, World};
use crate::peers::{CallbackRecord, Control, Payment, RecordedCall, SeatStatus};
use crate::postgres::Database;

/// An order's row with all that hangs on it.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Order {
    pub id: String,
    pub idempotency_key: String,
    pub user_id: i64,
    pub event_id: i64,
    /// As asked for.
    pub seats: Vec<i64>,
    pub status: String,
    pub phase: String,
    pub hold: String,
    pub failure_code: Option<String>,
    pub currency: String,
    pub subtotal_cents: Option<i64>,
    pub tax_cents: Option<i64>,
    pub total_cents: Option<i64>,
    pub payment_id: Option<String>,
    pub payment_status: Option<String>,
    pub version: i64,
    /// Whether it is in time to be paid.
    pub in_time: bool,
    /// Whether it has a time at which something is to be done.
    pub has_due: bool,
    /// Whether a person is asked to look at it.
    pub parked: bool,
    pub items: Vec<Item>,
    pub tickets: Vec<Ticket>,
    /// The seats that are claimed for it.
    pub claims: Vec<i64>,
    pub journal: Vec<Entry>,
    pub outbox: Vec<Waiting>,
    /// Every state that it went through.
    pub steps: Vec<Step>,
    /// Every message that was ever put into the outbox for it.
    pub messages: Vec<Message>,
    /// The whole row, for people.
    pub row: Value,
}

/// A seat with the price that it was sold at.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Item {
    pub seat_id: i64,
    pub cents: i64,
}

/// A ticket.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Ticket {
    pub seat_id: i64,
    pub ticket_code: String,
    pub void: bool,
}

/// An entry of the journal.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Entry {
    pub seq: i64,
    pub r#type: String,
    pub actor: String,
    pub at: String,
    pub data: Value,
}

/// A message that was not delivered yet.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Waiting {
    pub id: String,
    pub kind: String,
    pub attempts: i64,
    pub dead: bool,
    pub last_error: Option<String>,
}

/// A state that an order went through, as the witness saw it.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Step {
    pub version: i64,
    pub status: String,
    pub phase: String,
    pub at: String,
}

/// A message, as the witness saw it come into being.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Message {
    pub id: String,
    pub kind: String,
}

/// A seat that Seating does not have for sale.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Seat {
    pub status: SeatStatus,
    pub order_id: Option<String>,
    pub reserved_by: Option<i64>,
}

/// Everything there is to look at, once nothing moves any more.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The orders.
    pub orders: Vec<Order>,
    /// All payments.
    pub payments: Vec<Payment>,
    /// Seats by number; those that are free are left out.
    pub seats: BTreeMap<i64, Seat>,
    /// What Notification took.
    pub notifications: Vec<Value>,
    /// The callbacks that reached us, or did not.
    pub callbacks: Vec<CallbackRecord>,
    /// Every call of a peer.
    pub calls: Vec<RecordedCall>,
    /// What users asked and heard.
    pub exchanges: Vec<Exchange>,
    /// What Seating asks for each seat, in cents.
    pub prices: BTreeMap<i64, i64>,
    /// What `/internal/stuck` shows; `None` when the service has no such endpoint.
    pub stuck: Option<Value>,
    /// The gauges of violations in `/metrics`, by their labels; empty when the service has none.
    pub gauges: BTreeMap<String, f64>,
    /// What the component wrote where only panics and traps go.
    pub panics: String,
}

const ORDERS: &str = "
    SELECT o.id, coalesce(o.idempotency_key, '') AS idempotency_key, o.user_id, o.event_id, o.seats, o.status, o.phase,
        o.hold, o.failure_code, o.currency, o.subtotal_cents, o.tax_cents, o.total_cents, o.payment_id, o.payment_status,
        o.version, coalesce(o.expires_at > timezone('utc', clock_timestamp()), false) AS in_time,
        o.due_at IS NOT NULL AS has_due, to_jsonb(o)->>'parked_at' IS NOT NULL AS parked,
        (SELECT coalesce(jsonb_agg(jsonb_build_object('seat_id', i.seat_id, 'cents', i.seat_price_cents) ORDER BY i.seat_id, i.id), '[]')
         FROM order_items i WHERE i.order_id = o.id) AS items,
        (SELECT coalesce(jsonb_agg(jsonb_build_object('seat_id', t.seat_id, 'ticket_code', t.ticket_code, 'void', t.voided_at IS NOT NULL)
             ORDER BY t.seat_id, t.id), '[]') FROM tickets t WHERE t.order_id = o.id) AS tickets,
        (SELECT coalesce(jsonb_agg(c.seat_id ORDER BY c.seat_id), '[]') FROM seat_claims c WHERE c.order_id = o.id) AS claims,
        (SELECT coalesce(jsonb_agg(to_jsonb(e) ORDER BY e.seq), '[]') FROM order_events e WHERE e.order_id = o.id) AS journal,
        (SELECT coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'kind', m.kind, 'attempts', m.attempts,
             'dead', m.dead_at IS NOT NULL, 'last_error', m.last_error)), '[]') FROM outbox m WHERE m.order_id = o.id) AS outbox,
        (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.version, s.at), '[]') FROM witness.steps s WHERE s.order_id = o.id) AS steps,
        (SELECT coalesce(jsonb_agg(to_jsonb(w) ORDER BY w.at), '[]') FROM witness.messages w WHERE w.order_id = o.id) AS messages,
        to_jsonb(o) AS row
    FROM orders o ORDER BY o.created_at, o.id";

impl Evidence {
    /// Looks at everything of a campaign.
    ///
    /// # Errors
    /// When the database, the sandbox or the service does not answer.
    pub async fn of(world: &World) -> Result<Evidence> {
        let mut evidence = Evidence::of_stores(&world.database, &world.control).await?;
        evidence.exchanges = world.log.all();
        evidence.stuck = stuck(world).await?;
        evidence.gauges = gauges(world).await?;
        for host in &world.hosts {
            evidence.panics += &host.lock().await.error_output();
        }
        Ok(evidence)
    }

    /// Looks at the order database and at the peers.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn of_stores(database: &Database, control: &Control) -> Result<Evidence> {
        let state = control.state().await?;
        let seats = state.seats.into_iter().map(|seat| {
            let known = Seat { status: seat.status, order_id: seat.order_id, reserved_by: seat.reserved_by };
            (seat.id, known)
        });
        Ok(Evidence {
            orders: world::rows(database, ORDERS).await.context("reading the orders")?,
            payments: state.payments,
            seats: seats.collect(),
            notifications: state.notifications,
            callbacks: state.callbacks,
            calls: control.calls().await?.calls,
            ..Evidence::default()
        })
    }

    /// Payments by order.
    pub fn payments_by_order(&self) -> HashMap<&str, Vec<&Payment>> {
        let mut all: HashMap<&str, Vec<&Payment>> = HashMap::new();
        for payment in &self.payments {
            all.entry(&payment.order_id).or_default().push(payment);
        }
        all
    }
}

impl Order {
    /// The seats of the tickets that let somebody in.
    pub fn valid_seats(&self) -> Vec<i64> {
        self.tickets.iter().filter(|ticket| !ticket.void).map(|ticket| ticket.seat_id).collect()
    }

    /// Whether the journal has such an entry.
    pub fn has(&self, kind: &str) -> bool {
        self.journal.iter().any(|entry| entry.r#type == kind)
    }

    /// The seats that were asked for, in ascending order.
    pub fn sorted_seats(&self) -> Vec<i64> {
        let mut seats = self.seats.clone();
        seats.sort_unstable();
        seats
    }
}

async fn stuck(world: &World) -> Result<Option<Value>> {
    let request = world.client.get(format!("{}/internal/stuck", world.urls[0])).bearer_auth(TOKEN);
    let answer = request.send().await?;
    match answer.status().as_u16() {
        200 => Ok(Some(serde_json::from_str(&answer.text().await?)?)),
        // A service from before there was one.
        404 => Ok(None),
        status => anyhow::bail!("/internal/stuck answered {status}: {}", answer.text().await?),
    }
}

async fn gauges(world: &World) -> Result<BTreeMap<String, f64>> {
    let text = world.client.get(format!("{}/metrics", world.urls[1])).send().await?.text().await?;
    let lines = text.lines().filter_map(|line| line.strip_prefix("order_service_invariant_violations{"));
    lines
        .map(|line| {
            let (labels, value) = line.rsplit_once("} ").context("a metric has a value")?;
            Ok((labels.to_owned(), value.trim().parse()?))
        })
        .collect()
}
