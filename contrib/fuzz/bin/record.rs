//! libFuzzer's entry to the target `record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::record::check(data));
