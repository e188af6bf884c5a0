//! Lying bytes for `config`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| slackwater_sim::hostile::config_text(bytes));
