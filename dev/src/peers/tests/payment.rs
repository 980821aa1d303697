//! Payment's peculiarities.

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// An order service that answers callbacks with `status` after `delay`; tells what it was sent.
pub(super) async fn merchant(
    status: StatusCode,
    delay: Duration,
) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/payments/callback", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            let mut buffer = [0; 4096];
            while !text.ends_with('}') {
                let n = stream.read(&mut buffer).await.unwrap();
                text += std::str::from_utf8(&buffer[..n]).unwrap();
            }
            sender.send(text.split("\r\n\r\n").nth(1).unwrap().to_owned()).unwrap();
            tokio::time::sleep(delay).await;
            let answer =
                format!("HTTP/1.1 {} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", status.as_u16());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, receiver)
}

#[tokio::test]
async fn charge_calls_back_before_it_answers_and_shows_the_final_status_by_then() {
    let s = sandbox().await;
    let (url, mut callbacks) = merchant(StatusCode::OK, Duration::from_millis(300)).await;
    s.control.set_callback_url(Some(&url)).await.unwrap();
    let looking = async {
        let callback: Value = serde_json::from_str(&callbacks.recv().await.unwrap()).unwrap();
        let id = callback["payment_id"].as_str().unwrap().to_owned();
        (callback, s.get(&format!("/payment/v1/payments/{id}")).await)
    };
    let ((code, charged), (callback, (_, seen))) = tokio::join!(s.charge(), looking);
    assert_eq!((code, &charged["status"], &charged["amount_cents"]), (200, &json!("SUCCESS"), &json!(47250)));
    assert_eq!(callback, json!({ "order_id": ORDER, "payment_id": charged["id"], "status": "SUCCESS" }));
    assert_eq!((&seen["status"], &seen["amountCents"]), (&json!("SUCCESS"), &json!(47250)));
    assert_eq!((&seen["merchantOrderId"], &seen["currency"]), (&json!(ORDER), &json!("INR")));
}

#[tokio::test]
async fn charge_with_the_same_key_gives_the_same_payment_and_no_second_callback() {
    let s = sandbox().await;
    let (url, mut callbacks) = merchant(StatusCode::OK, Duration::ZERO).await;
    s.control.set_callback_url(Some(&url)).await.unwrap();
    let first = s.charge().await;
    assert_eq!(s.charge().await, first);
    callbacks.recv().await.unwrap();
    assert!(callbacks.try_recv().is_err());
}

#[tokio::test]
async fn charge_answers_500_when_the_callback_fails_although_the_payment_exists() {
    let s = sandbox().await;
    for delay in [Duration::ZERO, Duration::from_secs(3)] {
        s.control.reset().await.unwrap();
        let status = if delay.is_zero() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        let (url, _callbacks) = merchant(status, delay).await;
        s.control.set_callback_url(Some(&url)).await.unwrap();
        assert_eq!(s.charge().await.0, 500);
        let state = s.control.state().await.unwrap();
        assert_eq!(state.payments_of(ORDER)[0].status, PaymentStatus::Success);
        let callback = &state.callbacks[0];
        assert_eq!(callback.status, delay.is_zero().then_some(503));
        assert!(callback.took_ms < 2500);
        assert_eq!(s.charge().await.1["status"], "SUCCESS");
    }
}

#[tokio::test]
async fn charge_wants_a_key_and_a_sane_body() {
    let s = sandbox().await;
    let url = format!("{}/payment/v1/charge", s.peers.url());
    let without_key = s.client.post(url).json(&charge_body()).send().await.unwrap();
    assert_eq!(without_key.status(), 400);
    for amount in [json!(0), json!(-1), json!(1.5), json!("47250")] {
        let body = json!({ "merchant_order_id": ORDER, "amount_cents": amount, "currency": "INR" });
        assert_eq!(s.post("/payment/v1/charge", body).await.0, 400);
    }
    assert!(s.control.state().await.unwrap().payments.is_empty());
}

#[tokio::test]
async fn payment_modes() {
    let s = sandbox().await;
    let (url, mut callbacks) = merchant(StatusCode::OK, Duration::ZERO).await;
    s.control.set_callback_url(Some(&url)).await.unwrap();

    s.control.payment_mode(Mode::Pending).await.unwrap();
    assert_eq!(s.charge().await.1["status"], "PENDING");
    assert!(callbacks.try_recv().is_err());
    let settled = s.control.settle(ORDER, PaymentStatus::Success).await.unwrap();
    assert_eq!(
        (settled.payment.status, settled.callback.unwrap().status),
        (PaymentStatus::Success, Some(200))
    );
    assert!(callbacks.recv().await.unwrap().contains("SUCCESS"));
    let settled = s.control.settle_silently(ORDER, PaymentStatus::Refunded).await.unwrap();
    assert!(settled.callback.is_none() && callbacks.try_recv().is_err());

    s.control.reset().await.unwrap();
    s.reserve(&[5]).await;
    let seat_5 = Matching { seat_id: Some(5), ..Matching::default() };
    s.control.payment_mode_for(seat_5, Mode::Decline).await.unwrap();
    let (code, body) = s.charge().await;
    assert_eq!((code, &body["status"]), (200, &json!("FAILED")));
    assert!(callbacks.recv().await.unwrap().contains("FAILED"));

    s.control.reset().await.unwrap();
    s.control.payment_mode(Mode::Silent).await.unwrap();
    assert_eq!(s.charge().await.1["status"], "SUCCESS");
    assert!(callbacks.try_recv().is_err());

    let forged = json!({ "order_id": ORDER, "payment_id": "none", "status": "SUCCESS" });
    assert_eq!(s.control.send_callback(&forged).await.unwrap().status, Some(200));
    assert_eq!(serde_json::from_str::<Value>(&callbacks.recv().await.unwrap()).unwrap(), forged);
}

#[tokio::test]
async fn refund_works_once_and_only_for_a_success() {
    let s = sandbox().await;
    let id = s.charge().await.1["id"].clone();
    let refund = || s.post("/payment/v1/refund", json!({ "payment_id": id }));
    assert_eq!(refund().await, (200, json!({ "id": id, "status": "REFUNDED" })));
    assert_eq!(refund().await.0, 400);
    assert_eq!(
        s.get(&format!("/payment/v1/payments/{}", id.as_str().unwrap())).await.1["status"],
        "REFUNDED"
    );
    assert_eq!(s.post("/payment/v1/refund", json!({ "payment_id": "nobody" })).await.0, 404);
    assert_eq!(s.get("/payment/v1/payments/nobody").await.0, 404);
}
