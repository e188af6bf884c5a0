//! The store, doubted from outside.

mod disk;
