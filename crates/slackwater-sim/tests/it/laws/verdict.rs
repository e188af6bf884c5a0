//! A verdict follows from the bytes: not from where they stood, nor from what stood beside them.

use super::{cases, law};
use proptest::prelude::*;
use slackwater_core::input::{Batch, Decoded, Entry};

/// What decoding made of an event: all but its place.
fn verdict(batch: &Batch, entry: &Entry) -> (Result<String, String>, Option<i64>, Option<u64>, Vec<u8>) {
    let decoded = match &entry.decoded {
        Decoded::Row(head) => Ok(format!("{head:?}")),
        Decoded::Refused(refusal) => Err(format!("{refusal:?}")),
    };
    (decoded, entry.arrival, entry.sequence, batch.bytes(entry).to_vec())
}

#[test]
fn the_same_bytes_get_the_same_verdict_anywhere() {
    law("the_same_bytes_get_the_same_verdict_anywhere", cases(24), |case| {
        let mut drawn = case.draw();
        let compiled = &drawn.pooled.compiled;
        let alone: Vec<_> =
            drawn.batches(&drawn.in_order(), 1).iter().map(|batch| verdict(batch, &batch.entries()[0])).collect();
        prop_assert_eq!(alone.len(), drawn.world.events.len());
        let mut order = drawn.in_order();
        drawn.rng.shuffle(&mut order);
        let size = 1 + drawn.rng.below(30);
        // One decoder takes chunk after chunk, as in a fold: what it keeps must not show.
        let mut decoder = compiled.decoder(0);
        let mut met = 0;
        for chunk in compiled.cut(&drawn.spelled, &order, size).chunks {
            let batch = decoder.decode(&chunk);
            for entry in batch.entries() {
                prop_assert_eq!(&verdict(&batch, entry), &alone[order[met]], "event {}", order[met]);
                met += 1;
            }
        }
        prop_assert_eq!(met, order.len());
        Ok(())
    });
}
