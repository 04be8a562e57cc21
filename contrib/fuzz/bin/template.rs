//! libFuzzer's entry to the target `template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::template::check(data));
