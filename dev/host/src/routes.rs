//! HTTP routes: which requests reach the component.

use std::str::FromStr;

use anyhow::{Error, ensure};

/// A route of the manifest: `/exact` or `/prefix/...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    raw: String,
    prefix: String,
    wildcard: bool,
}

impl Route {
    /// The route as the manifest has it.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The route without its wildcard.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether everything below the route matches too.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// What the wildcard stands for in `path` (nothing for an exact route), or `None` if the route does not match.
    fn match_path<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(&self.prefix)?;
        let matches = rest.is_empty() || (self.wildcard && rest.starts_with('/'));
        matches.then_some(rest)
    }
}

impl FromStr for Route {
    type Err = Error;

    fn from_str(raw: &str) -> Result<Self, Error> {
        ensure!(raw.starts_with('/'), "route {raw:?} must start with a slash");
        let (prefix, wildcard) = match raw.strip_suffix("/...") {
            Some(prefix) => (prefix, true),
            None => (raw, false),
        };
        ensure!(
            !prefix.contains(':') && !prefix.contains("..."),
            "route {raw:?}: this host has exact routes and a trailing `/...` only"
        );
        Ok(Self { raw: raw.to_owned(), prefix: prefix.to_owned(), wildcard })
    }
}

/// The route for `path` and the part of the path that its wildcard stands for. The longest route wins, an exact one
/// before a wildcard of the same length.
pub fn find<'r, 'p>(routes: &'r [Route], path: &'p str) -> Option<(&'r Route, &'p str)> {
    routes
        .iter()
        .filter_map(|route| Some((route, route.match_path(path)?)))
        .max_by_key(|(route, _)| (route.prefix.len(), !route.wildcard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_route_wins() {
        let routes = ["/...", "/a", "/a/...", "/a/b"].map(|r| r.parse::<Route>().expect("valid"));
        for (path, expected) in [
            ("/", ("/...", "/")),
            ("/x/y", ("/...", "/x/y")),
            ("/a", ("/a", "")),
            ("/ab", ("/...", "/ab")),
            ("/a/c", ("/a/...", "/c")),
            ("/a/b", ("/a/b", "")),
        ] {
            let (route, rest) = find(&routes, path).expect("the first route matches everything");
            assert_eq!((route.raw(), rest), expected, "{path}");
        }
    }

    #[test]
    fn without_a_wildcard_only_the_path_itself_matches() {
        let routes = ["/a".parse::<Route>().expect("valid")];
        assert!(find(&routes, "/a/").is_none());
        assert!(find(&routes, "/").is_none());
    }

    #[test]
    fn other_kinds_of_route_are_refused() {
        for raw in ["", "a", "/users/:id", "/a/.../b"] {
            assert!(raw.parse::<Route>().is_err(), "{raw:?}");
        }
    }
}
