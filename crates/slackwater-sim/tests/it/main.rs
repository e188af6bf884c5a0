//! The engine against the oracle, and the laws that it must obey.

mod journal;
mod laws;
mod model;
mod oracle;
mod permutation;
mod rebuild;
mod voyage;
mod wreck;
