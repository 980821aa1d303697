//! How many calls a sink of events gets that takes nothing, or wants no more.

use order_dev::peers::Matching;

use crate::support::*;

/// Orders whose events are due at the same time: fewer than are claimed at once.
const ORDERS: i64 = 24;

/// Places them while the sinks are left alone, and starts the host again, so that nothing but a sweep that the test asks for sends events.
async fn place_all(app: &mut App) {
    app.pause_sinks().await;
    for seat in 1..=ORDERS {
        app.place(&order(&[seat])).await.created();
    }
    app.hosts[0].kill();
    app.hosts[0].start_again().await.expect("a host");
}

/// Ends the pause. The next one is a minute, so that it does not end before the test has looked.
async fn resume(app: &App) {
    app.store.run("UPDATE event_sinks SET paused_until = NULL, failures = 6").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_has_said_410_is_asked_no_more_although_it_takes_what_is_under_way() {
    let endpoint = || Spawn::new().event_endpoint();
    let proxy = || Spawn::new().kafka_rest_proxy();
    // Of its first events an endpoint has those of eight orders under way, a proxy all, in groups of eight. Each order has two more.
    for (spawn, call, most) in [(endpoint(), CallName::TakeEvent, 8), (proxy(), CallName::Produce, 3)] {
        let mut app = spawn.variable("internal_token", TOKEN).start().await;
        app.expect_errors_in_the_log();
        place_all(&mut app).await;
        // The latest order is asked first.
        let only = Matching { seat_id: Some(ORDERS), ..Matching::default() };
        let gone = app.fault(FaultRule { only, ..FaultRule::on(call, fail(410)).always() }).await;
        let slow = Action::Stall { ms: 500, effect: Moment::Before };
        let slow = app.fault(FaultRule::on(call, slow).always()).await;
        resume(&app).await;
        app.sweep().await;
        let off = "SELECT count(*) FROM event_sinks WHERE off_at IS NOT NULL";
        assert_eq!(app.store.count(off).await, 1, "{call:?}");
        let asked = app.answers(call).await;
        assert!((1..=most).contains(&asked), "{call:?}: {asked} calls");
        app.remove_fault(gone).await;
        app.remove_fault(slow).await;
        app.operator(Method::POST, "/internal/redrive").send().await.json(200);
        eventually("all events", async || {
            app.sweep().await;
            let waiting = "SELECT count(*) FROM event_deliveries WHERE next <= last";
            (app.store.count(waiting).await == 0).then_some(())
        })
        .await;
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kafka_proxy_that_answers_nobody_is_asked_for_each_record_of_one_call_alone() {
    let mut app = Spawn::new().kafka_rest_proxy().start().await;
    place_all(&mut app).await;
    let fault = app.fault(FaultRule::on(CallName::Produce, Action::LoseRequest).always()).await;
    resume(&app).await;
    app.sweep().await;
    let paused = "SELECT count(*) FROM event_sinks WHERE paused_until IS NOT NULL";
    assert_eq!(app.store.count(paused).await, 1);
    let asked = app.peers.calls().await.expect("the calls").of(CallName::Produce).count();
    assert_eq!(asked, 3 + 8, "calls");
    let counted = "SELECT count(*) FROM event_deliveries WHERE attempts > 0";
    assert_eq!(app.store.count(counted).await, 0, "it is no order's fault");
    let tried = "SELECT count(*) FROM event_deliveries WHERE tried <> '[]'";
    assert_eq!(app.store.count(tried).await, 8, "the others are left as they are");
    app.remove_fault(fault).await;
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_fail_at_the_same_time_count_once_and_shorten_no_pause() {
    let app = Spawn::new().event_endpoint().start().await;
    let pause = async |wait_ms: u64| {
        let paused = format!("SELECT count(*) FROM pause_event_sink('http', 'why', {wait_ms}, NULL)");
        app.store.count(&paused).await
    };
    let is_paused = async |failures: u64, seconds: u64| {
        let state = format!(
            "SELECT count(*) FROM event_sinks WHERE failures = {failures}
             AND paused_until > timezone('utc', clock_timestamp()) + interval '{seconds} seconds'"
        );
        app.store.count(&state).await == 1
    };
    // The sink has asked for ten minutes; others were asking it then, and had no answer.
    pause(600_000).await;
    pause(0).await;
    assert!(is_paused(1, 500).await);
    pause(3_000_000).await;
    assert!(is_paused(1, 2_900).await, "it may ask for more");
    app.store.run("UPDATE event_sinks SET paused_until = timezone('utc', clock_timestamp())").await;
    pause(0).await;
    assert!(is_paused(2, 0).await, "the next time is another one");
    app.finish().await;
}
