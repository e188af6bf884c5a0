//! What is done: the library, and the one binary that stands on it.
//!
//! Data flows one way: `connect` brings bytes, `decode` turns them into rows, `runtime` drives the core over them, and
//! `connect` takes the rows out. `face` is what a person sees; `demo` shows it at work.

pub mod connect;
pub mod decode;
pub mod demo;
pub mod face;
pub mod runtime;
pub mod sql;
