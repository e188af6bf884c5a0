//! What a person looks at. A face reads and shows; it decides nothing.

pub mod api;
pub mod cli;
pub mod config;
pub mod home;
pub mod key;
