//! What a test gets. `spawn().await` is a database, a host process with the component, and the four sandbox peers, all
//! for this test alone and on free ports; `app.finish().await` at its end proves that nothing is left to do and that
//! orders, money and seats agree.
//!
//! In reading order: [`spawn`] puts it together from what [`shared`] has once per process, [`app`] sends requests,
//! [`placing`] says what to order, [`answer`] and [`document`] check what comes back, [`database`] looks behind it,
//! [`rest`] drives the service until nothing is left to do and [`invariants`] says what must be true then.

mod answer;
mod app;
mod black_hole;
mod database;
mod document;
mod frozen;
mod invariants;
pub mod logs;
mod operator;
mod outcome;
mod peers;
mod placing;
mod poll;
pub mod raw;
mod request;
mod rest;
mod shared;
mod spawn;
pub mod webhook;

pub use answer::Answer;
pub use app::{App, Caller};
pub use database::Store;
pub use document::Document;
pub use frozen::signal;
pub use operator::TOKEN;
pub use outcome::{Outcome, Seats};
pub use peers::{fail, garbage, garbage_with, seat_of_somebody, seat_sold_to, stall};
pub use placing::{Placing, order};
pub use poll::{Patience, eventually};
pub use request::Request;
pub use shared::{build, empty_database, server};
pub use spawn::{Spawn, spawn};

pub use order_dev::peers::{
    Action, CallName, FaultRule, Matching, Mode, Moment, PaymentStatus, Peer, Peers, SeatSpec, SeatStatus,
};
pub use reqwest::Method;
pub use serde_json::{Value, json};

/// A random number below `limit`: what is random in a test is printed by it.
pub fn random(limit: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    u64::from_le_bytes(bytes) % limit
}
