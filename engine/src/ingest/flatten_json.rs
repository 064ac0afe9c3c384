//! Flattens nested JSON rows: objects become dotted paths, arrays become rows (or texts).
//!
//! Invariant: within one object, `zip` advances arrays together and repeats single values; `cartesian` makes every
//! combination, the last array varying fastest. An index value that would be repeated is an error, because its rows
//! would silently collide.

use std::borrow::Cow;

use ahash::AHashSet;

use super::cell::{JsonCell, distinct};
use super::intake::RowCells;
use super::staging::StagingMemory;
use crate::data::ListFlatten;
use crate::error::{DataError, FlattenBound, Result};

/// Maximum number of rows made from one row: a few bytes of `cartesian` input can multiply to more rows than fit into
/// memory.
const MAX_ROWS_PER_ROW: usize = 1_000_000;

/// A budget of cells that flattening may make, proportional to the number of values given, so that memory stays
/// proportional to the input. A row counts as a cell, and so does each [`BYTES_A_CELL`] of text.
#[derive(Debug)]
pub(super) struct Allowance<'m> {
    left: std::cell::Cell<usize>,
    /// Cells made of the row that is being flattened, and the most that are reserved for one.
    row_cells: std::cell::Cell<usize>,
    reserved_cells: std::cell::Cell<usize>,
    memory: Option<&'m StagingMemory>,
}

/// Cells per value given, which allows long arrays beside this many single values.
const CELLS_A_VALUE: usize = 64;
/// Cells granted in advance: about 100 MB, for products of short arrays.
const FREE_CELLS: usize = 1 << 20;
const BYTES_A_CELL: usize = 64;

/// Bytes of a cell of a row that is being flattened.
const ROW_CELL_BYTES: usize = 64;
/// Cells of a row for which no memory is reserved: a small write stays a small one.
const UNRESERVED_CELLS: usize = 256;

impl Default for Allowance<'_> {
    fn default() -> Self {
        Allowance {
            left: FREE_CELLS.into(),
            row_cells: 0.into(),
            reserved_cells: UNRESERVED_CELLS.into(),
            memory: None,
        }
    }
}

impl<'m> Allowance<'m> {
    /// Reserves the memory of rows that are being flattened.
    pub(super) fn reserving(self, memory: &'m StagingMemory) -> Self {
        Allowance { memory: Some(memory), ..self }
    }

    /// Adds the budget of one more row, before it is flattened.
    pub(super) fn grant(&self, row: &RowCells<'_>) {
        let num_values: usize = row.iter().map(|(_, cell)| num_values(cell)).sum();
        self.left.set(self.left.get().saturating_add(num_values.saturating_mul(CELLS_A_VALUE)));
        self.row_cells.set(0);
    }

    fn spend(&self, num_cells: usize, path: &str) -> Result<()> {
        match self.left.get().checked_sub(num_cells) {
            Some(left) => {
                self.left.set(left);
                self.reserve(num_cells)
            }
            None => {
                let bound = FlattenBound::Cells { for_each: CELLS_A_VALUE, free: FREE_CELLS };
                Err(DataError::Flatten { path: Some(path.to_owned()), bound }.into())
            }
        }
    }
}

impl Allowance<'_> {
    fn reserve(&self, num_cells: usize) -> Result<()> {
        let row_cells = self.row_cells.get().saturating_add(num_cells);
        self.row_cells.set(row_cells);
        let more = row_cells.saturating_sub(self.reserved_cells.get());
        if let Some(memory) = self.memory.filter(|_| more > 0) {
            memory.grow(more.saturating_mul(ROW_CELL_BYTES))?;
            self.reserved_cells.set(row_cells);
        }
        Ok(())
    }
}

fn num_values(value: &JsonCell<'_>) -> usize {
    match value {
        JsonCell::Array(items) => items.iter().map(num_values).sum::<usize>() + 1,
        JsonCell::Object(members) => members.iter().map(|(_, value)| num_values(value)).sum::<usize>() + 1,
        _ => 1,
    }
}

/// Returns the cost of a copy of these records.
fn num_cells(records: &[RowCells<'_>]) -> usize {
    records.iter().map(|record| 1 + record.len()).sum::<usize>() + text_len(records) / BYTES_A_CELL
}

fn text_len(records: &[RowCells<'_>]) -> usize {
    let cells = records.iter().flatten();
    cells
        .map(|(_, cell)| match cell {
            JsonCell::Text(text) | JsonCell::Spelled { text, .. } => text.len(),
            JsonCell::Stringified(text) => text.len(),
            _ => 0,
        })
        .sum()
}

pub(super) struct Flattener<'t> {
    pub(super) allowance: &'t Allowance<'t>,
    pub(super) list_flatten: ListFlatten,
    pub(super) index: Option<&'t str>,
    pub(super) is_update: bool,
    pub(super) row_in_error: Option<usize>,
}

/// Maximum bytes of text repeated across the rows made from one row: one long text beside one long array could exhaust
/// memory.
const MAX_REPEATED_BYTES: usize = 256 << 20;

/// The flattened alternatives of one value, one per row made. Never empty.
type Records<'de> = Vec<RowCells<'de>>;

impl Flattener<'_> {
    /// Flattens one row.
    pub(super) fn flatten<'de>(&self, cells: &mut RowCells<'de>) -> Result<Records<'de>> {
        let members = distinct(std::mem::take(cells));
        let repeats_index = self.list_flatten != ListFlatten::Stringify
            && self.index.is_some_and(|index| {
                let members: Vec<(&str, &JsonCell<'_>)> =
                    members.iter().map(|(key, cell)| (&**key, cell)).collect();
                repeats_index_in_row(&members, index, self.list_flatten)
            });
        let mut expanded = Vec::with_capacity(members.len());
        for (key, cell) in members {
            let records = self.expand(key.to_string(), cell)?;
            expanded.push((key, records));
        }
        let rows = self.combine(expanded)?;
        if let Some(index) = self.index.filter(|_| repeats_index && (!self.is_update || rows.len() > 1)) {
            let verb = if self.is_update { "update" } else { "create" };
            return Err(DataError::RepeatedIndex { verb, index: index.to_owned(), is_arrow: false }.into());
        }
        for row in &rows {
            let mut paths = AHashSet::new();
            if let Some((path, _)) = row.iter().find(|(path, _)| !paths.insert(path)) {
                return Err(DataError::PathConflict { path: path.to_string() }.into());
            }
        }
        Ok(rows)
    }

    fn expand<'de>(&self, path: String, cell: JsonCell<'de>) -> Result<Records<'de>> {
        match cell {
            JsonCell::Object(members) => {
                let mut expanded = Vec::with_capacity(members.len());
                for (key, value) in members {
                    let records = self.expand(format!("{path}.{key}"), value)?;
                    expanded.push((key, records));
                }
                self.combine(expanded)
            }
            array @ JsonCell::Array(_) if self.list_flatten == ListFlatten::Stringify => {
                let text = serde_json::to_string(&array).map_err(|error| DataError::UnreadableColumn {
                    column: path.clone(),
                    arrow_type: None,
                    reason: error.to_string(),
                })?;
                Ok(vec![vec![(Cow::Owned(path), JsonCell::Stringified(text))]])
            }
            JsonCell::Array(items) => {
                let mut records = Vec::with_capacity(items.len());
                for item in items {
                    records.extend(self.expand(path.clone(), item)?);
                    check_rows(records.len(), &path)?;
                }
                if records.is_empty() {
                    // When a table is created, an empty array reveals nothing about its column; in an update it clears
                    // the cell.
                    records.push(if self.is_update {
                        vec![(Cow::Owned(path), JsonCell::Null)]
                    } else {
                        Vec::new()
                    });
                }
                Ok(records)
            }
            scalar => {
                self.allowance.spend(2, &path)?;
                Ok(vec![vec![(Cow::Owned(path), scalar)]])
            }
        }
    }

    fn combine<'de>(&self, members: Vec<(Cow<'de, str>, Records<'de>)>) -> Result<Records<'de>> {
        match self.list_flatten {
            ListFlatten::Zip | ListFlatten::Stringify => self.zip(members),
            ListFlatten::Cartesian => self.product(members),
        }
    }

    fn zip<'de>(&self, members: Vec<(Cow<'de, str>, Records<'de>)>) -> Result<Records<'de>> {
        let mut longest: Option<(&str, usize)> = None;
        for (key, records) in members.iter().filter(|(_, records)| records.len() != 1) {
            match longest {
                Some((first, len)) if len != records.len() => {
                    return Err(DataError::ListLengths {
                        first: first.to_owned(),
                        first_len: len,
                        second: key.to_string(),
                        second_len: records.len(),
                        row: self.row_in_error,
                        is_arrow: false,
                    }
                    .into());
                }
                Some(_) => {}
                None => longest = Some((key, records.len())),
            }
        }
        let num_rows = longest.map_or(1, |(_, len)| len);
        let mut rows: Records<'de> = vec![Vec::new(); num_rows];
        for (key, records) in members {
            if records.len() == 1 {
                check_repeats(&records, num_rows, &key)?;
                self.allowance.spend(num_cells(&records).saturating_mul(num_rows), &key)?;
                for row in &mut rows {
                    row.extend(records[0].iter().cloned());
                }
            } else {
                rows.iter_mut().zip(records).for_each(|(row, record)| row.extend(record));
            }
        }
        Ok(rows)
    }
}

impl Flattener<'_> {
    fn product<'de>(&self, members: Vec<(Cow<'de, str>, Records<'de>)>) -> Result<Records<'de>> {
        let mut rows: Records<'de> = vec![Vec::new()];
        for (key, records) in members {
            check_rows(rows.len().saturating_mul(records.len()), &key)?;
            check_repeats(&records, rows.len(), &key)?;
            check_repeats(&rows, records.len(), &key)?;
            let copies = num_cells(&rows).saturating_mul(records.len());
            self.allowance
                .spend(copies.saturating_add(num_cells(&records).saturating_mul(rows.len())), &key)?;
            rows = rows
                .iter()
                .flat_map(|row| {
                    let joined = |record| row.iter().chain(record).cloned().collect::<RowCells<'de>>();
                    records.iter().map(joined)
                })
                .collect();
        }
        Ok(rows)
    }
}

/// Collects the flattened paths below `path` at which `value` has anything but nulls, in order of appearance.
pub(super) fn paths_with_values(
    path: String,
    value: &JsonCell<'_>,
    mode: ListFlatten,
    paths: &mut Vec<String>,
) {
    match value {
        JsonCell::Null => {}
        JsonCell::Object(members) => {
            for (key, value) in members {
                paths_with_values(format!("{path}.{key}"), value, mode, paths);
            }
        }
        JsonCell::Array(items) if mode != ListFlatten::Stringify => {
            for item in items {
                paths_with_values(path.clone(), item, mode, paths);
            }
        }
        _ if paths.contains(&path) => {}
        _ => paths.push(path),
    }
}

fn check_rows(num_rows: usize, path: &str) -> Result<()> {
    if num_rows <= MAX_ROWS_PER_ROW {
        return Ok(());
    }
    Err(DataError::Flatten { path: Some(path.to_owned()), bound: FlattenBound::RowsOfOne(MAX_ROWS_PER_ROW) }
        .into())
}

fn check_repeats(records: &Records<'_>, num_repeats: usize, path: &str) -> Result<()> {
    let num_bytes = text_len(records);
    if num_repeats == 1 || num_bytes.saturating_mul(num_repeats) <= MAX_REPEATED_BYTES {
        return Ok(());
    }
    Err(DataError::Flatten {
        path: Some(path.to_owned()),
        bound: FlattenBound::TextBytes(MAX_REPEATED_BYTES),
    }
    .into())
}

fn repeats_index_in_row(members: &[(&str, &JsonCell<'_>)], index: &str, mode: ListFlatten) -> bool {
    let is_array_in = |cell: &JsonCell<'_>| has_array(cell);
    let Some(holder) = members.iter().position(|(key, cell)| match index.strip_prefix(key) {
        Some("") => true,
        Some(rest) => rest.starts_with('.') && cell.is_nested(),
        None => false,
    }) else {
        return false;
    };
    let (key, cell) = members[holder];
    let mut others = members.iter().enumerate().filter(|(position, _)| *position != holder);
    let has_other_array = others.any(|(_, (_, cell))| is_array_in(cell));
    if !cell.is_nested() {
        return has_other_array;
    }
    let rest = index[key.len()..].trim_start_matches('.');
    repeats_within(cell, rest, mode)
        || has_other_array && (mode == ListFlatten::Cartesian || !is_listed(cell, rest))
}

/// Returns whether the index at `path` below `value` is repeated by arrays below `value`.
fn repeats_within(value: &JsonCell<'_>, path: &str, mode: ListFlatten) -> bool {
    match value {
        JsonCell::Array(items) => items.iter().any(|item| repeats_within(item, path, mode)),
        JsonCell::Object(members) => {
            let members: Vec<(&str, &JsonCell<'_>)> =
                members.iter().map(|(key, cell)| (&**key, cell)).collect();
            repeats_index_in_row(&members, path, mode)
        }
        _ => false,
    }
}

/// Returns whether the value at `path` below `value` is drawn from an array.
fn is_listed(value: &JsonCell<'_>, path: &str) -> bool {
    match value {
        JsonCell::Array(_) => true,
        JsonCell::Object(members) => members.iter().any(|(key, value)| match path.strip_prefix(&**key) {
            Some("") => matches!(value, JsonCell::Array(_)),
            Some(rest) => rest.starts_with('.') && is_listed(value, &rest[1..]),
            None => false,
        }),
        _ => false,
    }
}

fn has_array(value: &JsonCell<'_>) -> bool {
    match value {
        JsonCell::Array(_) => true,
        JsonCell::Object(members) => members.iter().any(|(_, value)| has_array(value)),
        _ => false,
    }
}
