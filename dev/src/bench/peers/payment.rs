//! Payment: every charge is accepted, and the callback is sent for those that succeed at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::Uri;
use uuid::Uuid;

use super::is_paid_at_once;
use crate::bench::http::{Connection, host_of, post};
use crate::peers::PaymentStatus;
use crate::peers::answer::Answer;
use crate::peers::contract::shapes::{self, Charge, Paid, Refund};

/// How long Payment waits for the answer to a callback.
const CALLBACK_LIMIT: Duration = Duration::from_secs(2);
/// It leaves the version and the variant of a UUID as they are.
const ORDER_TO_PAYMENT: u128 = 0x5a5a_5a5a_5a5a_0a5a_0a5a_5a5a_5a5a_5a5a;

/// The charges by order, and the callback target.
#[derive(Default)]
pub(super) struct Payment {
    charges: Mutex<HashMap<Uuid, Charged>>,
    callback: Mutex<Option<Callback>>,
}

/// What was charged for an order.
#[derive(Clone)]
struct Charged {
    amount_cents: i64,
    currency: String,
    refunded: bool,
}

/// The callback target with its idle connections (a pool).
struct Callback {
    address: SocketAddr,
    path: String,
    idle: Vec<Connection>,
}

impl Payment {
    /// Sets the callback URL. Only IP addresses: name resolution takes time.
    pub fn call_back(&self, url: &str) -> Result<()> {
        *self.callback() = Some(Callback::to(url)?);
        Ok(())
    }

    pub async fn charge(&self, request: Charge) -> Answer {
        if request.amount_cents < 1 || !request.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Answer::error(400, "invalid body");
        }
        let order = request.merchant_order_id;
        let new = Charged { amount_cents: request.amount_cents, currency: request.currency, refunded: false };
        let (charged, is_new) = match self.charges().entry(order) {
            Entry::Occupied(known) => (known.get().clone(), false),
            Entry::Vacant(place) => (place.insert(new).clone(), true),
        };
        if is_new && is_paid_at_once(charged.amount_cents) && !self.send_callback(order).await {
            return Answer::error(500, "callback failed");
        }
        charged.shown(order, |paid| Answer::json(200, &paid.charged()))
    }

    pub fn payment(&self, id: &str) -> Answer {
        let order = Uuid::try_parse(id).map(other_id).ok();
        let found = order.and_then(|order| Some((order, self.charges().get(&order)?.clone())));
        let not_found = || Answer::error(404, "not found");
        found.map_or_else(not_found, |(order, charged)| {
            charged.shown(order, |paid| Answer::json(200, &paid.shown()))
        })
    }

    pub fn refund(&self, request: &Refund) -> Answer {
        let order = Uuid::try_parse(&request.payment_id).map(other_id).ok();
        let mut charges = self.charges();
        match order.and_then(|order| charges.get_mut(&order)) {
            Some(charged) if charged.status() == PaymentStatus::Success => {
                charged.refunded = true;
                Answer::json(200, &shapes::refunded(&request.payment_id, charged.status()))
            }
            Some(_) => Answer::error(400, "payment is not SUCCESS"),
            None => Answer::error(404, "not found"),
        }
    }

    /// Sends the callback of a successful payment; true when it was acknowledged, or when there is no callback URL.
    async fn send_callback(&self, order: Uuid) -> bool {
        let taken = self.callback().as_mut().map(|callback| {
            let connection = callback.idle.pop().unwrap_or_else(|| Connection::to(callback.address));
            (connection, callback.address, callback.path.clone())
        });
        let Some((mut connection, address, path)) = taken else {
            return true;
        };
        let (order, payment) = (order.to_string(), other_id(order).to_string());
        let news = shapes::callback(&order, &payment, PaymentStatus::Success).to_string();
        let request = post(&host_of(address), &path, news);
        let Ok(Ok(answer)) = tokio::time::timeout(CALLBACK_LIMIT, connection.ask(request)).await else {
            return false;
        };
        if let Some(callback) = self.callback().as_mut().filter(|callback| callback.address == address) {
            callback.idle.push(connection);
        }
        answer.status.is_success()
    }

    fn charges(&self) -> MutexGuard<'_, HashMap<Uuid, Charged>> {
        self.charges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn callback(&self) -> MutexGuard<'_, Option<Callback>> {
        self.callback.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Charged {
    fn status(&self) -> PaymentStatus {
        match (is_paid_at_once(self.amount_cents), self.refunded) {
            (_, true) => PaymentStatus::Refunded,
            (true, false) => PaymentStatus::Success,
            (false, false) => PaymentStatus::Pending,
        }
    }

    fn shown<T>(&self, order: Uuid, show: impl FnOnce(&Paid<'_>) -> T) -> T {
        let payment = other_id(order);
        show(&Paid {
            id: &payment.to_string(),
            order_id: &order.to_string(),
            provider_txn_id: &format!("TXN-{}", payment.simple()),
            status: self.status(),
            amount_cents: self.amount_cents,
            currency: &self.currency,
        })
    }
}

impl Callback {
    fn to(url: &str) -> Result<Callback> {
        let uri: Uri = url.trim().parse().with_context(|| format!("the callback URL {url:?}"))?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            bail!("the callback URL {url:?} is not one of http");
        };
        let address =
            authority.as_str().parse().with_context(|| format!("the callback URL {url:?} has no address"))?;
        Ok(Callback { address, path: uri.path().to_owned(), idle: Vec::new() })
    }
}

/// The payment of an order, and the order of a payment.
fn other_id(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128() ^ ORDER_TO_PAYMENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::peers::{FIRST_PAID_EVENT, price_cents};

    #[test]
    fn an_order_and_its_payment_lead_to_each_other() {
        let order = Uuid::new_v4();
        let payment = other_id(order);
        assert_ne!(payment, order);
        assert_eq!((other_id(payment), payment.get_version_num()), (order, 4));
    }

    #[tokio::test]
    async fn what_was_paid_can_be_asked_for_and_goes_back_once() {
        let payment = Payment::default();
        let order = Uuid::new_v4();
        let amount_cents = 3 * price_cents(FIRST_PAID_EVENT);
        let charge = Charge { merchant_order_id: order, amount_cents, currency: "INR".into() };
        let charged: serde_json::Value = serde_json::from_slice(&payment.charge(charge).await.body).unwrap();
        assert_eq!(
            (&charged["status"], &charged["merchant_order_id"]),
            (&"SUCCESS".into(), &order.to_string().into())
        );
        let id = charged["id"].as_str().unwrap();
        let refund = || payment.refund(&Refund { payment_id: id.to_owned() }).status;
        assert_eq!((payment.payment(id).status, refund(), refund()), (200, 200, 400));
        assert_eq!(payment.payment(&order.to_string()).status, 404);
    }
}
