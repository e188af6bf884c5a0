//! Reading in pieces, for readers that come back for more: pages of rows, and what changed after a tick.
//!
//! A page is in the order of window start, then of what makes the row the one that it is, then of generation; a place in
//! that order says where the next page begins, whatever was committed in between.

use super::columns::bound;
use super::{Sqlite, damaged, fault, quote};
use crate::Fault;
use crate::store::{Ask, Kept};
use rusqlite::types::Value as Cell;
use rusqlite::{OptionalExtension, Row, params};
use slackwater_core::fold::Final;

/// A place in the order of pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Window start, in nanoseconds since the epoch, as the table has it: what does not fit in 64 bits is rounded there.
    pub start: i128,
    /// What makes the row the one that it is.
    pub row: Vec<u8>,
    /// Its generation.
    pub generation: u64,
}

impl Place {
    /// Where a row stands.
    pub fn of(row: &Final) -> Place {
        let mut id = Vec::new();
        row.put_id(&mut id);
        let start = match bound(row.window.start) {
            Cell::Real(rounded) => rounded as i128,
            _ => row.window.start,
        };
        Place { start, row: id, generation: row.generation }
    }
}

/// Which rows a page is of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// What is asked for.
    pub ask: Ask,
    /// Behind this place; from the first row without one.
    pub after: Option<&'a Place>,
}

/// The rows of a pipeline that one tick made visible.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// Number of the tick.
    pub tick: u64,
    /// Its recorded time, in nanoseconds since the epoch.
    pub at: i64,
    /// In output order.
    pub rows: Vec<Final>,
}

impl Sqlite {
    /// Reads several things as of one commit.
    ///
    /// # Errors
    /// Those of what is read.
    pub fn at_one_commit<T>(&mut self, read: impl FnOnce(&mut Sqlite) -> Result<T, Fault>) -> Result<T, Fault> {
        self.connection.execute_batch("BEGIN").map_err(fault)?;
        let found = read(self);
        // What fails here leaves no transaction behind, or one that the next BEGIN reports.
        self.connection.execute_batch("COMMIT").map_err(fault)?;
        found
    }

    /// Gives the rows of a page in order, until told to stop. Without generations each row is its newest one.
    ///
    /// # Errors
    /// When the store cannot be read, or a row is not what was written.
    pub fn page(
        &mut self,
        pipeline: u16,
        page: &Page<'_>,
        visit: &mut dyn FnMut(Kept) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let Page { ask, after } = page;
        let table = self.table(pipeline);
        let newest = match ask.generations {
            true => String::new(),
            false => format!(
                "AND NOT EXISTS (SELECT 1 FROM {table} n WHERE n._row = r._row AND n.generation > r.generation
                     AND (?3 IS NULL OR n._at <= ?3))"
            ),
        };
        // A bound that is never null lets the index be walked from the place on. Of bounds that the column rounds, what is asked
        // for decides.
        let from = after.map_or(i128::MIN, |place| place.start).max(ask.from.unwrap_or(i128::MIN));
        let text = format!(
            "SELECT r._row, r._body, r._tick, r._at FROM {table} r
             WHERE r.window_start >= ?1 AND (?2 IS NULL OR r.window_start <= ?2) AND (?3 IS NULL OR r._at <= ?3)
                 AND (?4 IS NULL OR (r.window_start, r._row, r.generation) > (?4, ?5, ?6)) {newest}
             ORDER BY r.window_start, r._row, r.generation"
        );
        let mut statement = self.connection.prepare(&text).map_err(fault)?;
        let (start, row, generation) = match after {
            Some(place) => (Some(bound(place.start)), Some(&place.row), Some(place.generation as i64)),
            None => (None, None, None),
        };
        let bounds = params![bound(from), ask.to.map(bound), ask.as_of, start, row, generation];
        let mut found = statement.query(bounds).map_err(fault)?;
        while let Some(row) = found.next().map_err(fault)? {
            let kept = self.read_row(pipeline, row)?;
            if ask.holds(&kept.row) && !visit(kept)? {
                break;
            }
        }
        Ok(())
    }

    /// The newest generation of a row, if it has any.
    ///
    /// # Errors
    /// When the store cannot be read, or the row is not what was written.
    pub fn newest(&mut self, pipeline: u16, row: &[u8]) -> Result<Option<Kept>, Fault> {
        let text = format!(
            "SELECT _row, _body, _tick, _at FROM {} WHERE _row = ?1 ORDER BY generation DESC LIMIT 1",
            self.table(pipeline)
        );
        let mut statement = self.connection.prepare(&text).map_err(fault)?;
        let mut found = statement.query([row]).map_err(fault)?;
        match found.next().map_err(fault)? {
            Some(row) => Ok(Some(self.read_row(pipeline, row)?)),
            None => Ok(None),
        }
    }

    /// The rows of a pipeline that the first tick behind `tick` made visible; none where nothing changed since.
    ///
    /// # Errors
    /// When the store cannot be read, or a row is not what was written.
    pub fn changed_after(&mut self, pipeline: u16, tick: u64) -> Result<Option<Changed>, Fault> {
        let table = self.table(pipeline);
        let after = i64::try_from(tick).unwrap_or(i64::MAX);
        let text = format!("SELECT _tick, _at FROM {table} WHERE _tick > ?1 ORDER BY _tick LIMIT 1");
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?));
        let Some((next, at)) = self.connection.query_row(&text, [after], read).optional().map_err(fault)? else {
            return Ok(None);
        };
        let text = format!("SELECT _row, _body, _tick, _at FROM {table} WHERE _tick = ?1");
        let mut statement = self.connection.prepare(&text).map_err(fault)?;
        let mut found = statement.query([next]).map_err(fault)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(fault)? {
            rows.push(self.read_row(pipeline, row)?.row);
        }
        rows.sort_by(Final::order);
        Ok(Some(Changed { tick: next as u64, at, rows }))
    }

    fn table(&self, pipeline: u16) -> String {
        quote(&format!("{}_rows", self.plan.pipelines[usize::from(pipeline)].name))
    }

    /// A row of `_row, _body, _tick, _at`.
    fn read_row(&self, pipeline: u16, row: &Row<'_>) -> Result<Kept, Fault> {
        let blob = |at: usize| {
            row.get_ref(at).map_err(fault)?.as_blob().map_err(|_| damaged("a row or a body that is no blob"))
        };
        let kept = self.kept(pipeline, blob(1)?, blob(0)?)?;
        let (tick, at) = (row.get::<_, i64>(2).map_err(fault)? as u64, row.get(3).map_err(fault)?);
        Ok(Kept { row: kept, tick, at })
    }
}
