//! As much of SQL as the rules need: the words of a file, without comments and strings.

/// A word of SQL in lower case, or a sign.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    pub text: String,
    /// The first line is 1.
    pub line: usize,
    /// Whether it stands in a function's body (`$$ … $$`).
    pub in_body: bool,
}

/// The words and signs of `text`. A name with its schema is one word.
pub fn words(text: &str) -> Vec<Word> {
    let (mut words, mut line, mut body) = (Vec::new(), 1, None::<String>);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let tag = dollar_tag(rest);
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '\'' {
            // Two quotes inside a string are two strings here, which comes to the same.
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else if let Some(tag) = tag {
            match &body {
                Some(open) if open == tag => body = None,
                Some(_) => {}
                None => body = Some(tag.to_owned()),
            }
            tag.len()
        } else if first.is_alphabetic() || first == '_' || first == '"' {
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || "_.\"$".contains(c))).unwrap_or(rest.len());
            let text = rest[..end].replace('"', "").to_lowercase();
            words.push(Word { text, line, in_body: body.is_some() });
            end
        } else {
            if !first.is_whitespace() {
                words.push(Word { text: first.to_string(), line, in_body: body.is_some() });
            }
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    words
}

/// `$$` or `$name$` at the beginning of `text`; `$1` is a parameter.
fn dollar_tag(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let end = name.find('$')?;
    let is_tag = name[..end].chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name[..end].starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| &text[..end + 2])
}

/// The functions and procedures that `words` create, each with the place of its name.
pub fn created(words: &[Word]) -> Vec<usize> {
    (1..words.len().saturating_sub(1))
        .filter(|&at| {
            let is = |back: usize, text: &str| at.checked_sub(back).is_some_and(|at| words[at].text == text);
            (is(1, "function") || is(1, "procedure"))
                && (is(2, "create") || is(2, "replace") && is(4, "create"))
        })
        .collect()
}

/// Whether `words` call the function: its name and a bracket, but not where it is created, altered, dropped or told of.
pub fn calls(words: &[Word], name: &str) -> bool {
    (0..words.len()).any(|at| {
        let is = |back: usize, text: &str| at.checked_sub(back).is_some_and(|at| words[at].text == text);
        let named = bare(&words[at].text) == name && words.get(at + 1).is_some_and(|next| next.text == "(");
        let defines = is(1, "function") || is(1, "procedure") || is(1, "exists");
        named && (!defines || is(2, "execute"))
    })
}

/// A name without its schema.
pub fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_read_without_comments_and_strings() {
        assert_eq!(
            texts("SELECT a.b('x -- y', $1) -- f(\n/* g( */ , \"C\""),
            ["select", "a.b", "(", ",", "$", "1", ")", ",", "c"]
        );
        let told: Vec<_> = words("a $$ b\n$$ c").iter().map(|word| (word.line, word.in_body)).collect();
        assert_eq!(told, [(1, false), (1, true), (2, false)]);
    }

    #[test]
    fn creating_and_dropping_a_function_is_not_calling_it() {
        let of = |text: &str| calls(&words(text), "f");
        assert!(
            of("SELECT f(1)")
                && of("SELECT public.f (1)")
                && of("EXECUTE FUNCTION f()")
                && of("a AS $$ x := f(1) $$")
        );
        assert!(!of("CREATE OR REPLACE FUNCTION f(a int)") && !of("DROP FUNCTION IF EXISTS f(int)"));
        assert!(!of("COMMENT ON FUNCTION f(int) IS 'f(1)'") && !of("SELECT ff(1), f"));
    }

    #[test]
    fn created_functions_are_found_by_name() {
        let words =
            words("CREATE FUNCTION a() ...; create or replace function s.b() ...; DROP FUNCTION c();");
        let names: Vec<&str> = created(&words).into_iter().map(|at| words[at].text.as_str()).collect();
        assert_eq!(names, ["a", "s.b"]);
    }
}
