//! Secrets that do not show in logs.

use base64::prelude::*;
use std::fmt;

/// A value that `Debug` does not show, so that it gets into no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Makes a secret of a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. Never log it, and send it only to its recipient.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Decodes all secrets of a list with whitespace between them; none is an empty list.
pub fn webhook_keys(secrets: &str) -> Option<Vec<Vec<u8>>> {
    secrets.split_whitespace().map(webhook_key).collect()
}

/// Decodes a Standard Webhooks secret: `whsec_` and the base64 of 24 to 64 bytes.
fn webhook_key(secret: &str) -> Option<Vec<u8>> {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_in_debug() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some([secret])");
    }

    #[test]
    fn a_webhook_secret_is_prefixed_base64_of_24_to_64_bytes() {
        assert_eq!(webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").map(|key| key.len()), Some(24));
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!"] {
            assert_eq!(webhook_key(bad), None, "{bad}");
        }
    }
}
