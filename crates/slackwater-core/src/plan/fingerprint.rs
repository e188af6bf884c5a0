//! The name of a plan's meaning: equal for plans that give equal results, whatever their tuning knobs.

use super::{Pipeline, Plan, Source};
use alloc::format;

impl Plan {
    /// BLAKE3 over everything that can change a result. Lag, idleness and other knobs are not part of it.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let mut put = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        // The derived debug text names every field and variant, so a part added later is in it by itself.
        for source in &self.sources {
            let Source { name, schema, origins, max_future, min_time, max_time, require, knobs: _, late, gap } = source;
            put(&format!("source {name:?} {:?} {:?}", schema.fields(), schema.roles()));
            put(&format!("{origins:?} {max_future:?} {min_time:?} {max_time:?} {late:?} {gap:?}"));
            for guard in require {
                put(&format!("require {:?}", guard.expr));
            }
        }
        for Pipeline { name, source, filter, key, windowing, states, results, columns, having } in &self.pipelines {
            put(&format!("pipeline {name:?} {source} {filter:?} {key:?} {windowing:?}"));
            put(&format!("{states:?} {results:?} {columns:?} {having:?}"));
        }
        *hasher.finalize().as_bytes()
    }
}
