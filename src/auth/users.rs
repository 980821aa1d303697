//! Users by name, as User tells; an active account is kept in the instance for a minute.

use super::refused::Refused;
use crate::config::BaseUrl;
use crate::peers::Outcome;
use crate::peers::user::{self, Account};
use crate::runtime::task::now;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a suspended account can go on.
const LIFETIME: Duration = Duration::from_secs(60);
/// The most kept accounts; beyond it all are forgotten, which costs one call each.
const CAPACITY: usize = 1_000;

thread_local! {
    static ACTIVE: RefCell<HashMap<String, (i32, Instant)>> = RefCell::default();
}

/// The id of the user with this name.
///
/// # Errors
/// [`Refused`], when there is no active account of this name, or nobody can tell.
pub async fn find(base: &BaseUrl, name: &str) -> Result<i32, Refused> {
    let known = ACTIVE.with_borrow(|active| {
        active.get(name).filter(|(_, since)| now().duration_since(*since) < LIFETIME).map(|(id, _)| *id)
    });
    if let Some(id) = known {
        return Ok(id);
    }
    let asked_at = now();
    match user::by_name(base, name).await {
        Outcome::Answered(Account::Active(id)) => {
            ACTIVE.with_borrow_mut(|active| {
                if active.len() >= CAPACITY {
                    active.clear();
                }
                active.insert(name.to_owned(), (id, asked_at));
            });
            Ok(id)
        }
        Outcome::Answered(Account::Inactive) => Err(Refused::InactiveUser),
        Outcome::Answered(Account::Unknown) => Err(Refused::UnknownUser),
        Outcome::NoAnswer(failure) => Err(Refused::UserUnavailable(failure)),
    }
}
