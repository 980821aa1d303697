//! Reads an order's journal, a page at a time.

use super::list_orders::{ListError, ListPage};
use crate::config::Config;
use crate::db::lists;
use crate::domain::access::OrderScope;
use crate::domain::ids::OrderId;
use crate::domain::page_token::Cursor;

/// A page of the journal of an order (its events, oldest first); `None` when there is no such order within the scope.
///
/// # Errors
/// [`ListError`].
pub async fn events(
    config: &Config,
    scope: OrderScope,
    id: OrderId,
    token: Option<&str>,
    size: i32,
) -> Result<Option<ListPage>, ListError> {
    let list = format!("events of {id}");
    let after = match token.map(|token| Cursor::of_token(token, &list)) {
        None => 0,
        Some(Some(Cursor::Entry(number))) => number,
        Some(_) => return Err(ListError::InvalidPageToken),
    };
    let owner = match scope {
        OrderScope::All => None,
        OrderScope::OfUser(user) => Some(user),
    };
    let page = lists::journal(config, id, owner, after, size).await?;
    Ok(page.map(|page| ListPage {
        elements: page.elements,
        next_page_token: page.next.map(|number| Cursor::Entry(number).token(&list)),
    }))
}
