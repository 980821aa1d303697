//! Callbacks that anybody may send: they ask Payment nothing in vain, fill no journal and skip no back-off.

use crate::callback::{applied, pending};
use crate::charge_unanswered::invalid;
use crate::refund::confirmed;
use crate::support::*;

const UNKNOWN: &str = "01980000-0000-7000-8000-000000000000";

async fn asked(app: &App) -> u64 {
    app.peers.calls().await.unwrap().counts.get("payment.payment").copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_could_change_nothing_asks_payment_nothing() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    app.peers.clear_calls().await.unwrap();
    for status in ["SUCCESS", "FAILED", "CANCELLED", "REFUNDED"] {
        app.call_back(UNKNOWN, document.payment_id(), status).await.problem(404, "order_not_found");
    }
    for status in ["SUCCESS", "FAILED", "CANCELLED"] {
        let (note, same) = applied(&app.call_back(document.id(), document.payment_id(), status).await);
        assert_eq!((note.as_deref(), &same), (Some("already processed"), &document), "{status}");
    }
    app.call_back(document.id(), UNKNOWN, "FAILED").await.problem_of_order(403, "callback_rejected");
    assert_eq!(asked(&app).await, 0);
    app.finish().await;
}

/// It was never charged: no payment can be its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_is_not_asked_about_an_order_without_a_total_whatever_its_phase() {
    let app = spawn().await;
    let other = confirmed(&app, &[2]).await;
    let fault = app.fault(FaultRule::on(CallName::Reserve, fail(503)).always().seat(1)).await;
    let id = app.place(&order(&[1])).await.accepted().id().to_owned();
    app.fault(FaultRule::on_any(Peer::Seating, fail(503)).always()).await;
    app.store.expire(&id).await;
    app.expire_waits().await;
    app.sweep().await;
    let releasing = app.read(&id).await;
    releasing.assert_is("CANCELLED", "releasing");
    app.peers.clear_calls().await.unwrap();
    for payment in [UNKNOWN, other.payment_id()] {
        for status in ["SUCCESS", "FAILED", "REFUNDED"] {
            let answer = app.call_back(&id, payment, status).await;
            assert_eq!(answer.problem_of_order(403, "callback_rejected"), id);
        }
    }
    assert_eq!(asked(&app).await, 0);
    assert_eq!(app.read(&id).await, releasing);
    app.remove_fault(fault).await;
    app.peers.clear_faults().await.unwrap();
    app.quiesce().await;
    let (note, ended) = applied(&app.call_back(&id, UNKNOWN, "SUCCESS").await);
    assert_eq!((note.as_deref(), ended.phase()), (Some("already processed"), "done"));
    assert_eq!(asked(&app).await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_cannot_be_checked_is_a_flag_that_is_raised_once() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
    let call_back = async || {
        let answer = app.call_back(document.id(), document.payment_id(), "SUCCESS").await;
        answer.problem_of_order(503, "peer_unavailable");
    };
    call_back().await;
    app.sweep().await;
    let state =
        format!("SELECT row(version, due_at, attempts)::text FROM orders WHERE id = '{}'", document.id());
    let entries = app.journal(document.id()).await.len();
    // The next attempt waits for its time, which is before the order expires.
    app.store.run("UPDATE orders SET due_at = due_at + interval '5 minutes'").await;
    let waiting = app.store.value(&state).await;
    for _ in 0..20 {
        call_back().await;
    }
    app.sweep().await;
    assert_eq!(app.store.value(&state).await, waiting);
    assert_eq!(app.journal(document.id()).await.len(), entries);
    app.peers.clear_faults().await.unwrap();
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_that_repeat_are_one_entry_of_the_journal() {
    let app = spawn().await;
    let fault = app.fault(FaultRule::on(CallName::Charge, fail(503)).always()).await;
    let document = app.place(&order(&[1])).await.accepted();
    for _ in 0..5 {
        app.expire_waits().await;
        app.sweep().await;
    }
    let journal = app.journal(document.id()).await;
    let attempts: Vec<&Value> = journal.iter().filter(|entry| entry["type"] == "no_answer").collect();
    assert_eq!(attempts.len(), 1, "{journal:?}");
    assert_eq!(attempts[0]["count"], 6);
    assert!(attempts[0]["last_at"].as_str() > attempts[0]["at"].as_str(), "{}", attempts[0]);
    assert!(journal[0].get("count").is_none(), "{}", journal[0]);
    app.remove_fault(fault).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

/// The number and the count of each entry of this type.
fn entries(journal: &[Value], kind: &str) -> Vec<(u64, u64)> {
    let of_kind = journal.iter().filter(|entry| entry["type"] == kind);
    of_kind.map(|entry| (entry["seq"].as_u64().unwrap(), entry["count"].as_u64().unwrap_or(1))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_of_two_kinds_that_alternate_are_two_entries_of_the_journal() {
    let app = spawn().await;
    let mut fault = app.fault(FaultRule::on(CallName::Charge, fail(503)).always()).await;
    let document = app.place(&order(&[1])).await.accepted();
    let before = app.journal(document.id()).await.len() as u64;
    for answer in [invalid(), fail(503)].into_iter().cycle().take(10) {
        app.remove_fault(fault).await;
        fault = app.fault(FaultRule::on(CallName::Charge, answer).always()).await;
        app.expire_waits().await;
        app.sweep().await;
    }
    let journal = app.journal(document.id()).await;
    assert_eq!(entries(&journal, "no_answer"), [(before, 6)], "{journal:?}");
    assert_eq!(entries(&journal, "charge_refused"), [(before + 1, 5)], "{journal:?}");
    assert_eq!(journal.len() as u64, before + 1);
    // The last attempt, and its answer, is that of the first kind.
    let last_of = |entry: &Value| entry["last_at"].as_str().map(str::to_owned);
    let [.., unanswered, refused] = &journal[..] else { panic!("{journal:?}") };
    assert!(last_of(unanswered) > last_of(refused), "{journal:?}");

    // What is no attempt comes after all of them.
    app.remove_fault(fault).await;
    app.expire_waits().await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    let journal = app.journal(document.id()).await;
    assert_eq!(entries(&journal, "payment_succeeded"), [(before + 11, 1)], "{journal:?}");
    app.finish().await;
}

/// Each is a doubt, which Payment's answer ends: whoever sends many callbacks adds no entry by that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubts_that_alternate_with_payments_answers_fill_no_journal() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    for round in 1..=4 {
        let fault = app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
        let answer = app.call_back(document.id(), document.payment_id(), "SUCCESS").await;
        answer.problem_of_order(503, "peer_unavailable");
        app.remove_fault(fault).await;
        app.expire_waits().await;
        eventually("Payment is asked", async || {
            app.sweep().await;
            let unsure = "SELECT count(*) FROM orders WHERE payment_unsure";
            (app.store.count(unsure).await == 0).then_some(())
        })
        .await;
        let journal = app.journal(document.id()).await;
        let doubts = entries(&journal, "payment_unsure");
        assert_eq!((doubts.len(), doubts[0].1), (1, round), "{journal:?}");
        // The charge's answer, with which the phase began, and what Payment has said since.
        let answers = entries(&journal, "payment_pending");
        assert_eq!((answers.len(), answers[0].1, answers[1].1), (2, 1, round), "{journal:?}");
    }
    app.settle_silently(&document, PaymentStatus::Success).await;
    applied(&app.call_back(document.id(), document.payment_id(), "SUCCESS").await);
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

/// A callback that cannot be checked makes Payment be asked at once, but only while nobody waits with the back-off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_cannot_be_checked_does_not_skip_the_back_off() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
    app.store
        .run("UPDATE orders SET attempts = 3, due_at = timezone('utc', now()) + interval '4 minutes'")
        .await;
    let due_at = app.store.value("SELECT due_at::text FROM orders").await;
    let answer = app.call_back(document.id(), document.payment_id(), "SUCCESS").await;
    answer.problem_of_order(503, "peer_unavailable");
    assert_eq!(app.store.value("SELECT due_at::text FROM orders WHERE payment_unsure").await, due_at);
    app.peers.clear_faults().await.unwrap();
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

/// The release that has no answer is another attempt than the charge whose silence ended the order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_an_order_is_not_overwritten_by_the_attempts_that_follow() {
    let app = spawn().await;
    app.fault(FaultRule::on(CallName::Charge, fail(503)).always()).await;
    let document = app.place(&order(&[1])).await.accepted();
    app.fault(FaultRule::on_any(Peer::Seating, fail(503)).always()).await;
    app.store.expire(document.id()).await;
    for _ in 0..3 {
        app.expire_waits().await;
        app.sweep().await;
    }
    app.read(document.id()).await.assert_is("CANCELLED", "releasing");
    let journal = app.journal(document.id()).await;
    let attempts: Vec<&Value> = journal.iter().filter(|entry| entry["type"] == "no_answer").collect();
    let reasons: Vec<_> = attempts.iter().map(|entry| entry["data"]["reason"].as_str().unwrap()).collect();
    let is_of = |peer: &str| reasons.iter().filter(|reason| reason.starts_with(peer)).count();
    assert_eq!((is_of("payment.charge"), is_of("seating")), (2, 1), "{reasons:?}");
    app.peers.clear_faults().await.unwrap();
    app.quiesce().await;
    app.finish().await;
}
