//! The domain: pure functions (no I/O), so that every path can be unit-tested natively and explored by a model checker.
//!
//! Nothing in here uses the clock, randomness, the database, HTTP or Spin: times are arguments, and actions are return values.
//! Read in the order of the modules below; [`saga`] is the state machine.

pub mod access;
pub mod ids;
pub mod trace;
pub mod event;
pub mod key;
pub mod message;
pub mod money;
pub mod order;
pub mod order_list;
pub mod page_token;
pub mod payment_check;
pub mod payment_refund;
pub mod retry;
pub mod saga;
pub mod seats;
pub mod ticket;
