//! The span of a transition of an order, in which its statement is and to which the journal's entry belongs.

use crate::db::DbError;
use crate::db::transition::StoreOutcome;
use crate::domain::order::Order;
use crate::domain::saga::Transition;
use crate::telemetry::tracing::current;
use crate::telemetry::tracing::ended::Kind;
use crate::telemetry::tracing::span::Span;

/// Begins the span of an event of this name, by which an order goes on from one phase to another one, or to the same.
pub fn begin(before: &Order, transition: &Transition, event: &'static str) -> Option<Span> {
    let mut span = current::begin(Kind::Internal, || "order transition".into())?;
    if span.is_recorded() {
        let after = &transition.order;
        span.set("order_service.order.id", before.id.0.to_string());
        span.set("order_service.event", event);
        span.set("order_service.phase.from", before.phase.as_str());
        span.set("order_service.phase.to", after.phase.as_str());
        span.set("order_service.status.from", before.status.as_str());
        span.set("order_service.status.to", after.status.as_str());
    }
    Some(span)
}

/// Ends it. That a concurrent transition came first is no error: the event is decided on again.
pub fn end(span: Option<Span>, outcome: &Result<StoreOutcome, DbError>) {
    let Some(mut span) = span else { return };
    match outcome {
        Ok(StoreOutcome::Stored(..)) => span.set("order_service.outcome", "stored"),
        Ok(StoreOutcome::Conflict(..)) => span.set("order_service.outcome", "conflict"),
        Ok(StoreOutcome::SeatsClaimed(_)) => span.set("order_service.outcome", "seats_claimed"),
        Ok(StoreOutcome::ForeignPayment(_)) => span.set("order_service.outcome", "foreign_payment"),
        Ok(StoreOutcome::Gone) => span.fail("order_gone"),
        Err(error) => span.fail(error.error_type()),
    }
    span.end();
}
