//! Events that were set aside, and the ledger of what became of them: a line for each that was judged again or discarded.

use super::{Sqlite, damaged, fault};
use crate::Fault;
use crate::store::{Aside, Commit};
use rusqlite::{Transaction, params};
use slackwater_core::codec::{CodecError, Reader};
use slackwater_core::plan::Plan;
use slackwater_core::quarantine::{Quarantined, Ruling};

/// The statements that make the tables.
pub(super) const TABLES: &str = "CREATE TABLE quarantine (number INTEGER PRIMARY KEY, source TEXT NOT NULL,
        file TEXT NOT NULL, line INTEGER NOT NULL, offset INTEGER NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL);
    CREATE TABLE rulings (number INTEGER PRIMARY KEY, event INTEGER NOT NULL, fate TEXT NOT NULL, at INTEGER NOT NULL,
        body BLOB NOT NULL);
    CREATE INDEX rulings_by_event ON rulings (event);";

/// Adds what a commit brings.
pub(super) fn put(step: &Transaction<'_>, plan: &Plan, commit: &Commit<'_>) -> Result<(), Fault> {
    let text = "INSERT INTO quarantine (number, source, file, line, offset, reason, body) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let mut insert = step.prepare(text).map_err(fault)?;
    let first = commit.head.quarantined.count - commit.quarantined.len() as u64;
    for (number, event) in (first..).zip(commit.quarantined) {
        let mut body = Vec::new();
        event.encode(&mut body);
        let reason = event.why.code();
        let source = &plan.sources[usize::from(event.source)].name;
        let (line, offset) = (event.position.line as i64, event.position.offset as i64);
        insert.execute(params![number as i64, source, &*event.part, line, offset, reason, body]).map_err(fault)?;
    }
    let text = "INSERT INTO rulings (number, event, fate, at, body) VALUES (?, ?, ?, ?, ?)";
    let mut insert = step.prepare(text).map_err(fault)?;
    let first = commit.head.rulings.count - commit.rulings.len() as u64;
    for (number, ruling) in (first..).zip(commit.rulings) {
        let mut body = Vec::new();
        ruling.encode(&mut body);
        let event = ruling.number as i64;
        insert.execute(params![number as i64, event, ruling.fate.code(), ruling.at, body]).map_err(fault)?;
    }
    Ok(())
}

impl Sqlite {
    /// Gives the events that were set aside, of all sources or of one, from a number on, until told to stop.
    ///
    /// # Errors
    /// When the store cannot be read, or an event is not what was written.
    pub fn set_aside(
        &mut self,
        source: Option<&str>,
        from: u64,
        visit: &mut dyn FnMut(Aside) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        // All that became of each, which is hardly ever more than one thing.
        let text = "SELECT q.number, q.body, r.body FROM quarantine q LEFT JOIN rulings r ON r.event = q.number
                    WHERE q.number >= ?1 AND (?2 IS NULL OR q.source = ?2) ORDER BY q.number, r.number";
        let mut statement = self.connection.prepare(text).map_err(fault)?;
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let mut found = statement.query(params![from, source]).map_err(fault)?;
        let mut last: Option<Aside> = None;
        while let Some(row) = found.next().map_err(fault)? {
            let number = row.get::<_, i64>(0).map_err(fault)? as u64;
            if last.as_ref().is_none_or(|aside| aside.number != number) {
                let event: Vec<u8> = row.get(1).map_err(fault)?;
                let event = read(&event, Quarantined::decode, "an event that was set aside")?;
                let before = last.replace(Aside::new(number, event));
                if let Some(before) = before
                    && !visit(before)?
                {
                    return Ok(());
                }
            }
            let ruling: Option<Vec<u8>> = row.get(2).map_err(fault)?;
            if let (Some(ruling), Some(aside)) = (ruling, &mut last) {
                let ruling = read(&ruling, Ruling::decode, "what became of an event that was set aside")?;
                if ruling.number != number {
                    return Err(damaged("what became of one event stands beside another"));
                }
                aside.rule(ruling);
            }
        }
        last.map_or(Ok(()), |aside| visit(aside).map(drop))
    }
}

impl Sqlite {
    pub(super) fn read_castoffs(&mut self, from: u64, visit: &mut dyn FnMut(Quarantined) -> bool) -> Result<(), Fault> {
        let text = "SELECT body FROM quarantine WHERE number >= ?1 ORDER BY number";
        let mut statement = self.connection.prepare(text).map_err(fault)?;
        let mut found = statement.query(params![i64::try_from(from).unwrap_or(i64::MAX)]).map_err(fault)?;
        while let Some(row) = found.next().map_err(fault)? {
            let event: Vec<u8> = row.get(0).map_err(fault)?;
            if !visit(read(&event, Quarantined::decode, "an event that was set aside")?) {
                break;
            }
        }
        Ok(())
    }
}

fn read<T>(body: &[u8], decode: impl FnOnce(&mut Reader<'_>) -> Result<T, CodecError>, what: &str) -> Result<T, Fault> {
    let mut reader = Reader::new(body);
    let found = decode(&mut reader).and_then(|found| reader.finish().map(|()| found));
    found.map_err(|error| damaged(format!("{what}: {error}")))
}
