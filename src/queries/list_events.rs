//! Lists the events of all orders, from any point on: how a consumer reads them without a sink, and heals what a broker lost.

use super::list_orders::ListError;
use crate::config::Config;
use crate::db::events::{self, EventsFrom, Place};
use crate::domain::page_token::Cursor;

/// What a cursor of this list says of it.
const LIST: &str = "events";

/// A page of events.
#[derive(Debug)]
pub struct EventPage {
    /// A JSON array.
    pub events: String,
    /// Where the next page begins, whether there are events yet or not.
    pub next: String,
}

/// From where events are listed, by a cursor.
///
/// # Errors
/// [`ListError::InvalidPageToken`].
pub fn from_cursor(cursor: &str) -> Result<EventsFrom, ListError> {
    match Cursor::of_token(cursor, LIST) {
        Some(Cursor::Event { server, xid, order, sequence }) => {
            Ok(EventsFrom::Place(Place { server, xid, order, sequence }))
        }
        _ => Err(ListError::InvalidPageToken),
    }
}

/// The cursor of a place.
pub fn cursor(place: Place) -> String {
    let Place { server, xid, order, sequence } = place;
    Cursor::Event { server, xid, order, sequence }.token(LIST)
}

/// Lists at most `limit` events in the order in which they were committed; none is missed, also none that is committed late.
///
/// # Errors
/// [`ListError`].
pub async fn list(config: &Config, from: EventsFrom, limit: i32) -> Result<EventPage, ListError> {
    let listed = events::list(config, from, limit).await?;
    let (events, next) = listed.ok_or(ListError::InvalidPageToken)?;
    Ok(EventPage { events, next: cursor(next) })
}
