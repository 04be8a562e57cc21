//! libFuzzer's entry to the target `hwdb`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::hwdb::check(data));
