//! The store of results as an SQLite file, which anyone can open read-only while the engine writes.
//!
//! SQLite goes past the [`crate::disk::Disk`] trait and has no checksums of its own, so the head and every row carry
//! theirs. The write-ahead log is synced with every commit.

mod aside;
mod columns;
mod held;
mod pages;

pub use pages::{Changed, Page, Place};

use crate::Fault;
use crate::crash::{self, CrashPoint};
use crate::disk::Onlooker;
use crate::store::{Aside, Ask, Between, Commit, Head, Kept, Noted, Receipt, Store, Sum, proof};
use columns::quote;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params, params_from_iter};
use slackwater_core::codec::Reader;
use slackwater_core::fold::Final;
use slackwater_core::plan::Plan;
use slackwater_core::quarantine::Quarantined;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Name of the file in the data directory.
pub const FILE: &str = "store.sqlite";

/// Version of the tables.
const FORMAT: u32 = 3;

/// Marks the file as ours: "slkw".
const APPLICATION: u32 = 0x736c_6b77;
/// Most memory for pages, as SQLite has it: 64 MiB.
const CACHE: &str = "-65536";

/// A row as it is stored: its identity, its body, and number and time of its tick.
type Raw = (Vec<u8>, Vec<u8>, u64, i64);

/// A store in a file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    plan: Arc<Plan>,
    /// Keeps everybody from a file that is read as one that never changes.
    _still: Option<Onlooker>,
}

impl Sqlite {
    /// Opens the store of a data directory to write, and makes it if it is not there.
    pub fn open(root: &Path, plan: Arc<Plan>) -> Result<Sqlite, Fault> {
        let path = root.join(FILE);
        let mut options = OpenOptions::new();
        let made = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
        made.map_err(|cause| Fault::disk(FILE, "create", cause))?;
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
        let pragma = |name, value: &str| connection.pragma_update(None, name, value).map_err(fault);
        pragma("journal_mode", "wal")?;
        pragma("synchronous", "full")?;
        pragma("cell_size_check", "on")?;
        pragma("trusted_schema", "off")?;
        // Pages of a large commit stay in memory until it is done.
        pragma("cache_size", CACHE)?;
        let mut store = Sqlite { connection, plan, _still: None };
        store.prepare()?;
        Ok(store)
    }

    /// Opens the store of a data directory to read, also while another process writes, and also where nothing can be written.
    pub fn read(root: &Path, plan: Arc<Plan>) -> Result<Sqlite, Fault> {
        let path = root.join(FILE);
        if !path.is_file() {
            return Err(Fault::Refused(format!("{FILE}: it is not there, so nothing was committed in this directory")));
        }
        // Readers and writer share a file beside the store. Who can write none reads the writer's, or what nobody changes.
        if rustix::fs::access(root, rustix::fs::Access::WRITE_OK).is_err()
            && let Ok(onlooker) = Onlooker::alone(root)
        {
            return Self::unchanging(&path, plan, onlooker);
        }
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(fault)?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(fault)?;
        let store = Sqlite { connection, plan, _still: None };
        store.known()?;
        Ok(store)
    }

    /// Opens the store of a directory in which nothing can be written, and which nobody uses.
    fn unchanging(path: &Path, plan: Arc<Plan>, onlooker: Onlooker) -> Result<Sqlite, Fault> {
        if path.with_file_name(format!("{FILE}-wal")).metadata().is_ok_and(|log| log.len() > 0) {
            let text = "its last commits are in the log beside it, which cannot be read where nothing can be written; copy the \
                        directory to where that can be done";
            return Err(Fault::Refused(format!("{FILE}: {text}")));
        }
        let mut uri = String::from("file:");
        for byte in path.as_os_str().as_encoded_bytes() {
            match byte.is_ascii_alphanumeric() || *byte == b'/' {
                true => uri.push(char::from(*byte)),
                false => uri.push_str(&format!("%{byte:02x}")),
            }
        }
        uri.push_str("?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri, flags).map_err(fault)?;
        let store = Sqlite { connection, plan, _still: Some(onlooker) };
        store.known()?;
        Ok(store)
    }

    /// From here on everything is read as of one commit, the one that is the newest at the first look.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn hold_still(&self) -> Result<(), Fault> {
        self.connection.execute_batch("BEGIN").map_err(fault)
    }

    /// Holds the file's format against the one that is known; false where it is empty.
    fn known(&self) -> Result<bool, Fault> {
        let number = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0)).map_err(fault);
        let (application, found) = (number("application_id")?, number("user_version")?);
        if application == 0 && found == 0 {
            return Ok(false);
        }
        if application != APPLICATION {
            return Err(Fault::damaged(FILE, 68, "this is no store of results"));
        }
        if found > FORMAT {
            return Err(Fault::Newer { name: FILE.to_string(), found, known: FORMAT });
        }
        if found < FORMAT {
            return Err(Fault::Older { name: FILE.to_string(), found, known: FORMAT });
        }
        Ok(true)
    }

    /// Makes the tables where there are none, all at once.
    fn prepare(&mut self) -> Result<(), Fault> {
        if self.known()? {
            return Ok(());
        }
        let mut text = format!(
            "CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, number INTEGER NOT NULL,
                 body BLOB NOT NULL, digest BLOB NOT NULL);
             CREATE TABLE receipts (number INTEGER PRIMARY KEY, source TEXT NOT NULL, name TEXT NOT NULL,
                 body BLOB NOT NULL);
             CREATE TABLE offsets (source TEXT NOT NULL, part TEXT NOT NULL, offset INTEGER NOT NULL,
                 line INTEGER NOT NULL, ended INTEGER NOT NULL, PRIMARY KEY (source, part)) WITHOUT ROWID;
             CREATE TABLE counts (source TEXT PRIMARY KEY, received INTEGER NOT NULL, facts INTEGER NOT NULL,
                 duplicates INTEGER NOT NULL, superseded INTEGER NOT NULL, conflicts INTEGER NOT NULL,
                 beyond_retention INTEGER NOT NULL, quarantined INTEGER NOT NULL) WITHOUT ROWID;
             PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};"
        );
        text.push_str(aside::TABLES);
        text.push_str(held::TABLE);
        self.plan.pipelines.iter().for_each(|pipeline| text.push_str(&columns::schema(pipeline)));
        let step = self.connection.transaction().map_err(fault)?;
        step.execute_batch(&text).map_err(fault)?;
        step.commit().map_err(fault)
    }

    fn kept(&self, pipeline: u16, body: &[u8], row: &[u8]) -> Result<Final, Fault> {
        let mut reader = Reader::new(body);
        let read = Final::decode(&self.plan, &mut reader).and_then(|found| reader.finish().map(|()| found));
        let found = read.map_err(|error| damaged(format!("a row: {error}")))?;
        let mut id = Vec::new();
        found.put_id(&mut id);
        if found.pipeline != pipeline || id != row {
            return Err(damaged("a row that stands under another name"));
        }
        Ok(found)
    }

    /// The sum over the rows of a pipeline. Each column is held against the body, for rows are asked for by columns, and
    /// people read nothing else.
    fn sum_of_rows(&self, number: u16) -> Result<Sum, Fault> {
        let pipeline = &self.plan.pipelines[usize::from(number)];
        let table = format!("{}_rows", pipeline.name);
        let mut statement =
            self.connection.prepare(&format!("SELECT * FROM {} NOT INDEXED", quote(&table))).map_err(fault)?;
        let mut found = statement.query([]).map_err(fault)?;
        let mut sum = Sum::default();
        while let Some(row) = found.next().map_err(fault)? {
            let blob = |at: usize| {
                row.get_ref(at).map_err(fault)?.as_blob().map_err(|_| damaged(format!("a row of `{table}` is no blob")))
            };
            let last = row.as_ref().column_count().saturating_sub(1);
            let body = blob(last)?;
            let cells = columns::cells(pipeline, &self.kept(number, body, blob(0)?)?);
            for (cell, at) in cells.iter().zip(1..) {
                if !columns::is_same(cell, row.get_ref(at).map_err(fault)?) {
                    return Err(damaged(format!("the columns of a row of `{table}` are not those of its body")));
                }
            }
            let tick = row.get::<_, i64>(last.saturating_sub(2)).map_err(fault)? as u64;
            sum.add(proof(body, (tick, row.get(last.saturating_sub(1)).map_err(fault)?)));
        }
        Ok(sum)
    }

    fn sum(&self, sql: &str) -> Result<Sum, Fault> {
        let mut statement = self.connection.prepare(sql).map_err(fault)?;
        let mut found = statement.query([]).map_err(fault)?;
        let mut sum = Sum::default();
        while let Some(row) = found.next().map_err(fault)? {
            let body = row.get_ref(0).map_err(fault)?.as_blob().map_err(|_| damaged("a body that is no blob"))?;
            sum.add(proof(body, (row.get::<_, i64>(1).map_err(fault)? as u64, row.get(2).map_err(fault)?)));
        }
        Ok(sum)
    }
}

impl Store for Sqlite {
    fn head(&mut self) -> Result<Option<Head>, Fault> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?));
        let found = self.connection.query_row("SELECT body, digest FROM head", [], read).optional().map_err(fault)?;
        let Some((body, digest)) = found else {
            // The head is written with the first rows and never removed.
            let mut rows = self.plan.pipelines.iter().map(|pipeline| quote(&format!("{}_rows", pipeline.name)));
            let full = |table: String| {
                let text = format!("SELECT EXISTS (SELECT 1 FROM {table})");
                self.connection.query_row(&text, [], |row| row.get::<_, bool>(0)).map_err(fault)
            };
            return match rows.try_fold(false, |any, table| Ok::<_, Fault>(any || full(table)?))? {
                true => Err(damaged("rows without a head")),
                false => Ok(None),
            };
        };
        if blake3::hash(&body).as_bytes()[..] != digest {
            return Err(damaged("the head does not have its digest"));
        }
        let mut reader = Reader::new(&body);
        let head = Head::decode(&mut reader).and_then(|head| reader.finish().map(|()| head));
        Ok(Some(head.map_err(|error| damaged(format!("the head: {error}")))?))
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), Fault> {
        let plan = self.plan.clone();
        let step =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(fault)?;
        put_head(&step, commit.head)?;
        crash::point(CrashPoint::OffsetsBeforeAside)?;
        put_rows(&step, &plan, commit)?;
        crash::point(CrashPoint::RowsPut)?;
        aside::put(&step, &plan, commit)?;
        held::put(&step, &plan, commit)?;
        put_receipts(&step, &plan, commit)?;
        crash::point(CrashPoint::AsideBeforeOffsets)?;
        put_ledgers(&step, &plan, commit.head)?;
        step.commit().map_err(fault)?;
        crash::point(CrashPoint::AnswerLost)
    }

    fn rows(
        &mut self,
        pipeline: u16,
        ask: &Ask,
        visit: &mut dyn FnMut(Kept) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let table = quote(&format!("{}_rows", self.plan.pipelines[usize::from(pipeline)].name));
        // The sums of the head hold the tables and not their indexes, so rows are read from the table, in its order. A bar's
        // window moves with its first fact, so which generation is the newest is found out before where it lies.
        let text = format!(
            "SELECT _row, _body, _tick, _at FROM {table} WHERE ?1 IS NULL OR _at <= ?1 ORDER BY _row, generation"
        );
        let mut statement = self.connection.prepare(&text).map_err(fault)?;
        let mut found = statement.query(params![ask.as_of]).map_err(fault)?;
        let mut give = |(id, body, tick, at): Raw| {
            let row = self.kept(pipeline, &body, &id)?;
            if ask.holds(&row) { visit(Kept { row, tick, at }) } else { Ok(()) }
        };
        let mut last: Option<Raw> = None;
        while let Some(row) = found.next().map_err(fault)? {
            let id: Vec<u8> = row.get(0).map_err(fault)?;
            let body = row.get_ref(1).map_err(fault)?.as_blob().map_err(|_| damaged("a body that is no blob"))?;
            let (tick, at) = (row.get::<_, i64>(2).map_err(fault)? as u64, row.get(3).map_err(fault)?);
            if let Some(before) = last.take()
                && (ask.generations || before.0 != id)
            {
                give(before)?;
            }
            last = Some((id, body.to_vec(), tick, at));
        }
        last.map_or(Ok(()), give)
    }

    fn newest(&mut self, pipeline: u16, spans: &[Between], tick: u64) -> Result<Vec<Vec<Final>>, Fault> {
        let table = quote(&format!("{}_rows", self.plan.pipelines[usize::from(pipeline)].name));
        let text = format!(
            "SELECT _row, _body FROM {table} WHERE _row BETWEEN ?1 AND ?2 AND _tick <= ?3 ORDER BY _row, generation DESC"
        );
        let mut statement = self.connection.prepare(&text).map_err(fault)?;
        let mut find = |(from, to): &Between| {
            let mut found = statement.query(params![from, to, tick as i64]).map_err(fault)?;
            let (mut newest, mut last): (Vec<Final>, Option<Vec<u8>>) = (Vec::new(), None);
            while let Some(row) = found.next().map_err(fault)? {
                let id: Vec<u8> = row.get(0).map_err(fault)?;
                if last.as_ref() != Some(&id) {
                    let body: Vec<u8> = row.get(1).map_err(fault)?;
                    newest.push(self.kept(pipeline, &body, &id)?);
                    last = Some(id);
                }
            }
            Ok(newest)
        };
        spans.iter().map(&mut find).collect()
    }

    fn aside(&mut self, from: u64, visit: &mut dyn FnMut(Aside) -> Result<bool, Fault>) -> Result<(), Fault> {
        self.set_aside(None, from, visit)
    }

    fn castoffs(&mut self, from: u64, visit: &mut dyn FnMut(Quarantined) -> bool) -> Result<(), Fault> {
        self.read_castoffs(from, visit)
    }

    fn notes(&mut self, visit: &mut dyn FnMut(Noted) -> Result<(), Fault>) -> Result<(), Fault> {
        self.read_notes(visit)
    }

    fn receipts(&mut self, visit: &mut dyn FnMut(Receipt) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut statement = self.connection.prepare("SELECT body FROM receipts ORDER BY number").map_err(fault)?;
        let mut found = statement.query([]).map_err(fault)?;
        while let Some(row) = found.next().map_err(fault)? {
            let body: Vec<u8> = row.get(0).map_err(fault)?;
            let mut reader = Reader::new(&body);
            let receipt = Receipt::decode(&mut reader).and_then(|receipt| reader.finish().map(|()| receipt));
            visit(receipt.map_err(|error| damaged(format!("the answer to a delivery: {error}")))?)?;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), Fault> {
        // Sums are of rows, and say nothing of what leads to them.
        let said: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fault)?;
        if said != "ok" {
            return Err(damaged(said.replace('\n', " ")));
        }
        let Some(head) = self.head()? else { return Ok(()) };
        for (number, (pipeline, expected)) in (0..).zip(self.plan.pipelines.iter().zip(&head.rows)) {
            let (rows, current) = (format!("{}_rows", pipeline.name), format!("{}_current", pipeline.name));
            if self.sum_of_rows(number)? != *expected {
                return Err(damaged(format!("the rows of `{}` are not those that were committed", pipeline.name)));
            }
            let text = format!(
                "SELECT (SELECT count(*) FROM {current}) != (SELECT count(DISTINCT _row) FROM {rows}) OR EXISTS (SELECT 1
                 FROM {current} c WHERE generation IS NOT (SELECT max(generation) FROM {rows} r WHERE r._row = c._row))",
                current = quote(&current),
                rows = quote(&rows)
            );
            if self.connection.query_row(&text, [], |row| row.get(0)).map_err(fault)? {
                return Err(damaged(format!("the current rows of `{}` are not the newest", pipeline.name)));
            }
        }
        if self.sum("SELECT body, number, 0 FROM quarantine")? != head.quarantined {
            return Err(damaged("the events that were set aside are not those that were committed"));
        }
        if self.sum("SELECT body, number, 0 FROM rulings")? != head.rulings {
            return Err(damaged("the ledger of what became of them is not the one that was committed"));
        }
        if self.sum("SELECT body, tick, tick_at FROM held")? != head.notes {
            return Err(damaged("the ledger of what was held is not the one that was committed"));
        }
        if self.sum("SELECT body, number, 0 FROM receipts")? != head.receipts {
            return Err(damaged("the answers to deliveries are not those that were committed"));
        }
        Ok(())
    }
}

/// Puts the new head in the place of the one before it. An older owner finds none.
fn put_head(step: &Transaction<'_>, head: &Head) -> Result<(), Fault> {
    let mut body = Vec::new();
    head.encode(&mut body);
    let digest = blake3::hash(&body);
    let (epoch, number) = (head.epoch as i64, head.commit as i64);
    let changed = step
        .execute(
            "INSERT INTO head (id, epoch, number, body, digest) SELECT 1, ?1, ?2, ?3, ?4
             WHERE ?2 = 1 OR EXISTS (SELECT 1 FROM head)
             ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, number = excluded.number, body = excluded.body,
                 digest = excluded.digest
             WHERE head.epoch <= excluded.epoch AND head.number + 1 = excluded.number",
            params![epoch, number, body, digest.as_bytes()],
        )
        .map_err(fault)?;
    if changed == 1 {
        return Ok(());
    }
    let known = "SELECT epoch, number FROM head";
    let known = step.query_row(known, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    let known = known.optional().map_err(fault)?.unwrap_or_default();
    Err(Fault::Refused(format!(
        "{FILE}: commit {number} of owner {epoch} is refused: the store is at commit {} of owner {}; another process owns \
         this directory now",
        known.1, known.0
    )))
}

fn put_rows(step: &Transaction<'_>, plan: &Plan, commit: &Commit<'_>) -> Result<(), Fault> {
    let (tick, at) = commit.head.tick();
    let mut body = Vec::new();
    for group in commit.rows.chunk_by(|a, b| a.pipeline == b.pipeline) {
        let pipeline = &plan.pipelines[usize::from(group[0].pipeline)];
        let mut insert = step.prepare(&columns::insert(pipeline)).map_err(fault)?;
        let current = quote(&format!("{}_current", pipeline.name));
        let text = format!(
            "INSERT INTO {current} (_row, generation) VALUES (?1, ?2) ON CONFLICT (_row) DO UPDATE
             SET generation = excluded.generation WHERE excluded.generation > generation"
        );
        let mut newest = step.prepare(&text).map_err(fault)?;
        let ids = group.iter().map(|row| {
            let mut id = Vec::new();
            row.put_id(&mut id);
            (id, row)
        });
        let mut ids: Vec<_> = ids.collect();
        // In the order of their keys, so that each comes where the one before was put.
        ids.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (id, row) in ids {
            body.clear();
            row.encode(&mut body);
            let mut cells = vec![Cell::Blob(id.clone())];
            cells.append(&mut columns::cells(pipeline, row));
            cells.extend([Cell::Integer(tick as i64), Cell::Integer(at), Cell::Blob(body.clone())]);
            let added = insert.execute(params_from_iter(cells)).map_err(fault)?;
            if added != 1 {
                return Err(Fault::Refused(format!(
                    "{FILE}: generation {} of a row of `{}` is there already; nothing was committed",
                    row.generation, pipeline.name
                )));
            }
            crash::point(CrashPoint::HistoryBeforeCurrent)?;
            newest.execute(params![id, row.generation as i64]).map_err(fault)?;
        }
    }
    Ok(())
}

fn put_receipts(step: &Transaction<'_>, plan: &Plan, commit: &Commit<'_>) -> Result<(), Fault> {
    let text = "INSERT INTO receipts (number, source, name, body) VALUES (?, ?, ?, ?)";
    let mut insert = step.prepare(text).map_err(fault)?;
    for receipt in commit.receipts {
        let mut body = Vec::new();
        receipt.encode(&mut body);
        let source = &plan.sources[usize::from(receipt.source)].name;
        insert.execute(params![receipt.number as i64, source, receipt.name, body]).map_err(fault)?;
    }
    let first = commit.head.first_receipt as i64;
    step.execute("DELETE FROM receipts WHERE number < ?", [first]).map_err(fault)?;
    Ok(())
}

/// Offsets and counters for people to look at; the head has them too, under its digest.
fn put_ledgers(step: &Transaction<'_>, plan: &Plan, head: &Head) -> Result<(), Fault> {
    let text = "INSERT OR REPLACE INTO offsets (source, part, offset, line, ended) VALUES (?, ?, ?, ?, ?)";
    let mut insert = step.prepare(text).map_err(fault)?;
    for offset in &head.offsets {
        let source = &plan.sources[usize::from(offset.source)].name;
        let (at, line) = (offset.offset as i64, offset.line as i64);
        insert.execute(params![source, offset.part, at, line, offset.ended]).map_err(fault)?;
    }
    let text = "INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let mut insert = step.prepare(text).map_err(fault)?;
    for (source, counts) in plan.sources.iter().zip(&head.counts) {
        let numbers = [counts.received, counts.facts, counts.duplicates, counts.superseded, counts.conflicts];
        let [received, facts, duplicates, superseded, conflicts] = numbers.map(|number| number as i64);
        let [beyond, refused] = [counts.beyond_retention, counts.refused()].map(|number| number as i64);
        insert
            .execute(params![source.name, received, facts, duplicates, superseded, conflicts, beyond, refused])
            .map_err(fault)?;
    }
    Ok(())
}

fn damaged(what: impl Into<String>) -> Fault {
    Fault::damaged(FILE, 0, what)
}

/// What SQLite says, as a fault: damage is damage, a full disk is a full disk, the rest is what the disk refused.
fn fault(error: rusqlite::Error) -> Fault {
    use rusqlite::ErrorCode;
    use std::io::{Error, ErrorKind};
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(error.to_string()),
        Some(ErrorCode::DiskFull) => Fault::disk(FILE, "commit", Error::new(ErrorKind::StorageFull, error)),
        Some(_) => Fault::disk(FILE, "use", Error::other(error)),
        // A value of another type, a table or a column that is not there: not what was written.
        None => damaged(error.to_string()),
    }
}
