//! The bank behind Payment: it decides pending payments, and tells the order service, late, twice, in the wrong order or
//! not at all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

use super::kinds::Kind;
use super::plan::{Buyer, Delivery, ORDER_TTL_SECONDS, Settlement};
use super::world::World;
use crate::peers::{NewPayment, Payment, PaymentStatus};

/// How often the bank looks for new payments.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// The bank, at work.
pub struct Bank {
    world: Arc<World>,
    buyers: HashMap<i64, Buyer>,
    /// What the order service cannot find out by itself, because a payment that was final became something else: Payment
    /// says it again until it was heard.
    untold: Mutex<Vec<(Payment, PaymentStatus)>>,
}

impl Bank {
    /// Opens.
    pub fn open(world: &Arc<World>) -> Arc<Bank> {
        let buyers = world.plan.buyers.iter().map(|buyer| (buyer.user_id, buyer.clone())).collect();
        Arc::new(Bank { world: world.clone(), buyers, untold: Mutex::default() })
    }

    /// Deals with every payment in its time, until `closing` says so and all that were made are dealt with.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn work(self: Arc<Self>, closing: Arc<AtomicBool>) -> Result<()> {
        let mut tasks = JoinSet::new();
        let mut seen = 0;
        loop {
            let is_closing = closing.load(Ordering::SeqCst);
            let new = self.world.control.payments_from(seen).await?;
            seen += new.len();
            let nothing_new = new.is_empty();
            for NewPayment { payment, user_id } in new {
                let (bank, made) = (self.clone(), Instant::now());
                let buyer = user_id.and_then(|user| self.buyers.get(&user)).cloned();
                if let Some(buyer) = buyer {
                    tasks.spawn(async move { bank.deal_with(&payment, &buyer, made).await });
                }
            }
            while let Some(done) = tasks.try_join_next() {
                done??;
            }
            if is_closing && nothing_new && tasks.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Says once more what the order service must have heard, until it has.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn repeat_what_was_not_heard(&self) -> Result<()> {
        let untold =
            std::mem::take(&mut *self.untold.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        for (payment, status) in untold {
            while !self.tell(&payment, status).await? {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    async fn deal_with(&self, payment: &Payment, buyer: &Buyer, made: Instant) -> Result<()> {
        if let Some(settlement) = buyer.settlement {
            self.settle(payment, settlement, made).await?;
        }
        if let Some(after) = buyer.charge_back {
            self.world.wait(after).await;
            if self.turn(payment, PaymentStatus::Success, PaymentStatus::Refunded).await? {
                self.world.tally.add(Kind::ChargedBack);
                self.tell_or_remember(payment, PaymentStatus::Refunded).await?;
            }
        }
        Ok(())
    }

    async fn settle(&self, payment: &Payment, settlement: Settlement, made: Instant) -> Result<()> {
        use PaymentStatus::{Failed, Pending, Refunded, Success};
        let tally = &self.world.tally;
        if settlement.lapse {
            self.world.wait(settlement.after.min(Duration::from_secs(2)) / 2).await;
            // A database that is down right now lets the hold live on.
            if self.lapse(&payment.order_id).await.unwrap_or(false) {
                tally.add(Kind::HoldLapsed);
            }
        }
        self.world.wait(settlement.after).await;
        let Some(result) = settlement.result else {
            tally.add(Kind::NeverSettled);
            return Ok(());
        };
        let late = made.elapsed() > Duration::from_secs(ORDER_TTL_SECONDS);
        let first = if settlement.delivery == Delivery::NoThenYesReversed { Failed } else { result };
        if !self.turn(payment, Pending, first).await? {
            return Ok(());
        }
        if late {
            tally.add(Kind::PaidLate);
        }
        match settlement.delivery {
            Delivery::Plain => {
                self.tell(payment, result).await?;
            }
            Delivery::Dropped => tally.add(Kind::CallbackDropped),
            Delivery::Repeated(times) => {
                futures::future::try_join_all((0..times).map(|_| self.tell(payment, result))).await?;
                tally.add(Kind::CallbackRepeated);
            }
            Delivery::Delayed(wait) => {
                self.world.wait(wait).await;
                self.tell(payment, result).await?;
                tally.add(Kind::CallbackDelayed);
            }
            Delivery::NoThenYesReversed => {
                self.turn(payment, Failed, Success).await?;
                self.tell_or_remember(payment, Success).await?;
                self.tell(payment, Failed).await?;
                tally.add(Kind::CallbackReordered);
            }
            Delivery::YesThenBackReversed => {
                if self.turn(payment, Success, Refunded).await? {
                    self.tell_or_remember(payment, Refunded).await?;
                }
                self.tell(payment, Success).await?;
                tally.add(Kind::CallbackReordered);
            }
        }
        Ok(())
    }

    /// Decides, if the payment still is what it is thought to be.
    async fn turn(&self, payment: &Payment, from: PaymentStatus, to: PaymentStatus) -> Result<bool> {
        Ok(self.world.control.settle_payment(&payment.id, &[from], to).await?.is_some())
    }

    async fn tell_or_remember(&self, payment: &Payment, status: PaymentStatus) -> Result<()> {
        if !self.tell(payment, status).await? {
            let mut untold = self.untold.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            untold.push((payment.clone(), status));
        }
        Ok(())
    }

    /// One callback; whether it was heard.
    async fn tell(&self, payment: &Payment, status: PaymentStatus) -> Result<bool> {
        let body = json!({ "order_id": payment.order_id, "payment_id": payment.id, "status": status });
        let record = self.world.control.send_callback(&body).await?;
        Ok(record.status == Some(200))
    }

    /// Lets the time of an order whose payment is open run out, and its hold at Seating. First the database, then
    /// Seating: the service never believes in a hold that is gone. A hold that is made meanwhile stays.
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
        let rows = self.world.database.connect().await?.query(&sql, &[]).await?;
        let Some(row) = rows.first() else {
            return Ok(false);
        };
        let lapsed: Lapsed = serde_json::from_str(row.get(0))?;
        self.world.control.expire_holds_of(&lapsed.seats, before_ms).await?;
        Ok(true)
    }
}
