//! Files that grow, are rotated or begin anew: read as far as they have whole records, and on from there.
//!
//! A file is known by what it is, not by its name: one that is renamed is read on as the part that it was. Another file of a
//! folder that has its name then is a part `NAME@2`. Where one name is followed there is one part: what was renamed is read until
//! it has not grown for a while, for whoever wrote it may not have noticed yet. Each file that is seen under its name meanwhile
//! is opened at once, so that it may be renamed too, and waits for its turn.
//!
//! Across starts a file is known by its content up to where it was left. Of those that waited, the ones are found that were made
//! after it and have its name with something behind it, and the one that has the name. A file that is shorter than what was read
//! of it, or has other bytes before that place, was begun anew and is read from its start. Nothing is opened but plain files that
//! stand in the folder itself.

mod again;
mod followed;

use super::Packing;
use crate::decode::{Chunk, Format};
use crate::runtime::clock::Stopwatch;
use crate::runtime::service::Tail;
use followed::{Followed, Id, Of};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use slackwater_core::plan::Plan;
use slackwater_core::schema::IdentityRule;
use slackwater_store::store::Offset;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// From one look at the folder to the next.
const LOOK: Duration = Duration::from_millis(100);

/// Things that keep something from being read, of which a person is told at once.
const TOLD: usize = 3;

/// A file, or all files of a folder, followed.
pub struct Follower {
    plan: Arc<Plan>,
    source: u16,
    format: Format,
    folder: PathBuf,
    /// The one file that is wanted; none: all of the folder.
    only: Option<String>,
    /// Whether an event is known by where it stands.
    by_position: bool,
    /// Parts of which something was read.
    begun: BTreeSet<String>,
    /// Of each part the first is read, and the others wait in the order in which they had its name.
    open: Vec<Followed>,
    /// Files that were read to their end and will hardly grow, with how long they were.
    done: BTreeMap<Id, u64>,
    looked: Option<Stopwatch>,
    /// Whether the files that were known before were looked for.
    found: bool,
    /// Whether all that was there was given when it was last asked.
    drained: bool,
    /// What keeps the folder, or files of it, from being read.
    wrong: Vec<String>,
}

/// A file of the folder.
struct Entry {
    name: String,
    file: File,
    id: Id,
    len: u64,
}

impl Follower {
    /// Follows a file, or the files of a folder.
    ///
    /// # Errors
    /// When there is no such folder, or what has the name is no plain file.
    pub fn new(plan: Arc<Plan>, source: u16, format: Format, path: &Path) -> io::Result<Follower> {
        let is_folder = fs::metadata(path).is_ok_and(|found| found.is_dir());
        let (folder, only) = match (is_folder, path.parent(), path.file_name()) {
            (true, ..) => (path.to_path_buf(), None),
            (false, Some(folder), Some(name)) => {
                let name = name.to_str().ok_or_else(|| io::Error::other("its name is not UTF-8"))?;
                let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                may_be_followed(path)?;
                (folder.to_path_buf(), Some(name.to_string()))
            }
            _ => return Err(io::Error::other("it names no file and no folder")),
        };
        fs::read_dir(&folder)?;
        let by_position = plan.sources[usize::from(source)].schema.roles().identity == IdentityRule::Position;
        Ok(Follower {
            plan,
            source,
            format,
            folder,
            only,
            by_position,
            begun: BTreeSet::new(),
            open: Vec::new(),
            done: BTreeMap::new(),
            looked: None,
            found: false,
            drained: false,
            wrong: Vec::new(),
        })
    }

    /// The plain files of the folder that may be read, the least recently changed first.
    fn entries(&mut self) -> io::Result<Vec<Entry>> {
        let folder = File::open(&self.folder)?;
        let (mut found, mut wrong) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.folder)? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if Packing::of(Path::new(&name)) != Packing::Plain || name.starts_with('.') {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = match rustix::fs::openat(&folder, name.as_str(), flags, Mode::empty()) {
                Ok(file) => File::from(file),
                Err(cause) if cause == rustix::io::Errno::ACCESS && self.is_wanted(&name) => {
                    wrong.push(format!("{name}: {cause}"));
                    continue;
                }
                // What is a link, or gone since, is passed over.
                Err(_) => continue,
            };
            let known = file.metadata()?;
            if known.is_file() && known.nlink() <= 1 {
                let id = (known.dev(), known.ino(), made(&file));
                found.push((known.mtime(), known.mtime_nsec(), Entry { name, file, id, len: known.len() }));
            } else if known.is_file() && self.is_wanted(&name) {
                wrong.push(format!("{name}: it has another name too (a hard link), and is left alone"));
            }
        }
        wrong.sort();
        self.wrong = wrong;
        found.sort_by(|a, b| (a.0, a.1, &a.2.name).cmp(&(b.0, b.1, &b.2.name)));
        Ok(found.into_iter().map(|(.., entry)| entry).collect())
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }

    /// Looks at the folder: what is new is opened, what was renamed is read to its end.
    fn look(&mut self, known: &dyn Fn() -> Vec<Offset>) -> io::Result<()> {
        self.looked = Some(Stopwatch::start());
        let entries = self.entries()?;
        if !self.found {
            self.find(&entries, known())?;
            self.found = true;
        }
        // What is gone does not come back, and its number may; what has grown after all is read again.
        let same = |done: &Id, len: u64| entries.iter().any(|entry| entry.id == *done && entry.len <= len);
        self.done.retain(|done, len| same(done, *len));
        for followed in &mut self.open {
            let name = entries.iter().find(|entry| entry.id == followed.id).map(|entry| entry.name.as_str());
            followed.gone = name.is_none();
            followed.left = name.is_none() || self.only.as_deref().is_some_and(|only| name != Some(only));
            if !followed.left {
                followed.alive = Stopwatch::start();
            }
            followed.measure();
        }
        for Entry { name, file, id, .. } in entries {
            let open = self.open.iter().any(|followed| followed.id == id);
            if !open && !self.done.contains_key(&id) && self.is_wanted(&name) {
                self.open(name, id, file);
            }
        }
        self.line_up();
        Ok(())
    }

    fn open(&mut self, name: String, id: Id, file: File) {
        let is_new =
            |part: &str| !self.begun.contains(part) && !self.open.iter().any(|followed| &*followed.part == part);
        let again = !is_new(&name);
        let part = match again && self.only.is_none() {
            true => (2..).map(|number| format!("{name}@{number}")).find(|part| is_new(part)).unwrap_or(name),
            false => name,
        };
        let mut followed = Followed::new(part.into(), id, file, self.by_position);
        if self.by_position && again {
            followed.bar();
        }
        self.open.push(followed);
    }

    /// Of each part only the first is read.
    fn line_up(&mut self) {
        let mut parts: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for at in 0..self.open.len() {
            let first = *parts.entry(self.open[at].part.clone()).or_insert(at);
            (self.open[at].waits, self.open[at].succeeded) = (first != at, false);
            self.open[first].succeeded |= first != at;
        }
    }

    /// Finds the files that were read before, by name or, where they were renamed in the meantime, by what is in them.
    fn find(&mut self, entries: &[Entry], mut known: Vec<Offset>) -> io::Result<()> {
        known.retain(|known| self.is_wanted(&known.part));
        self.begun = known.iter().map(|known| known.part.clone()).collect();
        let plan = self.plan.clone();
        let of =
            Of { source: self.source, format: self.format, schema: &plan.sources[usize::from(self.source)].schema };
        // What is open already waited for its turn: it had its name later.
        let (mut first, mut missing) = (Vec::new(), Vec::new());
        let follow = |entry: &Entry, part: &str| -> io::Result<Followed> {
            Ok(Followed::new(part.into(), entry.id, entry.file.try_clone()?, self.by_position))
        };
        let waiting = |id: Id| self.open.iter().any(|followed| followed.id == id);
        for known in known {
            let own = entries.iter().find(|entry| entry.name == known.part && !waiting(entry.id));
            let own = own.map(|entry| follow(entry, &known.part)).transpose()?;
            match own.and_then(|mut followed| followed.go_on(of, &known).then_some(followed)) {
                Some(followed) => first.push(followed),
                None => missing.push(known),
            }
        }
        for entry in entries {
            let taken = first.iter().any(|followed: &Followed| followed.id == entry.id);
            if missing.is_empty() || taken || waiting(entry.id) {
                continue;
            }
            let mut followed = follow(entry, &entry.name)?;
            let Some(at) = followed.is_one_of(of, &missing) else { continue };
            let known = missing.remove(at);
            followed.part = known.part.as_str().into();
            if followed.go_on(of, &known) {
                let later = entries.iter().filter(|later| self.is_later(later, entry) && !waiting(later.id));
                let mut later = later.map(|later| follow(later, &known.part)).collect::<io::Result<Vec<_>>>()?;
                later.sort_by_key(|later| later.id.2);
                first.push(followed);
                first.extend(later);
            }
        }
        first.append(&mut self.open);
        self.open = first;
        Ok(())
    }

    /// Whether a file had the one name that is followed after another, and has something behind it now.
    fn is_later(&self, later: &Entry, than: &Entry) -> bool {
        let Some(rest) = self.only.as_deref().and_then(|only| later.name.strip_prefix(only)) else { return false };
        let behind = rest.chars().next().is_some_and(|sign| !sign.is_alphanumeric());
        behind && later.id.2 > than.id.2 && !self.by_position
    }

    /// What comes next of the files that are open, if anything does.
    fn read_on(&mut self) -> Option<Chunk> {
        let plan = self.plan.clone();
        let of =
            Of { source: self.source, format: self.format, schema: &plan.sources[usize::from(self.source)].schema };
        let mut at = 0;
        while at < self.open.len() {
            let followed = &mut self.open[at];
            if !followed.is_readable() {
                at += 1;
                continue;
            }
            match followed.read_on(of) {
                Ok(Some(chunk)) => {
                    followed.wrong = None;
                    if !self.begun.contains(&*chunk.part) {
                        self.begun.insert(chunk.part.to_string());
                    }
                    return Some(chunk);
                }
                Ok(None) => followed.wrong = None,
                Err(wrong) => followed.fails(wrong),
            }
            if followed.is_done() {
                let gone = self.open.remove(at);
                self.done.insert(gone.id, gone.len);
                // The next that had its name stands behind this place.
                self.line_up();
            } else {
                at += 1;
            }
        }
        None
    }
}

/// When a file was made; always the same where the system does not know.
fn made(file: &File) -> (i64, u32) {
    let asked = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME);
    let known = asked.ok().filter(|found| StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME));
    known.map_or((0, 0), |found| (found.stx_btime.tv_sec, found.stx_btime.tv_nsec))
}

/// Whether what has a name, if anything has, is a file that can be followed.
fn may_be_followed(path: &Path) -> io::Result<()> {
    let cannot = |why: &str| Err(io::Error::other(format!("{why}, and cannot be followed as it grows")));
    if Packing::of(path) != Packing::Plain {
        return cannot("it is a packed file");
    }
    match fs::symlink_metadata(path) {
        Ok(known) if known.is_symlink() => cannot("it is a link"),
        Ok(known) if !known.is_file() => cannot("it is no plain file"),
        Ok(known) if known.nlink() > 1 => cannot("it has another name too (a hard link)"),
        _ => Ok(()),
    }
}

impl Tail for Follower {
    fn source(&self) -> u16 {
        self.source
    }

    fn next(&mut self, known: &dyn Fn() -> Vec<Offset>) -> Option<Chunk> {
        let due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        if self.drained && !due {
            return None;
        }
        let looked = if due { self.look(known) } else { Ok(()) };
        let next = self.read_on();
        self.drained = next.is_none() && looked.is_ok();
        if let Err(cause) = looked {
            self.wrong = vec![format!("{}: {cause}", self.folder.display())];
        }
        next
    }

    fn wrong(&self) -> Option<String> {
        let files = self.open.iter().filter_map(|followed| followed.wrong.as_ref());
        let mut all: Vec<&str> = self.wrong.iter().chain(files).map(String::as_str).collect();
        let more = all.len().saturating_sub(TOLD);
        all.truncate(TOLD);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        (!all.is_empty()).then(|| all.join("; ") + &more)
    }

    fn is_caught_up(&self) -> bool {
        // Of one that was renamed more may come, and then of those that had its name after it.
        let open =
            |followed: &Followed| followed.waits || followed.wrong.is_some() || (followed.left && !followed.is_still());
        self.drained && self.found && !self.open.iter().any(open)
    }

    fn rewind(&mut self) {
        // Nothing was given of what waits, so nothing that is known would find it again.
        self.open.retain(|followed| followed.waits);
        self.done.clear();
        (self.looked, self.found, self.drained) = (None, false, false);
    }
}
