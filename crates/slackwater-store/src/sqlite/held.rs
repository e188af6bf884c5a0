//! The ledger of what was held: a line for every fact that came to be held, was released, or was taken away again.

use super::{Sqlite, damaged, fault};
use crate::Fault;
use crate::store::{Commit, Noted};
use rusqlite::{Transaction, params};
use slackwater_core::codec::Reader;
use slackwater_core::hold::{Fate, Note, Place};
use slackwater_core::plan::Plan;
use std::collections::BTreeMap;

/// The statement that makes the table.
pub(super) const TABLE: &str = "CREATE TABLE held (number INTEGER PRIMARY KEY, pipeline TEXT NOT NULL,
    source TEXT NOT NULL, fate TEXT NOT NULL, tick INTEGER NOT NULL, tick_at INTEGER NOT NULL, body BLOB NOT NULL);";

/// Adds what a commit brings.
pub(super) fn put(step: &Transaction<'_>, plan: &Plan, commit: &Commit<'_>) -> Result<(), Fault> {
    if commit.notes.is_empty() {
        return Ok(());
    }
    let text = "INSERT INTO held (number, pipeline, source, fate, tick, tick_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let mut insert = step.prepare(text).map_err(fault)?;
    let (tick, at) = commit.head.tick();
    let first = commit.head.notes.count - commit.notes.len() as u64;
    for (number, note) in (first..).zip(commit.notes) {
        let mut body = Vec::new();
        note.encode(&mut body);
        let fate = match note.fate {
            Fate::Held(_) => "held",
            Fate::Released => "released",
            Fate::Left => "left",
        };
        let pipeline = &plan.pipelines[usize::from(note.pipeline)].name;
        let source = &plan.sources[usize::from(note.source())].name;
        insert.execute(params![number as i64, pipeline, source, fate, tick as i64, at, body]).map_err(fault)?;
    }
    Ok(())
}

impl Sqlite {
    /// What is held, or was after a tick, in the order in which it came to be.
    ///
    /// # Errors
    /// When the store cannot be read, or a line is not what was written.
    pub fn held(&mut self, as_of: Option<u64>) -> Result<Vec<Noted>, Fault> {
        let mut held: BTreeMap<Place, Noted> = BTreeMap::new();
        self.read_notes(&mut |noted| {
            let place = (noted.note.pipeline, noted.note.identity.clone());
            match noted.note.fate {
                _ if as_of.is_some_and(|tick| noted.tick > tick) => {}
                Fate::Held(_) => drop(held.insert(place, noted)),
                _ => drop(held.remove(&place)),
            }
            Ok(())
        })?;
        let mut held: Vec<Noted> = held.into_values().collect();
        held.sort_by_key(|noted| noted.number);
        Ok(held)
    }

    pub(super) fn read_notes(&self, visit: &mut dyn FnMut(Noted) -> Result<(), Fault>) -> Result<(), Fault> {
        let text = "SELECT number, tick, tick_at, body FROM held ORDER BY number";
        let mut statement = self.connection.prepare(text).map_err(fault)?;
        let mut found = statement.query([]).map_err(fault)?;
        while let Some(row) = found.next().map_err(fault)? {
            let (number, tick) = (row.get::<_, i64>(0).map_err(fault)? as u64, row.get::<_, i64>(1).map_err(fault)?);
            let body: Vec<u8> = row.get(3).map_err(fault)?;
            let mut reader = Reader::new(&body);
            let note = Note::decode(&mut reader).and_then(|note| reader.finish().map(|()| note));
            let note = note.map_err(|error| damaged(format!("a line of what was held: {error}")))?;
            visit(Noted { number, note, tick: tick as u64, at: row.get(2).map_err(fault)? })?;
        }
        Ok(())
    }
}
