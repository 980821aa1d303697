//! The documentation as a page: `GET /docs`, and `GET /` that leads there.
//!
//! The page is three files, which the service puts together as they are: `page.html` with `style.css` and `script.js` in it. The
//! script reads `/openapi.json` and makes a description and a form of each operation; without it the page is a summary with links.

use super::entity_tag;
use super::request::RequestHead;
use super::response::Reply;
use ::http::StatusCode;
use ::http::header::{CONTENT_SECURITY_POLICY, LOCATION, X_FRAME_OPTIONS};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page as it is served. Put together once an instance, at the first request for it.
static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(Documentation::new);

struct Documentation {
    html: String,
    etag: String,
    content_security_policy: String,
}

impl Documentation {
    fn new() -> Self {
        let html = PAGE
            .replacen("<style></style>", &format!("<style>{STYLE}</style>"), 1)
            .replacen("<script></script>", &format!("<script>{SCRIPT}</script>"), 1)
            .replacen("{version}", env!("CARGO_PKG_VERSION"), 1);
        let etag = entity_tag::of_text(&html);
        // Nothing but this style and this script, by their hashes (CSP Level 3); calls of this service alone; no frames around it.
        // Text from the document cannot become markup: the script makes elements, and trusted types forbid everything else.
        let [style, script] =
            [STYLE, SCRIPT].map(|text| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text))));
        let content_security_policy = format!(
            "default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'"
        );
        Self { html, etag, content_security_policy }
    }
}

/// `GET /`: leads to the page.
pub fn redirect() -> Reply {
    Reply::new(StatusCode::FOUND, "text/plain; charset=utf-8", "").with_header(LOCATION, "/docs")
}

/// `GET /docs`: the page; 304 when `If-None-Match` has its `ETag`. A cache may keep it, but asks each time whether it is current,
/// so that nobody reads the page of another version.
pub fn page(head: &RequestHead) -> Reply {
    let documentation = &*DOCUMENTATION;
    let reply = Reply::new(StatusCode::OK, "text/html; charset=utf-8", documentation.html.as_str());
    let reply = reply
        .with_cache_control("public, no-cache")
        .with_header(CONTENT_SECURITY_POLICY, documentation.content_security_policy.as_str())
        .with_header(X_FRAME_OPTIONS, "DENY");
    entity_tag::conditional(head, reply, documentation.etag.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_are_in_the_page_once_and_end_where_the_page_ends_them() {
        let html = &DOCUMENTATION.html;
        for (begin, text, end) in [("<style>", STYLE, "</style"), ("<script>", SCRIPT, "</script")] {
            assert_eq!(html.matches(begin).count(), 1, "{begin}");
            assert_eq!(html.matches(end).count(), 1, "{end}");
            let (_, rest) = html.split_once(begin).unwrap();
            assert_eq!(rest.split_once(end).unwrap().0, text, "{begin}");
        }
        // After these the HTML parser reads a script in another way.
        assert!(!SCRIPT.contains("<!--"));
        assert!(html.contains(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_page_needs_nothing_that_its_policy_forbids() {
        assert!(!DOCUMENTATION.content_security_policy.contains("unsafe"));
        for attribute in [" style=", " onclick=", " onload=", " src="] {
            assert!(!PAGE.contains(attribute), "{attribute}");
        }
        // No third party: every address is of this service, or a name of a format that nobody asks for.
        for text in [PAGE, STYLE, SCRIPT] {
            for (at, _) in text.match_indices("://") {
                let known = ["http://www.w3.org/2000/svg", "https?://"];
                let known = known.iter().any(|known| text[..at + 30.min(text.len() - at)].contains(known));
                assert!(known, "{}", &text[at.saturating_sub(10)..(at + 20).min(text.len())]);
            }
        }
    }
}
