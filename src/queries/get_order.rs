//! Reads one order.

use crate::config::Config;
use crate::db::orders::{self, Document};
use crate::db::{DbError, document_owner};
use crate::domain::access::Caller;
use crate::domain::ids::OrderId;

/// An order's document with its entity tag (`ETag`, RFC 9110).
pub struct Read {
    /// A strong entity tag with its quotes: it differs whenever the document does.
    pub etag: String,
    /// JSON text.
    pub document: Document,
}

/// Reads an order; `None` when there is no such order that the caller may read.
///
/// # Errors
/// [`DbError`].
pub async fn get(config: &Config, caller: &Caller, id: OrderId) -> Result<Option<Read>, DbError> {
    let Some((tag, document)) = orders::read(config, id).await? else {
        return Ok(None);
    };
    // A document is read only for the owner in it.
    if !caller.may_read_all() && !caller.may_read(document_owner::owner(&document)?) {
        return Ok(None);
    }
    Ok(Some(Read { etag: format!("\"{id}.{tag}\""), document }))
}
