//! Bodies that are no JSON, too long, or of another kind; for both endpoints that take one.

use crate::support::*;
use crate::validation::{assert_no_trace, pointers};

const ORDERS: &str = "/v1/orders";
const CALLBACK: &str = "/v1/payments/callback";
const LIMIT: usize = 64 * 1024;

fn post(app: &App, path: &str) -> Request {
    app.request(Method::POST, path).header("idempotency-key", "some-key")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_json_is_malformed() {
    let app = spawn().await;
    let nested = "[".repeat(10_000) + &"]".repeat(10_000);
    let nested_in_a_member = format!(r#"{{"user_id":1,"event_id":1,"seats":{nested}}}"#);
    let nested_where_nobody_looks = format!(
        r#"{{"user_id":101,"event_id":101,"seats":[1],"else":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let invalid_utf_8 = [br#"{"user_id":""#.as_slice(), b"\xff\xfe", br#""}"#].concat();
    for body in [
        b"".to_vec(),
        b" ".to_vec(),
        b"hello".to_vec(),
        b"<order/>".to_vec(),
        b"user_id=1&event_id=2".to_vec(),
        br#"{"user_id":"101","event_id":101,"seats":[1,2"#.to_vec(),
        br#"{"user_id":101,"event_id":101,"seats":[1]} trailing"#.to_vec(),
        br#"{"user_id":101,"event_id":101,"seats":[1,]}"#.to_vec(),
        br#"{'user_id':101}"#.to_vec(),
        b"\xef\xbb\xbf\xff".to_vec(),
        br#"{"user_id":101,"event_id":101,"seats":[1],"else":"\ud80"}"#.to_vec(),
        br#"{"user_id":101,"event_id":101,"seats":[1],"else":1e}"#.to_vec(),
        nested_where_nobody_looks.into_bytes(),
        invalid_utf_8,
        nested.into_bytes(),
        nested_in_a_member.into_bytes(),
    ] {
        for path in [ORDERS, CALLBACK] {
            let request = post(&app, path).header("content-type", "application/json").body(body.clone());
            request.send().await.problem(400, "malformed_json");
        }
    }
    assert_no_trace(&app).await;
    app.finish().await;
}

/// RFC 8259 sets no limits to numbers and allows half of a surrogate pair.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_few_can_hold_is_ignored_where_nobody_looks_and_is_a_wrong_field_elsewhere() {
    let app = spawn().await;
    let send = async |path: &str, key: &str, body: &str| {
        let request = app.request(Method::POST, path).header("idempotency-key", key);
        request.header("content-type", "application/json").body(body.to_owned()).send().await
    };
    for (body, wrong) in [
        (r#"{"user_id":1e999,"event_id":101,"seats":[1]}"#, "#/user_id"),
        (r#"{"user_id":"\ud800","event_id":101,"seats":[1]}"#, "#/user_id"),
        (r#"{"user_id":101,"event_id":101,"seats":[1,"\udfff"]}"#, "#/seats/1"),
        (r#"{"user_id":101,"event_id":101,"seats":[1e999]}"#, "#/seats/0"),
        (r#"{"user_id":101,"event_id":101,"seats":1e999}"#, "#/seats"),
        ("1e999", "#"),
    ] {
        let problem = send(ORDERS, "wrong", body).await.problem(422, "validation_failed");
        assert_eq!(pointers(&problem), [wrong], "{body}");
    }
    let id = "01980000-0000-7000-8000-000000000000";
    let callback = format!(r#"{{"order_id":"{id}","payment_id":"\ud800","status":"SUCCESS","else":1e999}}"#);
    let problem = send(CALLBACK, "wrong", &callback).await.problem(422, "validation_failed");
    assert_eq!(pointers(&problem), ["#/payment_id"]);
    assert_no_trace(&app).await;

    for (seat, odd) in [
        (1, r#""else":1e999"#),
        (2, r#""else":"\ud800""#),
        (3, r#""else":[{"a":-1e400}]"#),
        (4, r#""\ud800":{}"#),
    ] {
        let body = format!(r#"{{{odd},"user_id":101,"event_id":101,"seats":[{seat}]}}"#);
        send(ORDERS, &format!("odd-{seat}"), &body).await.created();
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_content_type_is_not_supported() {
    let app = spawn().await;
    let body = order(&[1]).body.to_string();
    for path in [ORDERS, CALLBACK] {
        post(&app, path).body(body.clone()).send().await.problem(415, "unsupported_media_type");
        for media_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/xml",
            "application/jsonx",
            "json",
            "",
        ] {
            let request = post(&app, path).header("content-type", media_type).body(body.clone());
            request.send().await.problem(415, "unsupported_media_type");
        }
    }
    assert_no_trace(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_64_kib_is_too_large_and_one_of_64_kib_is_not() {
    let app = spawn().await;
    for path in [ORDERS, CALLBACK] {
        for size in [LIMIT + 1, 5 << 20] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: order-service\r\nConnection: close\r\nIdempotency-Key: some-key\r\n\
                 Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
            );
            let answer =
                raw_http::exchange(&app.hosts[0], [head.into_bytes(), vec![b' '; size]].concat()).await;
            assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"), "{answer:?}");
            assert!(answer.header("x-request-id").is_some() && answer.header("content-length").is_some());
        }
        let request = post(&app, path).header("content-type", "application/json");
        request.body(" ".repeat(LIMIT + 1)).send().await.problem(413, "body_too_large");
    }
    assert_no_trace(&app).await;

    let mut body = order(&[1]).body.to_string();
    body += &" ".repeat(LIMIT - body.len());
    let request = post(&app, ORDERS).header("content-type", "application/json").body(body);
    request.send().await.created();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_say_its_length_is_read_all_the_same() {
    let app = spawn().await;
    let head = "POST /v1/orders HTTP/1.1\r\nHost: order-service\r\nConnection: close\r\nIdempotency-Key: chunked\r\n\
                Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = |chunks: Vec<&str>| {
        let chunks: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
        format!("{head}{chunks}0\r\n\r\n")
    };
    let space = " ".repeat(40_000);
    let answer = raw_http::exchange(&app.hosts[0], chunked(vec![&space, &space])).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"), "{answer:?}");

    let body = order(&[1]).body.to_string();
    let (first, second) = body.split_at(20);
    let answer = raw_http::exchange(&app.hosts[0], chunked(vec![first, second])).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_breaks_off_leaves_no_trace() {
    let app = spawn().await;
    for cut in [10, 30] {
        let body = order(&[1]).body.to_string();
        let whole = raw_http::post_order(&["Content-Type: application/json", "Idempotency-Key: cut"], &body);
        raw_http::send_and_close(&app.hosts[0], &whole[..whole.len() - cut]).await;
    }
    app.get("/health/live").await.json(200);
    assert_no_trace(&app).await;
    app.finish().await;
}
