//! What the service is measured against.

pub mod native;
