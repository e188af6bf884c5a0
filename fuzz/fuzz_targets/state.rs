//! Lying bytes for `state`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| slackwater_sim::hostile::state(bytes));
