//! The statements about issuers' public keys, which all copies of the service share.

use super::answer::{answer, named, optional_answer};
use super::{DbError, Session, query, text};
use crate::config::Config;
use anyhow::anyhow;
use spin_sdk::pg::ParameterValue;
use std::time::Duration;

/// Who asks an issuer for its keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// The caller, who then stores what came of it.
    Ours,
    /// Somebody else does so just now.
    Others,
    /// Nobody: it was asked a moment ago.
    Nobodys,
}

/// How often an issuer is asked, at most.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// While its keys are known.
    pub interval: Duration,
    /// Before they are.
    pub first: Duration,
    /// How long asking may take.
    pub deadline: Duration,
}

/// Reads the document that an issuer has shown last, and how old it is; `None` when there is none.
///
/// # Errors
/// [`DbError`].
pub async fn read(config: &Config, url: &str) -> Result<Option<(String, Duration)>, DbError> {
    let row = query(
        config,
        Session::Shared,
        include_str!("sql/read_key_set.sql"),
        || named!("sql/read_key_set.sql": p_url = text(url)),
    )
    .await?;
    let Some(mut answer) = optional_answer(row)? else {
        return Ok(None);
    };
    let (document, age): (_, i64) = (answer.text()?, answer.number()?);
    Ok(Some((document, Duration::from_millis(age.try_into().unwrap_or_default()))))
}

/// Decides who asks an issuer. With the document that it has shown last.
///
/// # Errors
/// [`DbError`].
pub async fn take_turn(config: &Config, url: &str, pace: Pace) -> Result<(Turn, Option<String>), DbError> {
    let milliseconds = |time: Duration| ParameterValue::Int64(time.as_millis() as i64);
    let parameters = || {
        named! { "sql/request_key_set.sql":
            p_url = text(url),
            p_interval_ms = milliseconds(pace.interval),
            p_first_ms = milliseconds(pace.first),
            p_deadline_ms = milliseconds(pace.deadline),
        }
    };
    let mut answer =
        answer(query(config, Session::Shared, include_str!("sql/request_key_set.sql"), parameters).await?)?;
    let turn = match &answer.text()?[..] {
        "ask" => Turn::Ours,
        "asking" => Turn::Others,
        "known" => Turn::Nobodys,
        unknown => return Err(DbError::Broken(anyhow!("unknown outcome {unknown}"))),
    };
    Ok((turn, answer.optional_text()))
}

/// Stores what an issuer has shown; `None`: nothing that counts.
///
/// # Errors
/// [`DbError`].
pub async fn store(config: &Config, url: &str, document: Option<&str>) -> Result<(), DbError> {
    let parameters = || {
        named! { "sql/store_key_set.sql":
            p_url = text(url),
            p_document = document.map_or(ParameterValue::DbNull, text),
        }
    };
    query(config, Session::Shared, include_str!("sql/store_key_set.sql"), parameters).await.map(drop)
}
