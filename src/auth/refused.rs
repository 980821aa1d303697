//! Why a request has no caller.

use crate::db::DbError;
use crate::peers::CallFailure;

/// Why there is no caller.
#[derive(Debug)]
pub enum Refused {
    /// The token is not valid. In words, for the log.
    Token(&'static str),
    /// The token was valid until it expired.
    Expired,
    /// User has no account of the token's name.
    UnknownUser,
    /// The account is not active.
    InactiveUser,
    /// User does not answer.
    UserUnavailable(CallFailure),
    /// The issuer's keys are not known, and cannot be asked for just now.
    KeysUnavailable,
    /// The issuer's keys are in the database, which does not answer.
    Database(DbError),
}
