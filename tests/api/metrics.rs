//! `GET /metrics`.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::*;

/// Every series (name and labels, as they are written) with its value.
pub type Series = BTreeMap<String, f64>;

/// The sum of the series whose names begin so and have this label.
pub fn sum_of(series: &Series, name: &str, label: &str) -> f64 {
    let of_metric = series.iter().filter(|(series, _)| series.starts_with(name) && series.contains(label));
    of_metric.map(|(_, value)| value).sum()
}

/// Reads the exposition format, and checks it: every series belongs to a metric with HELP and TYPE, none comes twice,
/// every value is a number.
pub async fn scrape(app: &App) -> Series {
    let answer = app.get("/metrics").await;
    assert_eq!(answer.status, 200);
    let content_type = answer.header("content-type").unwrap();
    assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
    let text = answer.text();
    assert!(text.ends_with('\n'));
    let (mut helped, mut typed, mut series) = (BTreeSet::new(), BTreeMap::new(), Series::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!help.is_empty() && helped.insert(name), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind), "{line}");
            assert!(typed.insert(name, kind).is_none(), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("a sample: {line}"));
            let mut metric = name.split('{').next().unwrap_or_default();
            for end in ["_bucket", "_sum", "_count"] {
                let histogram = metric.strip_suffix(end).filter(|name| typed.get(name) == Some(&"histogram"));
                metric = histogram.unwrap_or(metric);
            }
            assert!(
                helped.contains(metric) && typed.contains_key(metric),
                "{line} comes after HELP and TYPE"
            );
            assert!(typed[metric] != "counter" || metric.ends_with("_total"), "{line}");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("a number: {line}"));
            assert!(value.is_finite() && value >= 0.0, "{line}");
            assert!(series.insert(name.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    series
}

const CREATED: &str = "order_service_orders_created_total";
const TICKETS: &str = "order_service_tickets_issued_total";
const OUTBOX: &str = "order_service_outbox_messages";

fn orders(status: &str) -> String {
    format!("order_service_orders{{status=\"{status}\"}}")
}

fn failed(code: &str) -> String {
    format!("order_service_orders_failed_total{{code=\"{code}\"}}")
}

fn in_progress(phase: &str) -> String {
    format!("order_service_orders_in_progress{{phase=\"{phase}\"}}")
}

/// The counts that the transitions keep are those of the rows.
pub async fn assert_agrees(app: &App) {
    let series = scrape(app).await;
    let count = async |rows: &str| app.store.count(&format!("SELECT count(*) FROM {rows}")).await as f64;
    assert_eq!(series[CREATED], count("orders").await);
    assert_eq!(series[TICKETS], count("tickets").await);
    assert_eq!(series[OUTBOX], count("outbox WHERE dead_at IS NULL").await);
    for status in ["PENDING", "CONFIRMED", "CANCELLED", "FAILED", "REFUNDED"] {
        let rows = count(&format!("orders WHERE status = '{status}'")).await;
        assert_eq!(series[&orders(status)], rows, "{status}");
    }
    for phase in ["reserving", "charging", "awaiting_payment", "allocating", "refunding", "releasing"] {
        let rows = count(&format!("orders WHERE phase = '{phase}'")).await;
        assert_eq!(series[&in_progress(phase)], rows, "{phase}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_orders_has_metrics_already() {
    let app = spawn().await;
    let series = scrape(&app).await;
    for name in [CREATED, TICKETS, OUTBOX, "order_service_outbox_dead_letters"] {
        assert_eq!(series.get(name), Some(&0.0), "{name}");
    }
    for status in ["PENDING", "CONFIRMED", "CANCELLED", "FAILED", "REFUNDED"] {
        assert_eq!(series.get(&orders(status)), Some(&0.0), "{status}");
    }
    for phase in ["reserving", "charging", "awaiting_payment", "allocating", "refunding", "releasing"] {
        assert_eq!(series.get(&in_progress(phase)), Some(&0.0), "{phase}");
    }
    for code in ["seats_unavailable", "payment_declined", "expired"] {
        assert_eq!(series.get(&failed(code)), Some(&0.0), "{code}");
    }
    for name in [
        "orders_created_total",
        "order_service_peer_calls_total{call=\"payment.charge\",outcome=\"none\"}",
        "order_service_peer_call_seconds_count{call=\"notification.notify\"}",
        "order_service_peer_calls_total{call=\"events.http\",outcome=\"none\"}",
        "order_service_peer_calls_total{call=\"collector.traces\",outcome=\"5xx\"}",
        "order_service_statement_failures_total{class=\"session_lost\"}",
        "order_service_statement_seconds_count{statement=\"apply_transition\"}",
        "order_service_http_requests_total{route=\"/v1/orders\",status=\"201\"}",
        "order_service_http_requests_total{route=\"/v1/orders\",status=\"409\"}",
        "order_service_http_requests_total{route=\"/v1/orders/{id}/refund\",status=\"202\"}",
        "order_service_http_requests_total{route=\"/internal/events/replay\",status=\"503\"}",
        "http_server_requests_seconds_count{method=\"POST\",uri=\"/v1/orders\",status=\"500\"}",
        "http_server_requests_seconds_bucket{method=\"GET\",uri=\"/v1/events\",status=\"200\",le=\"0.25\"}",
        "http_server_requests_seconds_count{method=\"GET\",uri=\"/\",status=\"302\"}",
    ] {
        assert_eq!(series.get(name), Some(&0.0), "{name}");
    }
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "order_service_cpu_load_1m",
        "order_service_oldest_due_order_seconds",
        "order_service_outbox_oldest_message_seconds",
        "order_service_uptime_seconds",
        "order_service_instance_memory_bytes",
        "order_service_instance_heap_in_use_bytes",
        "order_service_scrape_timestamp_seconds",
    ] {
        assert!(series.contains_key(name), "{name}: {series:?}");
    }
    let bytes = app.get("/metrics").await.text().len();
    println!("{bytes} bytes, {} series", series.len());
    assert!(bytes < 256 * 1024, "{bytes} bytes, which the page has room for from the beginning");
    assert!(series["order_service_instance_memory_bytes"] > 65_536.0);
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    let info = series.keys().find(|name| name.starts_with("order_service_info{"));
    assert!(info.is_some_and(|info| info.contains(&version) && info.contains("platform=")), "{info:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_counted_as_they_are() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let mut ids = Vec::new();
    for seat in 1..=5 {
        ids.push(app.place(&order(&[seat, seat + 10])).await.created().id().to_owned());
    }
    let series = scrape(&app).await;
    assert_eq!(
        (series[CREATED], series[&orders("PENDING")], series[&in_progress("awaiting_payment")]),
        (5.0, 5.0, 5.0)
    );

    app.peers.settle(&ids[0], PaymentStatus::Success).await.unwrap();
    app.peers.settle(&ids[1], PaymentStatus::Success).await.unwrap();
    app.peers.settle(&ids[1], PaymentStatus::Refunded).await.unwrap();
    app.peers.settle(&ids[2], PaymentStatus::Failed).await.unwrap();
    app.store.expire(&ids[3]).await;
    app.place(&order(&[999_999])).await.problem_of_order(422, "seat_not_found");
    app.place(&order(&[1])).await.problem(409, "seats_unavailable");
    app.quiesce().await;
    let series = scrape(&app).await;
    let expected = [
        (CREATED.to_owned(), 6.0),
        (TICKETS.to_owned(), 4.0),
        (orders("PENDING"), 1.0),
        (orders("CONFIRMED"), 1.0),
        (orders("REFUNDED"), 1.0),
        (orders("FAILED"), 2.0),
        (orders("CANCELLED"), 1.0),
        (failed("payment_declined"), 1.0),
        (failed("seat_not_found"), 1.0),
        (failed("expired"), 1.0),
        (in_progress("awaiting_payment"), 1.0),
        (in_progress("releasing"), 0.0),
        (in_progress("refunding"), 0.0),
        (OUTBOX.to_owned(), 0.0),
    ];
    for (name, value) in expected {
        assert_eq!(series.get(&name), Some(&value), "{name}: {series:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_overdue_shows_its_age() {
    let app = spawn().await;
    app.take_peer_down(Peer::Notification).await;
    app.fault(FaultRule::on(CallName::Charge, Action::LoseRequest).always().seat(2)).await;
    app.place(&order(&[1])).await.created();
    app.place(&order(&[2])).await.accepted();
    let hour = "timezone('utc', clock_timestamp()) - interval '1 hour'";
    // Leased to somebody who has not come back for an hour; nobody claims it before this scrape reads it.
    app.store
        .run(&format!(
            "UPDATE outbox SET created_at = {hour};
             CREATE FUNCTION nobody_claims() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
             UPDATE orders SET due_at = {hour} WHERE phase = 'charging';
             CREATE TRIGGER nobody_claims BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION nobody_claims();"
        ))
        .await;
    let series = scrape(&app).await;
    for name in ["order_service_oldest_due_order_seconds", "order_service_outbox_oldest_message_seconds"] {
        assert!((3600.0..3700.0).contains(&series[name]), "{name}: {}", series[name]);
    }
    assert_eq!(series[OUTBOX], 1.0);
    app.store.run("DROP TRIGGER nobody_claims ON orders").await;
    app.peers.clear_faults().await.unwrap();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_copy_answers_for_all() {
    let app = Spawn::new().replicas(2).start().await;
    app.place_at(0, &order(&[1])).await.created();
    app.place_at(1, &order(&[2])).await.created();
    for path in ["/nowhere", "/health", "/v1/orders/x", "/v1/orders/01980000-0000-7000-8000-000000000000"] {
        app.get(path).await;
    }
    // What an instance did comes to the database within a second.
    let placed = eventually("both orders are counted", async || {
        let series = scrape(&app).await;
        let of_requests = |route: &str, code: &str| {
            let mut found = series.iter().filter(|(name, _)| {
                name.starts_with("order_service_http_requests_total{")
                    && name.contains(route)
                    && name.contains(code)
            });
            found.next().map(|(_, value)| *value)
        };
        let seen = of_requests("\"/v1/orders\"", "\"201\"") == Some(2.0)
            && of_requests("\"/v1/orders/{id}\"", "\"404\"") == Some(1.0)
            && of_requests("\"/v1/orders/{id}\"", "\"400\"") == Some(1.0);
        seen.then_some(series)
    })
    .await;
    assert_eq!(placed[CREATED], 2.0);
    let total = |metric: &str| {
        let of_metric = placed.iter().filter(|(name, _)| name.split('{').next() == Some(metric));
        of_metric.map(|(_, value)| value).sum::<f64>()
    };
    assert!(total("order_service_guest_busy_seconds_total") > 0.0);
    assert!(total("order_service_peer_calls_total") >= 6.0, "{placed:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_requests_calls_and_statements_take_is_told() {
    const SECONDS: &str = "http_server_requests_seconds";
    let app = spawn().await;
    let slow = Action::Stall { ms: 300, effect: Moment::Before };
    app.fault(FaultRule::on(CallName::Reserve, slow).always().seat(2)).await;
    let id = app.place(&order(&[1])).await.created().id().to_owned();
    app.place(&order(&[2])).await.created();
    for _ in 0..3 {
        app.get(&format!("/v1/orders/{id}")).await;
    }
    let series = eventually("all of it is counted", async || {
        let series = scrape(&app).await;
        let count = |labels: &str| series.get(&format!("{SECONDS}_count{{{labels}}}")).copied();
        let is_there = count("method=\"GET\",uri=\"/v1/orders/{id}\",status=\"200\"") == Some(3.0)
            && count("method=\"POST\",uri=\"/v1/orders\",status=\"201\"") == Some(2.0);
        is_there.then_some(series)
    })
    .await;
    let placed = "method=\"POST\",uri=\"/v1/orders\",status=\"201\"";
    let bucket = |le: &str| series[&format!("{SECONDS}_bucket{{{placed},le=\"{le}\"}}")];
    assert!(bucket("0.25") <= 1.0, "one took at least 300 ms: {series:?}");
    assert_eq!(bucket("+Inf"), 2.0);
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    assert!(bounds.iter().map(|le| bucket(le)).is_sorted(), "buckets are cumulative: {series:?}");
    let sum = series[&format!("{SECONDS}_sum{{{placed}}}")];
    assert!(sum >= 0.3, "{sum}");

    // The other metrics of requests and calls are sums of the same.
    let total = |name: &str, label: &str| sum_of(&series, name, label);
    for route in ["\"/v1/orders\"", "\"/v1/orders/{id}\""] {
        let counted = total("order_service_http_requests_total{", route);
        assert_eq!(counted, total("http_server_requests_seconds_count{", route), "{route}");
        let seconds = total("order_service_http_request_seconds_total{", route);
        let difference = seconds - total("http_server_requests_seconds_sum{", route);
        assert!(difference.abs() < 1e-9, "{route}");
    }
    let reserve = "call=\"seating.reserve\"";
    assert_eq!(total("order_service_peer_call_seconds_count{", reserve), 2.0);
    assert_eq!(total("order_service_peer_calls_total{", reserve), 2.0);
    assert!(total("order_service_peer_call_seconds_sum{", reserve) >= 0.3);
    assert_eq!(total("order_service_statement_seconds_count{", "statement=\"read_order\""), 3.0);
    assert!(total("order_service_statement_seconds_sum{", "statement=\"insert_order\"") > 0.0);
    app.peers.clear_faults().await.unwrap();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_has_the_metrics_of_a_process() {
    const LOAD: &str = "order_service_cpu_load_1m";
    let app = spawn().await;
    let begun = eventually("an instance is at work", async || {
        let series = scrape(&app).await;
        (series["process_start_time_seconds"] > 0.0).then_some(series["process_start_time_seconds"])
    })
    .await;
    let series = scrape(&app).await;
    assert_eq!(series["process_start_time_seconds"], begun, "it is no time of the scrape");
    let age = series["order_service_scrape_timestamp_seconds"] - begun;
    assert!((0.0..600.0).contains(&age), "{age} s");
    assert_eq!(series["process_cpu_seconds_total"], series["order_service_guest_busy_seconds_total"]);
    assert_eq!(series["process_resident_memory_bytes"], series["order_service_instance_memory_bytes"]);
    assert!(series[LOAD] < 1.0, "{series:?}");

    // A minute ago 30 seconds had been computed: a quarter of the way between two marks was left. Now it is 90.
    app.store
        .run(
            "DELETE FROM load_marks;
             INSERT INTO load_marks (at, busy_seconds)
             SELECT timezone('utc', clock_timestamp()) - age, busy
             FROM (VALUES (interval '90 seconds', 0.0), (interval '50 seconds', 40.0)) AS m (age, busy);
             INSERT INTO work_counts (name, label, value) VALUES ('busy_seconds', '', 90)
             ON CONFLICT (name, label) DO UPDATE SET value = 90",
        )
        .await;
    let load = scrape(&app).await[LOAD];
    assert!((0.9..1.2).contains(&load), "{load}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_computes_nothing_for_a_minute_has_no_load() {
    let app = spawn().await;
    eventually("its work is marked", async || {
        app.get("/health").await;
        (app.store.count("SELECT count(*) FROM load_marks").await > 0).then_some(())
    })
    .await;
    // All of it was computed before the last minute.
    app.store
        .run(
            "UPDATE load_marks SET at = at - interval '61 seconds';
             INSERT INTO load_marks SELECT timezone('utc', clock_timestamp()) - interval '60 seconds', sum_busy_seconds()",
        )
        .await;
    let load = scrape(&app).await["order_service_cpu_load_1m"];
    assert!(load < 0.1, "{load}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_cannot_make_up_series() {
    let app = spawn().await;
    let before = scrape(&app).await.len();
    for n in 0..30 {
        app.get(&format!("/made-up-{n}")).await;
        app.get(&format!("/v1/orders/made-up-{n}")).await;
        app.request(format!("MADEUP{n}").parse().unwrap(), "/v1/orders").send().await;
    }
    eventually("the requests are counted", async || {
        let series = scrape(&app).await;
        assert!(series.keys().all(|name| !name.to_lowercase().contains("made")), "{series:?}");
        // A histogram has fourteen.
        assert!(series.len() < before + 8 * 16, "{} series", series.len());
        let requests =
            series.iter().filter(|(name, _)| name.starts_with("order_service_http_requests_total"));
        (requests.map(|(_, value)| value).sum::<f64>() >= 90.0).then_some(())
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_much_of_the_numbers_for_items_is_used_is_told() {
    const USED: &str = "order_service_order_items_id_used_ratio";
    let app = spawn().await;
    assert_eq!(scrape(&app).await[USED], 0.0);
    // Also by what was rolled back.
    app.store.run("SELECT setval('order_items_id_seq', 1073741824)").await;
    app.place(&order(&[1])).await.created();
    assert!((scrape(&app).await[USED] - 0.5).abs() < 1e-6);
    app.store.run("ALTER TABLE order_items ALTER COLUMN id TYPE BIGINT").await;
    assert!(scrape(&app).await[USED] < 1e-6);
    // An identity, as some inherited databases have; and a column whose numbers come from elsewhere.
    app.store
        .run(
            "ALTER TABLE order_items ALTER COLUMN id DROP DEFAULT;
             DROP SEQUENCE order_items_id_seq;
             ALTER TABLE order_items ALTER COLUMN id TYPE INT,
                 ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (START WITH 2000000000)",
        )
        .await;
    app.place(&order(&[2])).await.created();
    assert!((scrape(&app).await[USED] - 2.0e9 / 2147483647.0).abs() < 1e-6);
    app.store.run("ALTER TABLE order_items ALTER COLUMN id DROP IDENTITY").await;
    assert!((scrape(&app).await[USED] - 2.0e9 / 2147483647.0).abs() < 1e-6);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_age_of_the_oldest_snapshot_is_told() {
    const SECONDS: &str = "order_service_database_oldest_snapshot_seconds";
    const TRANSACTIONS: &str = "order_service_database_oldest_snapshot_transactions";
    let app = spawn().await;
    let report = app.store.database().connect().await.unwrap();
    report.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    for seat in 1..=3 {
        app.place(&order(&[seat])).await.created();
    }
    eventually("the snapshot is a second old", async || {
        let series = scrape(&app).await;
        (series[SECONDS] >= 1.0 && series[TRANSACTIONS] >= 9.0).then_some(())
    })
    .await;
    report.batch_execute("COMMIT").await.unwrap();
    eventually("no snapshot is a second old", async || (scrape(&app).await[SECONDS] < 1.0).then_some(()))
        .await;
    app.finish().await;
}
