//! The OpenAPI document, to which every answer of the service is held.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../docs/openapi.json")).expect("JSON"));

/// Headers of the framing (RFC 9110, 9112), which no document lists.
const FRAMING: [&str; 5] = ["connection", "content-length", "content-type", "date", "transfer-encoding"];

/// An answer, as far as the document speaks of it.
pub struct Answered<'a> {
    /// The method of the request.
    pub method: &'a Method,
    /// Its path, with the query if there was one.
    pub path: &'a str,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

impl Answered<'_> {
    /// Whether the answer is as the document says for this path and method: status, headers, content type and body.
    ///
    /// # Errors
    /// What is otherwise.
    pub fn check(&self) -> Result<(), String> {
        let (place, response) = self.response()?;
        let response = resolved(response);
        self.check_headers(response)?;
        self.check_body(&place, response)
    }

    /// The response that the document has for this answer, and where it stands there.
    fn response(&self) -> Result<(String, &'static Value), String> {
        let path = self.path.split('?').next().unwrap_or_default();
        let method = if self.method == Method::HEAD { &Method::GET } else { self.method };
        let otherwise = &DOCUMENT["paths"]["x-otherwise"];
        if *method == Method::OPTIONS && self.status == 200 && !path.starts_with("/internal/") {
            return Ok((format!("preflight of {path}"), &DOCUMENT["paths"]["x-preflight"]));
        }
        let (place, responses) = match route(path) {
            Some((template, item)) => {
                let place = format!("{method} {template}");
                match item.get(method.as_str().to_ascii_lowercase()) {
                    Some(operation) => (place, &operation["responses"]),
                    None if self.status == 404 => return Err(format!("{place}: the path is known")),
                    None => (format!("another method than those of {template}"), otherwise),
                }
            }
            None if self.status == 405 => return Err(format!("{path} is none of the document's paths")),
            None => ("another path".to_owned(), otherwise),
        };
        let response = responses.get(self.status.to_string());
        let response = response.ok_or_else(|| format!("{place}: no status {}", self.status))?;
        Ok((format!("{place}: {}", self.status), response))
    }

    fn check_headers(&self, response: &'static Value) -> Result<(), String> {
        let listed = response.get("headers").and_then(Value::as_object);
        let common = DOCUMENT["x-common-headers"].as_object();
        let mut known = FRAMING.map(str::to_owned).to_vec();
        for (name, header) in listed.into_iter().chain(common).flatten() {
            let header = resolved(header);
            known.push(name.to_ascii_lowercase());
            match self.headers.get(name) {
                None if header["required"] == true => return Err(format!("{name} is missing")),
                None => {}
                Some(value) => {
                    let text = value.to_str().map_err(|_| format!("{name} is not ASCII"))?;
                    let value = match header["schema"]["type"].as_str() {
                        Some("integer") => text.parse::<i64>().map_or_else(|_| json!(text), |n| json!(n)),
                        _ => json!(text),
                    };
                    validate(&format!("header {name}"), &header["schema"], &value)?;
                }
            }
        }
        match self.headers.keys().find(|name| !known.iter().any(|known| known == name.as_str())) {
            Some(other) => Err(format!("the header {other} is not in the document")),
            None => Ok(()),
        }
    }

    fn check_body(&self, place: &str, response: &Value) -> Result<(), String> {
        let Some(content) = response.get("content").and_then(Value::as_object) else {
            return if self.body.is_empty() { Ok(()) } else { Err(format!("{place}: no body is expected")) };
        };
        let content_type = self.headers.get("content-type").and_then(|value| value.to_str().ok());
        let content_type = content_type.ok_or("Content-Type is missing")?;
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let media_type = content.get(essence).ok_or_else(|| format!("{place}: no {content_type}"))?;
        if self.method == Method::HEAD {
            return if self.body.is_empty() { Ok(()) } else { Err("HEAD has a body".to_owned()) };
        }
        let body = if essence.ends_with("json") {
            if essence != content_type {
                return Err(format!("{content_type} has parameters"));
            }
            serde_json::from_slice(self.body).map_err(|error| format!("no JSON: {error}"))?
        } else {
            json!(std::str::from_utf8(self.body).map_err(|error| error.to_string())?)
        };
        validate(&format!("{place} {essence}"), &media_type["schema"], &body)
    }
}

/// The document's operations, as `GET /health`.
pub fn operations() -> BTreeSet<String> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let paths = paths.iter().filter(|(path, _)| path.starts_with('/'));
    let methods = |item: &'static Value| item.as_object().expect("a path").keys();
    let all = paths.flat_map(|(path, item)| methods(item).map(move |method| (method, path)));
    let all = all.filter(|(method, _)| *method != "parameters");
    all.map(|(method, path)| format!("{} {path}", method.to_ascii_uppercase())).collect()
}

/// The document's path that takes this one, and what it has there: one without parameters comes before one with them.
fn route(path: &str) -> Option<(&'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    if path.starts_with('/')
        && let Some((template, item)) = paths.get_key_value(path)
    {
        return Some((template, item));
    }
    let takes = |template: &str| {
        let (mut wanted, mut given) = (template.split('/'), path.split('/'));
        let all = wanted
            .by_ref()
            .zip(given.by_ref())
            .all(|(wanted, given)| wanted == given || wanted.starts_with('{') && !given.is_empty());
        all && template.matches('/').count() == path.matches('/').count()
    };
    let found = paths.iter().find(|(template, _)| template.contains('{') && takes(template));
    found.map(|(template, item)| (template.as_str(), item))
}

/// What a reference leads to; else the value itself.
fn resolved(value: &'static Value) -> &'static Value {
    let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
        return value;
    };
    let pointer = reference.strip_prefix('#').expect("a reference within the document");
    DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads somewhere"))
}

/// Validates with a schema of the document (JSON Schema 2020-12, formats included). `place` names the schema.
fn validate(place: &str, schema: &Value, value: &Value) -> Result<(), String> {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut validators = VALIDATORS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let validator = validators.entry(schema.to_string()).or_insert_with(|| {
        let schemas = json!({ "schemas": DOCUMENT["components"]["schemas"] });
        let whole = json!({ "components": schemas, "allOf": [schema] });
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        Arc::new(options.build(&whole).unwrap_or_else(|error| panic!("{place}: {error}")))
    });
    let validator = Arc::clone(validator);
    drop(validators);
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(format!("{place}: {}", errors.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01980000-0000-7000-8000-000000000000";

    fn check(
        method: Method,
        path: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(), String> {
        let mut map = HeaderMap::new();
        let common = [
            ("x-request-id", "a"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'"),
            ("referrer-policy", "no-referrer"),
        ];
        for (name, value) in common.iter().chain(headers) {
            map.insert(reqwest::header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        Answered { method: &method, path, status, headers: &map, body: body.as_bytes() }.check()
    }

    fn problem(code: &str, title: &str, status: u16, more: &str) -> String {
        let kind = code.replace('_', "-");
        format!(
            "{{\"type\":\"urn:order-service:problem:{kind}\",\"title\":\"{title}\",\"status\":{status},\"detail\":\"x\",\
             \"instance\":\"/\",\"code\":\"{code}\"{more}}}"
        )
    }

    #[test]
    fn answers_that_are_as_the_document_says_pass() {
        let json = ("content-type", "application/json");
        let failed = ("content-type", "application/problem+json");
        let gone = problem("order_not_found", "There is no such order", 404, "");
        let order = format!("/v1/orders/{ID}");
        let nowhere = problem("route_not_found", "There is nothing at this path", 404, "");
        let other = problem("method_not_allowed", "This path does not take this method", 405, "");
        let invalid = problem(
            "validation_failed",
            "The request is not valid",
            422,
            ",\"errors\":[{\"pointer\":\"#\",\"detail\":\"x\"}]",
        );
        for (method, path, status, headers, body) in [
            (Method::POST, "/internal/sweep?x=1", 200, vec![json], "{\"orders\":0,\"messages\":2}"),
            (Method::GET, &*order, 404, vec![failed], &*gone),
            (Method::HEAD, &*order, 404, vec![failed], ""),
            (Method::GET, &*order, 304, vec![("etag", "\"a\"")], ""),
            (Method::GET, "/v1/order", 404, vec![failed], &*nowhere),
            (Method::PUT, &*order, 405, vec![failed, ("allow", "GET, HEAD")], &*other),
            (Method::POST, "/v1/orders", 422, vec![failed, ("idempotent-replayed", "true")], &*invalid),
        ] {
            assert_eq!(check(method, path, status, &headers, body), Ok(()), "{path} {status}");
        }
    }

    #[test]
    fn every_kind_of_deviation_is_found() {
        let json = ("content-type", "application/json");
        let failed = ("content-type", "application/problem+json");
        let swept = "{\"orders\":0,\"messages\":2}";
        let gone = problem("order_not_found", "There is no such order", 404, "");
        let retitled = problem("order_not_found", "No such order", 404, "");
        let invalid = problem("validation_failed", "The request is not valid", 422, "");
        let down = problem("database_unavailable", "The database does not answer", 503, "");
        let order = format!("/v1/orders/{ID}");
        for (why, method, path, status, headers, body) in [
            ("no status 418", Method::POST, "/internal/sweep", 418, vec![json], swept),
            ("no status 405", Method::POST, "/internal/sweep", 405, vec![json], swept),
            ("the path is known", Method::PUT, "/internal/sweep", 404, vec![failed], &*gone),
            ("none of the document's paths", Method::GET, "/internal", 405, vec![failed], &*gone),
            ("another path: 404", Method::GET, "/v1/orders/a/b", 404, vec![failed], &*gone),
            (
                "no text/html",
                Method::POST,
                "/internal/sweep",
                200,
                vec![("content-type", "text/html")],
                swept,
            ),
            (
                "has parameters",
                Method::POST,
                "/internal/sweep",
                200,
                vec![("content-type", "application/json; a=b")],
                swept,
            ),
            ("Content-Type is missing", Method::POST, "/internal/sweep", 200, vec![], swept),
            ("no JSON", Method::POST, "/internal/sweep", 200, vec![json], "{"),
            (
                "Additional properties",
                Method::POST,
                "/internal/sweep",
                200,
                vec![json],
                "{\"orders\":0,\"messages\":2,\"x\":1}",
            ),
            ("required property", Method::POST, "/internal/sweep", 200, vec![json], "{\"orders\":0}"),
            ("x-powered-by", Method::POST, "/internal/sweep", 200, vec![json, ("x-powered-by", "x")], swept),
            (
                "header X-Request-Id",
                Method::POST,
                "/internal/sweep",
                200,
                vec![json, ("x-request-id", "a b")],
                swept,
            ),
            ("There is no such order", Method::GET, &*order, 404, vec![failed], &*retitled),
            ("oneOf", Method::POST, "/v1/orders", 422, vec![failed], &*invalid),
            ("Retry-After is missing", Method::GET, &*order, 503, vec![failed], &*down),
            ("header Retry-After", Method::GET, &*order, 503, vec![failed, ("retry-after", "soon")], &*down),
            ("ETag is missing", Method::GET, &*order, 304, vec![], ""),
            ("no body", Method::GET, &*order, 304, vec![("etag", "\"a\"")], "x"),
        ] {
            let found = check(method, path, status, &headers, body).expect_err(why);
            assert!(found.contains(why), "{why}: {found}");
        }
    }

    #[test]
    fn an_id_is_one_segment_that_is_not_empty() {
        for (path, expected) in [
            ("/v1/orders", Some("/v1/orders")),
            ("/v1/orders/a", Some("/v1/orders/{id}")),
            ("/v1/orders/a/events", Some("/v1/orders/{id}/events")),
            ("/v1/orders/", None),
            ("/v1/orders//events", None),
            ("/v1/orders/a/b", None),
            ("x-otherwise", None),
            ("", None),
        ] {
            assert_eq!(route(path).map(|(template, _)| template), expected, "{path}");
        }
    }
}
