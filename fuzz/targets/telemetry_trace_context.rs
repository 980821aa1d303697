#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| order_service::telemetry::fuzz::trace_context(data));
