//! Keeps the house: rules that the compiler does not know, checked over the text of the repository.
//!
//! Each rule is one file: its check, a function over files that gives findings; the test that runs it over the
//! repository; and tests that show that it can fail. [`files`] reads the repository, [`rust`] and [`sql`] know as much of
//! the two languages as the rules need.

mod files;
mod rust;
mod sql;

mod alerts;
mod document_format;
mod domain;
mod functions;
mod guide;
mod length;
mod links;
mod manifests;
mod openapi;
mod openapi_release;
mod peer_calls;
mod rooms;
mod statements;
mod variables;
