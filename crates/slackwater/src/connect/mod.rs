//! Somebody else's protocols: where bytes come from and where rows go.

pub mod files;
pub mod http;
