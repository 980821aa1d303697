//! Who sends a request, by the token that it carries.
//!
//! In reading order: [`refused`] is why there is no caller, [`verified_tokens`] keeps those that were verified, [`issuer_keys`] has the issuer's public keys, [`users`] finds
//! users by name.

pub mod refused;
pub mod verified_tokens;
pub mod issuer_keys;
pub mod users;

use crate::commands::Context;
use crate::config::Authentication;
use crate::domain::access::{Caller, Roles};
use crate::jose::token::{self, Refusal, User, Verified};
use issuer_keys::Lookup;
use refused::Refused;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// How often keys are looked for that may verify a token.
const LOOKUPS: usize = 3;

/// The holder of a token.
///
/// # Errors
/// [`Refused`].
pub async fn authenticate(
    context: &Context,
    authentication: &Authentication,
    token: &str,
) -> Result<Caller, Refused> {
    let verified = verify(context, authentication, token).await?;
    let user = match (&verified.user, &authentication.user) {
        (User::Nobody, _) => None,
        (User::Id(id), _) => Some(*id),
        // Nobody can tell who that is.
        (User::Name(_), None) => None,
        (User::Name(name), Some(base)) => Some(users::find(base, name).await?),
    };
    let roles = Roles::of(verified.roles.iter().map(|name| &**name));
    Ok(Caller::Holder { user, roles })
}

/// Verifies a token, unless it was verified before.
async fn verify(
    context: &Context,
    authentication: &Authentication,
    token: &str,
) -> Result<Rc<Verified>, Refused> {
    issuer_keys::keep_fresh(context, authentication);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let hash = verified_tokens::hash(token);
    if let Some(verified) = verified_tokens::get(&hash, now) {
        return Ok(verified);
    }
    // By those that are known, by those of the database, by those of the issuer.
    for _ in 0..LOOKUPS {
        let known = issuer_keys::known();
        let keys = [&authentication.keys[..], known.as_deref().unwrap_or_default()].concat();
        let refusal = match token::verify(token, &keys, &authentication.rules(), now) {
            Ok(verified) => return Ok(verified_tokens::keep(hash, verified)),
            Err(refusal) => refusal,
        };
        let may_be_new = match refusal {
            Refusal::UnknownKey => true,
            Refusal::Signature => known.is_none(),
            Refusal::Expired => return Err(Refused::Expired),
            Refusal::Invalid(reason) => return Err(Refused::Token(reason)),
        };
        let (true, Some(url)) = (may_be_new, &authentication.key_set) else {
            return Err(Refused::Token(refusal.reason()));
        };
        let is_asked = issuer_keys::look_up(context, url).await.map_err(Refused::Database)?;
        let new = issuer_keys::known();
        // Also another request of this instance may have found them meanwhile.
        if new.as_ref().map(Rc::as_ptr) != known.as_ref().map(Rc::as_ptr) {
            continue;
        }
        return Err(match (is_asked, new) {
            (Lookup::Done, Some(_)) => Refused::Token(refusal.reason()),
            (Lookup::Done, None) | (Lookup::UnderWay, _) => Refused::KeysUnavailable,
        });
    }
    Err(Refused::Token(Refusal::UnknownKey.reason()))
}
