#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| order_service::jose::fuzz::key_set(data));
