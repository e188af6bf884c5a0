//! A result file that appears whole or not at all, or standard output.

use super::{Packing, STANDARD_STREAM};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};
use thiserror::Error;

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 16;
/// What a new file is created with, before the process's umask takes its share.
const NEW_FILE_MODE: u32 = 0o666;
/// While it is being written, a file is its owner's alone.
const UNFINISHED_MODE: u32 = 0o600;

/// Why rows could not be written.
#[derive(Debug, Error)]
pub enum OutputError {
    /// Whoever read the other end stopped: not a failure of ours.
    #[error("{path}: the reader has closed the pipe")]
    Closed {
        /// The file or stream.
        path: String,
    },
    /// A directory where a file should be.
    #[error("{path}: this is a directory; name a file in it")]
    Directory {
        /// The directory.
        path: String,
    },
    /// The directory that should hold it.
    #[error("{path}: there is no directory `{directory}`; create it first")]
    NoDirectory {
        /// The file.
        path: String,
        /// The directory.
        directory: String,
    },
    /// Not allowed.
    #[error("{path}: permission denied; let this user write to the directory that holds it")]
    Permission {
        /// The file.
        path: String,
    },
    /// The disk is full, or this user's share of it.
    #[error("{path}: No space left ({cause}); nothing was put in its place: free some space, or write elsewhere")]
    Full {
        /// The file.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The system could not write it.
    #[error("{path}: writing failed: {cause}; nothing was put in its place")]
    Write {
        /// The file.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
}

impl OutputError {
    /// What the system said of writing a file.
    pub fn of(path: &str, cause: io::Error) -> Self {
        failed(path, cause)
    }
}

/// A file being written beside its place. [`OutputFile::finish`] puts it there; dropped before that, it is gone.
///
/// What is not a regular file (a device, a pipe, standard output) is written to directly.
pub struct OutputFile {
    name: String,
    packed: Packed,
    /// Where it goes when it is whole; none for what is written to directly.
    place: Option<Place>,
}

struct Place {
    temporary: TempPath,
    path: PathBuf,
    permissions: Permissions,
}

enum Packed {
    Plain(BufWriter<Sink>),
    Gzip(GzEncoder<BufWriter<Sink>>),
    Zstd(zstd::stream::write::Encoder<'static, BufWriter<Sink>>),
}

enum Sink {
    File(File),
    Standard(io::Stdout),
}

impl OutputFile {
    /// Begins a file, or standard output for `-`.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        let name = path.to_string_lossy().into_owned();
        let fail = |cause| failed(&name, cause);
        if path.as_os_str() == STANDARD_STREAM {
            let packed = Packed::Plain(BufWriter::with_capacity(BUFFER_BYTES, Sink::Standard(io::stdout())));
            return Ok(OutputFile { name, packed, place: None });
        }
        // A link stays a link: what it points to is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let existing = fs::metadata(&target).ok();
        if existing.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(OutputError::Directory { path: name });
        }
        let (file, place) = if existing.as_ref().is_some_and(|found| !found.is_file()) {
            (OpenOptions::new().write(true).open(&target).map_err(fail)?, None)
        } else {
            let directory = directory_of(&target);
            if !directory.is_dir() {
                return Err(OutputError::NoDirectory { path: name, directory: directory.display().to_string() });
            }
            let (file, place) = begin(&target, existing).map_err(fail)?;
            (file, Some(place))
        };
        let buffered = BufWriter::with_capacity(BUFFER_BYTES, Sink::File(file));
        let packed = match Packing::of(path) {
            Packing::Plain => Packed::Plain(buffered),
            Packing::Gzip => Packed::Gzip(GzEncoder::new(buffered, Compression::default())),
            Packing::Zstd => Packed::Zstd(
                zstd::stream::write::Encoder::new(buffered, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(fail)?,
            ),
        };
        Ok(OutputFile { name, packed, place })
    }

    /// What it is called in errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`OutputError::Closed`] when nobody reads any more, [`OutputError::Full`] when the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.packed.write_all(bytes).map_err(|cause| failed(&self.name, cause))
    }

    /// Writes what is left, syncs the file, puts it in its place and syncs the directory: after this it is there,
    /// whole, whatever happens to the machine.
    ///
    /// # Errors
    /// Those of [`OutputFile::write`]; the place then holds what it held before.
    pub fn finish(self) -> Result<(), OutputError> {
        let OutputFile { name, packed, place } = self;
        put(packed, place).map_err(|cause| failed(&name, cause))
    }
}

impl std::fmt::Debug for OutputFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputFile").field("name", &self.name).finish_non_exhaustive()
    }
}

fn put(packed: Packed, place: Option<Place>) -> io::Result<()> {
    let mut writer = match packed {
        Packed::Plain(writer) => writer,
        Packed::Gzip(writer) => writer.finish()?,
        Packed::Zstd(writer) => writer.finish()?,
    };
    writer.flush()?;
    if let (Sink::File(file), Some(place)) = (writer.get_ref(), place) {
        file.set_permissions(place.permissions)?;
        file.sync_all()?;
        let directory = directory_of(&place.path).to_path_buf();
        place.temporary.persist(&place.path).map_err(|failed| failed.error)?;
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// A temporary file in the directory of `target`, and the place it is for.
fn begin(target: &Path, existing: Option<fs::Metadata>) -> io::Result<(File, Place)> {
    let temporary: NamedTempFile = tempfile::Builder::new()
        .prefix(".slackwater-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(NEW_FILE_MODE))
        .tempfile_in(directory_of(target))?;
    // The system has applied the umask, which no safe call tells; a file that is replaced keeps its own mode.
    let new = temporary.as_file().metadata()?.permissions();
    let permissions = existing.map_or(new, |found| found.permissions());
    temporary.as_file().set_permissions(Permissions::from_mode(UNFINISHED_MODE))?;
    let (file, temporary) = temporary.into_parts();
    Ok((file, Place { temporary, path: target.to_path_buf(), permissions }))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn failed(name: &str, cause: io::Error) -> OutputError {
    let path = name.to_string();
    match cause.kind() {
        io::ErrorKind::BrokenPipe => OutputError::Closed { path },
        io::ErrorKind::PermissionDenied => OutputError::Permission { path },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OutputError::Full { path, cause },
        _ => OutputError::Write { path, cause },
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.packed.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.packed.flush()
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Packed::Plain(writer) => writer.write(bytes),
            Packed::Gzip(writer) => writer.write(bytes),
            Packed::Zstd(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Packed::Plain(writer) => writer.flush(),
            Packed::Gzip(writer) => writer.flush(),
            Packed::Zstd(writer) => writer.flush(),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::File(file) => file.write(bytes),
            Sink::Standard(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::File(file) => file.flush(),
            Sink::Standard(stdout) => stdout.flush(),
        }
    }
}
