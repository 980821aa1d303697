//! The tokens that this instance has verified, each until it expires: a signature costs a millisecond to verify. They are known by their
//! SHA-256, so that none is in memory.

use crate::jose::token::Verified;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The SHA-256 of a token.
pub type Hash = [u8; 32];

/// The most tokens that are kept; beyond it all are forgotten.
const CAPACITY: usize = 1_000;

thread_local! {
    static KEPT: RefCell<HashMap<Hash, Rc<Verified>>> = RefCell::default();
}

/// The hash of a token.
pub fn hash(token: &str) -> Hash {
    Sha256::digest(token).into()
}

/// What a token says that was verified, unless it has expired. `now`: seconds since 1970.
pub fn get(hash: &Hash, now: f64) -> Option<Rc<Verified>> {
    KEPT.with_borrow(|kept| kept.get(hash).filter(|verified| now < verified.valid_until).cloned())
}

/// Keeps what a verified token says.
pub fn keep(hash: Hash, verified: Verified) -> Rc<Verified> {
    let verified = Rc::new(verified);
    KEPT.with_borrow_mut(|kept| {
        if kept.len() >= CAPACITY {
            kept.clear();
        }
        kept.insert(hash, verified.clone());
    });
    verified
}

/// Forgets all: a key may be gone that has verified one.
pub fn forget_all() {
    KEPT.with_borrow_mut(HashMap::clear);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::token::User;

    #[test]
    fn a_token_is_kept_until_it_expires_or_all_are_forgotten() {
        let verified = |id| Verified { user: User::Id(id), roles: Vec::new(), valid_until: 100.0 };
        keep(hash("a"), verified(1));
        assert_eq!(get(&hash("a"), 99.9).map(|kept| kept.user.clone()), Some(User::Id(1)));
        assert_eq!(get(&hash("a"), 100.0), None);
        assert_eq!(get(&hash("b"), 0.0), None);
        for id in 1..=CAPACITY as i32 {
            keep(hash(&id.to_string()), verified(id));
        }
        assert_eq!(get(&hash("a"), 0.0), None);
        assert!(get(&hash("1000"), 0.0).is_some());
        forget_all();
        assert_eq!(get(&hash("1000"), 0.0), None);
    }
}
