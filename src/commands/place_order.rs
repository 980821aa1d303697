//! Places an order: claims the seats, then drives the saga (reserve, charge, allocate).

use super::Context;
use super::drive::drive;
use crate::db::DbError;
use crate::db::orders::{self, Document, ExistingOrder, InsertOutcome, PlacingRequest};
use crate::domain::ids::OrderId;
use crate::domain::order::{Hold, Order, Phase, Status};
use crate::domain::retry;
use crate::peers::catalog::{self, EventStatus};
use crate::peers::{CallFailure, Outcome};
use crate::telemetry::tracing::current;
use anyhow::anyhow;
use std::time::Duration;
use uuid::Uuid;

/// The outcome of a placing request.
pub enum PlaceOutcome {
    /// There is an order, placed by this request or by an earlier one with the same key and content.
    Order {
        /// The order as it is now.
        order: Box<Order>,
        /// Its document.
        document: Document,
        /// Whether this is a replay: an earlier request placed it.
        replayed: bool,
        /// Whether a database error interrupted this request after the order was stored; a sweep goes on.
        interrupted: bool,
    },
    /// The idempotency key was used for another request.
    KeyReused,
    /// Other live orders have these seats; nothing is stored.
    SeatsTaken(Vec<i32>),
    /// The user has as many unpaid orders as a user may have; nothing is stored. When the first of them expires.
    TooManyOpenOrders(Duration),
    /// The event is not on sale; nothing is stored.
    EventNotOnSale,
    /// Catalog does not know the event; nothing is stored.
    EventNotFound,
    /// Catalog does not answer; nothing is stored.
    CatalogUnavailable(CallFailure),
}

/// Places an order, or finds the one that the same request placed before (idempotent). A replay calls no peer.
///
/// # Errors
/// [`DbError`] when it is not known whether the order is stored for good. An error after that is told with the order.
pub async fn place(context: &Context, request: &PlacingRequest) -> Result<PlaceOutcome, DbError> {
    let config = &context.config;
    // With the event cached as on sale, the insert looks up the idempotency key itself.
    if catalog::cached(config, request.event_id) != Some(EventStatus::OnSale) {
        if let Some(placed) = existing_order(orders::find_by_key(config, request).await?) {
            return Ok(placed);
        }
        match catalog::event(config, request.event_id).await {
            Outcome::Answered(EventStatus::OnSale) => {}
            Outcome::Answered(EventStatus::NotOnSale | EventStatus::Cancelled) => {
                return Ok(PlaceOutcome::EventNotOnSale);
            }
            Outcome::Answered(EventStatus::Unknown) => return Ok(PlaceOutcome::EventNotFound),
            Outcome::NoAnswer(failure) => return Ok(PlaceOutcome::CatalogUnavailable(failure)),
        }
    }

    let id = OrderId(Uuid::now_v7());
    match orders::place(config, id, request).await? {
        InsertOutcome::Placed => {}
        InsertOutcome::SeatsTaken(seats) => return Ok(PlaceOutcome::SeatsTaken(seats)),
        InsertOutcome::TooManyOpen(wait) => return Ok(PlaceOutcome::TooManyOpenOrders(wait)),
        InsertOutcome::Exists(stored) => {
            return existing_order(stored)
                .ok_or_else(|| DbError::Unavailable(anyhow!("the key's order is not visible yet")));
        }
    }
    let shown = match drive_new(context, new_order(context, id, request)).await {
        Ok(shown) => shown,
        Err(error) => {
            context.log_left_to_sweep(id, &error);
            return interrupted(context, request).await;
        }
    };
    let (order, document) = shown.ok_or_else(lost)?;
    Ok(PlaceOutcome::Order { order: Box::new(order), document, replayed: false, interrupted: false })
}

/// Drives a new order on, and loads it when the last statement has not returned its document.
async fn drive_new(context: &Context, order: Order) -> Result<Option<(Order, Document)>, DbError> {
    let driven = drive(context, order).await?;
    match driven.document {
        Some(document) => Ok(Some((driven.order, document))),
        None => orders::load(&context.config, driven.order.id).await,
    }
}

/// The outcome of a request that a database error interrupted after the order was stored: the order, once that is durable. The
/// insert commits asynchronously, and looking the key up waits for it. As long as that is impossible no client is told of the
/// order, because a crash or a failover may have taken it; the repeated request finds it.
async fn interrupted(context: &Context, request: &PlacingRequest) -> Result<PlaceOutcome, DbError> {
    match orders::find_by_key(&context.config, request).await? {
        ExistingOrder::SameRequest(order, document) => {
            Ok(PlaceOutcome::Order { order, document, replayed: false, interrupted: true })
        }
        ExistingOrder::None | ExistingOrder::OtherRequest => Err(lost()),
    }
}

fn lost() -> DbError {
    DbError::Unavailable(anyhow!("the order was lost in a crash of the database"))
}

fn existing_order(stored: ExistingOrder) -> Option<PlaceOutcome> {
    match stored {
        ExistingOrder::None => None,
        ExistingOrder::SameRequest(order, document) => {
            Some(PlaceOutcome::Order { order, document, replayed: true, interrupted: false })
        }
        ExistingOrder::OtherRequest => Some(PlaceOutcome::KeyReused),
    }
}

/// The order as the insert has just stored it.
fn new_order(context: &Context, id: OrderId, request: &PlacingRequest) -> Order {
    Order {
        id,
        version: 1,
        user_id: request.user_id,
        event_id: request.event_id,
        seats: request.seats.ids().to_vec(),
        status: Status::Pending,
        phase: Phase::Reserving,
        hold: Hold::Nothing,
        failure: None,
        currency: context.config.currency.clone(),
        amounts: None,
        payment: None,
        attempts: 0,
        lease: 1,
        expires_in_ms: i64::from(context.config.order_ttl_seconds) * 1_000,
        hold_in_ms: i64::from(retry::HOLD_WINDOW_SECONDS) * 1_000,
        in_flight_ms: 0,
        given_up: false,
        payment_unsure: false,
        refund_again_in_ms: None,
        phase_ms: 0,
        parked: false,
        trace: current::stored(),
    }
}
