//! Fault injection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn fail_answers_without_effect_and_only_as_often_as_asked() {
    let s = sandbox().await;
    let fail = Action::Fail { status: 503, body: Some("busy".into()) };
    let rule = FaultRule::on(CallName::Reserve, fail).times(2).after(1);
    let id = s.control.add_fault(rule).await.unwrap();
    assert_eq!(s.reserve(&[1]).await.0, 200);
    assert_eq!(s.reserve(&[2]).await, (503, json!("busy")));
    assert_eq!(s.reserve(&[2]).await.0, 503);
    assert_eq!(s.control.seat(2).await.unwrap().status, SeatStatus::Available);
    assert_eq!(s.reserve(&[2]).await.0, 200);
    assert_eq!(s.control.fault_hits(id).await.unwrap(), 2);
}

#[tokio::test]
async fn rules_can_be_for_one_order_seat_or_user_and_be_removed() {
    let s = sandbox().await;
    let fail = || Action::Fail { status: 500, body: None };
    let for_seat = FaultRule::on(CallName::Allocate, fail()).seat(2).always();
    let id = s.control.add_fault(for_seat).await.unwrap();
    s.reserve(&[1, 2]).await;
    assert_eq!(s.allocate(&[1]).await.0, 200);
    assert_eq!(s.allocate(&[2]).await.0, 500);
    assert_eq!(s.allocate(&[2]).await.0, 500);
    s.control.remove_fault(id).await.unwrap();
    assert_eq!(s.allocate(&[2]).await.0, 200);
    s.control.add_fault(FaultRule::on_any(Peer::Payment, fail()).user(8)).await.unwrap();
    assert_eq!(s.charge().await.0, 201);
    // The charge does not name the user; the order's reserve did.
    s.control.add_fault(FaultRule::on_any(Peer::Payment, fail()).user(7).order(ORDER)).await.unwrap();
    assert_eq!(s.charge().await.0, 500);
}

#[tokio::test]
async fn stall_waits_before_or_after_the_effect_even_when_the_caller_gives_up() {
    let s = sandbox().await;
    for (seat, effect) in [(1, Moment::Before), (2, Moment::After)] {
        s.control
            .add_fault(FaultRule::on(CallName::Reserve, Action::Stall { ms: 400, effect }))
            .await
            .unwrap();
        let gave_up = tokio::time::timeout(Duration::from_millis(150), s.reserve(&[seat])).await.is_err();
        assert!(gave_up);
        let early = s.control.seat(seat).await.unwrap().status == SeatStatus::Reserved;
        assert_eq!(early, effect == Moment::Before);
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(s.control.seat(seat).await.unwrap().status, SeatStatus::Reserved);
    }
    let calls = s.control.calls().await.unwrap();
    assert!(calls.of(CallName::Reserve).all(|call| call.status == Some(200) && call.took_ms >= Some(390)));
}

#[tokio::test]
async fn lost_answers_and_lost_requests_close_the_connection() {
    let s = sandbox().await;
    let body = |seat: i64| json!({ "eventId": 101, "seatIds": [seat], "userId": 7 });
    for (seat, action) in [(1, Action::LoseAnswer), (2, Action::LoseRequest)] {
        let worked = action == Action::LoseAnswer;
        s.control.add_fault(FaultRule::on(CallName::Reserve, action)).await.unwrap();
        let error = s.send("/seating/v1/seats/reserve", body(seat)).await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(s.control.seat(seat).await.unwrap().status == SeatStatus::Reserved, worked);
    }
    assert!(
        s.control
            .calls()
            .await
            .unwrap()
            .of(CallName::Reserve)
            .all(|call| call.closed && call.status.is_none())
    );
}

#[tokio::test]
async fn a_body_can_come_later_than_its_head() {
    let s = sandbox().await;
    for call in [CallName::TakeEvent, CallName::Event] {
        s.control.add_fault(FaultRule::on(call, Action::StallBody { ms: 60_000 })).await.unwrap();
    }
    let event = s.client.post(format!("{}/events/hook", s.peers.url())).header("ce-id", "1");
    let catalog = s.client.get(format!("{}/catalog/v1/events/101", s.peers.url()));
    for request in [event.json(&json!({})), catalog] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "an answer without a body gets one");
        let body = tokio::time::timeout(Duration::from_millis(200), response.bytes()).await;
        assert!(body.is_err(), "{body:?}");
    }
    assert_eq!(s.control.state().await.unwrap().events_taken.len(), 1, "it was taken");
    s.control.add_fault(FaultRule::on(CallName::Event, Action::StallBody { ms: 20 })).await.unwrap();
    assert_eq!(s.get("/catalog/v1/events/101").await.1["id"], 101);
}

/// What is on the wire, without a client that may hide it.
#[tokio::test]
async fn a_lost_answer_is_not_one_byte() {
    let s = sandbox().await;
    s.control.add_fault(FaultRule::on(CallName::Event, Action::LoseAnswer)).await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(s.peers.address).await.unwrap();
    stream.write_all(b"GET /catalog/v1/events/101 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");
}

#[tokio::test]
async fn garbage_replaces_the_answer() {
    let s = sandbox().await;
    let garbage = |effect| Action::Garbage {
        body: "<html>oops".into(),
        content_type: "text/html".into(),
        status: 200,
        effect,
    };
    for (seat, effect) in [(1, true), (2, false)] {
        s.control.add_fault(FaultRule::on(CallName::Reserve, garbage(effect))).await.unwrap();
        assert_eq!(s.reserve(&[seat]).await, (200, json!("<html>oops")));
        assert_eq!(s.control.seat(seat).await.unwrap().status == SeatStatus::Reserved, effect);
    }
}

#[tokio::test]
async fn refuse_is_the_peers_own_no() {
    let s = sandbox().await;
    for call in [CallName::Reserve, CallName::Charge, CallName::Refund] {
        s.control.add_fault(FaultRule::on(call, Action::Refuse)).await.unwrap();
    }
    let (code, body) = s.reserve(&[1]).await;
    assert_eq!((code, &body["message"]), (409, &json!("Seats are not available: A1")));
    let (code, body) = s.charge().await;
    assert_eq!((code, &body["status"]), (201, &json!("FAILED")));
    assert_eq!(s.post("/payment/v1/refund", json!({ "payment_id": body["id"] })).await.0, 400);
    s.control.add_fault(FaultRule::on(CallName::Allocate, Action::Refuse)).await.unwrap();
    s.reserve(&[1]).await;
    assert_eq!(s.allocate(&[1]).await.0, 409);
}

#[tokio::test]
async fn patch_changes_the_answer_only() {
    let s = sandbox().await;
    let patch = json!({ "reservedSeats": { "0": { "price": -5 }, "1": null } });
    s.control.add_fault(FaultRule::on(CallName::Reserve, Action::Patch(patch))).await.unwrap();
    let (code, body) = s.reserve(&[1, 2]).await;
    assert_eq!((code, body["reservedSeats"].as_array().unwrap().len()), (200, 1));
    assert_eq!(body["reservedSeats"][0]["price"], -5);
    assert_eq!(s.control.state().await.unwrap().seat_counts[&SeatStatus::Reserved], 2);
}

#[tokio::test]
async fn a_peer_that_is_down_closes_every_connection() {
    let s = sandbox().await;
    s.control.set_down(Peer::Seating, true).await.unwrap();
    assert!(s.client.get(format!("{}/seating/v1/seats/1", s.peers.url())).send().await.is_err());
    assert_eq!(s.get("/catalog/v1/events/101").await.0, 200);
    s.control.set_down(Peer::Seating, false).await.unwrap();
    assert_eq!(s.get("/seating/v1/seats/1").await.0, 200);
}

#[tokio::test]
async fn rules_are_plain_json() {
    let s = sandbox().await;
    let star =
        json!({ "peer": "seating", "call": "*", "times": null, "action": { "fail": { "status": 502 } } });
    assert_eq!(s.post("/control/faults", star).await, (200, json!({ "id": 1 })));
    assert_eq!(s.get("/seating/v1/seats/1").await.0, 502);
    assert_eq!(s.reserve(&[1]).await.0, 502);
    assert_eq!(s.get("/catalog/v1/events/101").await.0, 200);
    s.control.clear_faults().await.unwrap();
    assert_eq!(s.post("/control/faults", json!({ "call": "seat", "action": "lose_answer" })).await.0, 200);
    assert_eq!(s.post("/control/faults", json!({ "call": "seat", "action": "explode" })).await.0, 400);
    assert!(s.client.get(format!("{}/control", s.peers.url())).send().await.unwrap().status().is_success());
}
