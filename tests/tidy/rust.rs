//! As much of Rust as the rules need: the tokens of a file, and which paths of this crate it names.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::files::File;

/// A token. Comments are none, and groups are flattened to their brackets.
#[derive(Debug, PartialEq)]
pub struct Token {
    pub kind: Kind,
    /// The first line is 1.
    pub line: usize,
}

#[derive(Debug, PartialEq)]
pub enum Kind {
    Ident(String),
    /// As it is written, quotes included.
    Literal(String),
    /// A sign or a bracket.
    Sign(char),
}

impl Token {
    pub fn ident(&self) -> Option<&str> {
        if let Kind::Ident(name) = &self.kind { Some(name) } else { None }
    }

    /// The text of a string literal without escapes.
    pub fn string(&self) -> Option<&str> {
        if let Kind::Literal(text) = &self.kind { text.strip_prefix('"')?.strip_suffix('"') } else { None }
    }

    pub fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    fn is_word(&self, word: &str) -> bool {
        self.ident() == Some(word)
    }
}

/// The tokens of a Rust file.
pub fn tokens(file: &File) -> Vec<Token> {
    let stream = TokenStream::from_str(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path));
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    tokens
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let kind = match tree {
            TokenTree::Ident(ident) => Kind::Ident(ident.to_string()),
            TokenTree::Literal(literal) => Kind::Literal(literal.to_string()),
            TokenTree::Punct(sign) => Kind::Sign(sign.as_char()),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ('(', ')'),
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::None => (' ', ' '),
                };
                let end = group.span_close().end().line;
                tokens.push(Token { kind: Kind::Sign(open), line });
                flatten(group.stream(), tokens);
                tokens.push(Token { kind: Kind::Sign(close), line: end });
                continue;
            }
        };
        tokens.push(Token { kind, line });
    }
}

/// A path within the crate that a file names, from the crate's root: `["db", "orders", "load"]`; `*` at the end of a glob.
#[derive(Debug, PartialEq)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
    /// The name under which a `pub use` offers it to others; `*` for a glob's names.
    pub offered_as: Option<String>,
}

/// The paths within the crate that the file of `module` names, in `use` items and elsewhere, tests included. A path is one
/// of the crate's when it begins with `crate`, `super`, `self`, or a module that the file declares.
pub fn named(module: &[String], file: &File) -> Vec<Named> {
    let tokens = tokens(file);
    let children: Vec<&str> = tokens
        .windows(3)
        .filter(|three| three[0].is_word("mod") && three[2].is(';'))
        .filter_map(|three| three[1].ident())
        .collect();
    let mut reader = Reader { tokens: &tokens, found: Vec::new(), offers: false };
    // The inline modules around a token, each with the depth of its braces.
    let (mut inline, mut depth): (Vec<(String, usize)>, usize) = (Vec::new(), 0);
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        if token.is('{') {
            depth += 1;
            if at >= 2 && tokens[at - 2].is_word("mod") {
                inline.push((tokens[at - 1].ident().unwrap_or_default().to_owned(), depth));
            }
        } else if token.is('}') {
            inline.pop_if(|(_, its)| *its == depth);
            depth -= 1;
        }
        let mut here: Vec<String> =
            module.iter().chain(inline.iter().map(|(name, _)| name)).cloned().collect();
        let base = match token.ident().filter(|_| reader.begins_path(at)) {
            Some("crate") => Some(Vec::new()),
            Some("self") => Some(here),
            Some("super") => here.pop().map(|_| here),
            Some(child) if inline.is_empty() && children.contains(&child) => {
                here.push(child.to_owned());
                Some(here)
            }
            _ => None,
        };
        let Some(base) = base else {
            at += 1;
            continue;
        };
        reader.offers = reader.is_pub_use(at);
        at = reader.tree(at + 1, base);
    }
    reader.found
}

struct Reader<'a> {
    tokens: &'a [Token],
    found: Vec<Named>,
    offers: bool,
}

impl Reader<'_> {
    fn separator(&self, at: usize) -> bool {
        let sign = |at: usize| self.tokens.get(at).is_some_and(|token| token.is(':'));
        sign(at) && sign(at + 1)
    }

    /// Whether the word at `at` is the first of a path; `pub(in crate::…)` names nothing that it uses.
    fn begins_path(&self, at: usize) -> bool {
        let before = |back: usize| at.checked_sub(back).map(|at| &self.tokens[at]);
        let inside =
            before(1).is_some_and(|token| token.is(':')) && before(2).is_some_and(|token| token.is(':'));
        let visibility = before(1).is_some_and(|token| token.is_word("in"))
            && before(3).is_some_and(|token| token.is_word("pub"));
        self.separator(at + 1) && !inside && !visibility
    }

    /// Whether the path that begins at `at` is that of a `pub use` or `pub(crate) use`.
    fn is_pub_use(&self, at: usize) -> bool {
        let mut before = self.tokens[..at].iter().rev();
        before.next().is_some_and(|token| token.is_word("use"))
            && before.next().is_some_and(|token| token.is_word("pub") || token.is(')'))
    }

    /// Reads on from behind `path`'s last part, and gives the place behind the path or the tree of paths.
    fn tree(&mut self, mut at: usize, mut path: Vec<String>) -> usize {
        while self.separator(at) {
            let Some(next) = self.tokens.get(at + 2) else { break };
            match &next.kind {
                Kind::Ident(name) if name == "super" => drop(path.pop()),
                Kind::Ident(name) => path.push(name.clone()),
                Kind::Sign('*') => path.push("*".to_owned()),
                Kind::Sign('{') => return self.group(at + 3, &path),
                // The arguments of a generic type or function.
                _ => break,
            }
            at += 3;
        }
        self.leaf(at, path)
    }

    fn group(&mut self, mut at: usize, path: &[String]) -> usize {
        while let Some(token) = self.tokens.get(at).filter(|token| !token.is('}')) {
            at = match &token.kind {
                Kind::Ident(name) if name == "self" => self.leaf(at + 1, path.to_vec()),
                Kind::Ident(name) => self.tree(at + 1, [path, std::slice::from_ref(name)].concat()),
                Kind::Sign('*') => self.leaf(at + 1, [path, &["*".to_owned()]].concat()),
                _ => at + 1,
            };
        }
        at + 1
    }

    fn leaf(&mut self, mut at: usize, path: Vec<String>) -> usize {
        let line = self.tokens[at - 1].line;
        let mut name = path.last().cloned();
        if self.tokens.get(at).is_some_and(|token| token.is_word("as")) {
            name = self.tokens.get(at + 1).and_then(Token::ident).map(str::to_owned);
            at += 2;
        }
        self.found.push(Named { path, line, offered_as: name.filter(|_| self.offers) });
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let module = ["db".to_owned(), "orders".to_owned()];
        named(&module, &File::new("src/db/orders.rs", text))
            .into_iter()
            .map(|named| named.path.join("::"))
            .collect()
    }

    #[test]
    fn paths_are_found_in_uses_and_elsewhere() {
        assert_eq!(
            paths("use crate::a::{self, b::{C, d}, e as f, g::*};"),
            ["a", "a::b::C", "a::b::d", "a::e", "a::g::*"]
        );
        assert_eq!(
            paths("fn f() -> crate::a::B { x(super::c::<u8>(), self::d) }"),
            ["a::B", "db::c", "db::orders::d"]
        );
        assert_eq!(paths("use super::super::a::b;"), ["a::b"]);
        assert_eq!(paths("mod child; fn f() { child::g() }"), ["db::orders::child::g"]);
        assert_eq!(paths("assert!(crate::a::b == 1);"), ["a::b"]);
    }

    #[test]
    fn a_path_in_an_inline_module_is_relative_to_it() {
        assert_eq!(paths("mod tests { use super::*; use super::super::a; }"), ["db::orders::*", "db::a"]);
        assert_eq!(paths("mod tests {} use super::a;"), ["db::a"]);
    }

    #[test]
    fn comments_strings_other_crates_and_visibilities_are_no_paths() {
        assert_eq!(paths("/// See [`crate::a`].\n// crate::a\nconst A: &str = \"crate::a\";"), [""; 0]);
        assert_eq!(
            paths("use std::io; use serde::de; pub(crate) struct A; pub(in crate::db) struct B;"),
            [""; 0]
        );
    }

    #[test]
    fn a_public_use_tells_the_name_under_which_it_offers() {
        let file = File::new("src/db/mod.rs", "mod a;\npub use a::b as c;\nuse a::{d as e};");
        let found = named(&["db".to_owned()], &file);
        let told: Vec<_> = found.iter().map(|named| (named.line, named.offered_as.as_deref())).collect();
        assert_eq!(told, [(2, Some("c")), (3, None)]);
    }
}
