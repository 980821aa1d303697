//! Refusals are small and few, whatever is refused: in answers, in the log, in the metrics.

use crate::metrics::scrape;
use crate::support::*;
use crate::validation::pointers;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_wrong_members_is_capped_and_the_rest_is_counted() {
    let app = Spawn::new().variable("internal_token", TOKEN).start().await;
    let id = app.place(&order(&[1])).await.created().id().to_owned();
    let unknown: serde_json::Map<String, Value> =
        (0..5_000).map(|n| (format!("m{n:04}"), json!(1))).collect();
    let long: serde_json::Map<String, Value> =
        (0..60).map(|n| (format!("{n:02}{}", "x".repeat(900)), json!(1))).collect();
    for (path, body, count) in [
        (format!("/v1/orders/{id}/cancel"), json!(unknown), 5_000),
        (format!("/v1/orders/{id}/refund"), json!(long), 60),
        ("/internal/redrive".to_owned(), json!({ "orders": vec![1; 100] }), 100),
        ("/internal/redrive".to_owned(), json!(unknown), 5_000),
    ] {
        let answer = app.operator(Method::POST, &path).json(&body).send().await;
        let problem = answer.problem(422, "validation_failed");
        let listed = pointers(&problem).len();
        assert!(listed < count && answer.body.len() < 16 * 1024, "{path}: {}", answer.body.len());
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains(&(count - listed).to_string()), "{path}: {detail}");
        for pointer in pointers(&problem) {
            assert!(pointer.len() < 200, "{pointer}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_requests_cannot_fill_the_log_and_those_left_out_are_counted() {
    const REFUSED: usize = 400;
    let app = Spawn::new().variable("internal_token", TOKEN).start().await;
    let begun = std::time::Instant::now();
    for _ in 0..REFUSED {
        app.get("/internal/stuck").await.problem(401, "unauthorized");
    }
    let seconds = begun.elapsed().as_secs() as usize + 1;
    let logged = eventually("every refusal is logged or counted", async || {
        let lines = app.hosts[0].log_lines();
        let refused = lines.iter().filter(|line| line["message"] == "request refused").count();
        let counts = lines.iter().filter(|line| line["message"] == "refusals were left out of the log");
        let left_out: u64 = counts.map(|line| line["count"].as_u64().expect("a number")).sum();
        // An instance says within a second what it has left out.
        (refused + left_out as usize == REFUSED).then_some(refused)
    })
    .await;
    // At least four instances, because none answers more than 128 requests.
    assert!(logged >= 5 && logged <= 5 * (4 + seconds) * 2, "{logged} lines in {seconds} s");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_cannot_make_up_series() {
    let app = spawn().await;
    // One of each class, so that each series is there.
    for status in [302, 401, 500] {
        app.fault(FaultRule::on(CallName::Notify, fail(status))).await;
        app.place(&order(&[i64::from(status)])).await.created();
        app.quiesce().await;
    }
    let of_peers = |series: &crate::metrics::Series| {
        series.keys().filter(|name| name.starts_with("order_service_peer_calls_total")).count()
    };
    let outcome =
        |name: &str| name.split("outcome=\"").nth(1).map(|rest| rest.trim_end_matches("\"}").to_owned());
    let before = eventually("the calls are counted", async || {
        let series = scrape(&app).await;
        let notify = |class: &str| {
            let name =
                format!("order_service_peer_calls_total{{call=\"notification.notify\",outcome=\"{class}\"}}");
            series.get(&name).is_some_and(|count| *count > 0.0)
        };
        ["2xx", "3xx", "4xx", "5xx"].into_iter().all(notify).then_some(of_peers(&series))
    })
    .await;
    for status in 423..=442 {
        app.fault(FaultRule::on(CallName::Notify, fail(status))).await;
    }
    for status in 501..=520 {
        app.fault(FaultRule::on(CallName::Notify, fail(status))).await;
    }
    // Several, so that none of them is given up.
    for seat in 1..=4 {
        app.place(&order(&[seat])).await.created();
    }
    app.quiesce().await;
    let calls = app.calls("notification.notify").await;
    assert!(calls >= 40, "{calls}");
    eventually("these are counted, too", async || {
        let series = scrape(&app).await;
        let counted = series.iter().filter(|(name, _)| name.contains("notification.notify"));
        let counted = counted.map(|(_, value)| value).sum::<f64>();
        (counted >= calls as f64).then_some(())
    })
    .await;
    let series = scrape(&app).await;
    assert_eq!(of_peers(&series), before, "{series:?}");
    for outcome in series.keys().filter_map(|name| outcome(name)) {
        let known = ["none", "1xx", "2xx", "3xx", "4xx", "5xx", "other"];
        assert!(known.contains(&outcome.as_str()), "{outcome}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_internal_but_the_sweep_answers_while_no_token_is_set() {
    let app = spawn().await;
    for path in ["/internal/stuck", "/internal/redrive", "/internal/anything"] {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE] {
            let answer = app.request(method.clone(), path).header("authorization", "Bearer x").send().await;
            if method == Method::HEAD {
                assert_eq!(answer.status, 403, "{path}");
            } else {
                answer.problem(403, "forbidden");
            }
        }
    }
    app.request(Method::POST, "/internal/sweep").send().await.json(200);
    app.get("/internal/sweep").await.problem(405, "method_not_allowed");
    app.finish().await;
}
