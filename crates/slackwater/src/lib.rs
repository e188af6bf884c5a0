//! Being built.
pub mod decode;
pub mod runtime;
pub mod sql;
