//! The MQTT publisher: a second, small component beside the order service, which calls it by Spin's service chaining at
//! `http://mqtt-publisher.spin.internal/publish`. Only this one imports `spin:mqtt`, so that the order service also loads on
//! a platform that has no MQTT. It has no route from outside.
//!
//! `POST /publish` takes a batch of messages, at most 100 in 1 MiB, and publishes them one after the other, with QoS 1, over one
//! connection. The answer comes within ten seconds, and tells how many were acknowledged by the broker; the first one that was
//! not may have reached it all the same. See [`batch::Batch`] and [`answer::Answer`].
//!
//! ```text
//! {"messages":[{"topic":"orders/101","payload":"..."},{"topic":"orders/102","payload":"..."}]}
//! {"published":1,"error":"message 2: the connection failed: ..."}
//! ```

// In reading order: a module uses only the modules before it.
pub mod broker;
pub mod batch;
pub mod answer;

#[cfg(target_arch = "wasm32")]
mod component;
