//! The floors of the benchmark make the calls that the service makes.

use crate::support::*;
use order_dev::bench::native;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Numbers that occur nowhere else in a statement.
const EVENT: i64 = 900_000_000;
const SEATS: [i64; 3] = [900_000_001, 900_000_002, 900_000_003];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_floor_says_to_the_database_and_to_the_peers_what_the_service_says() {
    let mut app = Spawn::new().payment_mode(Mode::Pending).own_postgres().start().await;
    let log = app.postgres().log_file();
    // It counts for connections that are opened from now on.
    app.store.run("ALTER DATABASE orders SET log_statement = 'all'").await;
    app.store.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'orders' AND pid <> pg_backend_pid()").await;
    app.put_event(EVENT, "ON_SALE").await;
    let seats = SEATS.map(|id| SeatSpec {
        seat_number: Some(format!("A{}", id - EVENT)),
        ..SeatSpec::priced(id, "150.00")
    });
    app.peers.put_seats(EVENT, &seats).await.unwrap();

    let answer = app.place(&order(&SEATS).event(EVENT)).await;
    let placed = answer.created();
    let read = app.get(&format!("/v1/orders/{}", placed.id())).await;

    let floor = start_floor(&app).await;
    let floor_answer = reqwest::Client::new().post(format!("{floor}/v1/orders")).send().await.unwrap();
    assert_eq!(latency_histogram_of(floor_answer).await, shape(answer.status, &answer.headers, &answer.body));
    let floors = app.store.value(&format!("SELECT id FROM orders WHERE id <> '{}'", placed.id())).await;
    let floors = floors.as_str().expect("the floor's order is stored");
    let floor_answer = reqwest::get(format!("{floor}/v1/orders/{floors}")).await.unwrap();
    assert_eq!(latency_histogram_of(floor_answer).await, shape(read.status, &read.headers, &read.body));

    let (said, floor_said) = (said_of(&app, &log, placed.id()).await, said_of(&app, &log, floors).await);
    assert_eq!(said.len(), 4 + 2, "{said:#?}");
    assert_eq!(floor_said, said);
    app.read(floors).await.assert_is("PENDING", "awaiting_payment");
    app.abandon().await;
}

/// What an answer is like: its status, the names of its headers, and its body with every number and text emptied.
#[derive(PartialEq, Debug)]
struct LatencyHistogram {
    status: u16,
    headers: BTreeSet<String>,
    body: Value,
}

fn shape(status: u16, headers: &HeaderMap, body: &[u8]) -> LatencyHistogram {
    let headers = headers.keys().map(ToString::to_string).collect();
    LatencyHistogram { status, headers, body: emptied(serde_json::from_slice(body).expect("a JSON body")) }
}

async fn latency_histogram_of(response: reqwest::Response) -> LatencyHistogram {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    shape(status, &headers, &response.bytes().await.unwrap())
}

fn emptied(value: Value) -> Value {
    match value {
        Value::Number(_) => json!(0),
        Value::String(_) => json!(""),
        Value::Array(list) => list.into_iter().map(emptied).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, emptied(value))).collect(),
        other => other,
    }
}

/// Starts the native floor in this process; its URL.
async fn start_floor(app: &App) -> String {
    let port = order_dev::free_port().unwrap();
    let (database, peers) = (app.store.database().clone(), app.peers_url());
    tokio::spawn(async move { native::run(([127, 0, 0, 1], port).into(), database, &peers).await.unwrap() });
    let address = format!("127.0.0.1:{port}");
    eventually("the floor listens", async || tokio::net::TcpStream::connect(&address).await.ok()).await;
    format!("http://{address}")
}

/// What was said of one order: the parameters of the statements that have its id first, and the calls of peers.
async fn said_of(app: &App, log: &Path, order: &str) -> Vec<String> {
    let row = format!("SELECT * FROM orders WHERE id = '{order}'");
    let row = app.store.rows(&row).await.pop().expect("the order is stored");
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let mut names = vec![
        (text("payment_id"), "ID".to_owned()),
        (text("idempotency_key"), "ID".to_owned()),
        (text("id"), "ID".to_owned()),
        (text("request_hash"), "HASH".to_owned()),
        (row["event_id"].to_string(), "EVENT".to_owned()),
    ];
    for (index, seat) in row["seats"].as_array().unwrap().iter().enumerate() {
        names.push((seat.to_string(), format!("SEAT {index}")));
    }
    // One number may be a part of another.
    names.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));

    let first = format!("arameters: $1 = '{order}'");
    let log = std::fs::read_to_string(log).unwrap();
    let statements = log.lines().filter_map(|line| Some(line[line.find(&first)?..].to_owned()));
    let calls = app.peers.calls().await.unwrap().about(order).calls;
    let calls =
        calls.into_iter().map(|call| format!("{:?} {:?} {:?}", call.call, call.order_id, call.seat_ids));
    let lines = statements.chain(calls);
    lines.map(|line| names.iter().fold(line, |line, (from, to)| line.replace(from, to))).collect()
}
