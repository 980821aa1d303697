//! PostgreSQL restarts under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_loses_nothing_and_no_request_fails_after_it() {
    let mut app = Spawn::new().own_postgres().start().await;
    let load = Load::start(&app).await;
    let (pid, data_dir) = (app.postgres().pid(), app.postgres().data_dir().to_path_buf());
    // As an administrator does it: everything is written out first.
    signal("-INT", &[pid.expect("the server runs").into()]);
    load.wait_for("requests during the outage", 16, |load| &load.refused).await;
    eventually("the server ends", async || (!data_dir.join("postmaster.pid").exists()).then_some(())).await;
    app.postgres().start_again().await.unwrap();
    let seen = load.go_on_and_stop().await;

    app.quiesce().await;
    for Seen { order_request, document } in seen {
        let again = app.place(&order_request).await;
        assert!(again.is_replayed(), "what was placed is not lost");
        let now_it_is = again.created();
        now_it_is.assert_is("CONFIRMED", "done");
        assert!(document.status() != "CONFIRMED" || now_it_is == document);
    }
    crate::metrics::assert_agrees(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_under_load_loses_no_order_that_was_placed() {
    let mut app = Spawn::new().own_postgres().start().await;
    let load = Load::start(&app).await;
    app.postgres().stop_immediately().await;
    load.wait_for("requests during the outage", 16, |load| &load.refused).await;
    app.postgres().start_again().await.unwrap();
    let seen = load.go_on_and_stop().await;

    app.quiesce().await;
    for Seen { order_request, document } in seen {
        // An order that was under way may have been lost with the crash, and is then placed anew.
        let now_it_is = app.place(&order_request).await.created();
        now_it_is.assert_is("CONFIRMED", "done");
        assert!(document.status() != "CONFIRMED" || now_it_is == document);
    }
    crate::metrics::assert_agrees(&app).await;
    app.finish().await;
}

/// Eight clients, each of which places one order after the other.
struct Load {
    counts: Arc<Counts>,
    clients: JoinSet<Vec<Seen>>,
}

/// What the clients have seen so far.
#[derive(Default)]
struct Counts {
    placed: AtomicUsize,
    refused: AtomicUsize,
    is_up_again: AtomicBool,
    stop: AtomicBool,
}

/// What became of one request.
#[derive(Clone)]
struct Seen {
    order_request: OrderRequest,
    document: Document,
}

impl Load {
    /// Starts it, and waits until it is under way.
    async fn start(app: &App) -> Load {
        let counts = Arc::new(Counts::default());
        let mut clients = JoinSet::new();
        for client in 0..8 {
            clients.spawn(keep_ordering(app.detached_client(0), counts.clone(), 3001 + client * 60));
        }
        let load = Load { counts, clients };
        load.wait_for("orders before the outage", 20, |load| &load.placed).await;
        load
    }

    async fn wait_for(&self, what: &str, at_least: usize, count: impl Fn(&Counts) -> &AtomicUsize) {
        let seen = async || count(&self.counts).load(Ordering::SeqCst);
        eventually(what, async || (seen().await >= at_least).then_some(())).await;
    }

    /// The database is up again: no request fails from now on. After some more orders it ends.
    async fn go_on_and_stop(self) -> Vec<Seen> {
        self.counts.is_up_again.store(true, Ordering::SeqCst);
        let so_far = self.counts.placed.load(Ordering::SeqCst);
        self.wait_for("orders after the outage", so_far + 40, |load| &load.placed).await;
        self.counts.stop.store(true, Ordering::SeqCst);
        self.clients.join_all().await.concat()
    }
}

/// Places one order after the other, each until it is placed, and reads it.
async fn keep_ordering(detached_client: DetachedClient, counts: Arc<Counts>, first_seat: i64) -> Vec<Seen> {
    let mut all = Vec::new();
    for seat in (first_seat..).take(60) {
        if counts.stop.load(Ordering::SeqCst) {
            break;
        }
        let order_request = order(&[seat]).event(106);
        let poll_deadline = PollDeadline::until("the order is placed");
        let document = loop {
            let is_up_again = counts.is_up_again.load(Ordering::SeqCst);
            let answer = detached_client.place(&order_request).await.expect("the host answers all the time");
            if answer.status != 503 {
                break answer.created_or_accepted();
            }
            answer.problem(503, "database_unavailable");
            answer.retry_after();
            assert!(!is_up_again, "this request was sent when the database was up again");
            counts.refused.fetch_add(1, Ordering::SeqCst);
            poll_deadline.wait().await;
        };
        let path = format!("/v1/orders/{}", document.id());
        let read = detached_client.get(&path).await.expect("the host answers all the time");
        assert!([200, 404, 503].contains(&read.status), "{read:?}");
        counts.placed.fetch_add(1, Ordering::SeqCst);
        all.push(Seen { order_request, document });
    }
    all
}
