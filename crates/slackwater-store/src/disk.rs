//! The few verbs by which everything is kept, and the real disk.
//!
//! Names are relative to the data directory, with `/` between folder and file, and are made of numbers and fixed words:
//! never of event data. What a verb promises after a crash is what POSIX promises and no more: bytes are there after
//! [`File::sync`], names after [`Disk::sync_folder`].

use crate::Fault;
use crate::crash::{self, CrashPoint};
use std::fmt::Debug;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What the name of an unfinished file ends in.
pub(crate) const UNFINISHED: &str = ".tmp";

/// A directory in which files are kept.
pub trait Disk: Debug + Send + Sync {
    /// Makes a file that must not be there yet, readable and writable by its owner only.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Opens a file that is there, to read and to write.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// The names of the files in a folder, sorted, without the folder's own; none if the folder is not there.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Makes a folder if it is not there, for its owner only.
    fn make_folder(&self, folder: &str) -> io::Result<()>;

    /// Gives a file another name, in the place of what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes sure that the names in a folder survive a crash; `""` is the data directory itself.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
}

/// A file that is open.
pub trait File: Debug + Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `into` with the bytes at an offset. A file that ends before is an error of kind `UnexpectedEof`.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;

    /// Writes all these bytes at an offset. What was beyond the end and is skipped reads as zeros.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts or lengthens it.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes sure that its bytes and its length survive a crash. After an error nothing is known of what was written
    /// since the last success, so it is never tried again.
    fn sync(&self) -> io::Result<()>;
}

/// Reads a whole file of at most `most` bytes; a longer one is an error of kind `FileTooLarge`.
pub fn read_whole(disk: &dyn Disk, name: &str, most: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let len = file.len()?;
    if len > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has {len} bytes, at most {most} are read"),
        ));
    }
    let mut bytes = vec![0; len as usize];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Puts a whole file into its place: written under a temporary name, synced, read back and compared, renamed, and its
/// folder synced.
///
/// # Errors
/// What the disk says. What had the name before stands then, but where only the last sync failed.
pub fn write_whole(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), Fault> {
    let temporary = format!("{name}{UNFINISHED}");
    let step = |verb, done: io::Result<()>| done.map_err(|cause| Fault::disk(&temporary, verb, cause));
    match disk.remove(&temporary) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        removed => step("remove", removed)?,
    }
    let file = disk.create(&temporary).map_err(|cause| Fault::disk(&temporary, "create", cause))?;
    step("write", file.write_at(0, bytes))?;
    crash::point(CrashPoint::FileWritten)?;
    step("sync", file.sync())?;
    crash::point(CrashPoint::FileSynced)?;
    let mut back = vec![0; bytes.len()];
    step("read back", file.read_at(0, &mut back))?;
    if back != bytes {
        return Err(Fault::damaged(&temporary, 0, "what is read back is not what was written"));
    }
    crash::point(CrashPoint::FileVerified)?;
    step("rename", disk.rename(&temporary, name))?;
    crash::point(CrashPoint::FileRenamed)?;
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    disk.sync_folder(folder).map_err(|cause| Fault::disk(folder, "sync", cause))
}

/// A directory of the real disk, which no other process uses meanwhile.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Holds the lock as long as it is open.
    _lock: fs::File,
}

impl Folder {
    /// Name of the file whose lock says that the directory is in use.
    const LOCK: &'static str = "lock";

    /// Opens a data directory, made if it is not there, and locks it.
    ///
    /// # Errors
    /// Of kind `WouldBlock` where another process holds it; else what the disk says.
    pub fn open(root: &Path) -> io::Result<Folder> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(root.join(Self::LOCK))?;
        locked(lock.try_lock())?;
        Ok(Folder { root: root.to_path_buf(), _lock: lock })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

fn locked(done: Result<(), fs::TryLockError>) -> io::Result<()> {
    done.map_err(|error| match error {
        fs::TryLockError::Error(cause) => cause,
        fs::TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
    })
}

/// Does what the standard library does not do again when a signal comes between.
fn uninterrupted<T>(mut verb: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match verb() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

impl Disk for Folder {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(self.root.join(name))?;
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(self.root.join(name))?))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        names(&self.root.join(folder))
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.root.join(folder))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        uninterrupted(|| fs::rename(self.root.join(from), self.root.join(to)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        uninterrupted(|| fs::remove_file(self.root.join(name)))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        fs::File::open(self.root.join(folder))?.sync_all()
    }
}

/// The names of the files in a folder, sorted; none if it is not there.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match uninterrupted(|| fs::read_dir(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A directory of the real disk that is read, and in which nothing is changed.
#[derive(Debug)]
pub struct Onlooker {
    root: PathBuf,
    /// Holds the lock as long as it is open.
    _lock: Option<fs::File>,
}

impl Onlooker {
    /// Looks at a data directory that another process may use meanwhile. Files that were there may be gone when they are
    /// asked for.
    pub fn beside(root: &Path) -> Onlooker {
        Onlooker { root: root.to_path_buf(), _lock: None }
    }

    /// Looks at a data directory that no process changes meanwhile. Others may look at it, too, and it may be one that
    /// cannot be written.
    ///
    /// # Errors
    /// Of kind `WouldBlock` where another process uses it; else what the disk says.
    pub fn alone(root: &Path) -> io::Result<Onlooker> {
        let path = root.join(Folder::LOCK);
        let lock = match fs::File::open(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
                match made {
                    Ok(lock) => Some(lock),
                    // Where no lock can be made, nobody can hold it.
                    Err(cause) if is_barred(cause.kind()) => None,
                    Err(cause) => return Err(cause),
                }
            }
            there => Some(there?),
        };
        lock.iter().try_for_each(|lock| locked(lock.try_lock_shared()))?;
        Ok(Onlooker { root: root.to_path_buf(), _lock: lock })
    }
}

fn is_barred(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

fn only_read<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for Onlooker {
    fn create(&self, _: &str) -> io::Result<Box<dyn File>> {
        only_read()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(fs::File::open(self.root.join(name))?))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        // What is unfinished is its owner's business.
        let mut names = names(&self.root.join(folder))?;
        names.retain(|name| !name.ends_with(UNFINISHED));
        Ok(names)
    }

    /// A folder that is not there is listed as an empty one, so none is needed.
    fn make_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        only_read()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        only_read()
    }

    fn sync_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

impl File for fs::File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        FileExt::read_exact_at(self, into, at)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, at)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
