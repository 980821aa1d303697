//! The public keys of the issuer. The last good document is a row of the database for all copies of the service; each instance has read
//! it, and reads it again after a minute. Whoever finds it older than ten minutes asks the issuer, in the background; who meets a token of an unknown key asks
//! at once, and all copies together do so once a minute. What the issuer then fails to show changes nothing.

use super::verified_tokens;
use crate::commands::Context;
use crate::config::{Authentication, BaseUrl};
use crate::db::DbError;
use crate::db::key_sets::{self, Pace, Turn};
use crate::domain::retry;
use crate::jose::key_set::{self, NamedKey};
use crate::peers::{self, Outcome};
use crate::runtime::task;
use crate::telemetry::counters;
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often an instance reads the row.
const READ_AGAIN: Duration = Duration::from_secs(60);
/// How old the issuer's document may be before it is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(600);
/// How often the issuer is asked.
const PACE: Pace = Pace {
    interval: Duration::from_secs(60),
    first: Duration::from_secs(2),
    deadline: Duration::from_millis(retry::KEY_SET_DEADLINE_MS),
};

/// A document and its keys.
struct Known {
    document: String,
    keys: Rc<[NamedKey]>,
    read_at: Instant,
}

thread_local! {
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// How looking for keys has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// What there is to be known is known now.
    Done,
    /// Another request is asking for them.
    UnderWay,
}

/// The keys that this instance knows, if it knows any.
pub fn known() -> Option<Rc<[NamedKey]>> {
    KNOWN.with_borrow(|known| known.as_ref().map(|known| known.keys.clone()))
}

/// Takes the keys of a document. When they are others than were known, a token may have been verified by a key that is gone.
fn take(document: String) {
    let is_known = KNOWN.with_borrow_mut(|known| match known {
        Some(known) if known.document == document => {
            known.read_at = task::now();
            true
        }
        _ => false,
    });
    if is_known {
        return;
    }
    // None where another version, which reads more of it, has stored it.
    if let Some(keys) = key_set::parse(&document) {
        KNOWN.set(Some(Known { document, keys: keys.into(), read_at: task::now() }));
        verified_tokens::forget_all();
    }
}

/// Looks for keys that this instance does not know: in the database, then at the issuer, if it is time to ask.
///
/// # Errors
/// [`DbError`].
pub async fn look_up(context: &Context, url: &BaseUrl) -> Result<Lookup, DbError> {
    let config = &context.config;
    if known().is_none() {
        if let Some((document, age)) = key_sets::read(config, &url.to_string()).await? {
            take(document);
            if age >= ASK_AGAIN {
                in_background(context, url, false);
            }
        }
        if known().is_some() {
            return Ok(Lookup::Done);
        }
    }
    let (turn, document) = key_sets::take_turn(config, &url.to_string(), PACE).await?;
    if let Some(document) = document {
        take(document);
    }
    match turn {
        Turn::Ours => ask(context, url).await?,
        Turn::Others => return Ok(Lookup::UnderWay),
        Turn::Nobodys => {}
    }
    Ok(Lookup::Done)
}

/// Asks the issuer, and stores its document for all.
async fn ask(context: &Context, url: &BaseUrl) -> Result<(), DbError> {
    match peers::key_set::fetch(url).await {
        Outcome::Answered(document) => {
            key_sets::store(&context.config, &url.to_string(), Some(&document)).await?;
            take(document);
        }
        Outcome::NoAnswer(failure) => {
            context.log.warn("the issuer's keys cannot be had", json!({ "cause": failure.reason }));
            key_sets::store(&context.config, &url.to_string(), None).await?;
        }
    }
    Ok(())
}

/// Reads the row again when this instance has not done so for a minute, and asks the issuer when that is old; in the background.
pub fn keep_fresh(context: &Context, authentication: &Authentication) {
    let Some(url) = &authentication.key_set else { return };
    let is_due = KNOWN.with_borrow_mut(|known| match known {
        Some(known) if task::now().duration_since(known.read_at) >= READ_AGAIN => {
            known.read_at = task::now();
            true
        }
        _ => false,
    });
    if is_due {
        in_background(context, url, true);
    }
}

/// Asks the issuer, if it is time to, after the row has been read and found old where `reads_first`. No request waits for it.
fn in_background(context: &Context, url: &BaseUrl, reads_first: bool) {
    let (context, url) = (context.clone(), url.clone());
    counters::spawn_counted(task::in_background(async move {
        if let Err(error) = refresh(&context, &url, reads_first).await {
            context.log.warn("the issuer's keys cannot be read", json!({ "cause": error.to_string() }));
        }
    }));
}

async fn refresh(context: &Context, url: &BaseUrl, reads_first: bool) -> Result<(), DbError> {
    let config = &context.config;
    if reads_first && let Some((document, age)) = key_sets::read(config, &url.to_string()).await? {
        take(document);
        if age < ASK_AGAIN {
            return Ok(());
        }
    }
    if let (Turn::Ours, _) = key_sets::take_turn(config, &url.to_string(), PACE).await? {
        ask(context, url).await?;
    }
    Ok(())
}
