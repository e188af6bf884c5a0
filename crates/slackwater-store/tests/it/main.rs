//! The store, doubted from outside.

mod archive;
mod covered;
mod disk;
mod index;
mod journal;
mod made;
mod memory;
mod recover;
