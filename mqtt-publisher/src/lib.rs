//! The MQTT publisher: a second, small component beside the order service, which calls it by Spin's service chaining at
//! `http://mqtt-publisher.spin.internal/publish`. Only this one imports `spin:mqtt`, so that the order service also loads on
//! a platform that has no MQTT. It has no route from outside.
//!
//! `POST /publish` takes a batch of messages and publishes them one after the other, with QoS 1, over one connection; the
//! answer tells how many were acknowledged. See [`batch::Batch`] and [`answer::Answer`].

// In reading order: a module uses only the modules before it.
pub mod broker;
pub mod batch;
pub mod answer;

#[cfg(target_arch = "wasm32")]
mod component;
