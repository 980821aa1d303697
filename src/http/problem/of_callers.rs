//! Problems of who calls: tokens, accounts, and how much somebody may have.

use super::{ApiError, FORBIDDEN, TOO_MANY_OPEN_ORDERS, UNAUTHORIZED};
use ::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use anyhow::anyhow;
use std::time::Duration;

/// The longest time that a client is asked to wait, in seconds: no order is unpaid for longer.
const MAX_RETRY_AFTER_SECONDS: u64 = 900;

impl ApiError {
    /// 401: a request without a token, while authentication is on.
    pub fn token_required() -> Self {
        let mut error = Self::new(&UNAUTHORIZED, "Send a token as Authorization: Bearer <token>.");
        error.0.headers.push((WWW_AUTHENTICATE, "Bearer".into()));
        error
    }

    /// 401: a token that is not valid. `cause` is for the log only: who forges tokens is not told how far they came.
    pub fn token_invalid(cause: &'static str) -> Self {
        let mut error = Self::bad_token("The token is not valid.");
        error.0.cause = Some(anyhow!(cause));
        error
    }

    /// 401: a token that was valid.
    pub fn token_expired() -> Self {
        Self::bad_token("The token has expired.")
    }

    /// 401: a valid token that tells of no user, where one is needed.
    pub fn user_required() -> Self {
        Self::bad_token("The token names no user.")
    }

    fn bad_token(detail: &str) -> Self {
        let mut error = Self::new(&UNAUTHORIZED, detail);
        error.0.headers.push((WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"".into()));
        error
    }

    /// 403: the account of the token's user is suspended or deleted.
    pub fn account_inactive() -> Self {
        Self::new(&FORBIDDEN, "The user's account is not active.")
    }

    /// 403: an order for another user.
    pub fn other_user() -> Self {
        Self::new(&FORBIDDEN, "Orders are placed for the token's own user.")
    }

    /// 429 with `Retry-After`: the user has as many unpaid orders as a user may have. `wait`: until the first of them expires.
    pub fn too_many_open_orders(limit: u32, wait: Duration) -> Self {
        let detail =
            format!("A user may have {limit} unpaid orders. Pay or cancel one, or wait until one expires.");
        let mut error = Self::new(&TOO_MANY_OPEN_ORDERS, detail);
        let seconds = wait.as_secs().clamp(1, MAX_RETRY_AFTER_SECONDS);
        error.0.headers.push((RETRY_AFTER, seconds.to_string()));
        error
    }
}
