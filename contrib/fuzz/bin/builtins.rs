//! libFuzzer's entry to the target `builtins`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::builtins::check(data));
