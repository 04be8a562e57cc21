//! libFuzzer's entry to the target `udev_rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::udev_rules::check(data));
