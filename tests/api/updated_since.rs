//! `GET /v1/orders?updated_since=…`: keeping a copy of the orders in step.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use crate::list_orders::{Listed, ask, page, with_lists};
use crate::metrics::scrape;
use crate::support::*;

const DELAY: &str = "order_service_updated_since_delay_seconds";
const BEGINNING: &str = "updated_since=1970-01-01T00:00:00Z";

/// Somebody who keeps a copy of all orders, by id.
struct Follower {
    query: String,
    token: String,
    copy: BTreeMap<String, Value>,
    /// How often each order was listed.
    seen: BTreeMap<String, u32>,
}

impl Follower {
    fn since(query: &str) -> Follower {
        Follower {
            query: query.to_owned(),
            token: String::new(),
            copy: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// The next page: whether there was anything new.
    async fn follow(&mut self, app: &App) -> bool {
        let Listed { orders, next } = page(app, &format!("{}{}", self.query, self.token)).await;
        self.token = format!("&page_token={}", next.expect("there is always a place to go on from"));
        let is_new = !orders.is_empty();
        for order in orders {
            *self.seen.entry(order.id().to_owned()).or_default() += 1;
            self.copy.insert(order.id().to_owned(), (*order).clone());
        }
        is_new
    }

    /// Goes on until the copy is as these orders are now.
    async fn catches_up(&mut self, app: &App, ids: &[String]) {
        let mut now = BTreeMap::new();
        for id in ids {
            now.insert(id.clone(), (*app.read(id).await).clone());
        }
        eventually("the copy is in step", async || {
            while self.follow(app).await {}
            (self.copy == now).then_some(())
        })
        .await;
    }
}

/// Payments stay pending, and no other test's transactions are in the way.
async fn with_own_postgres() -> App {
    let spawn = Spawn::new().variable("internal_token", TOKEN).own_postgres();
    spawn.payment_mode(Mode::Pending).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_come_in_the_order_in_which_they_changed_each_at_its_last_change() {
    let app = with_lists(Mode::Pending).await;
    let mut ids = Vec::new();
    for seat in 1..=4 {
        ids.push(app.place(&order(&[seat])).await.created().id().to_owned());
    }
    app.cancel(&ids[0]).await.document(200);
    app.quiesce().await;
    let mut follower = Follower::since(BEGINNING);
    follower.catches_up(&app, &ids).await;
    let listed = page(&app, BEGINNING).await;
    assert_eq!(listed.ids(), [&ids[1], &ids[2], &ids[3], &ids[0]].map(String::clone));

    assert!(!follower.follow(&app).await && !follower.follow(&app).await, "nothing has changed");
    app.cancel(&ids[2]).await.document(200);
    app.quiesce().await;
    let seen = follower.seen.clone();
    follower.catches_up(&app, &ids).await;
    let again: Vec<&String> = ids.iter().filter(|id| follower.seen[*id] > seen[*id]).collect();
    assert_eq!(again, [&ids[2]], "what has not changed is not told again");

    let one_by_one = Follower::since(&format!("{BEGINNING}&page_size=1"));
    let (mut follower, mut told) = (one_by_one, Vec::new());
    for _ in 0..4 {
        let before = follower.seen.clone();
        assert!(follower.follow(&app).await);
        told.extend(follower.seen.keys().filter(|id| !before.contains_key(*id)).cloned());
    }
    assert_eq!(told, [&ids[1], &ids[3], &ids[0], &ids[2]].map(String::clone));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_hold_for_changes_too() {
    let app = with_lists(Mode::Pending).await;
    let place =
        async |seat: i64, user: i64| app.place(&order(&[seat]).user(user)).await.created().id().to_owned();
    let (a, b, c) = (place(1, 7).await, place(2, 8).await, place(3, 7).await);
    app.cancel(&a).await.document(200);
    app.quiesce().await;
    Follower::since(BEGINNING).catches_up(&app, &[a.clone(), b.clone(), c.clone()]).await;
    for (query, expected) in [
        ("user_id=7", vec![&c, &a]),
        ("user_id=7&status=CANCELLED", vec![&a]),
        ("status=PENDING", vec![&b, &c]),
        ("event_id=101", vec![&b, &c, &a]),
        ("event_id=104", vec![]),
        ("user_id=9", vec![]),
    ] {
        let listed = page(&app, &format!("{BEGINNING}&{query}")).await;
        let expected: Vec<&str> = expected.into_iter().map(String::as_str).collect();
        assert_eq!(listed.ids(), expected, "{query}");
        assert!(listed.next.is_some(), "{query}");
    }
    app.finish().await;
}

/// 625 orders of two seats, each with eight changes or more: placed, held, paid, confirmed; and half of them refunded or cancelled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_of_five_thousand_concurrent_transitions_has_every_orders_last_state() {
    let app = Spawn::new().variable("internal_token", TOKEN).replicas(2).start().await;
    let seats: Vec<SeatSpec> = (10_001..=12_500).map(|id| SeatSpec::priced(id, "10")).collect();
    app.peers.put_seats(101, &seats).await.unwrap();
    let mut follower = Follower::since(BEGINNING);
    let is_over = std::cell::Cell::new(false);
    let work = async {
        let mut ids = Vec::new();
        for round in 0..26 {
            let placed = join_all((0..48).map(async |n| {
                let seat = 10_001 + 2 * (round * 48 + n);
                let placed =
                    app.place_at(n as usize % 2, &order(&[seat, seat + 1])).await.created_or_accepted();
                if n % 2 == 0 {
                    // Confirmed or not: one of both is what it takes.
                    let refunded = app.refund(placed.id()).await;
                    assert!([200, 202, 409].contains(&refunded.status), "{refunded:?}");
                }
                placed.id().to_owned()
            }));
            ids.extend(placed.await);
        }
        is_over.set(true);
        ids
    };
    let following = async {
        while !is_over.get() {
            follower.follow(&app).await;
            tokio::task::yield_now().await;
        }
    };
    let (ids, ()) = futures::future::join(work, following).await;
    app.quiesce().await;
    let transitions = app.store.count("SELECT sum(count)::bigint FROM order_events").await;
    assert!(transitions >= 5_000, "{transitions}");
    follower.catches_up(&app, &ids).await;
    assert!(
        follower.seen.values().any(|times| *times > 1),
        "it has followed while there was something to follow"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_commits_late_holds_the_list_back_and_nothing_is_missed() {
    let app = with_own_postgres().await;
    let first = app.place(&order(&[1])).await.created().id().to_owned();
    let mut follower = Follower::since(BEGINNING);
    follower.catches_up(&app, std::slice::from_ref(&first)).await;
    assert_eq!(scrape(&app).await[DELAY], 0.0);

    // It changes an order, and stays open while others commit.
    let foreign = app.store.database().connect().await.unwrap();
    let late = "INSERT INTO orders (user_id, event_id, status) VALUES (5, 5, 'CONFIRMED') RETURNING id::text";
    foreign.batch_execute("BEGIN").await.unwrap();
    let late: String = foreign.query_one(late, &[]).await.unwrap().get(0);
    let second = app.place(&order(&[2])).await.created().id().to_owned();
    app.cancel(&first).await.document(200);
    app.quiesce().await;
    eventually("the delay shows", async || (scrape(&app).await[DELAY] > 1.0).then_some(())).await;
    while follower.follow(&app).await {}
    assert_eq!(follower.copy.len(), 1, "nothing that is younger than the open transaction");
    assert_eq!(follower.copy[&first]["order"]["status"], "PENDING");
    let from_now = page(&app, "updated_since=2999-01-01T00:00:00Z").await;
    assert!(from_now.orders.is_empty());

    foreign.batch_execute("COMMIT").await.unwrap();
    follower.catches_up(&app, &[first.clone(), second.clone(), late.clone()]).await;
    eventually("the delay is over", async || (scrape(&app).await[DELAY] == 0.0).then_some(())).await;
    let token = from_now.next.unwrap();
    let since_then = page(&app, &format!("updated_since=2999-01-01T00:00:00Z&page_token={token}")).await;
    let told: BTreeSet<String> = since_then.ids().into_iter().collect();
    assert_eq!(told, BTreeSet::from([first, second, late]), "all of it was committed after that moment");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_leaves_out_what_changed_long_before_and_nothing_that_changed_after_it() {
    let app = with_own_postgres().await;
    let scan = async || {
        app.store.run("UPDATE queue_scans SET scanned_at = scanned_at - interval '2 seconds'").await;
        app.store.run("SELECT scan_queues(timezone('utc', clock_timestamp()))").await;
    };
    let now = async || {
        let sql = "SELECT format_time(timezone('utc', clock_timestamp()))";
        app.store.value(sql).await.as_str().unwrap().to_owned()
    };
    let old = app.place(&order(&[1])).await.created().id().to_owned();
    scan().await;
    let between = now().await;
    let new = app.place(&order(&[2])).await.created().id().to_owned();
    scan().await;
    let after = now().await;
    assert_eq!(page(&app, &format!("updated_since={between}")).await.ids(), std::slice::from_ref(&new));
    assert!(page(&app, &format!("updated_since={after}")).await.orders.is_empty());
    assert!(page(&app, "updated_since=2999-12-31T23:59:59Z").await.orders.is_empty());
    assert_eq!(page(&app, BEGINNING).await.ids(), [old.clone(), new.clone()]);

    // The clock was set back after the first of them: the time has come twice, and may mean the first one.
    app.store.run("UPDATE change_marks SET at = at + interval '1 hour' WHERE id < (SELECT max(id) FROM change_marks)").await;
    assert_eq!(page(&app, &format!("updated_since={after}")).await.ids(), [old, new]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_are_thinned_out_as_they_age() {
    let app = spawn().await;
    // Three days of them, one every ten seconds, but none of this minute.
    app.store
        .run(
            "DELETE FROM change_marks;
             INSERT INTO change_marks (id, at, xid, level)
             SELECT row_number() OVER (ORDER BY t), t, '3',
                    CASE WHEN date_trunc('hour', t) = t THEN 2 WHEN date_trunc('minute', t) = t THEN 1 ELSE 0 END
             FROM generate_series(date_trunc('minute', timezone('utc', now())) - interval '70 days',
                                  timezone('utc', now()) - interval '90 seconds', interval '10 seconds') t;
             SELECT mark_changes(max(id) + 1) FROM change_marks",
        )
        .await;
    let ago = |interval: &str| format!("at < timezone('utc', now()) - interval '{interval}'");
    let count = async |condition: &str| {
        app.store.count(&format!("SELECT count(*) FROM change_marks WHERE {condition}")).await
    };
    assert_eq!(count(&ago("60 days 1 minute")).await, 0, "the oldest are gone");
    let hours = count(&ago("1 day 1 minute")).await;
    assert!((59 * 24 - 1..=59 * 24).contains(&hours), "{hours}");
    let minutes = count(&format!("{} AND NOT {}", ago("11 minutes"), ago("1 day 1 minute"))).await;
    assert!((24 * 60 - 11..=24 * 60).contains(&minutes), "{minutes}");
    let all = count("true").await - hours - minutes;
    assert!((45..=70).contains(&all), "{all}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_a_follower_is_told_to_begin_again() {
    let spawn = Spawn::new().variable("internal_token", TOKEN).payment_mode(Mode::Pending);
    let mut app = spawn.standby().start().await;
    let id = app.place(&order(&[1])).await.created().id().to_owned();
    let mut follower = Follower::since(BEGINNING);
    follower.catches_up(&app, std::slice::from_ref(&id)).await;
    app.fail_over().await;
    // Until then the old primary's sessions are refused.
    eventually("the numbers are those of another timeline", async || {
        let answer = ask(&app, &format!("{BEGINNING}{}", follower.token)).await;
        if answer.status == 503 {
            answer.problem(503, "database_unavailable");
            return None;
        }
        answer.problem(400, "invalid_page_token");
        Some(())
    })
    .await;
    let mut again = Follower::since(BEGINNING);
    again.catches_up(&app, &[id]).await;
    app.finish().await;
}

/// As docs/OPERATIONS.md has it, after a dump was restored on a server whose transaction numbers are lower.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_a_restored_dump_that_lie_in_the_future_are_set_to_the_beginning() {
    let app = with_lists(Mode::Pending).await;
    let id = app.place(&order(&[1])).await.created().id().to_owned();
    app.store
        .run(
            "UPDATE orders SET changed_xid = (changed_xid::text::bigint + 1000000000)::text::xid8;
             UPDATE change_marks SET xid = (xid::text::bigint + 1000000000)::text::xid8",
        )
        .await;
    assert!(page(&app, BEGINNING).await.orders.is_empty());
    app.store
        .run(
            "UPDATE orders SET changed_xid = '0' WHERE changed_xid >= pg_current_xact_id();
             TRUNCATE change_marks",
        )
        .await;
    assert_eq!(page(&app, BEGINNING).await.ids(), std::slice::from_ref(&id));
    let now = "updated_since=2026-01-01T00:00:00Z";
    assert_eq!(page(&app, now).await.ids(), [id], "a time before all marks is the beginning");
    app.finish().await;
}
