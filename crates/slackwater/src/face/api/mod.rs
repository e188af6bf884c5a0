//! What other programs see: the embedded interface of a running instance.

pub mod live;
