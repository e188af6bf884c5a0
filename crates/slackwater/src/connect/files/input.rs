//! A file, or standard input, as chunks of events.

use super::records::Records;
use super::row_groups::RowGroups;
use super::{Packing, STANDARD_STREAM};
use crate::decode::csv::HeaderError;
use crate::decode::parquet::LayoutError;
use crate::decode::{Chunk, Damaged, Format};
use crate::runtime::Feed;
use slackwater_core::schema::Schema;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use thiserror::Error;

/// Why a file could not be read.
#[derive(Debug, Error)]
pub enum InputError {
    /// Nothing there.
    #[error("{path}: there is no such file; check the path (relative ones start where the program was started)")]
    Missing {
        /// The file.
        path: String,
    },
    /// Not a file.
    #[error("{path}: this is a directory; name a file in it")]
    Directory {
        /// The directory.
        path: String,
    },
    /// Not allowed.
    #[error("{path}: permission denied; let this user read it")]
    Permission {
        /// The file.
        path: String,
    },
    /// A compressed file that ends too early, or holds what its format does not allow.
    #[error(
        "{path}: the {format} data is damaged or cut off after {offset} bytes of content: {cause}; \
         fetch the file again, or check it with `{check}`"
    )]
    Damaged {
        /// The file.
        path: String,
        /// gzip or zstd.
        format: &'static str,
        /// A command that finds the same.
        check: &'static str,
        /// Bytes of content before the damage, at least.
        offset: u64,
        /// What the decompressor said.
        cause: io::Error,
    },
    /// The system could not read it.
    #[error("{path}: reading failed at byte {offset}: {cause}")]
    Read {
        /// The file.
        path: String,
        /// Offset in the content.
        offset: u64,
        /// What the system said.
        cause: io::Error,
    },
    /// A CSV file that cannot hold the source's events.
    #[error("{path}: {cause}")]
    Header {
        /// The file.
        path: String,
        /// What is wrong with its first line.
        cause: HeaderError,
    },
    /// A Parquet file that cannot hold the source's events, or whose footer is damaged.
    #[error("{path}: {cause}")]
    Layout {
        /// The file.
        path: String,
        /// What is wrong with its footer or its columns.
        cause: LayoutError,
    },
    /// Parquet from where nothing can be read out of order.
    #[error("{path}: Parquet is read from a file, for its footer is at its end; write it to a file first")]
    Stream {
        /// The stream.
        path: String,
    },
    /// Parquet within a compressed file.
    #[error(
        "{path}: Parquet is read from a file that is not compressed as a whole, for its columns are compressed one by \
         one; unpack it with `{command}`"
    )]
    Packed {
        /// The file.
        path: String,
        /// What unpacks it.
        command: &'static str,
    },
    /// Damage that was found while events were decoded.
    #[error(transparent)]
    Decode(#[from] Damaged),
}

/// A file cut into chunks.
#[derive(Debug)]
pub struct FileChunks(Cut);

#[derive(Debug)]
enum Cut {
    Records(Box<Records>),
    RowGroups(RowGroups),
}

impl Feed for FileChunks {
    type Error = InputError;

    fn next(&mut self) -> Result<Option<Chunk>, InputError> {
        self.next_chunk()
    }

    fn read(&self) -> u64 {
        self.bytes_read()
    }
}

impl FileChunks {
    /// Opens a file of events of `schema`, or standard input for `-`, and reads the header of a CSV file or the footer
    /// of a Parquet file.
    ///
    /// # Errors
    /// When the file cannot be opened or its beginning not be read, or its columns cannot hold the events.
    pub fn open(source: u16, format: Format, path: &Path, schema: &Schema) -> Result<Self, InputError> {
        let name = path.to_string_lossy();
        let standard = path.as_os_str() == STANDARD_STREAM;
        let packing = if standard { Packing::Plain } else { Packing::of(path) };
        if format == Format::Parquet {
            let path = name.to_string();
            return match packing {
                _ if standard => Err(InputError::Stream { path }),
                Packing::Gzip => Err(InputError::Packed { path, command: "gunzip" }),
                Packing::Zstd => Err(InputError::Packed { path, command: "unzstd" }),
                Packing::Plain => Self::open_row_groups(source, &name, schema),
            };
        }
        let (raw, total): (Box<dyn Read + Send>, _) = if standard {
            (Box::new(io::stdin()), None)
        } else {
            let (file, size) = open_file(path, &name)?;
            (Box::new(file), size)
        };
        let records = Records::new((source, format), &name, schema, (packing, total), raw, None)?;
        Ok(FileChunks(Cut::Records(Box::new(records))))
    }

    fn open_row_groups(source: u16, name: &str, schema: &Schema) -> Result<Self, InputError> {
        let (file, size) = open_file(Path::new(name), name)?;
        let size = size.ok_or_else(|| InputError::Stream { path: name.to_string() })?;
        Ok(FileChunks(Cut::RowGroups(RowGroups::new(source, name, schema, file, size)?)))
    }

    /// The same of bytes from anywhere, under a name, in chunks of about `chunk_bytes`. Parquet is not read so.
    ///
    /// # Errors
    /// Those of [`FileChunks::open`].
    pub fn from_reader(
        source: u16,
        format: Format,
        name: &str,
        schema: &Schema,
        content: impl Read + Send + 'static,
        chunk_bytes: usize,
    ) -> Result<Self, InputError> {
        if format == Format::Parquet {
            return Err(InputError::Stream { path: name.to_string() });
        }
        let plain = (Packing::Plain, None);
        let records = Records::new((source, format), name, schema, plain, content, Some(chunk_bytes))?;
        Ok(FileChunks(Cut::Records(Box::new(records))))
    }

    /// Bytes of the file read so far, as they lie on disk.
    pub fn bytes_read(&self) -> u64 {
        match &self.0 {
            Cut::Records(records) => records.bytes_read(),
            Cut::RowGroups(groups) => groups.bytes_read(),
        }
    }

    /// Bytes of the file that will be read; unknown for a stream.
    pub fn bytes_total(&self) -> Option<u64> {
        match &self.0 {
            Cut::Records(records) => records.bytes_total(),
            Cut::RowGroups(groups) => Some(groups.bytes_total()),
        }
    }

    /// The next chunk; none at the end.
    ///
    /// Of a record that fills the buffer without an end, the chunk holds one byte more than an event may have: the
    /// decoder refuses it, and the rest up to the next line end is passed over.
    ///
    /// # Errors
    /// When reading or unpacking fails. What was given out before stands.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, InputError> {
        match &mut self.0 {
            Cut::Records(records) => records.next_chunk(),
            Cut::RowGroups(groups) => groups.next_chunk(),
        }
    }
}

fn open_file(path: &Path, name: &str) -> Result<(File, Option<u64>), InputError> {
    let fail = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => InputError::Missing { path: name.to_string() },
        io::ErrorKind::PermissionDenied => InputError::Permission { path: name.to_string() },
        _ => InputError::Read { path: name.to_string(), offset: 0, cause },
    };
    // A directory opens like a file on some systems, and a pipe waits for its writer: look first.
    let kind = fs::metadata(path).map_err(fail)?;
    if kind.is_dir() {
        return Err(InputError::Directory { path: name.to_string() });
    }
    let file = File::open(path).map_err(fail)?;
    Ok((file, kind.is_file().then_some(kind.len())))
}
