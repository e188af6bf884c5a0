//! Files and standard streams: finite inputs to fold, and results written whole or not at all.
//!
//! `.gz` and `.zst` are compressed, by their names; `-` is standard input or output.
