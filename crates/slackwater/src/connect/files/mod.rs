//! Files and standard streams: finite inputs to fold, and results written whole or not at all.
//!
//! `.gz` and `.zst` are compressed, by their names; `-` is standard input or output.

use std::path::Path;

pub mod columnar;
pub mod follow;
pub mod input;
pub mod output;
mod records;
pub mod render;
mod row_groups;

/// The path that stands for standard input or output.
pub const STANDARD_STREAM: &str = "-";

/// How the bytes of a file are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// By the file's extension.
    fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(extension) if extension.eq_ignore_ascii_case("gz") => Packing::Gzip,
            Some(extension) if extension.eq_ignore_ascii_case("zst") => Packing::Zstd,
            _ => Packing::Plain,
        }
    }
}
