//! The OpenAPI document is complete, and has nothing that the service has not: routes, problems, words. What it says of answers is
//! held to every answer of the black-box tests.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use order_service::domain::order::{FailureCode, PaymentStatus, Phase, Status};
use serde_json::Value;

use crate::files::{self, File};
use crate::rust::{self, Token};

#[test]
fn the_document_has_exactly_the_routes_of_the_router() {
    assert_eq!(operations(&document()), routes(&file("src/http/router.rs")));
}

#[test]
fn the_document_has_exactly_the_problems_of_the_service() {
    assert_eq!(problems(&document()), problem_types(&file("src/http/problem.rs")));
}

#[test]
fn every_problem_is_an_answer_to_some_request_under_its_status_and_has_an_example() {
    let document = document();
    let mut used = BTreeSet::new();
    for (status, response) in responses(&document) {
        let problem = &response["content"]["application/problem+json"];
        let Some(schema) = problem.get("schema") else { continue };
        let alternatives = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
        let mut codes = BTreeSet::new();
        for alternative in &alternatives {
            let values = constants(resolved(&document, alternative));
            assert_eq!(values["status"].to_string(), status, "{values:?} is under another status");
            codes.insert(values["code"].as_str().expect("a code").to_owned());
        }
        let examples = problem["examples"].as_object().expect("examples");
        assert_eq!(examples.keys().cloned().collect::<BTreeSet<_>>(), codes, "an example for each code");
        used.extend(codes);
    }
    let codes = problems(&document);
    assert_eq!(
        used,
        codes.iter().map(|problem| problem.split(' ').next().unwrap_or_default().to_owned()).collect()
    );
}

#[test]
fn the_document_has_the_words_and_the_version_of_the_service() {
    let document = document();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let schemas = &document["components"]["schemas"];
    for (pointer, words) in [
        ("/Status/enum", Status::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>()),
        ("/Phase/enum", Phase::ALL.iter().map(|word| word.as_str()).collect()),
        ("/Failure/properties/code/enum", FailureCode::ALL.iter().map(|word| word.as_str()).collect()),
        ("/Payment/properties/status/enum", PaymentStatus::ALL.iter().map(|word| word.as_str()).collect()),
    ] {
        let listed: BTreeSet<&str> = schemas
            .pointer(pointer)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(listed, words.into_iter().collect(), "{pointer}");
    }
}

#[test]
fn objects_of_answers_are_closed_so_that_no_member_can_be_forgotten() {
    let document = document();
    let open: Vec<&String> = document["components"]["schemas"]
        .as_object()
        .expect("schemas")
        .iter()
        .filter(|(_, schema)| schema["type"] == "object" && schema["additionalProperties"].is_null())
        .map(|(name, _)| name)
        .collect();
    // Requests of which unknown members are ignored.
    assert_eq!(open, ["PaymentCallback", "PlaceOrder"]);
}

#[test]
fn every_component_is_used() {
    let text = file("docs/openapi.json").text;
    let document = document();
    for (kind, components) in document["components"].as_object().expect("components") {
        for name in components.as_object().expect("components").keys().filter(|_| kind != "securitySchemes") {
            assert!(text.contains(&format!("\"#/components/{kind}/{name}\"")), "{kind}/{name} is unused");
        }
    }
}

fn file(path: &str) -> File {
    files::read(|other| other == path).pop().expect("one file")
}

fn document() -> Value {
    serde_json::from_str(&file("docs/openapi.json").text).expect("JSON")
}

/// The document's operations, as `GET /health`.
fn operations(document: &Value) -> BTreeSet<String> {
    let mut operations = BTreeSet::new();
    for (path, item) in
        document["paths"].as_object().into_iter().flatten().filter(|(path, _)| path.starts_with('/'))
    {
        for method in
            item.as_object().into_iter().flatten().map(|(name, _)| name).filter(|name| *name != "parameters")
        {
            operations.insert(format!("{} {path}", method.to_ascii_uppercase()));
        }
    }
    operations
}

/// The rows of the router's table, as `GET /health`.
fn routes(router: &File) -> BTreeSet<String> {
    let tokens = rust::tokens(router);
    let begin = tokens.iter().position(|token| token.ident() == Some("ROUTES")).expect("a table ROUTES");
    let begin = begin + tokens[begin..].iter().position(|token| token.is('=')).expect("its rows");
    let end = begin + tokens[begin..].iter().position(|token| token.is(';')).expect("its end");
    let mut routes = BTreeSet::new();
    let mut method = None;
    for (at, token) in tokens[begin..end].iter().enumerate() {
        if let Some(name) = token.ident().filter(|_| is_after_path(&tokens[begin..], at, "Method")) {
            method = Some(name.to_owned());
        }
        if let Some(path) = token.string() {
            routes.insert(format!("{} {path}", method.take().expect("a method before the path")));
        }
    }
    routes
}

/// Whether the token is what `first::` leads to.
fn is_after_path(tokens: &[Token], at: usize, first: &str) -> bool {
    at >= 3 && tokens[at - 1].is(':') && tokens[at - 3].ident() == Some(first)
}

/// The rows of the table of problems, as `order_not_found 404 There is no such order`.
fn problem_types(problems: &File) -> BTreeSet<String> {
    let tokens = rust::tokens(problems);
    let statuses: BTreeMap<String, u16> = (400..600)
        .filter_map(|status| {
            let name = StatusCode::from_u16(status).ok()?.canonical_reason()?;
            Some((name.to_ascii_uppercase().replace([' ', '-'], "_"), status))
        })
        .collect();
    let begin =
        tokens.windows(3).position(|three| three[0].ident() == Some("problem_types") && three[2].is('{'));
    let begin = begin.expect("the table problem_types!") + 3;
    let end = begin + tokens[begin..].iter().position(|token| token.is('}')).expect("its end");
    let rows = tokens[begin..end].split(|token| token.is(';')).filter(|row| !row.is_empty());
    rows.map(|row| match row {
        [_, _, code, status, title] => {
            let status = status.ident().expect("a status");
            let number = statuses.get(status).unwrap_or_else(|| panic!("{status} is a status"));
            format!("{} {number} {}", code.string().expect("a code"), title.string().expect("a title"))
        }
        _ => panic!("a row of problem_types! has another shape"),
    })
    .collect()
}

/// The problems for which the document has a schema, likewise.
fn problems(document: &Value) -> BTreeSet<String> {
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let mut problems = BTreeSet::new();
    for (name, schema) in schemas.iter().filter(|(name, _)| name.ends_with("Problem") && *name != "Problem") {
        let values = constants(schema);
        let text = |member: &str| values[member].as_str().expect("a text");
        let code = text("code");
        assert_eq!(text("type"), format!("urn:order-service:problem:{}", code.replace('_', "-")));
        let words = name.trim_end_matches("Problem").to_lowercase();
        assert_eq!(words, code.replace('_', ""), "the name of a problem's schema is its code");
        problems.insert(format!("{code} {} {}", values["status"], text("title")));
    }
    problems
}

/// The members that always have the same value.
fn constants(schema: &Value) -> BTreeMap<&str, &Value> {
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let members = parts.flat_map(|part| part["properties"].as_object().into_iter().flatten());
    members.filter_map(|(name, member)| Some((name.as_str(), member.get("const")?))).collect()
}

/// Every response of the document with its status.
fn responses(document: &Value) -> Vec<(String, &Value)> {
    let mut responses = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let operations: Vec<&Value> = match path.strip_prefix("x-") {
            Some(_) => vec![item],
            None => item
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(_, operation)| operation.get("responses"))
                .collect(),
        };
        for (status, response) in operations.into_iter().flat_map(|all| all.as_object().into_iter().flatten())
        {
            responses.push((status.clone(), resolved(document, response)));
        }
    }
    responses
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        None => value,
        Some(reference) => {
            document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads somewhere"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_both_tables_are_read() {
        let router = "const ROUTES: &[(Method, &str, Endpoint)] = &[\n(Method::POST, \"/a\", Endpoint::A),\n\
            // (Method::GET, \"/b\", Endpoint::B),\n(Method::GET, \"/a/{id}\", Endpoint::Get)];\nconst B: &str = \"/c\";";
        let found = routes(&File::new("src/http/router.rs", router));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["GET /a/{id}", "POST /a"]);
        let problems = "macro_rules! problem_types { () => {}; }\nproblem_types! {\n A = \"a_b\" NOT_FOUND \"No a\";\n\
            B = \"b\" UNPROCESSABLE_ENTITY \"No b\"; }";
        let found = problem_types(&File::new("src/http/problem.rs", problems));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a_b 404 No a", "b 422 No b"]);
    }

    #[test]
    fn operations_and_problems_of_a_document_are_read() {
        let document = serde_json::json!({
            "paths": { "/a": { "parameters": [], "get": {}, "post": {} }, "x-otherwise": { "404": {} } },
            "components": { "schemas": { "Problem": {}, "ABProblem": { "allOf": [{ "properties": {
                "type": { "const": "urn:order-service:problem:a-b" }, "title": { "const": "No a" },
                "status": { "const": 404 }, "code": { "const": "a_b" } } }] } } }
        });
        assert_eq!(operations(&document).into_iter().collect::<Vec<_>>(), ["GET /a", "POST /a"]);
        assert_eq!(problems(&document).into_iter().collect::<Vec<_>>(), ["a_b 404 No a"]);
    }
}
