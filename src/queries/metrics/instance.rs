//! Metrics of the instance that answers, one of many.

use super::page::{Kind, Page};
use crate::runtime::heap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Its memory, its version, its clock.
pub fn this_instance(page: &mut Page) {
    page.single(
        "order_service_instance_memory_bytes",
        Kind::Gauge,
        "Linear memory of the instance that answers this scrape; one of many.",
        heap::memory_bytes() as f64,
    );
    page.single(
        "order_service_instance_heap_in_use_bytes",
        Kind::Gauge,
        "Heap in use in the instance that answers this scrape; one of many.",
        heap::in_use_bytes() as f64,
    );
    page.metric("order_service_info", Kind::Gauge, "Version of the service and what it runs on.");
    let label =
        format!("version=\"{}\",platform=\"wasm32-wasip2\",runtime=\"spin\"", env!("CARGO_PKG_VERSION"));
    page.sample("order_service_info", &label, 1.0);
    page.metric(
        "order_service_scrape_timestamp_seconds",
        Kind::Gauge,
        "Time of this scrape, in seconds since 1970.",
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    page.sample("order_service_scrape_timestamp_seconds", "", now);
}
