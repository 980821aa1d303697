//! Lists orders, a page at a time: newest first, in the order of changes, or by a look-up.

use crate::config::Config;
use crate::db::DbError;
use crate::db::lists::{self, Change, ChangesFrom};
use crate::domain::access::OrderScope;
use crate::domain::order_list::{Filters, Selection};
use crate::domain::page_token::Cursor;

/// A page of a list.
#[derive(Debug)]
pub struct ListPage {
    /// A JSON array of its elements.
    pub elements: String,
    /// The token of the next page. `None` alone means that there is none: a page may be short, or empty, before.
    pub next_page_token: Option<String>,
}

/// Why there is no page.
#[derive(Debug)]
pub enum ListError {
    /// The page token was not made for this list, or its place is lost since a failover.
    InvalidPageToken,
    /// The database.
    Db(DbError),
}

impl From<DbError> for ListError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

/// Lists at most `size` orders of the selection within the scope, from where the token says.
///
/// # Errors
/// [`ListError`].
pub async fn list(
    config: &Config,
    scope: OrderScope,
    selection: &Selection,
    token: Option<&str>,
    size: i32,
) -> Result<ListPage, ListError> {
    let list = selection.describe(scope);
    let cursor = match token {
        Some(token) => Some(Cursor::of_token(token, &list).ok_or(ListError::InvalidPageToken)?),
        None => None,
    };
    // A cursor of another kind is in no token that was made for this list.
    let (before, after) = match (selection, cursor) {
        (_, None) => (None, None),
        (Selection::ChangedSince { .. }, Some(Cursor::Changed { server, xid, id })) => {
            (None, Some(Change { server, xid, id }))
        }
        (Selection::Newest(_) | Selection::Found(_), Some(Cursor::Before { created_at, id })) => {
            (Some((created_at, id)), None)
        }
        (_, Some(_)) => return Err(ListError::InvalidPageToken),
    };
    let page = match selection {
        Selection::Newest(filters) => match filters.within(scope) {
            Some(filters) => lists::newest(config, filters, before, size).await?,
            None => return Ok(ListPage { elements: "[]".to_owned(), next_page_token: None }),
        },
        Selection::Found(lookup) => {
            let owner = match scope {
                OrderScope::All => None,
                OrderScope::OfUser(user) => Some(user),
            };
            lists::find(config, owner, lookup, before, size).await?
        }
        Selection::ChangedSince { since, filters } => {
            let from = after.map_or(ChangesFrom::Time(*since), ChangesFrom::Change);
            // Of another's orders there is nothing to tell, also not by how the token moves on.
            let filters = filters.within(scope).unwrap_or(Filters::OF_NOBODY);
            let changed = lists::changed(config, filters, from, size).await?;
            let (elements, Change { server, xid, id }) = changed.ok_or(ListError::InvalidPageToken)?;
            let next = Cursor::Changed { server, xid, id }.token(&list);
            return Ok(ListPage { elements, next_page_token: Some(next) });
        }
    };
    let next = page.next.map(|(created_at, id)| Cursor::Before { created_at, id }.token(&list));
    Ok(ListPage { elements: page.elements, next_page_token: next })
}
