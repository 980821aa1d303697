//! The statements that may take long (the journal, the list of stuck work, a redrive, a scrape, the beginning of a sweep) have a session
//! of their own: a slow one holds up no request of the same instance.

use crate::slow_background::single_instance;
use crate::support::*;

/// How many times [`reads_while_it_waits`] reads.
pub const READS: i64 = 5;

/// Waits until a statement waits at the gate, and reads an order some times: these reads are answered while the same statement still
/// waits. Returns that statement.
pub async fn reads_while_it_waits(gate: &Gate, app: &App, order_id: &str) -> String {
    let waiting = eventually("a statement waits at the gate", async || gate.waiting().await).await;
    // At once, as long as nobody can know that it is a slow one.
    for _ in 0..READS {
        app.read(order_id).await;
    }
    assert_eq!(gate.waiting().await.as_ref(), Some(&waiting), "the reads did not wait for it");
    waiting
}

/// `request`, whose statement calls this function, waits at the gate, and reads do not wait for it.
async fn assert_holds_up_no_read(
    (function, signature, arguments): (&str, &str, &str),
    request: impl AsyncFnOnce(&App, &str) -> Answer,
) {
    let (app, document) = single_instance(&Gate::before(function, signature, arguments)).await;
    let gate = Gate::close(&app.store).await;
    let reads = async {
        reads_while_it_waits(&gate, &app, document.id()).await;
        gate.open().await;
    };
    let (answer, ()) = tokio::join!(request(&app, document.id()), reads);
    assert_eq!(answer.status, 200, "{answer:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_journal_holds_up_no_read() {
    let function = (
        "read_journal_page",
        "(p_id UUID, p_owner INT, p_after INT, p_limit INT) RETURNS TEXT[]",
        "p_id, p_owner, p_after, p_limit",
    );
    assert_holds_up_no_read(function, async |app, id| app.get(&format!("/v1/orders/{id}/events")).await)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_list_of_orders_holds_up_no_read() {
    let signature = "(p_user INT, p_event INT, p_status TEXT, p_before BIGINT, p_before_id UUID, p_limit INT, p_visits INT) RETURNS TEXT[]";
    let arguments = "p_user, p_event, p_status, p_before, p_before_id, p_limit, p_visits";
    assert_holds_up_no_read(("list_orders", signature, arguments), async |app, _| {
        app.operator(Method::GET, "/v1/orders").send().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_list_of_changes_holds_up_no_read() {
    let signature = "(p_user INT, p_event INT, p_status TEXT, p_since BIGINT, p_server BIGINT, p_xid BIGINT, p_id UUID, p_limit INT, p_visits INT) RETURNS TEXT[]";
    let arguments = "p_user, p_event, p_status, p_since, p_server, p_xid, p_id, p_limit, p_visits";
    assert_holds_up_no_read(("list_changed_orders", signature, arguments), async |app, _| {
        app.operator(Method::GET, "/v1/orders?updated_since=2026-01-01T00:00:00Z").send().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_list_of_stuck_work_holds_up_no_read() {
    let function = ("list_stuck", "(p_limit INT) RETURNS TEXT", "p_limit");
    assert_holds_up_no_read(function, async |app, _| {
        app.operator(Method::GET, "/internal/stuck").send().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_redrive_holds_up_no_read() {
    let signature = "(p_orders UUID[], p_messages UUID[], p_limit INT, OUT orders INT, OUT messages INT)";
    let function = ("redrive_stuck", signature, "p_orders, p_messages, p_limit");
    assert_holds_up_no_read(function, async |app, _| {
        app.operator(Method::POST, "/internal/redrive").send().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_scrape_holds_up_no_read() {
    let function = ("read_durable_metrics", "() RETURNS TEXT", "");
    assert_holds_up_no_read(function, async |app, _| app.get("/metrics").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_that_begins_slowly_holds_up_no_read() {
    let function = ("request_full_scan", "() RETURNS VOID", "");
    assert_holds_up_no_read(function, async |app, _| {
        app.operator(Method::POST, "/internal/sweep").send().await
    })
    .await;
}
