//! What the server says is told from what it means: repeated, unavailable, or a fault; and the session is ended or not.

use std::collections::BTreeSet;

use crate::support::*;

/// Makes the first `times` attempts to store an order fail with an SQLSTATE.
async fn fail_inserts(app: &App, sqlstate: &str, times: u32) {
    let sql = format!(
        "CREATE SEQUENCE IF NOT EXISTS attempts;
         SELECT setval('attempts', 1, false);
         CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('attempts') <= {times} THEN
                 RAISE EXCEPTION 'said the test' USING ERRCODE = '{sqlstate}';
             END IF;
             RETURN NEW;
         END $$;
         CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION fail();"
    );
    app.store.run(&sql).await;
}

/// The process ids of the service's sessions.
async fn sessions(app: &App) -> BTreeSet<i64> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'order-service'";
    app.store.rows(sql).await.iter().filter_map(|row| row["pid"].as_i64()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlstate_is_repeated_or_is_503_or_is_500() {
    const FOR_EVER: u32 = 1_000_000;
    let mut app = spawn().await;
    app.expect_errors_in_the_log();
    let mut seat = 0;
    for (sqlstate, times, expected) in [
        ("40001", 1, 201),
        ("40P01", 2, 201),
        ("0A000", 1, 201),
        ("XX000", 1, 201),
        ("26000", 2, 201),
        ("08006", 1, 201),
        ("57P01", 1, 201),
        ("25P02", 1, 201),
        ("42P05", 1, 201),
        ("55P03", 1, 201),
        ("40001", FOR_EVER, 503),
        ("26000", FOR_EVER, 503),
        ("55P03", FOR_EVER, 503),
        ("53100", 1, 503),
        ("55006", 1, 503),
        ("57014", 1, 503),
        ("58030", 1, 503),
        ("0A000", FOR_EVER, 500),
        ("XX000", FOR_EVER, 500),
        ("XX001", 1, 500),
        ("22P05", 1, 500),
        ("23514", 1, 500),
        ("42883", 1, 500),
        ("P0001", 1, 500),
    ] {
        fail_inserts(&app, sqlstate, times).await;
        seat += 1;
        let answer = app.place(&order(&[seat])).await;
        assert_eq!(answer.status, expected, "{sqlstate} {times} times: {answer:?}");
        match expected {
            503 => {
                answer.problem(503, "database_unavailable");
                answer.retry_after();
            }
            500 => drop(answer.problem(500, "internal_error")),
            _ => {}
        }
    }
    app.store.run("DROP TRIGGER fail ON orders").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_ended_for_its_own_errors_and_when_the_database_is_unavailable() {
    let mut app = spawn().await;
    app.expect_errors_in_the_log();
    let first = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    let kept = ["23514", "40001"].map(|sqlstate| (sqlstate, false));
    let ended = ["08P01", "26000", "53100", "53200", "53300", "55000", "55006", "57014", "58030", "F0000"]
        .map(|sqlstate| (sqlstate, true));
    let cases = kept.into_iter().chain(ended);
    for (seat, (sqlstate, ends)) in (2..).zip(cases) {
        app.read(first.id()).await;
        let before = sessions(&app).await;
        assert!(!before.is_empty());
        fail_inserts(&app, sqlstate, 1).await;
        app.place(&order(&[seat])).await;
        let is_ended = async || !sessions(&app).await.is_superset(&before);
        if ends {
            eventually("the session is ended", async || is_ended().await.then_some(())).await;
        } else {
            assert!(!is_ended().await, "{sqlstate}");
        }
        app.store.run("DROP TRIGGER fail ON orders").await;
    }
    app.finish().await;
}
