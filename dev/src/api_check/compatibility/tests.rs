//! The document of the service, changed in every way that the check is for.

use super::*;

fn document() -> Value {
    let text = std::fs::read_to_string(crate::repo_root().join("docs/openapi.json")).expect("the document");
    serde_json::from_str(&text).expect("JSON")
}

const PLACE: &str = "/paths/~1v1~1orders/post";
const READ: &str = "/paths/~1v1~1orders~1{id}/get";
const SCHEMAS: &str = "/components/schemas";

/// The document with something else at a pointer; `null` takes it away.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = document();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let name = name.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent).unwrap_or_else(|| panic!("{parent} is there")) {
        Value::Object(object) if value.is_null() => drop(object.remove(&name).expect("it was there")),
        Value::Object(object) => drop(object.insert(name, value)),
        Value::Array(array) if name == "-" => array.push(value),
        Value::Array(array) => drop(array.remove(name.parse().expect("an index"))),
        other => panic!("{parent} is {other}"),
    }
    document
}

fn breaking(pointer: &str, value: Value) -> Vec<String> {
    breaking_changes(&document(), &with(pointer, value))
}

#[test]
fn a_document_is_compatible_with_itself() {
    assert_eq!(breaking_changes(&document(), &document()), [""; 0]);
}

#[test]
fn what_breaks_clients_is_found() {
    for (pointer, value, expected) in [
        ("/paths/~1health".to_owned(), json!(null), "GET /health: is gone"),
        (PLACE.to_owned(), json!(null), "POST /v1/orders: is gone"),
        (format!("{PLACE}/responses/402"), json!(null), "POST /v1/orders 402: is gone"),
        ("/paths/x-otherwise/404".to_owned(), json!(null), "x-otherwise 404: is gone"),
        (
            "/paths/x-preflight/headers/Access-Control-Max-Age".to_owned(),
            json!(null),
            "x-preflight header Access-Control-Max-Age: is gone",
        ),
        ("/x-common-headers/Vary".to_owned(), json!(null), "each answer header Vary: is gone"),
        (
            format!("{READ}/security/1"),
            json!(null),
            "GET /v1/orders/{id}: the credentials {} are not enough any more",
        ),
        (
            "/paths/~1health/get/security".to_owned(),
            json!([{ "userToken": [] }]),
            "GET /health: the credentials {} are not enough any more",
        ),
        (
            format!("{PLACE}/responses/409/content/application~1problem+json/schema/oneOf/1"),
            json!(null),
            "the problem \"event_not_on_sale\" is gone",
        ),
        (
            format!("{SCHEMAS}/OrderNotFoundProblem/allOf/1/properties/title/const"),
            json!("Gone"),
            "the value \"Gone\" is new",
        ),
        (format!("{SCHEMAS}/Order/properties/total_cents"), json!(null), ".order.total_cents: is gone"),
        (format!("{SCHEMAS}/Order/required/0"), json!(null), ".order.id: may be missing"),
        (
            format!("{SCHEMAS}/Order/properties/currency/type"),
            json!(["string", "null"]),
            ".order.currency: the types",
        ),
        (
            format!("{SCHEMAS}/Order/properties/total_cents/type"),
            json!("string"),
            ".order.total_cents: the types",
        ),
        (format!("{SCHEMAS}/Status/enum/-"), json!("LOST"), "the value \"LOST\" is new"),
        (
            format!("{SCHEMAS}/OrderDocument/properties/items"),
            json!({ "type": "object" }),
            ".items: the types",
        ),
        (
            format!("{READ}/responses/200/headers/ETag"),
            json!(null),
            "GET /v1/orders/{id} 200 header ETag: is gone",
        ),
        (
            "/components/headers/RetryAfter/required".to_owned(),
            json!(false),
            "header Retry-After: may be missing",
        ),
        (
            format!("{READ}/responses/200/content"),
            json!({ "application/xml": {} }),
            "GET /v1/orders/{id} 200 application/json: is gone",
        ),
        (
            format!("{SCHEMAS}/PlaceOrder/required/-"),
            json!("user_id"),
            "body application/json.user_id: is required",
        ),
        (format!("{SCHEMAS}/PlaceOrder/additionalProperties"), json!(false), "other members are refused"),
        (format!("{SCHEMAS}/PlaceOrder/properties/seats/maxItems"), json!(5), ".seats: maxItems is 5"),
        (format!("{SCHEMAS}/PositiveInt/oneOf/1"), json!(null), ".user_id: the alternatives are others"),
        (
            format!("{SCHEMAS}/PositiveInt/oneOf/0/maximum"),
            json!(1000),
            ".user_id: the alternatives are others",
        ),
        (
            format!("{SCHEMAS}/Resolution/properties/payment/enum/1"),
            json!(null),
            "the value \"taken\" is gone",
        ),
        (format!("{SCHEMAS}/Resolution/properties/reason"), json!(null), ".reason: is gone"),
        (format!("{SCHEMAS}/Resolution/properties/reason/pattern"), json!("^a"), ".reason: pattern is"),
        (format!("{READ}/parameters/0"), json!(null), "parameter header If-None-Match: is gone"),
        (
            format!("{READ}/parameters/-"),
            json!({ "name": "fields", "in": "query", "required": true, "schema": {} }),
            "the new parameter query fields is required",
        ),
        ("/components/parameters/IfNoneMatch/required".to_owned(), json!(true), "If-None-Match: is required"),
        (
            "/components/parameters/IfNoneMatch/schema/format".to_owned(),
            json!("uuid"),
            "If-None-Match: format is",
        ),
        (
            "/paths/~1v1~1orders~1{id}~1cancel/post/requestBody/required".to_owned(),
            json!(true),
            "a body is required",
        ),
    ] {
        let found = breaking(&pointer, value);
        assert!(found.iter().any(|line| line.contains(expected)), "{pointer}: {expected}: {found:#?}");
    }
}

#[test]
fn what_is_only_added_or_widened_breaks_nobody() {
    let problem = json!({ "$ref": "#/components/schemas/RequestTimeoutProblem" });
    for (pointer, value) in [
        ("/paths/~1v2".to_owned(), json!({ "get": { "responses": {} } })),
        (format!("{READ}/responses/418"), json!({ "description": "New." })),
        (format!("{PLACE}/responses/409/content/application~1problem+json/schema/oneOf/-"), problem),
        (format!("{SCHEMAS}/Order/properties/note"), json!({ "type": "string" })),
        (format!("{SCHEMAS}/JournalPage/required/-"), json!("next_page_token")),
        (format!("{SCHEMAS}/Item/properties/seat_code/type"), json!("string")),
        (format!("{SCHEMAS}/Phase/enum/6"), json!(null)),
        (format!("{SCHEMAS}/PlaceOrder/properties/gift"), json!({ "type": "boolean" })),
        (format!("{SCHEMAS}/PlaceOrder/required/0"), json!(null)),
        (format!("{SCHEMAS}/PlaceOrder/properties/seats/maxItems"), json!(null)),
        (format!("{SCHEMAS}/PositiveInt/oneOf/0/maximum"), json!(4_294_967_295_u32)),
        (format!("{SCHEMAS}/Resolution/properties/payment/enum/-"), json!("lost")),
        (format!("{READ}/parameters/-"), json!({ "name": "fields", "in": "query", "schema": {} })),
        ("/components/parameters/IdempotencyKey/required".to_owned(), json!(false)),
        ("/info/description".to_owned(), json!("Other words.")),
    ] {
        assert_eq!(breaking(&pointer, value), [""; 0], "{pointer}");
    }
}
