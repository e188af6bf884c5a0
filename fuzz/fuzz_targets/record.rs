//! Lying bytes for `record`, with its checksums mended.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slackwater_sim::hostile;

fuzz_target!(|bytes: Vec<u8>| {
    let mut bytes = bytes;
    hostile::seal_record(&mut bytes);
    hostile::record(&bytes);
});
