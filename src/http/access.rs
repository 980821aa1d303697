//! Who sends a request, and what they may see of lists.

use super::bearer_token;
use super::problem::ApiError;
use super::request::RequestHead;
use crate::commands::Context;
use crate::domain::access::{Caller, OrderScope};

/// The caller of a request.
///
/// # Errors
/// 401 without a valid token, while authentication is on.
#[expect(clippy::unused_async, reason = "keys are fetched")]
pub async fn caller(_context: &Context, _head: &RequestHead) -> Result<Caller, ApiError> {
    Ok(Caller::Anyone)
}

/// Which orders the caller of a list may see.
///
/// # Errors
/// Those of [`caller`]; 403 without the internal token while authentication is off, else anybody would list everybody's ticket codes;
/// 404 for somebody who may see no list.
pub async fn list_scope(context: &Context, head: &RequestHead) -> Result<OrderScope, ApiError> {
    let caller = caller(context, head).await?;
    if caller == Caller::Anyone {
        let token = context.config.internal_token.as_ref();
        if !token.is_some_and(|token| bearer_token::has(token.expose(), head)) {
            return Err(ApiError::list_forbidden());
        }
    }
    caller.list_scope().ok_or_else(ApiError::order_not_found)
}
