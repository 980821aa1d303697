//! Quiesces the service after the faults: sweeps until no work is pending.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::cancelled_event;
use super::injection::Injection;
use super::operator;
use super::payment_provider::PaymentProvider;
use super::testbed::{TOKEN, Testbed};
use crate::peers::PaymentStatus;

/// How long the service may take to quiesce without faults, with all waits expired.
const QUIESCE_LIMIT: Duration = Duration::from_secs(120);
/// Sweep interval while there are faults.
const SWEEP_INTERVAL: Duration = Duration::from_millis(400);
/// Maximum number of concurrent sweeps.
const MAX_CONCURRENT_SWEEPS: usize = 6;
const NOW: &str = "timezone('utc', clock_timestamp())";

/// Pending work: every order that is neither `done` nor waits for its payment until it expires.
const PENDING: &str = "phase <> 'done' AND NOT (phase = 'awaiting_payment' AND due_at >= expires_at
                    AND expires_at > timezone('utc', clock_timestamp()))";

/// Requests a sweep per interval, as a deployment's cron job does, until this future is dropped.
pub async fn sweep_periodically(testbed: Arc<Testbed>) {
    let free = Arc::new(tokio::sync::Semaphore::new(MAX_CONCURRENT_SWEEPS));
    let mut replica = 0;
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        replica = 1 - replica;
        if let Ok(permit) = free.clone().try_acquire_owned() {
            let testbed = testbed.clone();
            tokio::spawn(async move {
                let _ = sweep(&testbed, replica).await;
                drop(permit);
            });
        }
    }
}

/// Requests a sweep of one replica.
async fn sweep(testbed: &Testbed, replica: usize) -> Result<()> {
    let request = testbed.client.post(format!("{}/internal/sweep", testbed.urls[replica])).bearer_auth(TOKEN);
    let answer = request.send().await?;
    if !answer.status().is_success() {
        bail!("a sweep was answered with {}: {}", answer.status(), answer.text().await?);
    }
    Ok(())
}

/// Drives the service until no work is pending, including what waits for a back-off, for a callback that was dropped, or
/// for the lease of a host that was killed.
///
/// # Errors
/// When work is still pending after `QUIESCE_LIMIT`: the error lists it.
pub async fn quiesce(testbed: &Testbed, provider: &PaymentProvider) -> Result<()> {
    drain(testbed).await?;
    provider.redeliver_unacknowledged().await?;
    // Expires all orders that are not paid.
    let expire = format!(
        "UPDATE orders SET expires_at = {NOW} - interval '1 second', due_at = {NOW} WHERE phase = 'awaiting_payment'"
    );
    testbed.run(&expire).await?;
    drain(testbed).await?;
    pay_expired_orders(testbed).await?;
    for _ in 0..2 {
        let watched = format!(
            "UPDATE orders SET watch_at = {NOW} WHERE watch_at IS NOT NULL;
             UPDATE payment_refunds SET due_at = {NOW} WHERE due_at IS NOT NULL;"
        );
        testbed.run(&watched).await?;
        drain(testbed).await?;
    }
    Ok(())
}

async fn drain(testbed: &Testbed) -> Result<()> {
    let deadline = Instant::now() + QUIESCE_LIMIT;
    let (mut before, mut replica) = (String::new(), 0);
    loop {
        replica = 1 - replica;
        sweep(testbed, replica).await?;
        operator::redrive_if_needed(testbed).await?;
        let pending = pending_work(testbed).await?;
        let busy = testbed.control.open_calls().await? > 0;
        if pending.is_empty() && !busy {
            return Ok(());
        }
        if pending == before && !busy {
            expire_waits(testbed).await?;
        }
        if Instant::now() > deadline {
            bail!("this is left to do, and does not get done: {pending}");
        }
        before = pending;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Lists the pending orders, second payments, outbox messages and events that the sink has not taken; empty when there are none.
async fn pending_work(testbed: &Testbed) -> Result<String> {
    let orders = format!(
        "SELECT format('order %s %s v%s', id, phase, version) AS t FROM orders WHERE ({PENDING}) OR watch_at <= {NOW}"
    );
    // One that is undecided is only watched, a check as long as Payment shows the payment as such.
    let payments = format!(
        "SELECT format('second payment %s %s', payment_id, attempts) AS t FROM payment_refunds
         WHERE settled_at IS NULL AND (NOT undecided OR payment_id IS NULL AND NOT watched OR due_at <= {NOW})"
    );
    let messages =
        "SELECT format('message %s %s: %s', id, attempts, last_error) AS t FROM outbox WHERE dead_at IS NULL";
    let events = "SELECT format('events of %s for %s from %s on, %s attempts: %s', order_id, sink, next, attempts, tried) AS t
                  FROM event_deliveries WHERE next <= last OR due_at IS NOT NULL";
    let sql = format!(
        "SELECT t FROM ({orders} UNION ALL {payments} UNION ALL {messages} UNION ALL {events}) x ORDER BY t"
    );
    let rows: Vec<Value> = testbed.rows(&sql).await?;
    Ok(rows.iter().filter_map(|row| row["t"].as_str()).collect::<Vec<_>>().join(", "))
}

/// Makes everything due that waits for a time. Only called when no call to a peer is open and nothing changed since the last
/// sweep: a lease that is still held then belongs to a host that was killed.
async fn expire_waits(testbed: &Testbed) -> Result<()> {
    // No call is open, so none can take effect late.
    let sql = format!(
        "UPDATE orders SET in_flight_until = {NOW} WHERE {PENDING} AND in_flight_until > {NOW};
         UPDATE orders SET due_at = {NOW} WHERE {PENDING} AND due_at > {NOW};
         UPDATE payment_refunds SET due_at = {NOW} WHERE (NOT undecided OR payment_id IS NULL AND NOT watched) AND due_at > {NOW};
         UPDATE outbox SET due_at = {NOW} WHERE dead_at IS NULL AND due_at > {NOW};
         UPDATE event_deliveries SET due_at = {NOW} WHERE due_at > {NOW};
         UPDATE event_sinks SET paused_until = NULL WHERE paused_until > {NOW};"
    );
    testbed.run(&sql).await
}

/// Late payments: settles half of the pending payments as `SUCCESS` after their orders have expired, without callbacks; all of
/// those whose event is to be cancelled before.
async fn pay_expired_orders(testbed: &Testbed) -> Result<()> {
    let mut random = StdRng::seed_from_u64(testbed.plan.seed);
    let cancelled_event: HashMap<i64, i64> = testbed
        .plan
        .buyers
        .iter()
        .filter_map(|buyer| Some((buyer.user_id, buyer.cancelled_event?)))
        .collect();
    for new in testbed.control.payments_from(0).await? {
        let payment = new.payment;
        if let Some(event_id) = new.user_id.and_then(|user_id| cancelled_event.get(&user_id)) {
            cancelled_event::cancel_and_pay(testbed, *event_id, &payment).await?;
            continue;
        }
        if payment.status != PaymentStatus::Pending || !random.random_bool(0.5) {
            continue;
        }
        testbed
            .control
            .settle_payment(&payment.id, &[PaymentStatus::Pending], PaymentStatus::Success)
            .await?;
        testbed.injections.add(Injection::PaidLate);
        testbed.injections.add(Injection::CallbackDropped);
    }
    Ok(())
}
