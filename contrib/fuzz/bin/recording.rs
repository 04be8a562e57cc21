//! libFuzzer's entry to the target `recording`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::recording::check(data));
