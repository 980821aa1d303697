//! Reads one order.

use crate::config::Config;
use crate::db::DbError;
use crate::db::orders::{self, Document};
use crate::domain::ids::OrderId;

/// An order's document with its entity tag (`ETag`, RFC 9110).
pub struct Read {
    /// A strong entity tag with its quotes: it differs whenever the document does.
    pub etag: String,
    /// JSON text.
    pub document: Document,
}

/// Reads an order; `None` when there is no such order.
///
/// # Errors
/// [`DbError`].
pub async fn get(config: &Config, id: OrderId) -> Result<Option<Read>, DbError> {
    let read = orders::read(config, id).await?;
    Ok(read.map(|(tag, document)| Read { etag: format!("\"{id}.{tag}\""), document }))
}
