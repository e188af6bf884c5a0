//! What is kept: bytes that survive a power cut, and what is found of them afterwards.
//!
//! The store is synchronous. It knows schemas and rows, and nothing of aggregates: what a result means is decided in the
//! core, when something is written is decided by the runtime. `FORMAT.md` says what every byte on the disk is.
//!
//! All files but the store of results go through the [`disk::Disk`] trait, so that a model of a disk can stand in for the
//! real one and crash at every step.

pub mod archive;
pub mod castoff;
pub mod catalog;
pub mod checkpoint;
pub mod crash;
pub mod crew;
pub mod disk;
pub mod entry;
mod fault;
pub mod identity;
pub mod index;
pub mod journal;
mod order;
mod parcel;
mod record;
pub mod recover;
pub mod sqlite;
pub mod store;
mod tier;

pub use fault::Fault;
pub use record::KeepRaw;
