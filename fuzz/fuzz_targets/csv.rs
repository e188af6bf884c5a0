//! Lying bytes for `csv`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| slackwater_sim::hostile::csv(bytes));
