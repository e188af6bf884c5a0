//! What is doubted: the proof room.
//!
//! The adversary draws hostile worlds from a seed: sources, pipelines and a stream of logical events, spelled as bytes
//! and as a configuration file. The oracle takes the same logical events and recomputes every final row the slow and
//! obvious way, in big integers and rationals. The engine gets the bytes, and both must agree on bits.

pub mod adversary;
pub mod compare;
pub mod effort;
pub mod engine;
pub mod hostile;
pub mod kept;
pub mod ledger;
pub mod model;
pub mod oracle;
pub mod platter;
pub mod rng;
pub mod trial;
pub mod typing;
pub mod voyage;
pub mod world;
pub mod wreck;
