//! Files in and files out.

mod columnar;
mod input;
mod output;
