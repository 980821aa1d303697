//! HTTP routes: which requests reach which component.

use anyhow::{Result, ensure};

/// A route of the manifest: `/exact` or `/prefix/...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    raw: String,
    prefix: String,
    wildcard: bool,
    component: String,
}

impl Route {
    /// The route `raw` to a component.
    pub fn new(raw: &str, component: &str) -> Result<Self> {
        ensure!(raw.starts_with('/'), "route {raw:?} must start with a slash");
        let (prefix, wildcard) = match raw.strip_suffix("/...") {
            Some(prefix) => (prefix, true),
            None => (raw, false),
        };
        ensure!(
            !prefix.contains(':') && !prefix.contains("..."),
            "route {raw:?}: this host has exact routes and a trailing `/...` only"
        );
        Ok(Self { raw: raw.to_owned(), prefix: prefix.to_owned(), wildcard, component: component.to_owned() })
    }

    /// The route by which a component calls another one, whatever routes that has.
    pub fn chained(component: &str) -> Self {
        Self {
            raw: "/...".to_owned(),
            prefix: String::new(),
            wildcard: true,
            component: component.to_owned(),
        }
    }

    /// The id of the component that it leads to.
    pub fn component(&self) -> &str {
        &self.component
    }

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
        let routes = ["/...", "/a", "/a/...", "/a/b"].map(|r| Route::new(r, "shop").expect("valid"));
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
        let routes = [Route::new("/a", "shop").expect("valid")];
        assert!(find(&routes, "/a/").is_none());
        assert!(find(&routes, "/").is_none());
    }

    #[test]
    fn other_kinds_of_route_are_refused() {
        for raw in ["", "a", "/users/:id", "/a/.../b"] {
            assert!(Route::new(raw, "shop").is_err(), "{raw:?}");
        }
    }
}
