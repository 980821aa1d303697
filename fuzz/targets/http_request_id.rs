#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| order_service::http::fuzz::request_id(data));
