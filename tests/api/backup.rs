//! A dump that was taken under load, restored into another PostgreSQL, with the same peers, which know what came after it: the steps
//! of docs/OPERATIONS.md, and what is true after them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use order_dev::postgres::{Database, Options, Server};
use tokio::task::JoinSet;

use crate::support::*;

/// How many orders there are before the dump begins, and how many come after it has ended.
const BEFORE: usize = 60;
const AFTER: usize = 60;
/// Each has seats of its own.
const CLIENTS: i64 = 6;
const SEATS_OF_A_CLIENT: i64 = 60;

/// A file that is deleted with its handle.
struct Dump(PathBuf);

impl Dump {
    fn new() -> Dump {
        let name = format!("order-service-dump-{}", uuid::Uuid::now_v7());
        Dump(std::env::temp_dir().join(name))
    }

    /// Runs one of PostgreSQL's programs on it as an operator does. Where they do not run as root, the file goes through a pipe.
    fn run(&self, server: &Server, program: &str, database: &Database, arguments: &[&str]) {
        let mut command = server.program(program);
        let port = database.port.to_string();
        command.args(["-h", &database.host, "-p", &port, "-U", &database.user, "-d", &database.name]);
        command.args(arguments);
        if program == "pg_dump" {
            command.stdout(std::fs::File::create(&self.0).expect("a file"));
        } else {
            command.stdin(std::fs::File::open(&self.0).expect("the dump"));
        }
        let output = command.stderr(std::process::Stdio::piped()).spawn().and_then(|c| c.wait_with_output());
        let output = output.expect("the program runs");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Clients that order, pay, cancel and ask for refunds, until they are stopped.
struct Load {
    placed: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    fn start(app: &App) -> Load {
        let mut load = Load { placed: Arc::default(), stop: Arc::default(), clients: JoinSet::new() };
        for client in 0..CLIENTS {
            let (placed, stop) = (load.placed.clone(), load.stop.clone());
            let (http, peers) = (app.detached_client(0), app.peers.clone());
            load.clients.spawn(async move {
                let first = 3001 + client * SEATS_OF_A_CLIENT;
                let mut seat = first;
                while !stop.load(Ordering::SeqCst) {
                    let turn = placed.fetch_add(1, Ordering::SeqCst);
                    // Seats that a cancel or a refund has freed are ordered again.
                    live(&http, &peers, seat, turn).await;
                    seat = first + (seat + 1 - first) % SEATS_OF_A_CLIENT;
                }
            });
        }
        load
    }

    async fn wait_for(&self, orders: usize) {
        eventually("the clients have ordered", async || {
            (self.placed.load(Ordering::SeqCst) >= orders).then_some(())
        })
        .await;
    }

    fn count(&self) -> usize {
        self.placed.load(Ordering::SeqCst)
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.join_all().await;
    }
}

/// One order in one of five ways. The buyers of users 1 to 4 pay later, all others at once.
async fn live(http: &DetachedClient, peers: &order_dev::peers::Control, seat: i64, turn: usize) {
    let user = if turn % 5 < 3 { 1 } else { 7 };
    let answer = http.place(&order(&[seat]).event(106).user(user)).await.expect("the host answers");
    if !matches!(answer.status, 201 | 202) {
        assert!(matches!(answer.status, 409), "{answer:?}");
        return;
    }
    let id = answer.created_or_accepted().id().to_owned();
    let post = async |what: &str| {
        let answer = http.post(&format!("/v1/orders/{id}/{what}")).await.expect("the host answers");
        assert!(matches!(answer.status, 200 | 202 | 409), "{answer:?}");
    };
    match turn % 5 {
        0 => drop(peers.settle(&id, PaymentStatus::Success).await),
        1 => post("cancel").await,
        3 => post("refund").await,
        // One stays unpaid, one is paid at once.
        _ => {}
    }
}

/// Every payment at Payment, by order.
async fn payments(app: &App) -> BTreeMap<String, order_dev::peers::Payment> {
    let state = app.peers.state().await.unwrap();
    state.payments.into_iter().map(|payment| (payment.order_id.clone(), payment)).collect()
}

async fn ids(app: &App, condition: &str) -> BTreeSet<String> {
    let rows = app.store.rows(&format!("SELECT id FROM orders WHERE {condition}")).await;
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_under_load_is_restored_and_every_payment_is_accounted_for() {
    let mut app = Spawn::new().variable("internal_token", TOKEN).own_postgres().start().await;
    app.expect_errors_in_the_log();
    app.set_payment_mode_of_user(1, Mode::Pending).await;
    let load = Load::start(&app);
    load.wait_for(BEFORE).await;

    let dump = Dump::new();
    let database = app.store.database().clone();
    let begun_at = load.count();
    tokio::task::block_in_place(|| dump.run(app.postgres(), "pg_dump", &database, &["--format=custom"]));
    let ended_at = load.count();
    println!("{} orders were placed while the dump was taken", ended_at - begun_at);
    load.wait_for(ended_at + AFTER).await;
    load.end().await;
    app.quiesce().await;
    let known_before = ids(&app, "true").await;

    // The disaster: that PostgreSQL is gone with all that came after the dump.
    app.hosts[0].kill();
    app.postgres().stop_immediately().await;
    let fresh = Server::start(Options::for_tests().unwrap()).await.unwrap();
    let restored = fresh.create_database("restored", None).await.unwrap();
    let how = ["--no-owner", "--exit-on-error", "--single-transaction"];
    tokio::task::block_in_place(|| dump.run(&fresh, "pg_restore", &restored, &how));
    for (name, value) in restored.spin_variables() {
        app.hosts[0].set_variable(&name, &value);
    }
    app.store = Store::new(restored);
    app.hosts[0].start_again().await.unwrap();
    app.get("/health").await.json(200);
    let known = ids(&app, "true").await;
    assert!(known.is_subset(&known_before));
    assert!(known.len() >= BEFORE - CLIENTS as usize, "{}", known.len());
    let lost: BTreeSet<&String> = known_before.difference(&known).collect();
    assert!(lost.len() >= AFTER / 2, "{}", lost.len());
    println!("{} orders are in the dump, {} are lost", known.len(), lost.len());

    // Step 1: the sweeps go on with what was under way when the dump was taken.
    app.quiesce().await;
    let left = ids(&app, "phase NOT IN ('done', 'awaiting_payment')").await;
    assert!(left.is_empty(), "{left:?}");

    // Step 2: every payment of that time is called back again, as it is now.
    let mut by_hand = Vec::new();
    for (order_id, payment) in payments(&app).await {
        let status = serde_json::to_value(payment.status).unwrap();
        let Some(status @ ("SUCCESS" | "FAILED" | "REFUNDED")) = status.as_str() else { continue };
        let answer = app.call_back(&order_id, &payment.id, status).await;
        assert_eq!(answer.status == 404, !known.contains(&order_id), "{answer:?}");
        match answer.status {
            200 => {}
            403 | 404 => by_hand.push(payment),
            _ => panic!("{answer:?}"),
        }
    }
    app.quiesce().await;
    app.watch().await;

    // Step 3: what has no order, or one that never charged, goes back at Payment, and its seats are freed at Seating.
    let taken: Vec<_> =
        by_hand.into_iter().filter(|payment| payment.status == PaymentStatus::Success).collect();
    assert!(taken.iter().any(|payment| !known.contains(&payment.order_id)), "some were paid after the dump");
    let confirmed = ids(&app, "status = 'CONFIRMED'").await;
    for payment in &taken {
        assert!(!confirmed.contains(&payment.order_id), "{payment:?}");
        app.refund_directly(&payment.id).await;
    }
    let sandbox = app.peers.state().await.unwrap();
    let orphans = sandbox
        .seats
        .iter()
        .filter(|seat| seat.order_id.as_ref().is_some_and(|owner| !confirmed.contains(owner)));
    let orphans: Vec<i64> = orphans.map(|seat| seat.id).collect();
    println!("{} payments went back by hand, {} seats were freed by hand", taken.len(), orphans.len());
    app.release_directly(&orphans).await;

    // All that is left of money belongs to a confirmed order, and the service says so, too.
    for payment in payments(&app).await.values() {
        assert!(
            payment.status != PaymentStatus::Success || confirmed.contains(&payment.order_id),
            "{payment:?}"
        );
    }
    let series = crate::metrics::scrape(&app).await;
    let violations: Vec<_> =
        series.iter().filter(|(name, _)| name.starts_with("order_service_invariant_violations{")).collect();
    assert!(violations.len() >= 6 && violations.iter().all(|(_, value)| **value == 0.0), "{violations:?}");
    crate::metrics::assert_agrees(&app).await;

    // The service sells again, also what was sold to an order that is lost.
    if let Some(seat) = orphans.first() {
        app.place(&order(&[*seat]).event(106).user(9)).await.created().assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}
