//! The test fixture. `spawn().await` starts a database, a host process with the component, and the four sandbox peers, all
//! for this test alone and on free ports; `app.finish().await` at its end quiesces the service and checks the invariants of
//! orders, money and seats.
//!
//! In reading order: [`spawn`] builds it from the fixtures that are [`shared`] by the process, [`app`] sends requests,
//! [`order_request`] builds orders, [`answer`] and [`document`] check responses, which [`openapi`] holds to the OpenAPI document, [`database`] runs SQL, [`quiesce`] drives
//! the service until no work is pending, and [`invariants`] are checked then.

mod answer;
mod app;
mod black_hole;
mod database;
mod document;
pub mod event_schemas;
mod gate;
mod invariants;
mod issuer;
pub mod logs;
pub mod openapi;
mod operator;
mod order_request;
mod outcome;
mod peers;
mod poll;
mod publisher;
mod quiesce;
pub mod raw_http;
mod request;
mod shared;
mod silent_broker;
pub mod spans;
mod spawn;
mod subscriber;
mod suspended_processes;
pub mod tokens;
pub mod webhook;

pub use answer::Answer;
pub use app::{App, DetachedClient};
pub use database::Store;
pub use document::Document;
pub use gate::Gate;
pub use invariants::ORPHANS;
pub use issuer::Issuer;
pub use operator::TOKEN;
pub use order_request::{OrderRequest, order};
pub use outcome::{Outcome, Seats};
pub use peers::{
    fail, garbage, garbage_with, gateway, late_effect, seat_held_since, seat_of_somebody, seat_sold_to, stall,
};
pub use poll::{PollDeadline, eventually};
pub use publisher::{Publisher, PublisherOptions};
pub use request::Request;
pub use shared::{build, empty_database, server};
pub use silent_broker::SilentBroker;
pub use spawn::{Spawn, spawn};
pub use subscriber::Subscriber;
pub use suspended_processes::signal;

pub use order_dev::peers::{
    Account, Action, CallName, FaultRule, Matching, Mode, Moment, Page, PaymentStatus, Peer, Peers,
    RefundMode, RetryAfter, SeatSpec, SeatStatus,
};
pub use reqwest::Method;
pub use serde_json::{Value, json};

/// A random number below `limit`: what is random in a test is printed by it.
pub fn random(limit: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    u64::from_le_bytes(bytes) % limit
}
