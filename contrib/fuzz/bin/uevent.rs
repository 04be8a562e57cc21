//! libFuzzer's entry to the target `uevent`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::uevent::check(data));
