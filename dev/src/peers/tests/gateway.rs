//! Gateways in front of the peers, and answers that are written in an odd way.

use super::*;

const PATH: &str = "/seating/v1/seats/reserve";

#[tokio::test]
async fn a_gateway_answers_for_every_path_of_a_peer() {
    let s = sandbox().await;
    for (page, member) in [
        (Page::Spring, Some("path")),
        (Page::Nest, Some("statusCode")),
        (Page::Json, Some("detail")),
        (Page::Map, Some("email")),
        (Page::Own, Some("timestamp")),
        (Page::Html, None),
        (Page::Empty, None),
    ] {
        for status in [404, 503, 200] {
            let gateway = FaultRule::on_any(Peer::Seating, Action::gateway(status, page)).always();
            let id = s.control.add_fault(gateway).await.unwrap();
            for (code, body) in [s.reserve(&[1]).await, s.get("/seating/v1/seats/1").await] {
                assert_eq!(code, status, "{page:?}");
                assert_eq!(body.is_object(), member.is_some(), "{page:?} {body}");
                assert!(member.is_none_or(|member| !body[member].is_null()), "{page:?} {body}");
            }
            s.control.remove_fault(id).await.unwrap();
        }
    }
    assert_eq!(s.control.seat(1).await.unwrap().status, SeatStatus::Available);
    assert_eq!(s.get("/catalog/v1/events/101").await.0, 200);
}

#[tokio::test]
async fn what_a_gateway_answers_may_take_effect_later() {
    let s = sandbox().await;
    for (seat, status) in [(1, 500), (2, 503), (3, 504), (4, 408), (5, 429)] {
        let late = Action::late_effect(status, Page::Html, 200);
        s.control.add_fault(FaultRule::on(CallName::Reserve, late)).await.unwrap();
        assert_eq!(s.reserve(&[seat]).await.0, status);
        assert_eq!(s.control.seat(seat).await.unwrap().status, SeatStatus::Available);
        assert_eq!(s.control.open_calls().await.unwrap(), 1, "it is still to come");
        while s.control.open_calls().await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(s.control.seat(seat).await.unwrap().status, SeatStatus::Reserved);
    }
    let at_once = Action::late_effect(503, Page::Html, 0);
    s.control.add_fault(FaultRule::on(CallName::Reserve, at_once)).await.unwrap();
    assert_eq!(s.reserve(&[6]).await.0, 503);
    assert_eq!(s.control.seat(6).await.unwrap().status, SeatStatus::Reserved);
}

#[tokio::test]
async fn any_fault_may_say_when_to_come_back() {
    let s = sandbox().await;
    let header = async |retry_after| {
        let rule = FaultRule::on(CallName::Reserve, Action::gateway(503, Page::Own)).retry_after(retry_after);
        s.control.add_fault(rule).await.unwrap();
        let answer = s.send(PATH, json!({})).await.unwrap();
        answer.headers()["retry-after"].to_str().unwrap().to_owned()
    };
    assert_eq!(header(RetryAfter::Seconds(17)).await, "17");
    let date = header(RetryAfter::Date(60)).await;
    let date = chrono::DateTime::parse_from_rfc2822(&date).unwrap();
    let seconds = (date.to_utc() - chrono::Utc::now()).num_seconds();
    assert!((57..=60).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn an_answer_may_be_written_in_an_odd_way() {
    let s = sandbox().await;
    let odd = Action::Rewrite {
        status: Some(202),
        patch: Some(json!({ "amount_cents": 47250.0, "currency": "inr", "merchantOrderId": "other" })),
        both_spellings: true,
        byte_order_mark: true,
    };
    s.control.add_fault(FaultRule::on(CallName::Charge, odd)).await.unwrap();
    let answer = s.send("/payment/v1/charge", charge_body()).await.unwrap();
    assert_eq!(answer.status(), 202);
    let bytes = answer.bytes().await.unwrap();
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap()).unwrap();
    assert!(text.contains("\"amount_cents\":47250.0") && text.contains("\"amountCents\":47250"), "{text}");
    let body: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&body["merchant_order_id"], &body["merchantOrderId"]), (&json!(ORDER), &json!("other")));
}

#[tokio::test]
async fn of_two_charges_at_once_under_one_key_one_may_fail() {
    let s = sandbox().await;
    s.control.add_fault(FaultRule::on(CallName::Charge, Action::KeyInUse).always()).await.unwrap();
    let (url, _callbacks) = payment::merchant(reqwest::StatusCode::OK, Duration::from_millis(300)).await;
    s.control.set_callback_url(Some(&url)).await.unwrap();
    let (one, other) = tokio::join!(s.charge(), s.charge());
    let mut codes = [one.0, other.0];
    codes.sort_unstable();
    assert_eq!(codes, [201, 500]);
    assert_eq!(s.charge().await.0, 201);
    assert_eq!(s.control.state().await.unwrap().payments.len(), 1);
}
