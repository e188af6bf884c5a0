//! Files in and files out.

mod input;
mod output;
