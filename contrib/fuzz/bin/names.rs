//! libFuzzer's entry to the target `names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::names::check(data));
