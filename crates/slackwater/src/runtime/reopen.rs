//! Opening an instance: what is found on the disk, the verdict over it, and the way from there to now.

use super::board::Spent;
use super::clock::Clock;
use super::engine::Shards;
use super::gauge::Gauge;
use super::ingest::Inlet;
use super::instance::{Instance, Settings, Stop};
use super::recall::Shelves;
use super::receipts::Receipts;
use super::replay::{Replaying, Taken};
use super::retold::Story;
use super::shard::{Tallies, Told};
use super::tale::{Untold, decode_told};
use crate::decode::Format;
use slackwater_core::codec::{CodecError, Reader};
use slackwater_core::cutoff::let_go_of;
use slackwater_core::fold::Fold;
use slackwater_core::hold::Holds;
use slackwater_core::input::Input;
use slackwater_core::judge::Judge;
use slackwater_core::plan::expr::Node;
use slackwater_core::plan::{Expr, Guards, Plan};
use slackwater_core::planted::{Bug, is};
use slackwater_core::watermark::Watermarks;
use slackwater_store::Fault;
use slackwater_store::archive::{Archive, BUCKET, Changes, Shelf};
use slackwater_store::castoff::Castoffs;
use slackwater_store::catalog::Catalog;
use slackwater_store::checkpoint::{Checkpoints, Manifest};
use slackwater_store::crash::{self, CrashPoint};
use slackwater_store::disk::Disk;
use slackwater_store::entry::Entry;
use slackwater_store::identity::{self, Identity};
use slackwater_store::index::{Entries as Winners, Index};
use slackwater_store::journal::{Entries, Journal, Known, Limits};
use slackwater_store::recover::{Found, Verdict, verdict};
use slackwater_store::store::{Commit, Head, Store, Sum};
use std::collections::BTreeSet;
use std::iter::Peekable;
use std::sync::Arc;

/// What opening brought to light.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reopened {
    /// The checkpoint from which state was read, if there was one.
    pub checkpoint: Option<u64>,
    /// Entries of the journal that were taken in again.
    pub replayed: u64,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Makes or opens the store of results: the one that is there, or, where it is to be made anew, an empty one.
pub type OpenStore<'p> = dyn FnMut(Keep) -> Result<Box<dyn Store + 'p>, Fault> + 'p;

/// What to do with a store of results that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Open it.
    It,
    /// Put it aside, and make an empty one.
    Nothing,
}

/// What an instance is opened with.
pub struct Opening<'a, 'p> {
    /// The plan, and the formats of its sources.
    pub plan: &'p Plan,
    /// By source.
    pub formats: &'p [Format],
    /// How it keeps what it keeps.
    pub settings: Settings,
    /// Where.
    pub disk: Arc<dyn Disk>,
    /// Its store.
    pub store: &'a mut OpenStore<'p>,
    /// Its clock, as yet without knowledge of earlier records.
    pub clock: Clock,
    /// A name for it, should it be new.
    pub name: [u8; 16],
}

impl<'p> Instance<'p> {
    /// Opens the instance of a directory, or begins it: walks back to the newest checkpoint that is sound, and takes in
    /// again what the journal has behind it. Everything is as it was when the last entry was synced.
    ///
    /// # Errors
    /// When the directory belongs to another plan, or what is kept is damaged beyond what can be made anew.
    pub fn open(opening: Opening<'_, 'p>, gauge: &Gauge) -> Result<(Self, Reopened), Fault> {
        let Opening { plan, formats, settings, disk, store: open_store, clock, name } = opening;
        let fingerprint = plan.fingerprint();
        let known = Identity::read(&*disk)?;
        let identity = match known {
            Some(known) => known,
            None => Identity { instance: name, plan: fingerprint },
        };
        if identity.plan != fingerprint {
            return Err(Fault::Refused(
                "this directory was made under another plan: its sources or pipelines were declared otherwise, so its \
                 state is not what this configuration asks for; use the configuration that made it, or another directory"
                    .to_string(),
            ));
        }
        let checkpoints = Checkpoints::open(disk.clone(), identity.instance)?;
        let (manifests, damaged) = sound(&checkpoints)?;
        let (mut store, head, store_damage) = match look(open_store) {
            Ok((store, head)) => (Some(store), head, None),
            Err(fault @ Fault::Damaged { .. }) => (None, None, Some(fault.to_string())),
            Err(fault) => return Err(fault),
        };
        if head.as_ref().is_some_and(|head| head.instance != identity.instance) {
            let another = "the store of results is that of another directory; put back its own, or take it away, so that it is made anew";
            return Err(Fault::Refused(if known.is_none() { identity::MISSING } else { another }.to_string()));
        }
        let committed = head.as_ref().map_or(0, |head| head.journal);
        let committed = manifests.iter().map(|manifest| manifest.head.journal).fold(committed, u64::max);
        let journaled = Known { committed, covered: covered(head.as_ref(), &manifests) };
        let journal = journal(&disk, &identity, known.is_some(), settings.journal, journaled)?;
        let (last, reduced) = (journal.last(), journal.reduced());
        let found = Found { head: head.clone(), store_damage, manifests, damaged, last, reduced };
        let castoffs = Castoffs::open(disk.clone(), identity.instance)?;
        let catalog = Catalog::read(&*disk, identity.instance);
        let lacking = || lacking(plan, &disk, &catalog, &castoffs, reduced);
        let broken = |manifest: &Manifest| broken(plan, &disk, manifest);
        let ticked = |from, to| any_tick(plan, &journal, from, to);
        let (from, rebuild, notes) = match verdict(found, &lacking, &broken, &ticked)? {
            Verdict::Begin => (None, true, Vec::new()),
            Verdict::Resume { from, rebuild, notes } => (from.map(|from| *from), rebuild, notes),
        };
        let notes = on_damage(&journal, from.as_ref(), notes)?;
        // An empty store is as good as a new one.
        let usable = store.take().filter(|_| !rebuild || head.is_none());
        let store = match usable {
            Some(store) => store,
            None => open_store(Keep::Nothing)?,
        };
        let head = head.filter(|_| !rebuild);
        // What no commit names is as if it had never been written.
        checkpoints.forget_behind(head.as_ref().map_or(0, |head| head.checkpoint))?;
        // One that cannot be read is needed no more, or it would have been missed.
        let catalog = catalog.ok().flatten();
        let made =
            Made { plan, formats, settings, disk, store, journal, checkpoints, clock, identity, catalog, castoffs };
        let (mut instance, from) = made.from(from)?;
        let mut reopened = Reopened { checkpoint: from, notes, ..Reopened::default() };
        announce(instance.journal.last() - instance.at, rebuild);
        reopened.replayed = instance.replay(head.as_ref(), gauge)?;
        instance.clock.not_before(instance.recorded)?;
        if reopened.replayed > 0 && instance.may_be_cut() {
            crash::point(CrashPoint::Replayed)?;
            // So that what was taken in again need not be a second time.
            instance.checkpoint()?;
        }
        Ok((instance, reopened))
    }

    /// Takes in again what the journal has behind the state, and holds it against the last commit on the way.
    fn replay(&mut self, committed: Option<&Head>, gauge: &Gauge) -> Result<u64, Fault> {
        let (from, last) = (self.at, self.journal.last());
        if let Some(committed) = committed {
            self.replay_to(committed.journal, gauge, false)?;
            self.compare(committed)?;
            // Its rows are in the store already, and so are its answers.
            self.rows.clear();
            self.aside.clear();
            self.notes.clear();
            self.rulings.clear();
            self.head = committed.clone();
            self.receipts = Receipts::load(&mut *self.store)?;
        }
        self.take_over(committed)?;
        crash::point(CrashPoint::TakenOver)?;
        self.replay_to(last, gauge, true)?;
        Ok(last - from)
    }

    /// Takes in entries up to one. What is not committed yet is, as it comes.
    fn replay_to(&mut self, until: u64, gauge: &Gauge, commit: bool) -> Result<(), Fault> {
        if self.at >= until {
            return Ok(());
        }
        let mut entries = self.journal.read(self.at + 1)?.peekable();
        let mut story = Story::of(self.plan);
        while self.at < until {
            if self.must_be_told() {
                self.retell(&mut entries, &mut story, until)?;
            } else {
                self.replay_round(&mut entries, until, gauge)?;
            }
            // What the archive has already is not put there again, so the half of a tick cannot be left to it.
            let unsettled = self.is_unsettled() && self.at < until && self.head.ticks >= self.archived.tick;
            if commit && (self.is_at_tick() || unsettled) {
                self.checkpoint()?;
            }
        }
        Ok(())
    }

    /// Takes in events up to the next step or until there are many, and the step.
    fn replay_round(&mut self, entries: &mut Peekable<Entries>, until: u64, gauge: &Gauge) -> Result<(), Fault> {
        let of_the_day: Vec<_> = self.plan.sources.iter().map(|source| source.guards.clone()).collect();
        let Instance { plan, formats, guards, settings, taken, shards, index, archive, aside, recorded, .. } = self;
        let guards = if is(Bug::GuardsOfTheDay) { &of_the_day } else { &*guards };
        let bytes_left = settings.bytes;
        let (mut named, begun, mut tallies) = (Vec::new(), false, Tallies::default());
        let named_now = &mut named;
        let replaying = Replaying {
            plan,
            formats,
            entries: &mut *entries,
            taken,
            until,
            bytes_left,
            begun,
            recorded,
            named: named_now,
        };
        let shelves = Shelves { index, archive, resting: &[] };
        let tell = |told: Told| -> Result<(), Stop> {
            tallies.add(&told);
            aside.extend(told.aside);
            Ok(())
        };
        let (threads, recall) = (settings.threads, Some(&shelves as _));
        let inlet = |out| Inlet::of(vec![replaying], out, gauge);
        shards.take((plan, formats, guards), inlet, threads, gauge, recall, tell).map_err(Stop::into_fault)?;
        for (named, counts) in named.into_iter().zip(tallies.chunks) {
            named.into_iter().for_each(|named| self.answer(named, counts.clone()));
        }
        match entries.peek() {
            Some(Ok((sequence, entry))) => {
                self.at = sequence - 1;
                if matches!(entry, Entry::Step { .. }) && self.at < until {
                    self.replay_step(entries.next().expect("just seen")?)?;
                }
            }
            // It may come just where a round ends, and is never passed over.
            Some(Err(_)) => drop(entries.next().transpose()?),
            None => self.at = self.journal.last(),
        }
        if self.at < until && entries.peek().is_none() {
            let what = format!("it ends with entry {}, and goes up to entry {until}", self.at);
            return Err(Fault::damaged("journal", 0, what));
        }
        Ok(())
    }

    fn replay_step(&mut self, (sequence, entry): (u64, Entry)) -> Result<(), Fault> {
        let Entry::Step { input, outcome } = entry else { unreachable!("events are taken in before") };
        let place = || format!("journal entry {sequence}");
        let schemas: Vec<_> = self.plan.sources.iter().map(|source| &source.schema).collect();
        let input = Input::decode(&input, &schemas).map_err(|error| Fault::damaged(&place(), 0, error.to_string()))?;
        let again = self.apply(&input)?;
        self.pieces.clear();
        if again != outcome {
            let what = "what comes of it now is not what came of it then; state, journal or program is not what it was";
            return Err(Fault::damaged(&place(), 0, what));
        }
        self.at = sequence;
        self.pass_step(&input);
        if let Input::Tick(tick) = input {
            self.recorded = Some(tick.at).max(self.recorded);
        }
        Ok(())
    }

    /// Holds the state against what was committed at the same place of the journal.
    fn compare(&mut self, committed: &Head) -> Result<(), Fault> {
        let aside = std::mem::take(&mut self.aside);
        self.head.take(&[], &aside);
        let counts = self.shards.seen(self.plan).counts().to_vec();
        let sums = |head: &Head| (head.quarantined, head.rulings, head.notes);
        let mine = (&self.head.output, &self.head.rows, sums(&self.head), (&counts, &self.taken.input));
        let theirs = (&committed.output, &committed.rows, sums(committed), (&committed.counts, &committed.input));
        let time = (&self.shards.cutoffs, &self.head.settled, self.head.ticks);
        if mine == theirs && time == (&committed.cutoffs, &committed.settled, committed.ticks) {
            return Ok(());
        }
        Err(Fault::Refused(format!(
            "what the journal gives up to entry {} is not what was committed there; a part of this directory is of \
             another time than the rest, or was changed: put back the whole directory from one copy",
            committed.journal
        )))
    }

    /// Makes this process the owner: what an earlier one still tries to commit is refused from here on.
    fn take_over(&mut self, committed: Option<&Head>) -> Result<(), Fault> {
        self.clock.not_before(self.recorded)?;
        self.head.epoch += 1;
        // What came after the last commit waits for the next one.
        if let Some(committed) = committed {
            let (epoch, commit) = (self.head.epoch, committed.commit + 1);
            let head = Head { epoch, commit, ..committed.clone() };
            self.store.commit(&Commit::of(&head))?;
            self.head.commit = commit;
        }
        Ok(())
    }
}

/// Says what is done before anything is served, for it may take a while.
fn announce(entries: u64, rebuild: bool) {
    match entries {
        0 => {}
        _ if rebuild => tracing::warn!(entries, "results are made anew from what the directory has"),
        _ => tracing::info!(entries, "what came behind the checkpoint is taken in again"),
    }
}

/// The journal of an instance that is there, or a new one with its identity.
fn journal(
    disk: &Arc<dyn Disk>,
    identity: &Identity,
    known: bool,
    limits: Limits,
    journaled: Known,
) -> Result<Journal, Fault> {
    if known {
        return Journal::open_behind(disk.clone(), identity.instance, limits, journaled);
    }
    // The identity comes last: what has one has a journal, and a journal without one was never written to.
    let journal = Journal::create(disk.clone(), identity.instance, limits);
    let journal = journal.map_err(|fault| match fault {
        Fault::Refused(what) => Fault::Refused(format!("{} ({what})", identity::MISSING)),
        fault => fault,
    })?;
    identity.write(&**disk)?;
    Ok(journal)
}

/// The last entry that a checkpoint covers of which nothing is known yet that speaks against it.
fn covered(head: Option<&Head>, manifests: &[Manifest]) -> u64 {
    let counts = |manifest: &&Manifest| head.is_some_and(|head| manifest.counts_in(head));
    manifests.iter().filter(counts).map(|manifest| manifest.head.journal).max().unwrap_or(0)
}

/// Adds to the notes what is damaged of journal and record, where the state that is gone on from does without it.
///
/// # Errors
/// The damage, where it is needed. No file that is damaged was touched by then, for whoever can put it back.
fn on_damage(journal: &Journal, from: Option<&Manifest>, mut notes: Vec<String>) -> Result<Vec<String>, Fault> {
    journal.is_whole_behind(from.map_or(0, |from| from.head.journal)).map_err(|fault| match fault {
        Fault::Damaged { name, at, what } => {
            let why = notes.iter().map(|note| format!("; {note}")).collect::<String>();
            Fault::Damaged { name, at, what: format!("{what}, and what is gone on from needs them{why}") }
        }
        fault => fault,
    })?;
    let number = from.map_or(0, |from| from.head.checkpoint);
    for gap in journal.gaps() {
        let fault = gap.fault();
        let means = match gap.entries {
            Some(_) => {
                "so no state needs them, but without store or checkpoints not everything could be made again; put the file \
                 back from a copy, if there is one"
            }
            None => "and what stood there is known, so nothing is lost",
        };
        notes.push(format!("{fault}; checkpoint {number} covers them, {means}"));
    }
    for fault in journal.worn() {
        notes.push(format!("{fault}; put the file back from a copy, if there is one"));
    }
    for name in journal.lost() {
        notes.push(format!(
            "{name}: entries are missing that were damaged before they became record; without store or checkpoints not \
             everything could be made again"
        ));
    }
    Ok(notes)
}

/// What a directory without a checkpoint begins with. What the archive has stays where it must tell events whose bytes are
/// gone; else it is made anew.
fn beginning(plan: &Plan, identity: &Identity, catalog: Option<Catalog>) -> Manifest {
    let there = catalog.unwrap_or_else(|| Catalog { next: 1, ..Catalog::default() });
    Manifest {
        archived: there.archived,
        segments: there.segments,
        next_segment: there.next,
        head: Head {
            instance: identity.instance,
            plan: identity.plan,
            settled: vec![slackwater_core::fold::Settled::Nothing; plan.pipelines.len()],
            rows: vec![Sum::default(); plan.pipelines.len()],
            ..Head::default()
        },
        next_run: 1,
        ..Manifest::default()
    }
}

type Opened<'p> = (Box<dyn Store + 'p>, Option<Head>);

/// The store with its head, every row held against it.
fn look<'p>(open_store: &mut OpenStore<'p>) -> Result<Opened<'p>, Fault> {
    let mut store = open_store(Keep::It)?;
    let head = store.head()?;
    store.check()?;
    Ok((store, head))
}

/// The number of a checkpoint, and why it cannot be used.
type Bad = (u64, String);

/// What a manifest may name of archive and index to be read through when a directory is opened; of more, only what tells the
/// rest is looked at, and the rest when it is read.
const READ_THROUGH: u64 = 64 << 20;

/// Why something that a manifest names of archive and index cannot be used, if that is so.
fn broken(plan: &Plan, disk: &Arc<dyn Disk>, manifest: &Manifest) -> Result<Option<String>, Fault> {
    let bytes: u64 = manifest.segments.iter().map(|segment| segment.bytes).sum::<u64>()
        + manifest.runs.iter().map(|run| run.bytes).sum::<u64>();
    let look = || {
        let index = Index::open(disk.clone(), &manifest.runs, manifest.next_run)?;
        if bytes <= READ_THROUGH {
            index.scrub()?;
        }
        let archive =
            Archive::open(disk.clone(), shelves(plan), manifest.segments.clone(), manifest.next_segment, BUCKET)?;
        archive.look(bytes <= READ_THROUGH)
    };
    match look() {
        Ok(()) => Ok(None),
        // What is of a later program is not broken.
        Err(fault @ Fault::Newer { .. }) => Err(fault),
        Err(fault) => Ok(Some(fault.to_string())),
    }
}

/// Whether any entry of the journal from one to another is a tick.
fn any_tick(plan: &Plan, journal: &Journal, from: u64, to: u64) -> Result<bool, Fault> {
    let schemas: Vec<_> = plan.sources.iter().map(|source| &source.schema).collect();
    for entry in journal.read(from)? {
        match entry? {
            (sequence, _) if sequence > to => break,
            (_, Entry::Events(_)) => {}
            (sequence, Entry::Step { input, .. }) => {
                let bad =
                    |error: CodecError| Fault::damaged(&format!("journal entry {sequence}"), 0, error.to_string());
                if matches!(Input::decode(&input, &schemas).map_err(bad)?, Input::Tick(_)) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Why archive and quarantine cannot tell events up to an entry whose bytes are gone, if they cannot. All of them is read.
fn lacking(
    plan: &Plan,
    disk: &Arc<dyn Disk>,
    catalog: &Result<Option<Catalog>, Fault>,
    castoffs: &Castoffs,
    reduced: u64,
) -> Option<String> {
    let catalog = match catalog {
        Ok(Some(catalog)) if catalog.archived.sequence >= reduced => catalog,
        Ok(_) => return Some("archive/catalog: it is missing, or older than the record".to_string()),
        Err(fault) => return Some(fault.to_string()),
    };
    let cut_off = catalog
        .cutoffs
        .iter()
        .filter(|(_, cutoff)| cutoff.lets_go())
        .filter_map(|(source, cutoff)| Some(let_go_of(&plan.sources.get(usize::from(source))?.name, cutoff.facts)));
    let cut_off: Vec<String> = cut_off.collect();
    if !cut_off.is_empty() {
        return Some(cut_off.join("; "));
    }
    let archive = Archive::open(disk.clone(), shelves(plan), catalog.segments.clone(), catalog.next, BUCKET);
    let scrubbed = archive.and_then(|archive| archive.scrub()).and_then(|()| castoffs.scrub());
    scrubbed.err().map(|fault| fault.to_string())
}

/// Manifests that are sound with their chunks, newest first, and those that are not.
fn sound(checkpoints: &Checkpoints) -> Result<(Vec<Manifest>, Vec<Bad>), Fault> {
    let (mut manifests, mut damaged) = (Vec::new(), Vec::new());
    // Most chunks are named by several manifests.
    let mut sound = BTreeSet::new();
    for number in checkpoints.list()? {
        match checkpoints.verify_beside(number, &mut sound) {
            Ok(manifest) => manifests.push(manifest),
            Err(Fault::Newer { name, found, known }) => return Err(Fault::Newer { name, found, known }),
            Err(fault) => damaged.push((number, fault.to_string())),
        }
    }
    Ok((manifests, damaged))
}

/// What an instance is made of, but for its state.
struct Made<'p> {
    plan: &'p Plan,
    formats: &'p [Format],
    settings: Settings,
    disk: Arc<dyn Disk>,
    store: Box<dyn Store + 'p>,
    journal: Journal,
    checkpoints: Checkpoints,
    clock: Clock,
    identity: Identity,
    catalog: Option<Catalog>,
    castoffs: Castoffs,
}

impl<'p> Made<'p> {
    /// The instance with the state of a checkpoint, or with none.
    fn from(self, manifest: Option<Manifest>) -> Result<(Instance<'p>, Option<u64>), Fault> {
        let Made { plan, formats, settings, disk, store, journal, checkpoints, clock, identity, catalog, castoffs } =
            self;
        let there = catalog.clone().filter(|_| journal.reduced() > 0);
        let manifest = manifest.unwrap_or_else(|| beginning(plan, &identity, there));
        let from = Some(manifest.head.checkpoint).filter(|number| *number > 0);
        let index = Index::open(disk.clone(), &manifest.runs, manifest.next_run)?;
        let segments = manifest.segments.clone();
        let mut archive = Archive::open(disk.clone(), shelves(plan), segments, manifest.next_segment, BUCKET)?;
        archive.cut_off(&manifest.head.cutoffs);
        if manifest.head.ticks < manifest.archived.tick {
            archive.see_until(manifest.head.ticks);
        }
        let taken = Taken { offsets: manifest.head.offsets.clone(), input: manifest.head.input };
        let mut instance = Instance {
            plan,
            formats,
            shards: Shards::new(plan, settings.shards),
            resting: None,
            settings,
            clock,
            disk,
            store,
            journal,
            index,
            archive,
            checkpoints,
            chunks: manifest.chunks.clone(),
            watermarks: Watermarks::new(plan),
            // Until a decision says what they demand, sources demand nothing, whatever the configuration has today.
            guards: vec![Arc::default(); plan.sources.len()],
            taken,
            at: manifest.head.journal,
            head: manifest.head.clone(),
            rows: Vec::new(),
            aside: Vec::new(),
            notes: Vec::new(),
            rulings: Vec::new(),
            receipts: Receipts::default(),
            unjudged: BTreeSet::new(),
            changes: Changes::default(),
            spare: Changes::default(),
            winners: Winners::new(),
            seen_before: Judge::new(plan),
            told: Vec::new(),
            untold: Untold::default(),
            pieces: Vec::new(),
            archived: manifest.archived,
            catalog,
            castoffs,
            oldest: None,
            behind: 0,
            ticked: 0,
            cut: 0,
            refolded: 0,
            put_away: 0,
            recorded: manifest.head.ticked,
            bytes_since: 0,
            syncs: Spent::default(),
        };
        instance.shards.cutoffs.clone_from(&manifest.head.cutoffs);
        if from.is_some() {
            instance.load(&manifest)?;
        }
        Ok((instance, from))
    }
}

/// How the facts of each source stand in the archive.
pub fn shelves(plan: &Plan) -> Vec<Shelf> {
    plan.sources.iter().enumerate().map(|(number, source)| shelf(plan, number, source)).collect()
}

/// How the facts of a source stand in the archive: by the plain columns of the first pipeline's key.
fn shelf(plan: &Plan, number: usize, source: &slackwater_core::plan::Source) -> Shelf {
    let first = plan.pipelines.iter().find(|pipeline| usize::from(pipeline.source) == number);
    let columns = first.into_iter().flat_map(|pipeline| &pipeline.key);
    let plain = |expr: &Expr| match expr.node {
        Node::Input(field) => Some(field),
        _ => None,
    };
    let sort = columns.filter_map(|column| plain(&column.expr)).collect();
    Shelf { schema: source.schema.clone(), sort }
}

impl Instance<'_> {
    /// Reads the state that a manifest names, whatever the number of shards was then.
    fn load(&mut self, manifest: &Manifest) -> Result<(), Fault> {
        let name = format!("checkpoint {}", manifest.head.checkpoint);
        let bad = |error: CodecError| Fault::damaged(&name, error.at as u64, error.to_string());
        let mut reader = Reader::new(&manifest.state);
        self.load_state(&mut reader).and_then(|()| reader.finish()).map_err(bad)?;
        for chunk in &manifest.chunks {
            let content = self.checkpoints.read_chunk(chunk)?;
            let mut reader = Reader::new(&content);
            let mut load = || {
                for _ in 0..reader.varint()? {
                    let mut groups = Reader::new(reader.bytes()?);
                    Fold::decode_groups(self.plan, &mut groups, &mut self.shards.folds)?;
                    groups.finish()?;
                }
                Ok(())
            };
            load().map_err(bad)?;
            reader.finish().map_err(bad)?;
        }
        self.shards.folds.iter_mut().for_each(|fold| fold.written_down());
        self.shards.holds = Holds::of(&self.shards.folds);
        Ok(())
    }

    fn load_state(&mut self, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        self.watermarks = Watermarks::decode(self.plan, reader)?;
        // Counters add up, and frontiers are the furthest: one shard may have them all.
        self.shards.judges[0] = Judge::decode(self.plan, reader)?;
        for _ in 0..reader.varint()? {
            self.shards.folds[0].decode_head(reader)?;
        }
        let (first, others) = self.shards.folds.split_at_mut(1);
        others.iter_mut().for_each(|fold| fold.settle_as(&first[0]));
        self.ticked = reader.varint()?;
        self.cut = self.ticked;
        for (source, guards) in self.plan.sources.iter().zip(&mut self.guards) {
            *guards = Arc::new(Guards::decode(reader, &source.schema)?);
        }
        if reader.flag()? {
            self.seen_before = self.shards.judges[0].clone();
        } else {
            self.seen_before = Judge::decode(self.plan, reader)?;
            (self.told, self.untold) = (decode_told(reader)?, Untold::decode(self.plan, reader)?);
        }
        Ok(())
    }
}
