#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| order_service::http::fuzz::content_type(data));
