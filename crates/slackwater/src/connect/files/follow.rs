//! Files that grow, are rotated or begin anew: read as far as they have whole records, and on from there.
//!
//! A file is known by what it is, not by its name: one that is renamed is read on under the name that it had until it has not
//! grown for a while, for whoever wrote it may not have noticed yet; the file that has its name now is begun after that. Across
//! starts it is known by its content up to where it was left. Nothing is opened but plain files that stand in the folder
//! itself.

use super::Packing;
use crate::decode::csv;
use crate::decode::{Chunk, Format, Header, frame};
use crate::runtime::Feed;
use crate::runtime::clock::Stopwatch;
use crate::runtime::replay::Resumed;
use crate::runtime::service::Tail;
use rustix::fs::{Mode, OFlags};
use slackwater_core::limits;
use slackwater_core::plan::Plan;
use slackwater_store::store::Offset;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// From one look at the folder to the next.
const LOOK: Duration = Duration::from_millis(100);

/// How long a file that was renamed or removed must not have grown before it is done.
const REST: Duration = Duration::from_secs(5);

/// Bytes that are read at once.
const PIECE: usize = 1 << 18;

/// What a file is, whatever its name.
type Id = (u64, u64);

/// A file, or all files of a folder, followed.
pub struct Follower {
    plan: Arc<Plan>,
    source: u16,
    format: Format,
    folder: PathBuf,
    /// The one file that is wanted; none: all of the folder.
    only: Option<String>,
    open: Vec<Followed>,
    /// Files that were read to their end and will not grow.
    done: BTreeSet<Id>,
    looked: Option<Stopwatch>,
    /// Whether the files that were known before were looked for.
    found: bool,
    /// Whether all that was there was given when it was last asked.
    drained: bool,
}

/// A file that is being read.
struct Followed {
    part: Arc<str>,
    id: Id,
    file: File,
    /// Where the pending bytes begin.
    offset: u64,
    line: u64,
    pending: Vec<u8>,
    header: Option<Header>,
    /// It has another name now, or none.
    left: bool,
    /// When it was last found to be longer, or to have its name.
    alive: Stopwatch,
    /// The rest of a record that is too long is passed over.
    skipping: bool,
}

impl Follower {
    /// Follows a file, or the files of a folder.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn new(plan: Arc<Plan>, source: u16, format: Format, path: &Path) -> io::Result<Follower> {
        let is_folder = fs::metadata(path).is_ok_and(|found| found.is_dir());
        let (folder, only) = match (is_folder, path.parent(), path.file_name()) {
            (true, ..) => (path.to_path_buf(), None),
            (false, Some(folder), Some(name)) => {
                let name = name.to_str().ok_or_else(|| io::Error::other("its name is not UTF-8"))?;
                let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                (folder.to_path_buf(), Some(name.to_string()))
            }
            _ => return Err(io::Error::other("it names no file and no folder")),
        };
        fs::read_dir(&folder)?;
        Ok(Follower {
            plan,
            source,
            format,
            folder,
            only,
            open: Vec::new(),
            done: BTreeSet::new(),
            looked: None,
            found: false,
            drained: false,
        })
    }

    /// The plain files of the folder that may be read, by name, the least recently changed first.
    fn entries(&self) -> io::Result<Vec<(String, File, Id)>> {
        let folder = File::open(&self.folder)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if Packing::of(Path::new(&name)) != Packing::Plain || name.starts_with('.') {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            // What is a link, or gone since, is passed over.
            let Ok(file) = rustix::fs::openat(&folder, name.as_str(), flags, Mode::empty()) else { continue };
            let file = File::from(file);
            let known = file.metadata()?;
            if known.is_file() && known.nlink() == 1 {
                found.push((known.mtime(), known.mtime_nsec(), name, file, (known.dev(), known.ino())));
            }
        }
        found.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
        Ok(found.into_iter().map(|(_, _, name, file, id)| (name, file, id)).collect())
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }

    /// Looks at the folder: what is new is begun, what was renamed is read to its end.
    fn look(&mut self, known: &dyn Fn(&str) -> Option<Offset>) -> Result<(), String> {
        self.looked = Some(Stopwatch::start());
        let wrong = |cause: io::Error| format!("{}: {cause}", self.folder.display());
        let entries = self.entries().map_err(wrong)?;
        if !self.found {
            self.find(&entries, known)?;
            self.found = true;
        }
        for followed in &mut self.open {
            let name = entries.iter().find(|(.., id)| *id == followed.id).map(|(name, ..)| name.as_str());
            followed.left = name != Some(&*followed.part);
            if !followed.left {
                followed.alive = Stopwatch::start();
            }
            let len = followed.file.metadata().map_err(|cause| format!("{}: {cause}", followed.part))?.len();
            if len < followed.offset + followed.pending.len() as u64 {
                followed.restart();
            }
        }
        for (name, file, id) in entries {
            let open = self.open.iter().any(|followed| followed.id == id || *followed.part == *name);
            if open || self.done.contains(&id) || !self.is_wanted(&name) {
                continue;
            }
            self.open.push(Followed::new(name.into(), id, file));
        }
        Ok(())
    }

    /// Finds the files that were read before, by name or, where they were renamed in the meantime, by what is in them.
    fn find(&mut self, entries: &[(String, File, Id)], known: &dyn Fn(&str) -> Option<Offset>) -> Result<(), String> {
        let names = entries.iter().map(|(name, ..)| name.clone());
        let names: Vec<String> = names.filter(|name| self.is_wanted(name)).collect();
        for name in &names {
            let Some(offset) = known(name) else { continue };
            let own = entries.iter().position(|(other, ..)| other == name);
            let others = (0..entries.len()).filter(|at| Some(*at) != own && known(&entries[*at].0).is_none());
            for at in own.into_iter().chain(others).collect::<Vec<_>>() {
                let (_, file, id) = &entries[at];
                let file = file.try_clone().map_err(|cause| format!("{name}: {cause}"))?;
                let mut followed = Followed::new(name.as_str().into(), *id, file);
                if followed.go_on(&self.plan, (self.source, self.format), &offset)? {
                    self.open.push(followed);
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Tail for Follower {
    fn source(&self) -> u16 {
        self.source
    }

    fn next(&mut self, known: &dyn Fn(&str) -> Option<Offset>) -> Result<Option<Chunk>, String> {
        if self.drained && self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(None);
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.look(known)?;
        }
        let (plan, source, format) = (&self.plan, self.source, self.format);
        let mut at = 0;
        while at < self.open.len() {
            let followed = &mut self.open[at];
            let schema = &plan.sources[usize::from(source)].schema;
            if let Some(chunk) = followed.read_on((source, format), schema)? {
                self.drained = false;
                return Ok(Some(chunk));
            }
            if followed.is_done() {
                let gone = self.open.remove(at);
                self.done.insert(gone.id);
                // The file that has its name now can be begun.
                self.looked = None;
            } else {
                at += 1;
            }
        }
        self.drained = self.looked.is_some();
        Ok(None)
    }

    fn is_caught_up(&self) -> bool {
        // Of one that was renamed more may come, and then of the one that has its name now.
        self.drained && !self.open.iter().any(|followed| followed.left)
    }

    fn rewind(&mut self) {
        self.open.clear();
        self.done.clear();
        (self.looked, self.found, self.drained) = (None, false, false);
    }
}

impl Followed {
    fn new(part: Arc<str>, id: Id, file: File) -> Self {
        let (pending, header) = (Vec::new(), None);
        let (left, alive, skipping) = (false, Stopwatch::start(), false);
        Followed { part, id, file, offset: 0, line: 1, pending, header, left, alive, skipping }
    }

    /// Whether nothing more will come of it.
    fn is_done(&self) -> bool {
        self.left && self.alive.elapsed() >= REST
    }

    /// The file was made empty: it begins anew.
    fn restart(&mut self) {
        (self.offset, self.line, self.header, self.skipping) = (0, 1, None, false);
        self.pending.clear();
    }

    /// Goes on where it was left, if it is the file that was left there.
    fn go_on(&mut self, plan: &Plan, (source, format): (u16, Format), known: &Offset) -> Result<bool, String> {
        let schema = &plan.sources[usize::from(source)].schema;
        let mut again = Again { followed: self, source, format, schema, end: known.offset };
        // A header that does not fit is told when the file is read.
        let Ok(Some(_)) = Resumed::behind(&mut again, known) else {
            self.restart();
            return Ok(false);
        };
        let whole = self.offset == known.offset;
        (self.offset, self.line) = (known.offset, known.line);
        self.pending.clear();
        Ok(whole)
    }

    fn fill(&mut self) -> Result<usize, String> {
        let (at, len) = (self.offset + self.pending.len() as u64, self.pending.len());
        self.pending.resize(len + PIECE, 0);
        let read = loop {
            match self.file.read_at(&mut self.pending[len..], at) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let more = *read.as_ref().unwrap_or(&0);
        self.pending.truncate(len + more);
        if more > 0 {
            self.alive = Stopwatch::start();
        }
        read.map_err(|cause| format!("{}: reading failed at byte {at}: {cause}", self.part))
    }

    /// What is whole of it, if anything is.
    fn read_on(
        &mut self,
        (source, format): (u16, Format),
        schema: &slackwater_core::schema::Schema,
    ) -> Result<Option<Chunk>, String> {
        loop {
            let ended = self.fill()? == 0;
            if self.offset == 0 {
                self.pass(frame::byte_order_mark(&self.pending));
            }
            if self.skipping && !self.skip() {
                if ended {
                    return Ok(None);
                }
                continue;
            }
            if format == Format::Csv && self.header.is_none() && !self.begin(schema)? {
                if ended {
                    return Ok(None);
                }
                continue;
            }
            let whole = match frame::boundary(format, &self.pending) {
                Some(whole) => whole,
                None if self.pending.len() > limits::EVENT_BYTES => {
                    self.skipping = true;
                    limits::EVENT_BYTES + 1
                }
                // Nobody will end its last record.
                None if ended && self.is_done() && !self.pending.is_empty() => self.pending.len(),
                None if ended => return Ok(None),
                None => continue,
            };
            let rest = self.pending.split_off(whole);
            let bytes = std::mem::replace(&mut self.pending, rest);
            let (offset, line) = (self.offset, self.line);
            self.offset += bytes.len() as u64;
            self.line += frame::count_lines(&bytes);
            let (part, header) = (self.part.clone(), self.header.clone());
            return Ok(Some(Chunk { source, part, offset, line, bytes, header, arrival: None }));
        }
    }

    /// Passes over the rest of a record that is too long; false while its end is not there.
    fn skip(&mut self) -> bool {
        let end = memchr::memchr(b'\n', &self.pending).map(|end| end + 1);
        self.pass(end.unwrap_or(self.pending.len()));
        self.skipping = end.is_none();
        !self.skipping
    }

    /// Reads the header of a CSV file; false while it is not there.
    fn begin(&mut self, schema: &slackwater_core::schema::Schema) -> Result<bool, String> {
        if frame::boundary(Format::Csv, &self.pending).is_none() {
            return Ok(false);
        }
        let record = frame::first(Format::Csv, &self.pending);
        let (size, blank) = (record.size, record.is_blank(Format::Csv));
        if !blank {
            let header = csv::Header::parse(record.body, schema).map_err(|cause| format!("{}: {cause}", self.part))?;
            self.header = Some(Header::Csv(Arc::new(header)));
        }
        self.pass(size);
        Ok(!blank)
    }

    fn pass(&mut self, count: usize) {
        self.offset += count as u64;
        self.line += frame::count_lines(&self.pending[..count]);
        self.pending.drain(..count);
    }
}

/// A file from its beginning up to a place, to be held against what is known of it.
struct Again<'a> {
    followed: &'a mut Followed,
    source: u16,
    format: Format,
    schema: &'a slackwater_core::schema::Schema,
    end: u64,
}

impl Feed for &mut Again<'_> {
    type Error = String;

    fn next(&mut self) -> Result<Option<Chunk>, String> {
        if self.followed.offset >= self.end {
            return Ok(None);
        }
        let Some(mut chunk) = self.followed.read_on((self.source, self.format), self.schema)? else { return Ok(None) };
        if let Some(over) = chunk.end().checked_sub(self.end).filter(|over| *over > 0) {
            // What lies behind the place is read again.
            let keep = chunk.bytes.len().saturating_sub(over as usize);
            chunk.bytes.truncate(keep);
            self.followed.offset = self.end;
        }
        Ok(Some(chunk))
    }

    fn read(&self) -> u64 {
        self.followed.offset
    }
}
