#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| order_service::peers::fuzz::event_sinks(data));
