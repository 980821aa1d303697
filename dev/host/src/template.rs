//! Templates: text with `{{ name }}` expressions.

use std::str::FromStr;

use anyhow::{Context as _, Error, Result, ensure};

/// A template, parsed. What stands between the braces is a variable's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(String),
}

impl Template {
    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Variable(name) => Some(name.as_str()),
        })
    }

    /// Whether it stands for itself.
    pub fn is_literal(&self) -> bool {
        self.names().next().is_none()
    }

    /// The text with every name replaced by what `value` says, or `None` if `value` does not know one of them.
    pub fn fill<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            text.push_str(match part {
                Part::Literal(literal) => literal,
                Part::Variable(name) => value(name)?,
            });
        }
        Some(text)
    }
}

impl FromStr for Template {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, expression)) = rest.split_once("{{") {
            let (name, after) = expression
                .split_once("}}")
                .with_context(|| format!("template {text:?}: `{{{{` is not closed"))?;
            ensure!(!literal.contains("}}"), "template {text:?}: `}}}}` was not opened");
            parts.push(Part::Literal(literal.to_owned()));
            parts.push(Part::Variable(name.trim().to_owned()));
            rest = after;
        }
        ensure!(!rest.contains("}}"), "template {text:?}: `}}}}` was not opened");
        parts.push(Part::Literal(rest.to_owned()));
        parts.retain(|part| !matches!(part, Part::Literal(literal) if literal.is_empty()));
        Ok(Self(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Option<String> {
        let value = |name: &str| match name {
            "a" => Some("1"),
            "b" => Some("{{ a }}"),
            _ => None,
        };
        text.parse::<Template>().expect("valid").fill(value)
    }

    #[test]
    fn names_are_replaced_once() {
        assert_eq!(fill("").as_deref(), Some(""));
        assert_eq!(fill("x {{ a }} y{{a}}z").as_deref(), Some("x 1 y1z"));
        assert_eq!(fill("{{ b }}").as_deref(), Some("{{ a }}"), "a value is no template");
        assert_eq!(fill("{ a }").as_deref(), Some("{ a }"));
        assert_eq!(fill("{{ c }}"), None);
    }

    #[test]
    fn braces_must_pair() {
        for bad in ["{{ a", "a }}", "{{ a }} }}", "}} {{ a }}"] {
            assert!(bad.parse::<Template>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_literal_has_no_names() {
        assert!("x".parse::<Template>().expect("valid").is_literal());
        assert!(!"{{ a }}".parse::<Template>().expect("valid").is_literal());
    }
}
