//! Signed tokens: JSON Web Tokens (RFC 7519) with their keys, read strictly (RFC 8725). Pure: the time is an argument, and nobody is
//! asked for anything.
//!
//! In reading order: [`json`] reads JSON in which nothing is said twice, [`key`] is a key and what it verifies, [`key_set`] are the keys
//! of a document (JWKS, RFC 7517), [`token`] verifies.

#[cfg(not(target_arch = "wasm32"))]
pub mod fuzz;
pub mod json;
pub mod key;
pub mod key_set;
pub mod token;

#[cfg(test)]
mod tests;
