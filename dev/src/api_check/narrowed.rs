//! The document of one run: the service's, narrowed to the events, seats and users that are there, so that most valid requests
//! succeed. A request beyond that is one that the service must refuse.

use serde_json::{Value, json};

use super::service::{Authentication, EVENT, FIRST_SEAT, SEATS, USERS};

/// The document of a run.
pub fn narrowed(document: &Value, authentication: Authentication) -> Value {
    let mut document = document.clone();
    narrow_place(&mut document, authentication);
    match authentication {
        Authentication::Off => {}
        Authentication::On => require_tokens(&mut document),
    }
    document
}

fn narrow_place(document: &mut Value, authentication: Authentication) {
    let place = &mut document["components"]["schemas"]["PlaceOrder"];
    let last = FIRST_SEAT + SEATS - 1;
    place["properties"]["event_id"] = json!({ "type": "integer", "enum": [EVENT] });
    place["properties"]["seats"]["maxItems"] = json!(10);
    place["properties"]["seats"]["items"] =
        json!({ "type": "integer", "minimum": FIRST_SEAT, "maximum": last });
    let user = match authentication {
        Authentication::Off => {
            place["properties"]["user_id"] = json!({ "type": "integer", "enum": USERS });
            place["required"] = json!(["user_id", "event_id", "seats"]);
            json!({ "user_id": USERS[0] })
        }
        // That of the token.
        Authentication::On => {
            place["properties"].as_object_mut().expect("members").remove("user_id");
            json!({})
        }
    };
    for (name, seats) in
        [("place_two_seats", json!([FIRST_SEAT, FIRST_SEAT + 1])), ("place_for_the_token", json!([last]))]
    {
        let mut example = user.clone();
        example["event_id"] = json!(EVENT);
        example["seats"] = seats;
        document["components"]["examples"][name]["value"] = example;
    }
}

/// With authentication on, a token is no option where users have one. What needs the internal token is not a user's.
fn require_tokens(document: &mut Value) {
    let paths = document["paths"].as_object_mut().expect("paths");
    paths.retain(|path, _| !path.starts_with("/internal/"));
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(|item| item.values_mut()) {
        let Some(security) = operation.get_mut("security").and_then(Value::as_array_mut) else { continue };
        security.retain(|scheme| scheme.get("userToken").is_some());
    }
    // Their links lead to what is not there.
    let links = document["components"]["links"].as_object_mut().expect("links");
    links.retain(|name, _| name != "ResolveOrder");
    for status in ["201", "202"] {
        let links = &mut document["paths"]["/v1/orders"]["post"]["responses"][status]["links"];
        links.as_object_mut().expect("links").remove("ResolveOrder");
    }
}
