//! Tests of the program's rooms, through their public faces.

mod config;
mod decode;
mod files;
mod sql;
