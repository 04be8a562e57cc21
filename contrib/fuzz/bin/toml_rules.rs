//! libFuzzer's entry to the target `toml_rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::toml_rules::check(data));
