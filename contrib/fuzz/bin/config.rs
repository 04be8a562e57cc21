//! libFuzzer's entry to the target `config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::config::check(data));
