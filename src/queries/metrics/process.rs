//! What dashboards ask of any process, as far as a component has it.

use super::page::{Kind, Page, number};
use crate::runtime::heap;
use serde_json::Value;

/// CPU time, load, memory and start. `load`: as `read_load` answers.
pub fn process(page: &mut Page, busy_seconds: f64, load: &Value) {
    page.single(
        "process_cpu_seconds_total",
        Kind::Counter,
        "CPU seconds of the component in all instances of all copies, without the host's own; the same as \
         order_service_guest_busy_seconds_total. Over several targets take the greatest, not the sum.",
        busy_seconds,
    );
    page.single(
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Linear memory of the one instance that answers this scrape, without the host's own: a component has no process. The same as \
         order_service_instance_memory_bytes.",
        heap::memory_bytes() as f64,
    );
    page.single(
        "process_start_time_seconds",
        Kind::Gauge,
        "Since when some instance of some copy has been at work without a pause of a minute, in seconds since 1970: a component has no \
         process that starts. 0 before the first one.",
        number(&load["started_at"]),
    );
    page.single(
        "order_service_cpu_load_1m",
        Kind::Gauge,
        "CPU seconds a second of the component over the last minute, in all instances of all copies: 1 is one core's worth. A component \
         does not see the load of its machine.",
        number(&load["load"]),
    );
}
