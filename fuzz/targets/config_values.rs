#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| order_service::config::fuzz::values(data));
