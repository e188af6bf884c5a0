//! The name of a plan's meaning: equal for plans that give equal results under equal decisions.

use super::{Pipeline, Plan, Source};
use alloc::format;

impl Plan {
    /// BLAKE3 over everything that can change a result and is no recorded decision. Lag, idleness and other knobs are not
    /// part of it, nor is what sources demand.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let mut put = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        // The derived debug text names every field and variant, so a part added later is in it by itself.
        for source in &self.sources {
            let Source { name, schema, guards: _, knobs: _, late, gap } = source;
            put(&format!("source {name:?} {:?} {:?}", schema.fields(), schema.roles()));
            put(&format!("{late:?} {gap:?}"));
        }
        for Pipeline { name, source, filter, key, windowing, states, results, columns, having } in &self.pipelines {
            put(&format!("pipeline {name:?} {source} {filter:?} {key:?} {windowing:?}"));
            put(&format!("{states:?} {results:?} {columns:?} {having:?}"));
        }
        *hasher.finalize().as_bytes()
    }
}
