//! The store, doubted from outside.

mod disk;
mod index;
mod made;
