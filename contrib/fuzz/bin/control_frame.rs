//! libFuzzer's entry to the target `control_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::control_frame::check(data));
