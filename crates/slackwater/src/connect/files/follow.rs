//! Files that grow, are rotated or begin anew: read as far as they have whole records, and on from there.
//!
//! A file is known by what it is, not by its name: one that is renamed is read on under the name that it had until it has not
//! grown for a while, for whoever wrote it may not have noticed yet. Each file that is seen under its name meanwhile is opened
//! at once, so that it may be renamed too, and waits for its turn: those of one name are read one after the other.
//!
//! Across starts a file is known by its content up to where it was left; of those that waited, the one that still has the name
//! is found. A file that is shorter than what was read of it, or has other bytes before that place, was begun anew and is read
//! from its start. Nothing is opened but plain files that stand in the folder itself.

use super::Packing;
use crate::decode::csv;
use crate::decode::{Chunk, Format, Header, frame};
use crate::runtime::Feed;
use crate::runtime::clock::Stopwatch;
use crate::runtime::replay::Resumed;
use crate::runtime::service::Tail;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
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

/// Bytes before the place that a file was read to by which it is seen whether it was begun anew.
const TRACE: usize = 256;

/// What a file is, whatever its name: device, number, and when it was made, where that is known, for a number is used again
/// once its file is gone.
type Id = (u64, u64, (i64, u32));

/// A file, or all files of a folder, followed.
pub struct Follower {
    plan: Arc<Plan>,
    source: u16,
    format: Format,
    folder: PathBuf,
    /// The one file that is wanted; none: all of the folder.
    only: Option<String>,
    /// Of each part the first is read, and the others wait in the order in which they had its name.
    open: Vec<Followed>,
    /// Files that were read to their end and will not grow.
    done: BTreeSet<Id>,
    looked: Option<Stopwatch>,
    /// Whether the files that were known before were looked for.
    found: bool,
    /// Whether all that was there was given when it was last asked.
    drained: bool,
}

/// A file that is being read, or will be.
struct Followed {
    part: Arc<str>,
    id: Id,
    file: File,
    /// Where the pending bytes begin.
    offset: u64,
    line: u64,
    pending: Vec<u8>,
    /// The last bytes before the place that it was read to.
    trace: Vec<u8>,
    header: Option<Header>,
    /// One that had its name before is still being read.
    waits: bool,
    /// It has another name now, or none.
    left: bool,
    /// How long it was when that was last seen.
    len: u64,
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
                let id = (known.dev(), known.ino(), made(&file));
                found.push((known.mtime(), known.mtime_nsec(), name, file, id));
            }
        }
        found.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
        Ok(found.into_iter().map(|(_, _, name, file, id)| (name, file, id)).collect())
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }

    /// Looks at the folder: what is new is opened, what was renamed is read to its end.
    fn look(&mut self, known: &dyn Fn(&str) -> Option<Offset>) -> Result<(), String> {
        self.looked = Some(Stopwatch::start());
        let wrong = |cause: io::Error| format!("{}: {cause}", self.folder.display());
        let entries = self.entries().map_err(wrong)?;
        if !self.found {
            self.find(&entries, known)?;
            self.found = true;
        }
        // What is gone does not come back, and its number may.
        self.done.retain(|done| entries.iter().any(|(.., id)| id == done));
        for followed in &mut self.open {
            let name = entries.iter().find(|(.., id)| *id == followed.id).map(|(name, ..)| name.as_str());
            followed.left = name != Some(&*followed.part);
            if !followed.left {
                followed.alive = Stopwatch::start();
            }
            let len = followed.file.metadata().map_err(|cause| format!("{}: {cause}", followed.part))?.len();
            if len < followed.end() {
                followed.restart();
            }
            followed.note(len);
        }
        for (name, file, id) in entries {
            let open = self.open.iter().any(|followed| followed.id == id);
            if open || self.done.contains(&id) || !self.is_wanted(&name) {
                continue;
            }
            self.open.push(Followed::new(name.into(), id, file));
        }
        self.line_up();
        Ok(())
    }

    /// Of each part only the first is read.
    fn line_up(&mut self) {
        let mut parts = BTreeSet::new();
        for Followed { part, waits, .. } in &mut self.open {
            *waits = !parts.insert(&**part);
        }
    }

    /// Finds the files that were read before, by name or, where they were renamed in the meantime, by what is in them.
    fn find(&mut self, entries: &[(String, File, Id)], known: &dyn Fn(&str) -> Option<Offset>) -> Result<(), String> {
        let names = entries.iter().map(|(name, ..)| name.clone());
        let names: Vec<String> = names.filter(|name| self.is_wanted(name)).collect();
        // What is open already waited for its turn: it had its name later.
        let mut first = 0;
        for name in &names {
            let Some(offset) = known(name) else { continue };
            let own = entries.iter().position(|(other, ..)| other == name);
            let others = (0..entries.len()).filter(|at| Some(*at) != own && known(&entries[*at].0).is_none());
            for at in own.into_iter().chain(others).collect::<Vec<_>>() {
                let (_, file, id) = &entries[at];
                if self.open.iter().any(|followed| followed.id == *id) {
                    continue;
                }
                let file = file.try_clone().map_err(|cause| format!("{name}: {cause}"))?;
                let mut followed = Followed::new(name.as_str().into(), *id, file);
                if followed.go_on(&self.plan, (self.source, self.format), &offset)? {
                    self.open.insert(first, followed);
                    first += 1;
                    break;
                }
            }
        }
        Ok(())
    }
}

/// When a file was made; always the same where the system does not know.
fn made(file: &File) -> (i64, u32) {
    let asked = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME);
    let known = asked.ok().filter(|found| StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME));
    known.map_or((0, 0), |found| (found.stx_btime.tv_sec, found.stx_btime.tv_nsec))
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
        let (plan, source, format) = (self.plan.clone(), self.source, self.format);
        let mut at = 0;
        while at < self.open.len() {
            let followed = &mut self.open[at];
            if followed.waits {
                at += 1;
                continue;
            }
            let schema = &plan.sources[usize::from(source)].schema;
            if let Some(chunk) = followed.read_on((source, format), schema)? {
                self.drained = false;
                return Ok(Some(chunk));
            }
            if followed.is_done() {
                let gone = self.open.remove(at);
                self.done.insert(gone.id);
                // The next that had its name stands behind this place.
                self.line_up();
            } else {
                at += 1;
            }
        }
        self.drained = true;
        Ok(None)
    }

    fn is_caught_up(&self) -> bool {
        // Of one that was renamed more may come, and then of those that had its name after it.
        self.drained && !self.open.iter().any(|followed| followed.left)
    }

    fn rewind(&mut self) {
        // Nothing was given of what waits, so nothing that is known would find it again.
        self.open.retain(|followed| followed.waits);
        self.done.clear();
        (self.looked, self.found, self.drained) = (None, false, false);
    }
}

impl Followed {
    fn new(part: Arc<str>, id: Id, file: File) -> Self {
        let (pending, trace, header) = (Vec::new(), Vec::new(), None);
        let (waits, left, skipping, alive) = (false, false, false, Stopwatch::start());
        Followed { part, id, file, offset: 0, line: 1, pending, trace, header, waits, left, len: 0, alive, skipping }
    }

    /// The place that it was read to.
    fn end(&self) -> u64 {
        self.offset + self.pending.len() as u64
    }

    /// Notes how long it is.
    fn note(&mut self, len: u64) {
        if len > self.len {
            self.alive = Stopwatch::start();
        }
        self.len = len;
    }

    /// Whether nothing more will come of it.
    fn is_done(&self) -> bool {
        self.left && self.alive.elapsed() >= REST
    }

    /// The file was made empty, or is to be read from its start for another reason: it begins anew.
    fn restart(&mut self) {
        (self.offset, self.line, self.header, self.skipping, self.len) = (0, 1, None, false, 0);
        self.pending.clear();
        self.trace.clear();
    }

    /// Goes on where it was left, if it is the file that was left there.
    fn go_on(&mut self, plan: &Plan, (source, format): (u16, Format), known: &Offset) -> Result<bool, String> {
        // It is read before the rest, so that a file that is changed meanwhile is seen to be another.
        let before = known.offset.min(TRACE as u64);
        let mut trace = vec![0; before as usize];
        if self.file.read_exact_at(&mut trace, known.offset - before).is_err() {
            return Ok(false);
        }
        let schema = &plan.sources[usize::from(source)].schema;
        let mut again = Again { followed: self, source, format, schema, end: known.offset };
        // A header that does not fit is told when the file is read.
        let Ok(Some(_)) = Resumed::behind(&mut again, known) else {
            self.restart();
            return Ok(false);
        };
        let whole = self.offset == known.offset;
        (self.offset, self.line, self.trace) = (known.offset, known.line, trace);
        self.pending.clear();
        Ok(whole)
    }

    /// Reads on, or from the start where the file was begun anew. Gives how many bytes there were.
    fn fill(&mut self) -> Result<usize, String> {
        loop {
            if let Some(more) = self.extend()? {
                return Ok(more);
            }
            self.restart();
        }
    }

    /// Reads on, together with what was read last; none where that is not there any more.
    fn extend(&mut self) -> Result<Option<usize>, String> {
        let (end, len, trace) = (self.end(), self.pending.len(), self.trace.len());
        let at = end - trace as u64;
        self.pending.resize(len + trace + PIECE, 0);
        let read = loop {
            match self.file.read_at(&mut self.pending[len..], at) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.pending.truncate(len + *read.as_ref().unwrap_or(&0));
        let kept = self.pending[len..].starts_with(&self.trace);
        self.pending.drain(len..self.pending.len().min(len + trace));
        read.map_err(|cause| format!("{}: reading failed at byte {at}: {cause}", self.part))?;
        if !kept {
            return Ok(None);
        }
        let new = &self.pending[len..];
        self.trace.extend_from_slice(&new[new.len().saturating_sub(TRACE)..]);
        self.trace.drain(..self.trace.len().saturating_sub(TRACE));
        let more = new.len();
        self.note(self.len.max(self.end()));
        Ok(Some(more))
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
