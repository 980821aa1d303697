//! Killing the host: `kill -9`, at random moments, and while another replica runs.

use futures::future::join_all;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_copy_finishes_what_a_killed_one_began() {
    let mut app = Spawn::new().replicas(2).start().await;
    let fault = app.fault(stall(CallName::Reserve, 700, Moment::Before)).await;
    let (detached_client, order_request) = (app.detached_client(0), order(&[1]));
    let key = order_request.key.clone();
    let client = tokio::spawn(async move { detached_client.place(&order_request).await.map(drop) });
    app.until_fault_hit(fault).await;
    app.hosts[0].kill();
    let _ = client.await;
    app.quiesce().await;
    let path = format!("SELECT '/v1/orders/' || id FROM orders WHERE idempotency_key = '{key}'");
    let path = app.store.value(&path).await;
    let read = app.request_to(1, Method::GET, path.as_str().unwrap()).send().await;
    read.document(200).assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_a_random_moment_during_200_orders_leaves_nothing_unfinished() {
    survive_kills(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_two_copies_in_turn_during_200_orders_leave_nothing_unfinished() {
    survive_kills(2).await;
}

/// User 13's payments are declined, user 14's are not called back about, everybody else pays.
async fn survive_kills(replicas: usize) {
    let mut app = Spawn::new().replicas(replicas).start().await;
    app.set_payment_mode_of_user(13, Mode::Decline).await;
    app.set_payment_mode_of_user(14, Mode::Silent).await;
    let order_requests: Vec<OrderRequest> =
        (0..200).map(|n| order(&[3001 + n]).event(106).user(10 + n % 10)).collect();
    let clients: Vec<DetachedClient> = (0..replicas).map(|replica| app.detached_client(replica)).collect();
    let shares = order_requests.chunks(10);
    let clients: Vec<_> =
        shares.map(|share| tokio::spawn(order_all(clients.clone(), share.to_vec()))).collect();
    for replica in 0..replicas {
        // A whole run makes about 900 calls.
        let moment = random(700);
        println!("copy {replica} is killed at call {moment}");
        app.peers.clear_calls().await.unwrap();
        eventually("the moment comes", async || {
            let calls: u64 = app.peers.calls().await.unwrap().counts.values().sum();
            (calls >= moment / replicas as u64 || clients.iter().all(|client| client.is_finished()))
                .then_some(())
        })
        .await;
        app.hosts[replica].kill();
        app.hosts[replica].start_again().await.expect("the host starts again");
    }
    let confirmed = futures::future::try_join_all(clients).await.expect("no client panics").concat();
    app.quiesce().await;

    for id in confirmed {
        app.read(&id).await.assert_is("CONFIRMED", "done");
    }
    for answer in join_all(order_requests.iter().map(|order_request| app.place(order_request))).await {
        assert!(answer.is_replayed());
        match answer.status {
            402 => drop(answer.problem_of_order(402, "payment_declined")),
            _ => answer.created().assert_is("CONFIRMED", "done"),
        }
    }
    let count = async |status: &str| {
        app.store.count(&format!("SELECT count(*) FROM orders WHERE status = '{status}'")).await
    };
    assert_eq!((count("CONFIRMED").await, count("FAILED").await), (180, 20));
    crate::metrics::assert_agrees(&app).await;
    app.finish().await;
}

/// A client that asks again under the same key until it has an answer; the ids that it was told are confirmed.
async fn order_all(clients: Vec<DetachedClient>, order_requests: Vec<OrderRequest>) -> Vec<String> {
    let mut confirmed = Vec::new();
    for (n, order_request) in order_requests.iter().enumerate() {
        let poll_deadline = PollDeadline::until("an answer");
        let mut turn = n;
        let answer = loop {
            turn += 1;
            if let Ok(answer) = clients[turn % clients.len()].place(order_request).await {
                break answer;
            }
            poll_deadline.wait().await;
        };
        match answer.status {
            402 => drop(answer.problem_of_order(402, "payment_declined")),
            _ => {
                let document = answer.created_or_accepted();
                if document.status() == "CONFIRMED" {
                    confirmed.push(document.id().to_owned());
                }
            }
        }
    }
    confirmed
}
