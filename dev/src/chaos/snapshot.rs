//! A snapshot of all state for the invariant checker: the order database, the peers' records, and the clients' request log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::request_log::Exchange;
use super::testbed::{self, PRESENT, TOKEN, Testbed};
use crate::peers::{CallbackRecord, Control, Payment, RecordedCall, SeatStatus, TakenEvent};
use crate::postgres::Database;

/// An order's row with the rows of its other tables.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Order {
    pub id: String,
    pub idempotency_key: String,
    pub user_id: i64,
    pub event_id: i64,
    /// In the order of the request.
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
    /// Whether `expires_at` is in the future.
    pub in_time: bool,
    /// Whether `due_at` is set.
    pub has_due: bool,
    /// Whether `parked_at` is set: an operator has to look at it.
    pub parked: bool,
    pub items: Vec<Item>,
    pub tickets: Vec<Ticket>,
    /// Seats of its rows in `seat_claims`.
    pub claims: Vec<i64>,
    pub journal: Vec<JournalEntry>,
    pub outbox: Vec<Waiting>,
    pub deliveries: Vec<Delivery>,
    /// Every recorded change of state, by version.
    pub transitions: Vec<Transition>,
    /// Every message that was ever inserted into the outbox for it, delivered ones included.
    pub messages: Vec<Message>,
    /// The whole row, for the printed history.
    pub row: Value,
}

/// An order item: a seat with the price that it was sold at.
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
pub struct JournalEntry {
    /// The version of its first occurrence.
    pub seq: i64,
    /// How many versions it stands for: attempts of one kind that repeat in a phase are one entry.
    pub count: i64,
    pub r#type: String,
    pub actor: String,
    pub at: String,
    pub data: Value,
    /// The events for other systems that it made, as `[{"type", "data"}]`.
    #[serde(default)]
    pub events: Option<Vec<Value>>,
    /// The number of the first of them.
    #[serde(default)]
    pub sequence: Option<i64>,
}

/// How far a sink of events is in an order: a row of `event_deliveries`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Delivery {
    pub sink: String,
    /// The number of the first event that it has not taken.
    pub next: i64,
    /// The number of the order's last event.
    pub last: i64,
    pub due_at: Option<String>,
    pub dead_at: Option<String>,
}

/// A sink of events as a whole: a row of `event_sinks`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Sink {
    pub sink: String,
    pub off_at: Option<String>,
    pub paused_until: Option<String>,
    pub reason: Option<String>,
}

/// A row of the outbox: a message that is not delivered yet.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Waiting {
    pub id: String,
    pub kind: String,
    pub attempts: i64,
    pub dead: bool,
    pub last_error: Option<String>,
}

/// A change of an order's state, as [`transition_recorder`](super::transition_recorder) recorded it.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Transition {
    pub version: i64,
    pub status: String,
    pub phase: String,
    pub at: String,
}

/// An insert into the outbox, as [`transition_recorder`](super::transition_recorder) recorded it.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Message {
    pub id: String,
    pub kind: String,
}

/// A seat at Seating that is not available.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Seat {
    pub status: SeatStatus,
    pub order_id: Option<String>,
    pub reserved_by: Option<i64>,
}

/// All state after the service has quiesced.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All orders.
    pub orders: Vec<Order>,
    /// The events that Catalog shows as cancelled.
    pub cancelled_events: BTreeSet<i64>,
    /// All payments at Payment.
    pub payments: Vec<Payment>,
    /// Seats at Seating by id, without the available ones.
    pub seats: BTreeMap<i64, Seat>,
    /// Messages that Notification accepted.
    pub notifications: Vec<Value>,
    /// Events that the sink has taken, in the order of their arrival.
    pub events: Vec<TakenEvent>,
    /// What `GET /v1/events` lists, from the first one to the last.
    pub feed: Vec<Value>,
    /// The sinks of events as the database has them.
    pub sinks: Vec<Sink>,
    /// Whether some copies were of a version that makes no events.
    pub some_send_no_events: bool,
    /// Callbacks of Payment, with or without a response.
    pub callbacks: Vec<CallbackRecord>,
    /// Every call that a peer received.
    pub calls: Vec<RecordedCall>,
    /// The clients' request log.
    pub exchanges: Vec<Exchange>,
    /// Price of each seat at Seating, in cents.
    pub prices: BTreeMap<i64, i64>,
    /// The body of `GET /internal/stuck`; `None` when the service has no such endpoint.
    pub stuck: Option<Value>,
    /// The values of `order_service_invariant_violations` in `/metrics` by labels; empty when there is no such metric.
    pub gauges: BTreeMap<String, f64>,
    /// Standard error of the hosts' components: panics and traps.
    pub panics: String,
}

/// How many events of the feed are read at once.
const FEED_PAGE: usize = 500;
/// How long the feed may lack events that are in the journal.
const FEED_LIMIT: Duration = Duration::from_secs(20);

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
        (SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.sink), '[]') FROM event_deliveries d WHERE d.order_id = o.id) AS deliveries,
        (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.version, s.at), '[]') FROM recorder.transitions s WHERE s.order_id = o.id) AS transitions,
        (SELECT coalesce(jsonb_agg(to_jsonb(w) ORDER BY w.at), '[]') FROM recorder.messages w WHERE w.order_id = o.id) AS messages,
        to_jsonb(o) AS row
    FROM orders o ORDER BY o.created_at, o.id";

impl Snapshot {
    /// Takes the snapshot of a campaign.
    ///
    /// # Errors
    /// When the database, the sandbox or the service does not answer.
    pub async fn take(testbed: &Testbed) -> Result<Snapshot> {
        let mut snapshot = Snapshot::of_database_and_peers(&testbed.database, &testbed.control).await?;
        snapshot.exchanges = testbed.request_log.all();
        snapshot.stuck = stuck(testbed).await?;
        snapshot.gauges = gauges(testbed).await?;
        snapshot.feed = feed(testbed, &snapshot.orders).await?;
        snapshot.some_send_no_events = !testbed.all_send_events;
        for host in &testbed.hosts {
            snapshot.panics += &host.lock().await.error_output();
        }
        Ok(snapshot)
    }

    /// Takes the order database and the peers' state only.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn of_database_and_peers(database: &Database, control: &Control) -> Result<Snapshot> {
        let state = control.state().await?;
        let seats = state.seats.into_iter().map(|seat| {
            let known = Seat { status: seat.status, order_id: seat.order_id, reserved_by: seat.reserved_by };
            (seat.id, known)
        });
        let cancelled = state.events.iter().filter(|event| event.status == "CANCELLED");
        Ok(Snapshot {
            cancelled_events: cancelled.map(|event| event.id).collect(),
            orders: testbed::rows(database, ORDERS).await.context("reading the orders")?,
            payments: state.payments,
            seats: seats.collect(),
            notifications: state.notifications,
            events: state.events_taken,
            sinks: testbed::rows(database, "SELECT * FROM event_sinks ORDER BY sink").await?,
            callbacks: state.callbacks,
            calls: control.calls().await?.calls,
            ..Snapshot::default()
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
    /// The seats of the tickets that are not void.
    pub fn valid_seats(&self) -> Vec<i64> {
        self.tickets.iter().filter(|ticket| !ticket.void).map(|ticket| ticket.seat_id).collect()
    }

    /// Whether it is known to cost nothing.
    pub fn is_free(&self) -> bool {
        self.total_cents == Some(0)
    }

    /// Whether the journal has an entry of this type.
    pub fn has(&self, kind: &str) -> bool {
        self.journal.iter().any(|entry| entry.r#type == kind)
    }

    /// The ordered seats, ascending.
    pub fn sorted_seats(&self) -> Vec<i64> {
        let mut seats = self.seats.clone();
        seats.sort_unstable();
        seats
    }
}

async fn stuck(testbed: &Testbed) -> Result<Option<Value>> {
    let request = testbed.client.get(format!("{}/internal/stuck", testbed.urls[0])).bearer_auth(TOKEN);
    let answer = request.send().await?;
    match answer.status().as_u16() {
        200 => Ok(Some(serde_json::from_str(&answer.text().await?)?)),
        // An older service without this endpoint.
        404 => Ok(None),
        status => anyhow::bail!("/internal/stuck answered {status}: {}", answer.text().await?),
    }
}

async fn gauges(testbed: &Testbed) -> Result<BTreeMap<String, f64>> {
    let text = testbed.client.get(format!("{}/metrics", testbed.urls[1])).send().await?.text().await?;
    let lines = text.lines().filter_map(|line| line.strip_prefix("order_service_invariant_violations{"));
    lines
        .map(|line| {
            let (labels, value) = line.rsplit_once("} ").context("a metric has a value")?;
            Ok((labels.to_owned(), value.trim().parse()?))
        })
        .collect()
}

/// What the feed lists. It is read again as long as it lacks events, for a while: it ends where a transaction is open.
async fn feed(testbed: &Testbed, orders: &[Order]) -> Result<Vec<Value>> {
    let made = orders.iter().flat_map(|order| &order.journal).filter_map(|entry| entry.events.as_ref());
    let made: usize = made.map(Vec::len).sum();
    let deadline = Instant::now() + FEED_LIMIT;
    loop {
        let listed = all_pages_of_the_feed(testbed).await?;
        if listed.len() >= made || Instant::now() > deadline {
            return Ok(listed);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn all_pages_of_the_feed(testbed: &Testbed) -> Result<Vec<Value>> {
    let (mut events, mut after) = (Vec::new(), String::new());
    loop {
        let url = format!("{}/v1/events?limit={FEED_PAGE}{after}", testbed.urls[PRESENT]);
        let answer = testbed.client.get(url).bearer_auth(TOKEN).send().await?.error_for_status()?;
        let page: Value = serde_json::from_str(&answer.text().await?)?;
        let listed = page["events"].as_array().context("a page of the feed has events")?;
        if listed.is_empty() {
            return Ok(events);
        }
        events.extend_from_slice(listed);
        after = format!("&after={}", page["next"].as_str().context("a page of the feed has a next one")?);
    }
}
