//! The rules of an order: pure, so that every path can be tested natively and checked by a model.
//!
//! Nothing in here knows the clock, randomness, the database, HTTP or Spin: times arrive as data, and what is to be
//! done leaves as data. Read in the order of the modules below; [`saga`] is the heart.

pub mod ids;
pub mod key;
pub mod message;
pub mod money;
pub mod order;
pub mod retry;
pub mod saga;
pub mod seats;
pub mod ticket;
