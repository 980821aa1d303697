//! The sandbox against what is known of the real services: one test a peculiarity, one a fault.

use serde_json::{Value, json};

mod callbacks;
mod connections;
mod faults;
mod gateway;
mod order_page;
mod payment;
mod record;
mod seating;

use super::*;

const ORDER: &str = "01980000-0000-7000-8000-000000000001";

struct Sandboxed {
    peers: Peers,
    control: Control,
    client: reqwest::Client,
}

async fn sandbox() -> Sandboxed {
    let peers = Peers::start(Options::default()).await.unwrap();
    Sandboxed { control: peers.control(), peers, client: reqwest::Client::new() }
}

impl Sandboxed {
    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.client.get(format!("{}{path}", self.peers.url())).send().await.unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        read(self.send(path, body).await.unwrap()).await
    }

    async fn send(&self, path: &str, body: Value) -> reqwest::Result<reqwest::Response> {
        let request = self.client.post(format!("{}{path}", self.peers.url())).json(&body);
        request.header("idempotency-key", "key").send().await
    }

    async fn reserve(&self, seats: &[i64]) -> (u16, Value) {
        let body = json!({ "eventId": 101, "seatIds": seats, "userId": 7, "orderId": ORDER });
        self.post("/seating/v1/seats/reserve", body).await
    }

    async fn allocate(&self, seats: &[i64]) -> (u16, Value) {
        self.post("/seating/v1/seats/allocate", json!({ "orderId": ORDER, "seatIds": seats })).await
    }

    async fn charge(&self) -> (u16, Value) {
        self.post("/payment/v1/charge", charge_body()).await
    }
}

async fn read(answer: reqwest::Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn charge_body() -> Value {
    json!({ "merchant_order_id": ORDER, "amount_cents": 47250, "currency": "INR" })
}

#[tokio::test]
async fn catalog_knows_its_events() {
    let s = sandbox().await;
    for (id, status) in [(101, "ON_SALE"), (102, "SOLD_OUT"), (103, "CANCELLED"), (104, "ON_SALE")] {
        let (code, body) = s.get(&format!("/catalog/v1/events/{id}")).await;
        assert_eq!((code, &body["id"], &body["status"]), (200, &json!(id), &json!(status)));
    }
    for id in ["999", "0", "-7", "2147483647"] {
        let unknown = s.get(&format!("/catalog/v1/events/{id}")).await;
        assert_eq!(unknown, (404, json!({ "error": "not found" })), "{id}");
    }
    for (id, status) in [("abc", 400), ("1.5", 400), ("-", 400), ("2147483648", 500)] {
        assert_eq!(s.get(&format!("/catalog/v1/events/{id}")).await.0, status, "{id}");
    }
    let (code, page) = s.get("/catalog/v1/nothing").await;
    assert!(code == 404 && page.as_str().unwrap().contains("Cannot GET /v1/nothing"), "{page}");
}

#[tokio::test]
async fn notification_takes_every_message() {
    let s = sandbox().await;
    let message = json!({ "type": "ORDER_CONFIRMED", "order_id": ORDER, "seats": [1, 2] });
    assert_eq!(s.post("/notification/v1/notify", message.clone()).await.0, 202);
    assert_eq!(s.control.state().await.unwrap().notifications_of(ORDER), [&message]);
}
