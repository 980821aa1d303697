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
    assert_eq!((code, &charged["status"], &charged["amount_cents"]), (201, &json!("SUCCESS"), &json!(47250)));
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
async fn charge_answers_with_the_status_of_a_callback_that_fails_although_the_payment_exists() {
    let s = sandbox().await;
    for status in [400, 402, 404, 409, 503] {
        s.control.reset().await.unwrap();
        let (url, mut callbacks) = merchant(StatusCode::from_u16(status).unwrap(), Duration::ZERO).await;
        s.control.set_callback_url(Some(&url)).await.unwrap();
        let (code, body) = s.charge().await;
        assert_eq!((code, &body["statusCode"]), (status, &json!(status)));
        assert!(body["message"].is_string(), "a list would say that the body is not valid: {body}");
        let state = s.control.state().await.unwrap();
        assert_eq!(state.payments_of(ORDER)[0].status, PaymentStatus::Success);
        assert_eq!(state.callbacks[0].status, Some(status));
        let (code, body) = s.charge().await;
        assert_eq!((code, &body["status"]), (201, &json!("SUCCESS")));
        callbacks.recv().await.unwrap();
        assert!(callbacks.try_recv().is_err(), "it is not sent again");
    }
}

#[tokio::test]
async fn charge_answers_500_when_the_callback_is_too_slow_or_nobody_is_there() {
    let s = sandbox().await;
    let (slow, _callbacks) = merchant(StatusCode::OK, Duration::from_secs(3)).await;
    for url in [slow, "http://127.0.0.1:1/".to_owned()] {
        s.control.reset().await.unwrap();
        s.control.set_callback_url(Some(&url)).await.unwrap();
        let internal = json!({ "statusCode": 500, "message": "Internal server error" });
        assert_eq!(s.charge().await, (500, internal));
        let state = s.control.state().await.unwrap();
        assert_eq!(state.payments_of(ORDER)[0].status, PaymentStatus::Success);
        assert!(state.callbacks[0].status.is_none() && state.callbacks[0].took_ms < 2500);
        assert_eq!(s.charge().await.0, 201);
    }
}

#[tokio::test]
async fn charge_wants_a_key_and_a_sane_body() {
    let s = sandbox().await;
    let url = format!("{}/payment/v1/charge", s.peers.url());
    let without_key = s.client.post(url).json(&charge_body()).send().await.unwrap();
    assert_eq!(without_key.status(), 400);
    let charge = |amount: Value, currency: &str| {
        let body = json!({ "merchant_order_id": ORDER, "amount_cents": amount, "currency": currency });
        s.post("/payment/v1/charge", body)
    };
    for amount in [json!(0), json!(-1), json!(1.5), json!("47250")] {
        let (code, body) = charge(amount, "INR").await;
        assert_eq!((code, &body["error"], &body["statusCode"]), (400, &json!("Bad Request"), &json!(400)));
        assert!(body["message"][0].as_str().unwrap().starts_with("amount_cents must"), "{body}");
    }
    assert_eq!(charge(json!(2_147_483_648_i64), "INR").await.0, 500);
    assert_eq!(charge(json!(1), "ELEVENCHARS").await.0, 500);
    assert!(s.control.state().await.unwrap().payments.is_empty());
    assert_eq!(charge(json!(2_147_483_647), "TENLETTERS").await.0, 201);
    assert_eq!(charge(json!(0), "INR").await.0, 400, "also under a key that has a payment");
    assert_eq!(charge(json!(7), "USD").await.1["amount_cents"], json!(2_147_483_647));
}

#[tokio::test]
async fn a_path_without_a_route_is_what_nest_says_it_is() {
    let s = sandbox().await;
    let nobody = json!({ "message": "Cannot GET /v1/charge", "error": "Not Found", "statusCode": 404 });
    assert_eq!(s.get("/payment/v1/charge").await, (404, nobody));
}

#[tokio::test]
async fn refunds_may_be_accepted_and_done_later_or_never() {
    let s = sandbox().await;
    let id = s.charge().await.1["id"].as_str().unwrap().to_owned();
    let refund = || s.post("/payment/v1/refund", json!({ "payment_id": id }));
    let path = format!("/payment/v1/payments/{id}");
    s.control.refund_mode(RefundMode::Accepted { after_ms: None }).await.unwrap();
    for _ in 0..2 {
        assert_eq!(refund().await, (201, json!({ "id": id, "status": "PENDING" })));
        assert_eq!(s.get(&path).await.1["status"], "SUCCESS");
    }
    s.control.refund_mode(RefundMode::Accepted { after_ms: Some(50) }).await.unwrap();
    assert_eq!(refund().await.1["status"], "PENDING");
    while s.get(&path).await.1["status"] == "SUCCESS" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let state = s.control.state().await.unwrap();
    assert_eq!((state.payments[0].status, state.payments[0].returned), (PaymentStatus::Refunded, 1));
    let calls = s.control.calls().await.unwrap();
    assert!(calls.of(CallName::Refund).all(|call| call.idempotency_key.as_deref() == Some("key")));
}

#[tokio::test]
async fn an_order_may_be_paid_a_second_time() {
    let s = sandbox().await;
    let first = s.charge().await.1["id"].as_str().unwrap().to_owned();
    let (url, mut callbacks) = merchant(StatusCode::OK, Duration::ZERO).await;
    s.control.set_callback_url(Some(&url)).await.unwrap();
    let second = s.control.second_payment(ORDER, PaymentStatus::Success, true).await.unwrap();
    assert_ne!(second.payment.id, first);
    assert!(second.payment.charged_elsewhere);
    assert_eq!((second.payment.amount_cents, second.payment.taken), (47250, 1));
    assert!(callbacks.recv().await.unwrap().contains(&second.payment.id));
    let path = format!("/payment/v1/payments/{}", second.payment.id);
    assert_eq!(s.get(&path).await.1["merchantOrderId"], ORDER);
    let settled = s.control.settle_silently(ORDER, PaymentStatus::Refunded).await.unwrap();
    assert_eq!(settled.payment.id, first, "an order's payment is its first");
}

#[tokio::test]
async fn payment_may_forget_a_payment() {
    let s = sandbox().await;
    let id = s.charge().await.1["id"].as_str().unwrap().to_owned();
    let path = format!("/payment/v1/payments/{id}");
    s.control.forget_payment(&id, true).await.unwrap();
    let nobody = json!({ "message": "Payment not found", "error": "Not Found", "statusCode": 404 });
    assert_eq!(s.get(&path).await, (404, nobody));
    assert_eq!(s.post("/payment/v1/refund", json!({ "payment_id": id })).await.0, 404);
    s.control.forget_payment(&id, false).await.unwrap();
    assert_eq!(s.get(&path).await.0, 200);
    assert_eq!(s.charge().await.1["id"], json!(id));
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
    assert_eq!((code, &body["status"]), (201, &json!("FAILED")));
    assert!(callbacks.recv().await.unwrap().contains("FAILED"));

    s.control.reset().await.unwrap();
    s.control.payment_mode(Mode::Silent).await.unwrap();
    assert_eq!(s.charge().await.1["status"], "SUCCESS");
    assert!(callbacks.try_recv().is_err());

    for (word, status) in [
        ("CANCELLED", PaymentStatus::Cancelled),
        ("EXPIRED", PaymentStatus::Expired),
        ("PROCESSING", PaymentStatus::Processing),
        ("ON_HOLD", PaymentStatus::OnHold),
    ] {
        s.control.reset().await.unwrap();
        s.control.payment_mode(Mode::Ends(status)).await.unwrap();
        let charged = s.charge().await.1;
        assert_eq!(charged["status"], word);
        let path = format!("/payment/v1/payments/{}", charged["id"].as_str().unwrap());
        assert_eq!(s.get(&path).await.1["status"], word);
        assert!(callbacks.try_recv().is_err());
    }

    let forged = json!({ "order_id": ORDER, "payment_id": "none", "status": "SUCCESS" });
    assert_eq!(s.control.send_callback(&forged).await.unwrap().status, Some(200));
    assert_eq!(serde_json::from_str::<Value>(&callbacks.recv().await.unwrap()).unwrap(), forged);
}

#[tokio::test]
async fn refund_works_once_and_only_for_a_success() {
    let s = sandbox().await;
    let id = s.charge().await.1["id"].clone();
    let refund = || s.post("/payment/v1/refund", json!({ "payment_id": id }));
    assert_eq!(refund().await, (201, json!({ "id": id, "status": "REFUNDED" })));
    let again = json!({ "statusCode": 400, "message": "Only successful payments can be refunded" });
    assert_eq!(refund().await, (400, again));
    assert_eq!(
        s.get(&format!("/payment/v1/payments/{}", id.as_str().unwrap())).await.1["status"],
        "REFUNDED"
    );
    let nobody = json!({ "statusCode": 404, "message": "Payment not found" });
    assert_eq!(s.post("/payment/v1/refund", json!({ "payment_id": "nobody" })).await, (404, nobody));
    assert_eq!(s.get("/payment/v1/payments/nobody").await.0, 404);
}
