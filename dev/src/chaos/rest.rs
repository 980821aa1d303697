//! The end of the faults: the sweeps run until nothing is left to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::bank::Bank;
use super::kinds::Kind;
use super::world::{TOKEN, World};
use crate::peers::PaymentStatus;

/// How long a service without faults may take to do all that is left, with nobody waiting for the clock.
const LIMIT: Duration = Duration::from_secs(120);
/// How often sweeps are asked for while there are faults.
const SWEEP_EVERY: Duration = Duration::from_millis(400);
/// How many sweeps may be under way at the same time.
const SWEEPS: usize = 6;
const NOW: &str = "timezone('utc', clock_timestamp())";

/// An order at rest is done, or waits for its payment until it expires. Everything else is left to do.
const LEFT: &str = "phase <> 'done' AND NOT (phase = 'awaiting_payment' AND due_at >= expires_at
                    AND expires_at > timezone('utc', clock_timestamp()))";

/// Asks for sweeps, as a deployment's clock does, until it is dropped.
pub async fn sweep_now_and_then(world: Arc<World>) {
    let free = Arc::new(tokio::sync::Semaphore::new(SWEEPS));
    let mut copy = 0;
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        copy = 1 - copy;
        if let Ok(permit) = free.clone().try_acquire_owned() {
            let world = world.clone();
            tokio::spawn(async move {
                let _ = sweep(&world, copy).await;
                drop(permit);
            });
        }
    }
}

/// Asks one copy for a sweep.
async fn sweep(world: &World, copy: usize) -> Result<()> {
    let request = world.client.post(format!("{}/internal/sweep", world.urls[copy])).bearer_auth(TOKEN);
    let answer = request.send().await?;
    if !answer.status().is_success() {
        bail!("a sweep was answered with {}: {}", answer.status(), answer.text().await?);
    }
    Ok(())
}

/// Drives the service until nothing is left to do: what waits for its time, for a callback that never came, or for the
/// lease of a host that was killed, included.
///
/// # Errors
/// When it never comes to an end, with what is left.
pub async fn come_to_rest(world: &World, bank: &Bank) -> Result<()> {
    until_nothing_is_left(world).await?;
    bank.repeat_what_was_not_heard().await?;
    // The time of everybody who has not paid is over.
    let expire = format!(
        "UPDATE orders SET expires_at = {NOW} - interval '1 second', due_at = {NOW} WHERE phase = 'awaiting_payment'"
    );
    world.run(&expire).await?;
    until_nothing_is_left(world).await?;
    pay_dead_orders(world).await?;
    for _ in 0..2 {
        world.run(&format!("UPDATE orders SET watch_at = {NOW} WHERE watch_at IS NOT NULL")).await?;
        until_nothing_is_left(world).await?;
    }
    Ok(())
}

async fn until_nothing_is_left(world: &World) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    let (mut before, mut copy) = (String::new(), 0);
    loop {
        copy = 1 - copy;
        sweep(world, copy).await?;
        let left = left(world).await?;
        let busy = world.control.open_calls().await? > 0;
        if left.is_empty() && !busy {
            return Ok(());
        }
        if left == before && !busy {
            make_due(world).await?;
        }
        if Instant::now() > deadline {
            bail!("this is left to do, and does not get done: {left}");
        }
        before = left;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What is left to do, in words; empty when there is nothing.
async fn left(world: &World) -> Result<String> {
    let orders = format!(
        "SELECT format('order %s %s v%s', id, phase, version) AS t FROM orders WHERE ({LEFT}) OR watch_at <= {NOW}"
    );
    let messages =
        "SELECT format('message %s %s: %s', id, attempts, last_error) AS t FROM outbox WHERE dead_at IS NULL";
    let sql = format!("SELECT t FROM ({orders} UNION ALL {messages}) x ORDER BY t");
    let rows: Vec<Value> = world.rows(&sql).await?;
    Ok(rows.iter().filter_map(|row| row["t"].as_str()).collect::<Vec<_>>().join(", "))
}

/// Ends every wait for a time to come. Only called when no peer is at work and nothing moves: whoever waits for longer
/// than that is dead.
async fn make_due(world: &World) -> Result<()> {
    // No call is under way, so none can land any more.
    let sql = format!(
        "UPDATE orders SET in_flight_until = {NOW} WHERE {LEFT} AND in_flight_until > {NOW};
         UPDATE orders SET due_at = {NOW} WHERE {LEFT} AND due_at > {NOW};
         UPDATE outbox SET due_at = {NOW} WHERE dead_at IS NULL AND due_at > {NOW};"
    );
    world.run(&sql).await
}

/// Some of those who never paid do so now, when their orders have long expired, and nobody calls back.
async fn pay_dead_orders(world: &World) -> Result<()> {
    let mut random = StdRng::seed_from_u64(world.plan.seed);
    for new in world.control.payments_from(0).await? {
        let payment = new.payment;
        if payment.status != PaymentStatus::Pending || !random.random_bool(0.5) {
            continue;
        }
        world.control.settle_payment(&payment.id, &[PaymentStatus::Pending], PaymentStatus::Success).await?;
        world.tally.add(Kind::PaidLate);
        world.tally.add(Kind::CallbackDropped);
    }
    Ok(())
}
