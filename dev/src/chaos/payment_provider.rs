//! Simulates the payment provider behind Payment: it settles pending payments and sends the callbacks late, duplicated,
//! reordered or not at all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

use super::cancelled_event;
use super::injection::Injection;
use super::plan::{Buyer, CallbackDelivery, ORDER_TTL_SECONDS, Settlement};
use super::testbed::Testbed;
use crate::peers::{NewPayment, Payment, PaymentStatus};

/// Poll interval for new payments.
const POLL_INTERVAL: Duration = Duration::from_millis(40);

/// Settles the payments of the plan's buyers.
pub struct PaymentProvider {
    testbed: Arc<Testbed>,
    buyers: HashMap<i64, Buyer>,
    /// Callbacks without a 200 about a payment that was final before. The order service does not poll a final payment, so
    /// these are redelivered until they are acknowledged.
    unacknowledged: Mutex<Vec<(Payment, PaymentStatus)>>,
}

impl PaymentProvider {
    /// Settles nothing before [`PaymentProvider::run`].
    pub fn new(testbed: &Arc<Testbed>) -> Arc<PaymentProvider> {
        let buyers = testbed.plan.buyers.iter().map(|buyer| (buyer.user_id, buyer.clone())).collect();
        Arc::new(PaymentProvider { testbed: testbed.clone(), buyers, unacknowledged: Mutex::default() })
    }

    /// Settles every payment when it is due. After `shutdown` is set it ends as soon as no payment is left.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn run(self: Arc<Self>, shutdown: Arc<AtomicBool>) -> Result<()> {
        let mut tasks = JoinSet::new();
        let mut seen = 0;
        loop {
            let is_shutting_down = shutdown.load(Ordering::SeqCst);
            let new = self.testbed.control.payments_from(seen).await?;
            seen += new.len();
            let is_idle = new.is_empty();
            for NewPayment { payment, user_id } in new {
                let (provider, made) = (self.clone(), Instant::now());
                // Those that it made itself are what they are.
                if payment.charged_elsewhere {
                    continue;
                }
                let buyer = user_id.and_then(|user| self.buyers.get(&user)).cloned();
                if let Some(buyer) = buyer {
                    if let Some(after) = buyer.second_payment {
                        let (provider, payment) = (provider.clone(), payment.clone());
                        tasks.spawn(async move { provider.pay_again(&payment, after).await });
                    }
                    tasks.spawn(async move { provider.process(&payment, &buyer, made).await });
                }
            }
            while let Some(done) = tasks.try_join_next() {
                done??;
            }
            if is_shutting_down && is_idle && tasks.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Redelivers the callbacks that the order service must get, until each is acknowledged.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn redeliver_unacknowledged(&self) -> Result<()> {
        let unacknowledged =
            std::mem::take(&mut *self.unacknowledged.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        for (payment, status) in unacknowledged {
            while !self.send_callback(&payment, status).await? {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    async fn process(&self, payment: &Payment, buyer: &Buyer, made: Instant) -> Result<()> {
        match (buyer.settlement, buyer.cancelled_event) {
            (Some(settlement), Some(event_id)) => self.settle_late(payment, settlement, event_id).await?,
            (Some(settlement), None) => self.settle(payment, settlement, made).await?,
            (None, _) => {}
        }
        if let Some(after) = buyer.charge_back {
            self.testbed.wait(after).await;
            if self.transition(payment, PaymentStatus::Success, PaymentStatus::Refunded).await? {
                self.testbed.injections.add(Injection::ChargedBack);
                self.send_or_keep(payment, PaymentStatus::Refunded).await?;
            }
        }
        Ok(())
    }

    /// A second payment of the order, whatever becomes of its charge. The order service learns of it by its callback alone.
    async fn pay_again(&self, payment: &Payment, after: Duration) -> Result<()> {
        self.testbed.wait(after).await;
        let control = &self.testbed.control;
        let second = control.second_payment(&payment.order_id, PaymentStatus::Success, false).await?.payment;
        self.testbed.injections.add(Injection::PaidTwice);
        self.send_or_keep(&second, PaymentStatus::Success).await
    }

    async fn settle(&self, payment: &Payment, settlement: Settlement, made: Instant) -> Result<()> {
        use PaymentStatus::{Failed, Pending, Refunded, Success};
        let injections = &self.testbed.injections;
        self.lapse_if_planned(payment, settlement).await;
        self.testbed.wait(settlement.after).await;
        let Some(result) = settlement.result else {
            injections.add(Injection::NeverSettled);
            return Ok(());
        };
        let late = made.elapsed() > Duration::from_secs(ORDER_TTL_SECONDS);
        let first =
            if settlement.delivery == CallbackDelivery::FailedThenSuccessReordered { Failed } else { result };
        if !self.transition(payment, Pending, first).await? {
            return Ok(());
        }
        if late {
            injections.add(Injection::PaidLate);
        }
        match settlement.delivery {
            CallbackDelivery::Plain => {
                self.send_callback(payment, result).await?;
            }
            CallbackDelivery::Dropped => injections.add(Injection::CallbackDropped),
            CallbackDelivery::Repeated(times) => {
                futures::future::try_join_all((0..times).map(|_| self.send_callback(payment, result)))
                    .await?;
                injections.add(Injection::CallbackRepeated);
            }
            CallbackDelivery::Delayed(wait) => {
                self.testbed.wait(wait).await;
                self.send_callback(payment, result).await?;
                injections.add(Injection::CallbackDelayed);
            }
            CallbackDelivery::FailedThenSuccessReordered => {
                self.transition(payment, Failed, Success).await?;
                self.send_or_keep(payment, Success).await?;
                self.send_callback(payment, Failed).await?;
                injections.add(Injection::CallbackReordered);
            }
            CallbackDelivery::SuccessThenRefundedReordered => {
                if self.transition(payment, Success, Refunded).await? {
                    self.send_or_keep(payment, Refunded).await?;
                }
                self.send_callback(payment, Success).await?;
                injections.add(Injection::CallbackReordered);
            }
        }
        Ok(())
    }

    /// A payment that succeeds after its order has expired and its event is cancelled. What does not come to that before the faults
    /// are over, does so when the service quiesces.
    async fn settle_late(&self, payment: &Payment, settlement: Settlement, event_id: i64) -> Result<()> {
        self.lapse_if_planned(payment, settlement).await;
        self.testbed.wait(settlement.after).await;
        if !cancelled_event::wait_until_expired(&self.testbed, &payment.order_id).await
            || !cancelled_event::cancel_and_pay(&self.testbed, event_id, payment).await?
        {
            return Ok(());
        }
        match settlement.delivery {
            CallbackDelivery::Plain => drop(self.send_callback(payment, PaymentStatus::Success).await?),
            _ => self.testbed.injections.add(Injection::CallbackDropped),
        }
        Ok(())
    }

    async fn lapse_if_planned(&self, payment: &Payment, settlement: Settlement) {
        if settlement.lapse {
            self.testbed.wait(settlement.after.min(Duration::from_secs(2)) / 2).await;
            // While the database is down the hold stays.
            if self.lapse(&payment.order_id).await.unwrap_or(false) {
                self.testbed.injections.add(Injection::HoldLapsed);
            }
        }
    }

    /// Compare and set: changes the payment's status if it still is `from`.
    async fn transition(&self, payment: &Payment, from: PaymentStatus, to: PaymentStatus) -> Result<bool> {
        Ok(self.testbed.control.settle_payment(&payment.id, &[from], to).await?.is_some())
    }

    async fn send_or_keep(&self, payment: &Payment, status: PaymentStatus) -> Result<()> {
        if !self.send_callback(payment, status).await? {
            let mut unacknowledged =
                self.unacknowledged.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            unacknowledged.push((payment.clone(), status));
        }
        Ok(())
    }

    /// Sends one callback; true when it was acknowledged with 200.
    async fn send_callback(&self, payment: &Payment, status: PaymentStatus) -> Result<bool> {
        let body = json!({ "order_id": payment.order_id, "payment_id": payment.id, "status": status });
        let record = self.testbed.control.send_callback(&body).await?;
        Ok(record.status == Some(200))
    }

    /// Expires an order whose payment is open, and its seat hold: first in the database, then at Seating, so that the
    /// service never relies on a hold that is gone. A hold that is made meanwhile stays.
    async fn lapse(&self, order_id: &str) -> Result<bool> {
        #[derive(Deserialize)]
        struct Lapsed {
            seats: Vec<i64>,
        }
        let now = "timezone('utc', clock_timestamp())";
        let before_ms = chrono::Utc::now().timestamp_millis();
        let sql = format!(
            "UPDATE orders SET expires_at = {now} - interval '1 second', hold_until = {now} - interval '1 second',
                    due_at = CASE phase WHEN 'awaiting_payment' THEN {now} ELSE due_at END
             WHERE id = '{order_id}' AND phase IN ('charging', 'awaiting_payment') AND hold = 'reserved'
             RETURNING json_build_object('seats', seats)::text"
        );
        let rows = self.testbed.database.connect().await?.query(&sql, &[]).await?;
        let Some(row) = rows.first() else {
            return Ok(false);
        };
        let lapsed: Lapsed = serde_json::from_str(row.get(0))?;
        self.testbed.control.expire_holds_of(&lapsed.seats, before_ms).await?;
        Ok(true)
    }
}
