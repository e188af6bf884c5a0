//! The store, doubted from outside.

mod disk;
mod journal;
mod memory;
