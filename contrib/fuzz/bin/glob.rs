//! libFuzzer's entry to the target `glob`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::glob::check(data));
