//! What is slow in the background of an instance (a claim, a sweep's store, a message's outcome, a flush of counts) holds up no request
//! of the same instance.

use std::time::{Duration, Instant};

use crate::kept_counts::stored_reads;
use crate::slow_statements::{READS, reads_while_it_waits};
use crate::support::*;

/// The statement sleeps for so long: less than `statement_timeout`, and far longer than a request takes.
const SLOW: &str = "2.6 seconds";
const FAR_LESS: Duration = Duration::from_secs(2);

/// SQL that makes a trigger sleep, when this happens to a table.
fn slow_trigger(happens: &str) -> String {
    format!(
        "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep_for('{SLOW}'); RETURN coalesce(NEW, OLD); END $$;
         CREATE TRIGGER slow BEFORE {happens} EXECUTE FUNCTION sleep()"
    )
}

/// An app with one instance at a time, and an order that waits for its payment; this SQL has made something slow.
pub async fn single_instance(slow: &str) -> (App, Document) {
    let (app, document) = restarted(Spawn::new().variable("internal_token", TOKEN), slow).await;
    let document = app.read(document.id()).await;
    (app, document)
}

/// The same before the new instance has had a request.
async fn restarted(spawn: Spawn, slow: &str) -> (App, Document) {
    let spawn = spawn.payment_mode(Mode::Pending).environment("SPIN_MAX_INSTANCE_COUNT", "1");
    let mut app = spawn.start().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    // A new instance, which takes 128 requests: as long as a slow one goes on, there is no other.
    app.hosts[0].kill();
    app.store.run(slow).await;
    app.hosts[0].start_again().await.unwrap();
    (app, document)
}

/// Reads an order again and again from when the slow statement has begun until it has ended; no read is slow.
async fn assert_reads_are_not_held_up(app: &App, order_id: &str) {
    let sleeps =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    eventually("the slow statement has begun", async || (app.store.count(sleeps).await > 0).then_some(()))
        .await;
    let deadline = PollDeadline::until("the slow statement has ended");
    while app.store.count(sleeps).await > 0 {
        let asked = Instant::now();
        app.read(order_id).await;
        assert!(asked.elapsed() < FAR_LESS, "{:?}", asked.elapsed());
        // More often than a stalled connection is recognized, and less than 128 times in all: the instance takes no more.
        for _ in 0..2 {
            deadline.wait().await;
        }
    }
}

async fn assert_slow_sweep_holds_up_nobody(happens: &str) {
    let due = "UPDATE orders SET expires_at = timezone('utc', now()), due_at = timezone('utc', now())";
    let (app, document) = single_instance(&format!("{due}; {}", slow_trigger(happens))).await;
    tokio::join!(app.sweep(), assert_reads_are_not_held_up(&app, document.id()));
    app.store.run("DROP FUNCTION sleep CASCADE").await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_claim_holds_up_no_request() {
    assert_slow_sweep_holds_up_nobody("UPDATE ON orders FOR EACH ROW WHEN (NEW.attempts > OLD.attempts)")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_of_a_sweep_holds_up_no_request() {
    let leaves =
        "UPDATE ON orders FOR EACH ROW WHEN (OLD.phase = 'awaiting_payment' AND NEW.phase <> OLD.phase)";
    assert_slow_sweep_holds_up_nobody(leaves).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_outcome_of_a_message_that_a_sweep_delivers_holds_up_no_request() {
    assert_slow_sweep_holds_up_nobody("DELETE ON outbox FOR EACH ROW").await;
}

/// Spin's default for the requests of an instance, after which its connection would be held idle; a host may give it more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_flush_of_an_instance_that_seems_to_be_used_up_holds_up_no_request() {
    let slow = slow_trigger("INSERT ON work_flushes FOR EACH ROW");
    let spawn = Spawn::new().option("--max-instance-reuse-count", "1000");
    let (app, document) = restarted(spawn, &slow).await;
    for request in 1..=260 {
        let asked = Instant::now();
        app.read(document.id()).await;
        assert!(asked.elapsed() < FAR_LESS, "request {request}: {:?}", asked.elapsed());
    }
    app.store.run("DROP FUNCTION sleep CASCADE").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_of_counts_that_waits_holds_up_no_request() {
    let flush = "(p_flush UUID, p_counts JSONB) RETURNS TEXT[]";
    let (app, document) = single_instance(&Gate::before("flush_counters", flush, "p_flush, p_counts")).await;
    let gate = Gate::close(&app.store).await;
    // A flush follows, also when that of the read before was not kept out.
    app.read(document.id()).await;
    let waiting = reads_while_it_waits(&gate, &app, document.id()).await;
    app.place(&order(&[4])).await.created();
    assert_eq!(gate.waiting().await, Some(waiting), "they did not wait for it");
    gate.open().await;
    let sent = 2 + READS;
    eventually("all reads are counted", async || {
        let counted = stored_reads(&app, 200).await;
        assert!(counted <= sent, "{counted} of {sent}");
        (counted == sent).then_some(())
    })
    .await;
    app.finish().await;
}
