//! Through a real PgBouncer, with the files of `deploy/pgbouncer/`: session mode works, the settings that it leaves out come from the
//! role, and without them the service says that it is not well.

use futures::future::join_all;

use crate::callback::pending;
use crate::metrics::assert_agrees;
use crate::support::*;

/// What an operator runs once, because PgBouncer does not hand on the sessions' start-up options.
const SESSION_SETTINGS: &str = include_str!("../../deploy/pgbouncer/session-settings.sql");

/// The service as `deploy/pgbouncer/` sets it up.
fn spawn_pgbouncer() -> Spawn {
    Spawn::new().variable("internal_token", TOKEN).pgbouncer(SESSION_SETTINGS, &[])
}

/// Everything that a buyer, Payment, a scheduler and an operator ask for, for the seats from `first` on.
async fn walk_the_main_path(app: &App, first: i64) {
    app.set_payment_mode(Mode::Pending).await;
    let paid = pending(app, &[first, first + 1]).await;
    app.settle(&paid, PaymentStatus::Success).await;
    app.read(paid.id()).await.assert_is("CONFIRMED", "done");
    let journal = app.journal(paid.id()).await;
    assert_eq!(journal.first().unwrap()["type"], "order_placed");
    assert_eq!(journal.last().unwrap()["type"], "seats_allocated");

    let given_up = pending(app, &[first + 2]).await;
    assert_eq!(app.cancel(given_up.id()).await.document(200).status(), "CANCELLED");
    let expired = pending(app, &[first + 3]).await;
    app.store.expire(expired.id()).await;
    app.sweep().await;
    app.quiesce().await;
    app.read(expired.id()).await.assert_is("CANCELLED", "done");

    app.set_payment_mode(Mode::Succeed).await;
    let order_request = order(&[first + 4]);
    let refunded = app.place(&order_request).await.created();
    refunded.assert_is("CONFIRMED", "done");
    assert!(app.place(&order_request).await.is_replayed());
    assert_eq!(app.refund(refunded.id()).await.document(200).status(), "REFUNDED");
    app.place(&order(&[first]).user(7)).await.problem(409, "seats_unavailable");
    app.quiesce().await;
    assert!(app.stuck().await.orders.is_empty());
    assert_agrees(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_main_path_works_through_pgbouncer_in_session_mode() {
    let mut app = spawn_pgbouncer().start().await;
    app.get("/health").await.json(200);
    walk_the_main_path(&app, 1).await;
    let log = app.pgbouncer().log();
    assert!(log.contains("order_db/appuser@127.0.0.1"), "the service came through PgBouncer: {log}");
    app.finish().await;
}

/// The settings of a session, as the file of start-up options has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_gives_the_sessions_the_settings_that_pgbouncer_leaves_out() {
    let app = spawn_pgbouncer().start().await;
    let options = include_str!("../../src/config/session_options.txt");
    for option in options.split("-c ").map(str::trim).filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap();
        let has = app.store.value(&format!("SELECT current_setting('{name}')")).await;
        let has = has.as_str().unwrap().replace(' ', "");
        assert_eq!(has, value, "{name}: put it into deploy/pgbouncer/session-settings.sql");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_orders_at_once_by_two_copies_go_through_fewer_sessions_than_they_have_connections() {
    // Each copy has two pools of four connections.
    let settings = [("default_pool_size", "12"), ("client_idle_timeout", "1")];
    let spawn = Spawn::new().replicas(2).pg_max_connections(4).pgbouncer(SESSION_SETTINGS, &settings);
    let app = spawn.start().await;
    let order_requests: Vec<OrderRequest> = (3001..3041).map(|seat| order(&[seat]).event(106)).collect();
    for _ in 0..2 {
        let place = |n: usize| app.place_at(n % 2, &order_requests[n]);
        for answer in join_all((0..order_requests.len()).map(place)).await {
            if answer.status == 503 {
                answer.problem(503, "database_unavailable");
            } else {
                answer.created_or_accepted();
            }
        }
    }
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'order-service'";
    assert!(app.store.count(sessions).await <= 12);
    for copy in 0..2 {
        let sweep = || app.request_to(copy, Method::POST, "/internal/sweep").send();
        eventually("sweeps get their sessions", async || (sweep().await.status == 200).then_some(())).await;
    }
    app.quiesce().await;
    for order_request in &order_requests {
        let placed = eventually("the order is placed", async || {
            let answer = app.place(order_request).await;
            (answer.status != 503).then_some(answer)
        });
        placed.await.created().assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_pgbouncer_loses_nothing_and_the_service_recovers_by_itself() {
    let mut app = spawn_pgbouncer().start().await;
    let before: Vec<OrderRequest> = (3001..3021).map(|seat| order(&[seat]).event(106)).collect();
    let placed = join_all(before.iter().map(|order_request| app.place(order_request))).await;
    let placed: Vec<Document> = placed.iter().map(Answer::created_or_accepted).collect();

    app.pgbouncer().stop().await;
    app.place(&order(&[1])).await.problem(503, "database_unavailable");
    app.get("/health/live").await.json(200);
    app.pgbouncer().start_again().await.unwrap();

    eventually("the service is well", async || (app.get("/health").await.status == 200).then_some(())).await;
    app.until_reads_succeed(placed[0].id()).await;
    app.quiesce().await;
    for (order_request, document) in before.iter().zip(&placed) {
        let again = app.place(order_request).await;
        assert!(again.is_replayed());
        let again = again.created();
        again.assert_is("CONFIRMED", "done");
        assert_eq!(again.id(), document.id());
    }
    walk_the_main_path(&app, 1).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_postgresql_behind_pgbouncer_is_over_within_seconds() {
    let mut app = spawn_pgbouncer().start().await;
    let document = app.place(&order(&[1])).await.created();
    app.postgres().stop_immediately().await;
    app.place(&order(&[2])).await.problem(503, "database_unavailable");
    app.postgres().start_again().await.unwrap();
    let begun = std::time::Instant::now();
    eventually("the service is well", async || (app.get("/health").await.status == 200).then_some(())).await;
    assert!(begun.elapsed().as_secs() < 10, "server_login_retry is not PgBouncer's 15 seconds");
    app.until_reads_succeed(document.id()).await;
    app.place(&order(&[2])).await.created_or_accepted();
    app.finish().await;
}

/// PgBouncer 1.18 refuses the connection, and names the parameter in its log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_ignore_startup_parameters_no_connection_is_made() {
    let spawn = Spawn::new().pgbouncer(SESSION_SETTINGS, &[("ignore_startup_parameters", "")]);
    let mut app = spawn.start().await;
    let health = app.get("/health").await.json(503);
    assert_eq!(health["checks"]["database"]["error"], "no answer");
    app.place(&order(&[1])).await.problem(503, "database_unavailable");
    let log = app.pgbouncer().log();
    assert!(log.contains("unsupported startup parameter"), "{log}");
    app.abandon().await;
}

/// Statements would go on after the service has given them up, and their sessions would add up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_without_a_statement_timeout_is_no_health() {
    let app = Spawn::new().pgbouncer("ALTER ROLE appuser SET jit = off", &[]).start().await;
    let health = app.get("/health").await.json(503);
    assert_eq!(health["checks"]["database"]["error"], "no statement timeout");
    app.get("/health/live").await.json(200);
    app.finish().await;
}

/// Its time zone, its search path and its planner do not matter for what is true, only for how fast it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_settings_of_the_session_change_no_answer() {
    let odd = "ALTER ROLE appuser SET statement_timeout = '3s';
               ALTER DATABASE order_db SET timezone = 'Asia/Kolkata';
               ALTER DATABASE order_db SET datestyle = 'German, DMY';
               ALTER DATABASE order_db SET default_transaction_isolation = 'serializable';";
    let spawn = Spawn::new().variable("internal_token", TOKEN).pgbouncer(odd, &[]);
    let app = spawn.start().await;
    app.get("/health").await.json(200);
    walk_the_main_path(&app, 1).await;
    app.finish().await;
}

/// PgBouncer before 1.21 hands a prepared statement to sessions that do not know it. This is why the documents forbid it; with several
/// copies it is worse, because their statements have the same names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_transaction_pooling_refuses_is_placed_when_session_pooling_is_back() {
    let mut app = Spawn::new().pgbouncer(SESSION_SETTINGS, &[("pool_mode", "transaction")]).start().await;
    let order_requests: Vec<OrderRequest> = (3001..3041).map(|seat| order(&[seat]).event(106)).collect();
    let answers = join_all(order_requests.iter().map(|order_request| app.place(order_request))).await;
    for answer in answers {
        if answer.status == 503 {
            answer.problem(503, "database_unavailable");
        } else {
            answer.created_or_accepted();
        }
    }
    app.pgbouncer().set("pool_mode", "session").unwrap();
    app.pgbouncer().start_again().await.unwrap();
    eventually("the service is well", async || (app.get("/health").await.status == 200).then_some(())).await;
    app.quiesce().await;
    for answer in join_all(order_requests.iter().map(|order_request| app.place(order_request))).await {
        answer.created_or_accepted();
    }
    app.finish().await;
}

/// How the password is rotated without a moment in which one of two is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_role_that_is_a_member_of_the_first_one_takes_over() {
    let second = "CREATE ROLE appuser_b LOGIN PASSWORD 'other' IN ROLE appuser;";
    let settings = SESSION_SETTINGS.replace("appuser", "appuser_b");
    let mut app = Spawn::new()
        .variable("internal_token", TOKEN)
        .pgbouncer(&format!("{SESSION_SETTINGS} {second} {settings}"), &[])
        .start()
        .await;
    let document = app.place(&order(&[31])).await.created();
    app.quiesce().await;
    app.pgbouncer().add_user("appuser_b", "other").unwrap();
    app.pgbouncer().start_again().await.unwrap();
    for (name, value) in [("database_username", "appuser_b"), ("database_password", "other")] {
        app.hosts[0].set_variable(name, value);
    }
    app.hosts[0].start_again().await.unwrap();
    app.get("/health").await.json(200);
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    walk_the_main_path(&app, 1).await;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'appuser_b'";
    assert!(app.store.count(sessions).await > 0);
    app.finish().await;
}
