//! The blocks that were read last, a bounded number of them.

use super::block::Block;
use super::run::Run;
use crate::fault::Fault;
use std::sync::{Arc, Mutex, PoisonError};

/// How many blocks are kept: 16 MiB of dense ones, 4 MiB of others.
const PLACES: usize = 1024;

/// A block, by the number of its run and its own.
type Place = Mutex<Option<(u64, usize, Arc<Block>)>>;

/// Blocks by place; one that comes to the place of another takes it.
#[derive(Debug)]
pub(super) struct Cache {
    places: Vec<Place>,
}

impl Cache {
    pub fn new() -> Cache {
        Cache { places: (0..PLACES).map(|_| Mutex::new(None)).collect() }
    }

    /// A block of a run, read if it is not here.
    pub fn get(&self, run: &Run, number: usize) -> Result<Arc<Block>, Fault> {
        let own = run.info.number;
        // An odd factor, so that runs begin at different places.
        let place = (own.wrapping_mul(0x9e37_79b9) as usize).wrapping_add(number) % PLACES;
        let mut place = self.places[place].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((held, block, found)) = &*place
            && (*held, *block) == (own, number)
        {
            return Ok(found.clone());
        }
        let block = Arc::new(run.block(number)?);
        *place = Some((own, number, block.clone()));
        Ok(block)
    }
}
