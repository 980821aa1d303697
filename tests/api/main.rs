//! The order service from outside: over HTTP, on a real host, with a real PostgreSQL and the sandbox's peers.
//!
//! One file a capability. `SPIN=/path/to/spin cargo test` runs the same on that program.

mod support;

mod bad_bodies;
mod compact_json;
mod concurrency;
mod currencies;
mod hostile_requests;
mod idempotency;
mod list_look_ups;
mod list_orders;
mod order_refused;
mod page_tokens;
mod place_order;
mod read_order;
mod seats;
mod updated_since;
mod validation;

mod auth_keys;
mod auth_rights;
mod auth_tokens;
mod auth_users;
mod open_orders_limit;

mod callback;
mod callback_doubtful;
mod callback_flood;
mod callback_signed;
mod callback_unchecked;
mod charge_back;
mod charge_unanswered;
mod expiry;
mod free_orders;
mod payment_odd;
mod overtaken_charge;
mod payment_checks;
mod payment_leases;
mod second_payment;

mod accepted_refund;
mod cancel;
mod cancel_race;
mod cancel_silence;
mod no_body;
mod refund;
mod refund_unknown;

mod event_feed;
mod event_mqtt;
mod event_sinks;
mod event_types;
mod events;
mod order_page;
mod redrive;
mod resolve;
mod stuck;
mod violations;
mod watch;

mod archive;
mod backup;
mod chaos;
mod circuit_breaker;
mod cors;
mod crashes;
mod database_errors;
mod database_outage;
mod database_restart;
mod failover;
mod gateway;
mod gateways;
mod in_flight;
mod kept_counts;
mod last_work;
mod late_peers;
mod locked_rows;
mod neighbouring_seats;
mod notification_down;
mod older_hold;
mod paid_without_seats;
mod peers_misbehaving;
mod pgbouncer;
mod prices;
mod queues;
mod many_late_calls;
mod odd_answers;
mod odd_payments;
mod overlapping_reserves;
mod recovery;
mod retry_after;
mod slow_background;
mod slow_clients;
mod slow_statements;
mod stored_then_failed;
mod unknown_outcomes;

mod floor;
mod health;
mod host;
mod inherited;
mod inherited_undo;
mod logs;
mod message_order;
mod metrics;
mod migrations;
mod mqtt_publisher;
mod outbox;
mod refusals;
mod docs_page;
mod routes;
mod secrets;
mod sweep;
mod tracing;
mod tracing_export;
