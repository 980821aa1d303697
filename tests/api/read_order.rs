//! Reading an order back.

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_has_an_etag_that_changes_when_the_order_does() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = app.place(&order(&[1])).await.created();
    let path = format!("/v1/orders/{}", document.id());
    let read = app.get(&path).await;
    assert_eq!(read.document(200), document);
    let etag = read.header("etag").expect("an ETag").to_owned();
    assert!(etag.trim_start_matches("W/").starts_with('"') && etag.ends_with('"'), "{etag}");
    assert_eq!(app.get(&path).await.header("etag"), Some(etag.as_str()));

    let known = |value: &str| app.request(Method::GET, &path).header("if-none-match", value);
    let strong = etag.trim_start_matches("W/");
    for value in [
        etag.clone(),
        "*".into(),
        format!("W/{strong}"),
        format!("\"x\", {etag}"),
        format!("\"x\",{strong},\"y\""),
    ] {
        let answer = known(&value).send().await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{value}");
        assert_eq!(answer.header("etag"), Some(etag.as_str()), "{value}");
    }
    for value in ["\"other\"", "", "garbage", "W/\"\""] {
        known(value).send().await.document(200);
    }

    app.settle(&document, PaymentStatus::Success).await;
    let changed = known(&etag).send().await;
    changed.document(200).assert_is("CONFIRMED", "done");
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    app.finish().await;
}

/// The document is put together as text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_any_characters_are_quoted() {
    const ODD: &str = "\"\\/\u{1}\n\t\u{7f}\u{e9}\u{2028}\u{1f39f},:{}[]' ";
    let app = spawn().await;
    let document = app.place(&order(&[1, 2])).await.created();
    let failed = app.place(&order(&[3])).await.created();
    app.quiesce().await;
    let sql = format!(
        "UPDATE orders SET idempotency_key = id || $odd${ODD}$odd$;
         UPDATE order_items SET seat_code = $odd${ODD}$odd$;
         UPDATE tickets SET ticket_code = seat_id || $odd${ODD}$odd$;
         UPDATE orders SET failure_code = 'payment_declined', failure_detail = $odd${ODD}$odd$ WHERE id = '{}'",
        failed.id()
    );
    app.store.run(&sql).await;
    let read = app.read(document.id()).await;
    assert_eq!(read["order"]["idempotency_key"], format!("{}{ODD}", document.id()));
    for (n, seat) in [1, 2].into_iter().enumerate() {
        assert_eq!(read["items"][n]["seat_code"], ODD);
        assert_eq!(read["tickets"][n]["seat_code"], ODD);
        assert_eq!(read["tickets"][n]["ticket_code"], format!("{seat}{ODD}"));
    }
    assert_eq!(app.read(failed.id()).await["order"]["failure"]["detail"], ODD);
    app.finish().await;
}

/// Tables that another service made may have NULL where ours have not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_json_whatever_is_missing() {
    let app = spawn().await;
    let id = app.place(&order(&[1])).await.created().id().to_owned();
    app.quiesce().await;
    let sql = format!(
        "SELECT to_json(string_agg(render_document(json_populate_record(o, json_build_object(c.attname, NULL)))::json->>'items', ''))
         FROM orders o, pg_attribute c
         WHERE o.id = '{id}' AND c.attrelid = 'orders'::regclass AND c.attnum > 0 AND NOT c.attnotnull"
    );
    assert!(app.store.value(&sql).await.to_string().contains("seat_id"));
    app.store.run("ALTER TABLE tickets ALTER seat_id DROP NOT NULL, ALTER ticket_code DROP NOT NULL, ALTER issued_at DROP NOT NULL").await;
    app.store.run("BEGIN; UPDATE tickets SET seat_id = NULL, ticket_code = NULL, issued_at = NULL;
                   UPDATE order_items SET seat_code = NULL; SELECT render_document(o)::json FROM orders o; ROLLBACK").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_etag_changes_with_the_format_of_the_document() {
    let app = spawn().await;
    let id = app.place(&order(&[1])).await.created().id().to_owned();
    app.quiesce().await;
    let path = format!("/v1/orders/{id}");
    let etag = app.get(&path).await.header("etag").expect("an ETag").to_owned();
    let known = || app.request(Method::GET, &path).header("if-none-match", &etag);
    assert_eq!(known().send().await.status, 304);

    let function = app.store.value("SELECT pg_get_functiondef('read_order'::regproc)").await;
    let function = function.as_str().expect("its text");
    assert!(function.contains("format CONSTANT INT := "), "{function}");
    app.store.run(&function.replace("format CONSTANT INT := ", "format CONSTANT INT := 1000 + ")).await;
    let read = known().send().await;
    assert_eq!(read.document(200).id(), id);
    assert_ne!(read.header("etag"), Some(etag.as_str()));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_answers_as_get_does_without_the_body() {
    let app = spawn().await;
    let id = app.place(&order(&[1])).await.created().id().to_owned();
    app.quiesce().await;
    let unknown = "01980000-0000-7000-8000-000000000000";
    for path in [format!("/v1/orders/{id}"), format!("/v1/orders/{unknown}"), "/v1/orders/x".into()] {
        let get = app.get(&path).await;
        let head = app.request(Method::HEAD, &path).send().await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for name in ["content-type", "content-length", "etag"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
    let etag = app.get(&format!("/v1/orders/{id}")).await.header("etag").unwrap().to_owned();
    let head = app.request(Method::HEAD, &format!("/v1/orders/{id}")).header("if-none-match", etag);
    assert_eq!(head.send().await.status, 304);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_is_no_uuid_is_refused() {
    let app = spawn().await;
    for id in [
        "1",
        "abc",
        "0",
        "null",
        "01980000-0000-7000-8000-00000000000",
        "01980000-0000-7000-8000-0000000000000",
        "01980000-0000-7000-8000-00000000000g",
        "01980000000070008000000000000000",
        "%7B01980000-0000-7000-8000-000000000000%7D",
        "01980000-0000-7000-8000-000000000000%27%20OR%20%271%27=%271",
        "1%27;DROP%20TABLE%20orders;--",
        "%00",
        "%ff",
        "%F0%9F%8E%B6",
        "..%2f..%2fetc%2fpasswd",
    ] {
        let answer = app.get(&format!("/v1/orders/{id}")).await;
        answer.problem(400, "invalid_order_id");
    }
    let long = "a".repeat(8_000);
    app.get(&format!("/v1/orders/{long}")).await.problem(400, "invalid_order_id");
    assert!(logs::errors(&app.hosts[0].log_lines()).is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_does_not_exist_is_not_found() {
    let app = spawn().await;
    for id in ["01980000-0000-7000-8000-000000000000", "00000000-0000-0000-0000-000000000000"] {
        app.get(&format!("/v1/orders/{id}")).await.problem(404, "order_not_found");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_case_of_an_id_and_a_query_do_not_matter() {
    let app = spawn().await;
    let document = app.place(&order(&[1])).await.created();
    let upper = format!("/v1/orders/{}", document.id().to_uppercase());
    assert_eq!(app.get(&upper).await.document(200), document);
    assert_eq!(app.get(&format!("/v1/orders/{}?x=1", document.id())).await.document(200), document);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_copy_reads_what_this_one_wrote() {
    let app = Spawn::new().replicas(2).start().await;
    let document = app.place_at(0, &order(&[1])).await.created();
    let read = app.request_to(1, Method::GET, &format!("/v1/orders/{}", document.id())).send().await;
    assert_eq!(read.document(200), document);
    app.finish().await;
}
