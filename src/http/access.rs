//! Who sends a request, and what they may see of lists.

use super::bearer_token;
use super::problem::ApiError;
use super::request::RequestHead;
use crate::auth;
use crate::auth::refused::Refused;
use crate::commands::Context;
use crate::domain::access::{Caller, OrderScope, Roles};
use crate::jose::token::MAX_TOKEN;
use ::http::header::AUTHORIZATION;

/// The caller of a request.
///
/// # Errors
/// While authentication is on: 401 without a valid token of somebody, 403 for an account that is not active, 503 when nobody can tell.
pub async fn caller(context: &Context, head: &RequestHead) -> Result<Caller, ApiError> {
    let Some(authentication) = &context.config.authentication else { return Ok(Caller::Anyone) };
    let token = token(head)?;
    let caller = auth::authenticate(context, authentication, &token).await?;
    match caller {
        Caller::Holder { user: None, roles } if roles == Roles::default() => Err(ApiError::user_required()),
        _ => Ok(caller),
    }
}

/// The token of a request.
///
/// # Errors
/// 401.
fn token(head: &RequestHead) -> Result<String, ApiError> {
    let mut values = head.header_values(&AUTHORIZATION);
    if values.len() > 1 {
        return Err(ApiError::token_invalid("several Authorization headers"));
    }
    let value = values.pop().and_then(|value| String::from_utf8(value).ok()).unwrap_or_default();
    match bearer_token::credentials(&value) {
        "" => Err(ApiError::token_required()),
        token if token.len() > MAX_TOKEN => Err(ApiError::token_invalid("the token is too long")),
        token => Ok(token.to_owned()),
    }
}

/// Which orders the caller of a list may see.
///
/// # Errors
/// Those of [`caller`]; 403 without the internal token while authentication is off, else anybody would list everybody's ticket codes;
/// 404 for somebody who may see no list.
pub async fn list_scope(context: &Context, head: &RequestHead) -> Result<OrderScope, ApiError> {
    let caller = caller(context, head).await?;
    if caller == Caller::Anyone {
        require_list_token(context, head)?;
    }
    caller.list_scope().ok_or_else(ApiError::order_not_found)
}

/// Checks that the caller may read the events of all orders.
///
/// # Errors
/// Those of [`caller`]; 403 for whoever may not read every order, and without the internal token while authentication is off.
pub async fn require_feed(context: &Context, head: &RequestHead) -> Result<(), ApiError> {
    let caller = caller(context, head).await?;
    if caller == Caller::Anyone {
        return require_list_token(context, head);
    }
    if caller.may_read_all() { Ok(()) } else { Err(ApiError::feed_forbidden()) }
}

/// Checks the internal token, which lists need while authentication is off.
fn require_list_token(context: &Context, head: &RequestHead) -> Result<(), ApiError> {
    let token = context.config.internal_token.as_ref();
    if token.is_some_and(|token| bearer_token::has(token.expose(), head)) {
        return Ok(());
    }
    Err(ApiError::list_forbidden())
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Token(reason) => Self::token_invalid(reason),
            Refused::Expired => Self::token_expired(),
            Refused::UnknownUser => Self::token_invalid("User has no such user"),
            Refused::InactiveUser => Self::account_inactive(),
            Refused::UserUnavailable(failure) => {
                Self::peer_unavailable("User", failure.reason, failure.retry_after)
            }
            Refused::KeysUnavailable => {
                let cause = "the issuer's keys are not known".to_owned();
                Self::peer_unavailable("The issuer of tokens", cause, None)
            }
            Refused::Database(error) => error.into(),
        }
    }
}
