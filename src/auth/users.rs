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
    find_at(now(), name, async || user::by_name(base, name).await).await
}

/// The same at a time. `ask` asks User.
async fn find_at(
    at: Instant,
    name: &str,
    ask: impl AsyncFnOnce() -> Outcome<Account>,
) -> Result<i32, Refused> {
    let known = ACTIVE.with_borrow(|active| {
        active.get(name).filter(|(_, since)| at.duration_since(*since) < LIFETIME).map(|(id, _)| *id)
    });
    if let Some(id) = known {
        return Ok(id);
    }
    match ask().await {
        Outcome::Answered(Account::Active(id)) => {
            ACTIVE.with_borrow_mut(|active| {
                if active.len() >= CAPACITY {
                    active.clear();
                }
                // It counts from the question: by the answer the account may have been suspended.
                active.insert(name.to_owned(), (id, at));
            });
            Ok(id)
        }
        Outcome::Answered(Account::Inactive) => Err(Refused::InactiveUser),
        Outcome::Answered(Account::Unknown) => Err(Refused::UnknownUser),
        Outcome::NoAnswer(failure) => Err(Refused::UserUnavailable(failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::CallFailure;
    use futures::FutureExt;
    use std::cell::Cell;

    /// What comes of looking for a user at a time, and whether User is asked, which answers this.
    fn look(at: Instant, name: &str, answer: Outcome<Account>) -> (Result<i32, Refused>, bool) {
        let is_asked = Cell::new(false);
        let ask = async || {
            is_asked.set(true);
            answer
        };
        let found = find_at(at, name, ask).now_or_never().expect("nothing is waited for");
        (found, is_asked.get())
    }

    fn active(id: i32) -> Outcome<Account> {
        Outcome::Answered(Account::Active(id))
    }

    #[test]
    fn an_active_account_counts_for_less_than_a_minute_and_a_suspended_one_is_refused_then() {
        let begin = Instant::now();
        let after = |ms| begin + Duration::from_millis(ms);
        let suspended = || Outcome::Answered(Account::Inactive);
        assert!(matches!(look(begin, "alice", active(101)), (Ok(101), true)));
        assert!(matches!(look(after(59_999), "alice", suspended()), (Ok(101), false)));
        for ms in [60_000, 60_001, 90_000] {
            assert!(matches!(look(after(ms), "alice", suspended()), (Err(Refused::InactiveUser), true)));
        }
        // Being let in again makes no minute longer than the account was asked about.
        assert!(matches!(look(after(100_000), "alice", active(101)), (Ok(101), true)));
        assert!(matches!(look(after(159_999), "alice", suspended()), (Ok(101), false)));
        assert!(matches!(look(after(160_000), "alice", suspended()), (Err(Refused::InactiveUser), true)));
    }

    #[test]
    fn only_an_active_account_is_kept_and_after_a_minute_silence_lets_nobody_in() {
        let begin = Instant::now();
        let failure =
            || CallFailure { reason: "none".to_owned(), may_land: false, status: None, retry_after: None };
        for refusal in [Account::Inactive, Account::Unknown] {
            assert!(matches!(look(begin, "bob", Outcome::Answered(refusal)), (Err(_), true)));
        }
        assert!(matches!(look(begin, "bob", active(102)), (Ok(102), true)));
        let later = begin + LIFETIME;
        let silent = look(later, "bob", Outcome::NoAnswer(failure()));
        assert!(matches!(silent, (Err(Refused::UserUnavailable(_)), true)));
    }

    #[test]
    fn no_more_accounts_are_kept_than_there_is_room_for() {
        let at = Instant::now();
        for id in 1..=CAPACITY as i32 {
            assert!(matches!(look(at, &id.to_string(), active(id)), (Ok(_), true)));
        }
        assert!(matches!(look(at, "1", active(1)), (Ok(1), false)));
        assert!(matches!(look(at, "one more", active(1_001)), (Ok(1_001), true)));
        assert!(matches!(look(at, "1", active(1)), (Ok(1), true)));
    }
}
