//! Faults against whole folds with a data directory: the binary dies, bytes on the disk change, bytes that are read lie.

mod bench;
mod damage;
mod fuzz;
mod matrix;
mod minute;
mod rebuilt;
mod serving;
mod small;
