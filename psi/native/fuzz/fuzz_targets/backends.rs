#![no_main]

#[path = "../../tests/common/fuzz_step.rs"]
mod fuzz_step;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_step::fuzz_one(data));
