//! The migrations themselves.

mod contract;
mod psql;
mod read_only;
mod under_load;

use order_dev::migrations;
use tokio_postgres::error::SqlState;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_migration_is_applied_once() {
    let database = empty_database().await;
    let mut applied = migrations::apply(&database).await.unwrap();
    assert!(migrations::apply(&database).await.unwrap().is_empty());
    assert_eq!(applied.pop().as_deref(), Some(migrations::FUNCTIONS));
    assert!(applied.len() >= 2 && applied.is_sorted(), "{applied:?}");
    let store = Store::new(database);
    let known = store.value("SELECT jsonb_agg(version ORDER BY version) FROM schema_migrations").await;
    assert_eq!(known, json!(applied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_three_tables_keep_their_columns_and_types() {
    let database = empty_database().await;
    migrations::apply(&database).await.unwrap();
    let store = Store::new(database);
    for (table, column, data_type) in [
        ("orders", "id", "uuid"),
        ("orders", "idempotency_key", "text"),
        ("orders", "user_id", "integer"),
        ("orders", "event_id", "integer"),
        ("orders", "status", "character varying"),
        ("orders", "tax_cents", "integer"),
        ("orders", "total_cents", "integer"),
        ("orders", "created_at", "timestamp without time zone"),
        ("orders", "updated_at", "timestamp without time zone"),
        ("order_items", "id", "integer"),
        ("order_items", "order_id", "uuid"),
        ("order_items", "seat_id", "integer"),
        ("order_items", "seat_code", "text"),
        ("order_items", "seat_price_cents", "integer"),
        ("tickets", "id", "uuid"),
        ("tickets", "order_id", "uuid"),
        ("tickets", "seat_id", "integer"),
        ("tickets", "ticket_code", "text"),
        ("tickets", "issued_at", "timestamp without time zone"),
    ] {
        let sql = format!(
            "SELECT data_type FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = '{table}' AND column_name = '{column}'"
        );
        assert_eq!(store.value(&sql).await, data_type, "{table}.{column}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_hold_of_an_order_the_database_enforces() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = app.place(&order(&[1])).await.created();
    let client = app.store.database().connect().await.unwrap();
    for (change, why) in [
        ("phase = 'dancing'", "a phase that nobody knows"),
        ("status = 'LOST'", "a status that nobody knows"),
        ("phase = 'done'", "done, and due all the same"),
        ("due_at = NULL", "unfinished, and never due"),
        ("total_cents = 1", "a total that is not the sum"),
        ("status = 'CONFIRMED', payment_id = NULL, payment_status = NULL", "confirmed without a payment"),
        ("status = 'FAILED'", "failed without a reason"),
        ("payment_status = 'PERHAPS'", "a payment status that nobody knows"),
    ] {
        let sql = format!("UPDATE orders SET {change} WHERE id = '{}'", document.id());
        let error = client.batch_execute(&sql).await.expect_err(why);
        assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION), "{why}: {error}");
    }
    app.finish().await;
}
