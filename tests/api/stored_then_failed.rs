//! A database error after the order was stored is told with the order.

use crate::support::*;

/// The request is answered with the stored order, and the order is confirmed once the database is mended.
async fn assert_told_with_the_order(break_it: &str, mend_it: &str) {
    let mut app = spawn().await;
    app.expect_errors_in_the_log();
    app.place(&order(&[1])).await.created();
    app.quiesce().await;
    app.store.run(break_it).await;
    let order_request = order(&[2]);
    let answer = app.place(&order_request).await;
    let document = answer.document(202);
    assert_eq!(document.status(), "PENDING", "{break_it}");
    assert_eq!(document.id(), app.id_of(&order_request).await);
    assert_eq!(answer.header("location"), Some(&*format!("/v1/orders/{}", document.id())));
    answer.retry_after();
    app.store.run(mend_it).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequence_that_is_behind_is_told_with_the_order() {
    assert_told_with_the_order(
        "SELECT setval('order_items_id_seq', 1, false)",
        "SELECT setval('order_items_id_seq', 1000)",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_violated_check_is_told_with_the_order() {
    let add =
        "ALTER TABLE order_items ADD CONSTRAINT nothing_has_a_price CHECK (seat_price_cents < 0) NOT VALID";
    assert_told_with_the_order(add, "ALTER TABLE order_items DROP CONSTRAINT nothing_has_a_price").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_the_database_cannot_store_is_told_with_the_order() {
    let break_it = "CREATE FUNCTION untranslatable() RETURNS trigger LANGUAGE plpgsql AS $$
                    BEGIN RAISE EXCEPTION 'no such character' USING ERRCODE = 'untranslatable_character'; END $$;
                    CREATE TRIGGER untranslatable BEFORE INSERT ON order_items FOR EACH ROW EXECUTE FUNCTION untranslatable()";
    assert_told_with_the_order(break_it, "DROP TRIGGER untranslatable ON order_items").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_whose_name_the_encoding_does_not_have_is_told_with_the_order() {
    let mut app = Spawn::new().encoding("LATIN1").start().await;
    app.expect_errors_in_the_log();
    let seat = |id, name: &str| SeatSpec { seat_number: Some(name.into()), ..SeatSpec::priced(id, "150.00") };
    app.put_seat(seat(1, "\u{c9}tage 1")).await;
    let document = app.place(&order(&[1])).await.created();
    assert_eq!(document["items"][0]["seat_code"], "\u{c9}tage 1");

    app.put_seat(seat(2, "\u{5ea7} 2")).await;
    let document = app.place(&order(&[2])).await.accepted();
    document.assert_is("PENDING", "reserving");
    // It is finished as soon as that can be stored.
    app.put_seat(seat(2, "B2")).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_was_granted_is_told_although_what_follows_cannot_be_stored() {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    app.expect_errors_in_the_log();
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    app.store
        .run(
            "CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'not yet' USING ERRCODE = 'check_violation'; END $$;
             CREATE TRIGGER stays BEFORE UPDATE ON orders FOR EACH ROW WHEN (NEW.phase = 'releasing') EXECUTE FUNCTION stays()",
        )
        .await;
    let cancelled = app.cancel(document.id()).await.document(200);
    assert_eq!(cancelled.status(), "CANCELLED");
    app.store.run("DROP TRIGGER stays ON orders").await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_search_path_of_the_role_does_not_matter() {
    let app = Spawn::new().own_postgres().variable("database_username", "elsewhere").start().await;
    app.store
        .run(
            "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.orders (id INT);
             CREATE ROLE elsewhere LOGIN SUPERUSER; ALTER ROLE elsewhere SET search_path = elsewhere",
        )
        .await;
    app.get("/health").await.json(200);
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_go_to_the_schema_public_whatever_the_search_path() {
    let database = empty_database().await;
    let store = Store::new(database.clone());
    let name = &database.name;
    store.run(&format!("CREATE SCHEMA elsewhere; ALTER DATABASE {name} SET search_path = elsewhere")).await;
    order_dev::migrations::apply(&database).await.unwrap();
    let schema = "SELECT string_agg(DISTINCT schemaname, ',') FROM pg_tables WHERE tablename IN ('orders', 'tickets', 'outbox')";
    assert_eq!(store.value(schema).await, "public");
    server().drop_database(name).await.unwrap();
}
