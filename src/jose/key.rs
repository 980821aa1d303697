//! A key that verifies signatures, and the algorithms (RFC 7518) that it does so by. The algorithm is the key's: a token's header has to
//! agree, so that a public key is never taken for a secret (RFC 8725, 2.1).

use base64::prelude::*;
use ed25519_dalek::VerifyingKey as Ed25519Key;
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::{Signature as P256Signature, VerifyingKey as P256Key};
use rsa::pkcs1v15::{Signature as RsaSignature, VerifyingKey as RsaVerifyingKey};
use rsa::pkcs8::DecodePublicKey;
use rsa::signature::Verifier;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, PublicKey as RsaKey};
use sha2::{Sha256, Sha384, Sha512};
use std::fmt;

/// The shortest secret in bytes: that of `HS256` (RFC 7518, 3.2).
pub const MIN_SECRET: usize = 32;
/// The sizes in bits of RSA keys. Shorter ones are not safe (RFC 7518, 3.3), longer ones cost too much to verify with.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;

/// An algorithm of signatures (RFC 7518, 3.1; RFC 8037).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// EdDSA on Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name; `None` for any other, `none` among them.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "RS256" => Self::Rs256,
            "ES256" => Self::Es256,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    /// Whether who verifies can also sign.
    pub fn is_of_secrets(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// A key. `Debug` does not show it.
#[derive(Clone)]
pub enum Key {
    /// A secret shared with the issuer, of at least [`MIN_SECRET`] bytes.
    Secret(Vec<u8>),
    /// A public key of RSA.
    Rsa(Box<RsaVerifyingKey<Sha256>>),
    /// A public key on the curve P-256.
    P256(Box<P256Key>),
    /// A public key on the curve Ed25519.
    Ed25519(Box<Ed25519Key>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "[secret]",
            Self::Rsa(_) => "[RSA]",
            Self::P256(_) => "[P-256]",
            Self::Ed25519(_) => "[Ed25519]",
        })
    }
}

impl Key {
    /// A secret; `None` when it is too short for any algorithm.
    pub fn secret(secret: &[u8]) -> Option<Self> {
        (secret.len() >= MIN_SECRET).then(|| Self::Secret(secret.to_vec()))
    }

    /// A public key of RSA from its modulus and its exponent, big-endian; `None` when it is not one, or of another size than is allowed.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        // No work for numbers of any size.
        if modulus.len() > RSA_BITS.end() / 8 + 1 || exponent.len() > 8 {
            return None;
        }
        let number = BoxedUint::from_be_slice_vartime;
        let key = RsaKey::new_with_size_limits(number(modulus), number(exponent), RSA_BITS).ok()?;
        Some(Self::Rsa(Box::new(RsaVerifyingKey::new(key))))
    }

    /// A public key on the curve P-256 from its coordinates; `None` when they are no point of it.
    pub fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        if x.len() != 32 || y.len() != 32 {
            return None;
        }
        let point = [&[4], x, y].concat();
        P256Key::from_sec1_bytes(&point).ok().map(|key| Self::P256(Box::new(key)))
    }

    /// A public key on the curve Ed25519; `None` when it is none, or one with which anything verifies.
    pub fn ed25519(bytes: &[u8]) -> Option<Self> {
        let key = Ed25519Key::from_bytes(bytes.try_into().ok()?).ok()?;
        (!key.is_weak()).then(|| Self::Ed25519(Box::new(key)))
    }

    /// A public key in DER (`SubjectPublicKeyInfo`, RFC 5280).
    fn from_der(der: &[u8]) -> Option<Self> {
        if let Ok(key) = RsaKey::from_public_key_der(der) {
            return Self::rsa(&key.n_bytes(), &key.e_bytes());
        }
        if let Ok(key) = P256Key::from_public_key_der(der) {
            return Some(Self::P256(Box::new(key)));
        }
        let key = Ed25519Key::from_public_key_der(der).ok()?;
        Self::ed25519(key.as_bytes())
    }

    /// The public keys of a PEM text (RFC 7468, `PUBLIC KEY`), one or several; `None` when one of them cannot be used, or there is
    /// anything else. Line breaks may be missing, or be written `\n`, as they are where a variable has one line.
    pub fn from_pem(text: &str) -> Option<Vec<Self>> {
        let text = text.replace("\\n", "\n");
        let mut rest = text.trim();
        let mut keys = Vec::new();
        while !rest.is_empty() {
            let (base64, after) =
                rest.strip_prefix("-----BEGIN PUBLIC KEY-----")?.split_once("-----END PUBLIC KEY-----")?;
            let base64: String = base64.split_ascii_whitespace().collect();
            keys.push(Self::from_der(&BASE64_STANDARD.decode(base64).ok()?)?);
            rest = after.trim_start();
        }
        Some(keys)
    }

    /// Whether signatures by this algorithm are this key's. A secret has all three: many issuers choose by its length, others do not, and
    /// one of 32 bytes is no weaker with the longer hashes.
    pub fn has(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Secret(_) => algorithm.is_of_secrets(),
            Self::Rsa(_) => algorithm == Algorithm::Rs256,
            Self::P256(_) => algorithm == Algorithm::Es256,
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
        }
    }

    /// Whether a signature of this message is valid.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.has(algorithm) {
            return false;
        }
        match self {
            Self::Secret(secret) => match algorithm {
                Algorithm::Hs384 => is_mac::<Hmac<Sha384>>(secret, message, signature),
                Algorithm::Hs512 => is_mac::<Hmac<Sha512>>(secret, message, signature),
                _ => is_mac::<Hmac<Sha256>>(secret, message, signature),
            },
            Self::Rsa(key) => RsaSignature::try_from(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::P256(key) => P256Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}

/// Whether this is the message's authentication code, compared in constant time.
fn is_mac<M: Mac + KeyInit>(secret: &[u8], message: &[u8], code: &[u8]) -> bool {
    <M as KeyInit>::new_from_slice(secret)
        .is_ok_and(|mac| mac.chain_update(message).verify_slice(code).is_ok())
}
