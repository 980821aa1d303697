//! Events that are cancelled before the money for them comes: an order of theirs expires, Catalog shows the event as cancelled, and
//! only then its payment succeeds.

use std::time::Duration;

use anyhow::Result;

use super::injection::Injection;
use super::testbed::Testbed;
use crate::peers::{Payment, PaymentStatus};

/// Poll interval for the end of an order.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Waits until the order has expired; false when it ends otherwise, or when waits are skipped before.
///
/// A database that does not answer has not ended the order.
pub async fn wait_until_expired(testbed: &Testbed, order_id: &str) -> bool {
    loop {
        let status = status_of(testbed, order_id).await.unwrap_or_else(|_| "PENDING".into());
        if status != "PENDING" {
            return status == "CANCELLED";
        }
        if testbed.skips_waits() {
            return false;
        }
        testbed.wait(POLL_INTERVAL).await;
    }
}

/// Cancels the event, and then lets the pending payment of an order that has expired succeed, without a callback; false when the
/// payment is not pending.
///
/// # Errors
/// When the sandbox does not answer.
pub async fn cancel_and_pay(testbed: &Testbed, event_id: i64, payment: &Payment) -> Result<bool> {
    testbed.control.put_event(event_id, "CANCELLED").await?;
    let from = [PaymentStatus::Pending];
    let is_paid = testbed.control.settle_payment(&payment.id, &from, PaymentStatus::Success).await?.is_some();
    if is_paid {
        testbed.injections.add(Injection::PaidAfterCancelledEvent);
    }
    Ok(is_paid)
}

async fn status_of(testbed: &Testbed, order_id: &str) -> Result<String> {
    let client = testbed.database.connect().await?;
    let sql = format!("SELECT status FROM orders WHERE id = '{order_id}'");
    Ok(client.query_one(&sql, &[]).await?.try_get(0)?)
}
