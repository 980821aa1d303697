//! The order service from outside: over HTTP, on a real host, with a real PostgreSQL and the sandbox's peers.
//!
//! One file a capability. `SPIN=/path/to/spin cargo test` runs the same on that program.

mod support;

mod bad_bodies;
mod compact_json;
mod concurrency;
mod idempotency;
mod order_refused;
mod place_order;
mod read_order;
mod seats;
mod validation;

mod callback;
mod callback_doubtful;
mod callback_signed;
mod charge_back;
mod expiry;

mod cancel;
mod cancel_race;
mod cancel_silence;
mod no_body;
mod refund;
mod refund_unknown;

mod events;
mod redrive;
mod stuck;
mod violations;
mod watch;

mod chaos;
mod circuit_breaker;
mod crashes;
mod database_outage;
mod database_restart;
mod in_flight;
mod late_peers;
mod notification_down;
mod paid_without_seats;
mod peers_misbehaving;
mod prices;
mod queues;
mod many_late_calls;
mod recovery;
mod slow_clients;
mod unknown_outcomes;

mod floor;
mod health;
mod host;
mod inherited;
mod inherited_undo;
mod logs;
mod metrics;
mod migrations;
mod outbox;
mod routes;
mod sweep;
