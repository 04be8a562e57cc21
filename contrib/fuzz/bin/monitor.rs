//! libFuzzer's entry to the target `monitor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::monitor::check(data));
