//! Whether a client that was written by one OpenAPI document can go on with another one.
//!
//! What may be added: paths, methods, statuses, problems, members of answers, optional members and parameters of requests, words and
//! types that requests may have. All else would break somebody.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// What in `new` breaks clients of `old`, a line each. Examples and descriptions do not count.
pub fn breaking_changes(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison { old, new, found: Vec::new() };
    comparison.paths();
    comparison.found
}

/// Who writes a value, and who must understand it.
#[derive(Clone, Copy, PartialEq)]
enum Direction {
    /// Clients write it: the new schema takes all that the old one took.
    Request,
    /// Clients read it: the new schema has all that the old one promised, and nothing else in its place.
    Answer,
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    found: Vec<String>,
}

impl<'a> Comparison<'a> {
    fn add(&mut self, place: &str, what: impl std::fmt::Display) {
        self.found.push(format!("{place}: {what}"));
    }

    fn paths(&mut self) {
        let (old, new) = (self.old, self.new);
        self.headers("each answer", &old["x-common-headers"], &new["x-common-headers"]);
        for (path, item) in members(&old["paths"]) {
            let other = &new["paths"][path];
            match path.as_str() {
                "x-preflight" => self.response(path, item, other),
                "x-otherwise" => self.responses(path, item, other),
                _ => self.path(path, item, other),
            }
        }
    }

    fn path(&mut self, path: &str, item: &'a Value, other: &'a Value) {
        for (method, operation) in members(item).filter(|(name, _)| *name != "parameters") {
            let place = format!("{} {path}", method.to_ascii_uppercase());
            match other.get(method) {
                None => self.add(&place, "is gone"),
                Some(other_operation) => self.operation(&place, [item, operation], [other, other_operation]),
            }
        }
    }

    /// Each with its path item.
    fn operation(&mut self, place: &str, [old_item, old]: [&'a Value; 2], [new_item, new]: [&'a Value; 2]) {
        let after = credentials(self.new, new);
        for way in credentials(self.old, old).iter().filter(|way| !after.contains(way)) {
            self.add(place, format!("the credentials {way} are not enough any more"));
        }
        let before = parameters(self.old, old_item, old);
        let after = parameters(self.new, new_item, new);
        for (name, parameter) in &before {
            let place = format!("{place} parameter {name}");
            match after.iter().find(|(other, _)| other == name) {
                None => self.add(&place, "is gone"),
                Some((_, other)) => {
                    if other["required"] == true && parameter["required"] != true {
                        self.add(&place, "is required");
                    }
                    self.schema(&place, Direction::Request, &parameter["schema"], &other["schema"]);
                }
            }
        }
        for (name, _) in after.iter().filter(|(name, parameter)| {
            parameter["required"] == true && !before.iter().any(|(other, _)| other == name)
        }) {
            self.add(place, format!("the new parameter {name} is required"));
        }
        if new["requestBody"]["required"] == true && old["requestBody"]["required"] != true {
            self.add(place, "a body is required");
        }
        let place_of_body = format!("{place} body");
        self.content(&place_of_body, Direction::Request, &old["requestBody"], &new["requestBody"]);
        self.responses(place, &old["responses"], &new["responses"]);
    }

    fn responses(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        for (status, response) in members(old) {
            let place = format!("{place} {status}");
            match new.get(status) {
                None => self.add(&place, "is gone"),
                Some(other) => self.response(&place, response, other),
            }
        }
    }

    fn response(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        self.headers(place, &old["headers"], &new["headers"]);
        self.content(place, Direction::Answer, old, new);
    }

    fn headers(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        for (name, header) in members(old) {
            let place = format!("{place} header {name}");
            let Some(other) = new.get(name) else {
                self.add(&place, "is gone");
                continue;
            };
            let (header, other) = (resolved(self.old, header), resolved(self.new, other));
            if header["required"] == true && other["required"] != true {
                self.add(&place, "may be missing");
            }
            self.schema(&place, Direction::Answer, &header["schema"], &other["schema"]);
        }
    }

    fn content(&mut self, place: &str, direction: Direction, old: &'a Value, new: &'a Value) {
        for (media_type, content) in members(&old["content"]) {
            let place = format!("{place} {media_type}");
            match new["content"].get(media_type) {
                None => self.add(&place, "is gone"),
                Some(other) if media_type.as_str() == "application/problem+json" => {
                    self.problems(&place, &content["schema"], &other["schema"]);
                }
                Some(other) => self.schema(&place, direction, &content["schema"], &other["schema"]),
            }
        }
    }

    /// Every problem is still there with the same meaning; there may be more.
    fn problems(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let code =
            |document: &Value, schema: &Value| flat(document, schema)["properties"]["code"]["const"].clone();
        let after = alternatives(self.new, new);
        for problem in alternatives(self.old, old) {
            let wanted = code(self.old, &problem);
            match after.iter().find(|other| code(self.new, other) == wanted) {
                None => self.add(place, format!("the problem {wanted} is gone")),
                Some(other) => self.schema(&format!("{place} {wanted}"), Direction::Answer, &problem, other),
            }
        }
    }

    fn schema(&mut self, place: &str, direction: Direction, old: &Value, new: &Value) {
        let (before, after) = (alternatives(self.old, old), alternatives(self.new, new));
        if before.len() == 1 && after.len() == 1 {
            self.one_schema(place, direction, &before[0], &after[0]);
            return;
        }
        // Every value that somebody writes is of an alternative that the other one knows.
        let (document, other_document) = (self.old, self.new);
        let fits = |old: &Value, new: &Value| {
            let mut trial = Comparison { old: document, new: other_document, found: Vec::new() };
            trial.one_schema("", direction, old, new);
            trial.found.is_empty()
        };
        let all_fit = match direction {
            Direction::Request => before.iter().all(|old| after.iter().any(|new| fits(old, new))),
            Direction::Answer => after.iter().all(|new| before.iter().any(|old| fits(old, new))),
        };
        if !all_fit {
            self.add(place, "the alternatives are others");
        }
    }

    fn one_schema(&mut self, place: &str, direction: Direction, old: &Value, new: &Value) {
        let (old, new) = (flat(self.old, old), flat(self.new, new));
        let (written, understood) = match direction {
            Direction::Request => (&old, &new),
            Direction::Answer => (&new, &old),
        };
        if !types(written).is_subset(&types(understood)) {
            self.add(place, format!("the types are {:?} and were {:?}", types(&new), types(&old)));
        }
        match (words(written), words(understood)) {
            (_, None) => {}
            (None, Some(_)) => self.add(place, "only some values, or others than some"),
            (Some(written), Some(understood)) => {
                for word in written.iter().filter(|word| !understood.contains(word)) {
                    let what = if direction == Direction::Request { "is gone" } else { "is new" };
                    self.add(place, format!("the value {word} {what}"));
                }
            }
        }
        if direction == Direction::Request {
            self.bounds(place, &old, &new);
        }
        self.members_of(place, direction, &old, &new);
        if !old["items"].is_null() && !new["items"].is_null() {
            self.schema(&format!("{place}[]"), direction, &old["items"], &new["items"]);
        }
    }

    /// What a request may have is not less than before.
    fn bounds(&mut self, place: &str, old: &Value, new: &Value) {
        let is_narrower =
            |name: &str, order: fn(f64, f64) -> bool| match (old[name].as_f64(), new[name].as_f64()) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(old), Some(new)) => order(new, old),
            };
        let lower = ["minimum", "minLength", "minItems", "minProperties"]
            .map(|name| (name, is_narrower(name, |new, old| new > old)));
        let upper = ["maximum", "maxLength", "maxItems", "maxProperties"]
            .map(|name| (name, is_narrower(name, |new, old| new < old)));
        for (name, _) in lower.into_iter().chain(upper).filter(|(_, is_narrower)| *is_narrower) {
            self.add(place, format!("{name} is {}", new[name]));
        }
        for name in ["pattern", "format", "uniqueItems"] {
            if !new[name].is_null() && new[name] != old[name] && new[name] != false {
                self.add(place, format!("{name} is {}", new[name]));
            }
        }
    }

    fn members_of(&mut self, place: &str, direction: Direction, old: &Value, new: &Value) {
        let (was_required, is_required) = (required(old), required(new));
        for (name, member) in members(&old["properties"]) {
            let place = format!("{place}.{name}");
            match new["properties"].get(name) {
                Some(other) => self.schema(&place, direction, member, other),
                None if direction == Direction::Answer || new["additionalProperties"] == false => {
                    self.add(&place, "is gone");
                }
                None => {}
            }
        }
        match direction {
            Direction::Request => {
                for name in is_required.difference(&was_required) {
                    self.add(&format!("{place}.{name}"), "is required");
                }
                if new["additionalProperties"] == false
                    && old["additionalProperties"] != false
                    && is_object(old)
                {
                    self.add(place, "other members are refused");
                }
            }
            Direction::Answer => {
                for name in was_required.difference(&is_required) {
                    self.add(&format!("{place}.{name}"), "may be missing");
                }
            }
        }
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn is_object(schema: &Value) -> bool {
    !schema["properties"].is_null() || schema["type"] == "object"
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|reference| document.pointer(reference.strip_prefix('#')?)) {
        Some(target) => target,
        None => value,
    }
}

/// What lets a request in, one way each; `{}` is nothing at all.
fn credentials(document: &Value, operation: &Value) -> Vec<Value> {
    let ways = operation.get("security").or(document.get("security")).and_then(Value::as_array);
    ways.filter(|ways| !ways.is_empty()).cloned().unwrap_or_else(|| vec![json!({})])
}

/// The parameters of an operation and of its path, by place and name.
fn parameters<'a>(document: &'a Value, item: &'a Value, operation: &'a Value) -> Vec<(String, &'a Value)> {
    let all = [item, operation].into_iter().flat_map(|of| of["parameters"].as_array().into_iter().flatten());
    let all = all.map(|parameter| resolved(document, parameter));
    all.map(|parameter| (format!("{} {}", parameter["in"], parameter["name"]).replace('"', ""), parameter))
        .collect()
}

/// The alternatives of a schema; itself when there are none.
fn alternatives(document: &Value, schema: &Value) -> Vec<Value> {
    let schema = flat(document, schema);
    match schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        Some(all) => all.iter().flat_map(|one| alternatives(document, one)).collect(),
        None => vec![schema],
    }
}

/// A schema with what it refers to, and with all that an `allOf` lists, in one object.
fn flat(document: &Value, schema: &Value) -> Value {
    let mut whole = Map::new();
    let mut parts = vec![resolved(document, schema)];
    if parts[0] != schema {
        parts.push(schema);
    }
    for part in parts {
        let inner: Vec<Value> =
            part["allOf"].as_array().into_iter().flatten().map(|one| flat(document, one)).collect();
        for part in inner.iter().chain([part]) {
            for (name, value) in members(part).filter(|(name, _)| !["allOf", "$ref"].contains(&name.as_str()))
            {
                match (whole.get_mut(name), value) {
                    (Some(Value::Object(known)), Value::Object(more)) if name == "properties" => {
                        for (member, schema) in more {
                            let both =
                                json!({ "allOf": [known.get(member).cloned().unwrap_or_default(), schema] });
                            known.insert(member.clone(), flat(document, &both));
                        }
                    }
                    (Some(Value::Array(known)), Value::Array(more)) if name == "required" => {
                        known.extend(more.iter().cloned());
                    }
                    _ => drop(whole.insert(name.clone(), value.clone())),
                }
            }
        }
    }
    Value::Object(whole)
}

/// The types that a value may have; all when none is named.
fn types(schema: &Value) -> BTreeSet<&str> {
    let mut types: BTreeSet<&str> = match (&schema["type"], words(schema)) {
        (Value::String(one), _) => BTreeSet::from([one.as_str()]),
        (Value::Array(several), _) => several.iter().filter_map(Value::as_str).collect(),
        _ => ["null", "boolean", "object", "array", "number", "string"].into(),
    };
    if types.contains("number") {
        types.insert("integer");
    }
    types
}

/// The values that are listed, if any are.
fn words(schema: &Value) -> Option<Vec<&Value>> {
    match (&schema["enum"], schema.get("const")) {
        (Value::Array(words), _) => Some(words.iter().collect()),
        (_, Some(one)) => Some(vec![one]),
        _ => None,
    }
}

fn required(schema: &Value) -> BTreeSet<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests;
