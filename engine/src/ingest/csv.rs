//! CSV: comma separated, a header line, quotes doubled; types as the published server infers them.
//!
//! Law: the text is read in one pass, in as many parts as there are cores; what the parts read does not depend on where
//! they were cut. A column has the first type whose parser takes every value that is not null. Nulls are spelled; in a
//! text column nothing is null.

mod cells;
mod masks;
mod parse;
mod part;
mod split;
mod texts;
mod whole_fields;

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

use self::cells::{Kind, Reader};
use self::part::Cut;
use self::split::{Block, Splitter};
use super::unique_names;
use crate::data::{Batch, BatchColumn};
use crate::error::{EngineError, Result};
use crate::parallel::Threads;
use crate::schema::{Field, Schema, Storage};

/// Less text than this is not worth a thread of its own.
const PART_BYTES: usize = 1 << 20;

/// Bytes that are text.
pub(super) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| EngineError::data(format!("the text is not UTF-8: {error}")))
}

/// The columns of a new table.
pub(super) fn create(text: &str) -> Result<(Schema, Batch)> {
    create_on(text, Threads::for_bytes(text.len(), PART_BYTES))
}

fn create_on(text: &str, threads: Threads) -> Result<(Schema, Batch)> {
    let table = Table::open(text, threads)?;
    let width = table.names.len();
    let mut columns: Vec<Option<(Storage, ArrayRef)>> = vec![None; width];
    let mut kinds: Vec<Kind> = vec![Kind::FIRST; width];
    let mut num_rows;
    // Mostly one round; a column whose type is refuted far behind its start, or in one part only, is read once more.
    loop {
        let open = |column: usize| columns[column].is_none().then(|| Reader::inferring(kinds[column]));
        let parts = table.read(&open)?;
        num_rows = parts.iter().map(|part| part.num_rows).sum();
        let mut found: Vec<(usize, Vec<Reader>)> = Vec::new();
        let mut readers: Vec<_> = parts.into_iter().map(|part| part.readers).collect();
        for column in (0..width).filter(|column| columns[*column].is_none()) {
            let column_readers: Vec<Reader> =
                readers.iter_mut().filter_map(|readers| readers[column].take()).collect();
            kinds[column] = Kind::agreed(&column_readers);
            let is_agreed = column_readers.iter().all(|reader| reader.is_of(kinds[column]));
            if is_agreed || column_readers.iter().all(Reader::is_null) {
                found.push((column, column_readers));
            }
        }
        let is_last = found.len() == columns.iter().filter(|column| column.is_none()).count();
        for (column, inferred) in Threads::for_load(num_rows).deal(found, |(column, readers)| {
            let values = if readers.iter().all(Reader::is_null) {
                Ok((Storage::Utf8, Arc::new(StringArray::new_null(num_rows)) as ArrayRef))
            } else {
                let storage = kinds[column].storage();
                cells::join(readers, &table.names[column]).map(|values| (storage, values))
            };
            (column, values)
        }) {
            columns[column] = Some(inferred?);
        }
        if is_last {
            break;
        }
    }
    table.check_rows(num_rows)?;
    let mut fields = Vec::with_capacity(width);
    let mut batch = Batch { num_rows, ..Batch::default() };
    for (position, (name, inferred)) in table.names.into_iter().zip(columns).enumerate() {
        let (storage, values) = inferred.expect("the loop ends when every column is read");
        fields.push(Field::new(name, storage));
        batch.columns.push(BatchColumn { column: position, values, missing: None });
    }
    Ok((Schema::new(fields), batch))
}

/// Rows for the columns of `schema`; others are ignored.
pub(super) fn update(text: &str, schema: &Schema) -> Result<Batch> {
    update_on(text, schema, Threads::for_bytes(text.len(), PART_BYTES))
}

fn update_on(text: &str, schema: &Schema, threads: Threads) -> Result<Batch> {
    let table = Table::open(text, threads)?;
    let targets: Vec<Option<usize>> = table.names.iter().map(|name| schema.index_of(name)).collect();
    let open = |column: usize| Some(Reader::fixed(schema.field(targets[column]?).storage));
    let parts = table.read(&open)?;
    let num_rows = parts.iter().map(|part| part.num_rows).sum();
    table.check_rows(num_rows)?;
    let part_rows: Vec<usize> = parts.iter().map(|part| part.num_rows).collect();
    let mut readers: Vec<_> = parts.into_iter().map(|part| part.readers).collect();
    let mut found = Vec::new();
    for (csv_position, column) in
        targets.iter().enumerate().filter_map(|(position, target)| Some((position, (*target)?)))
    {
        let mut first_row = 0;
        let mut column_readers = Vec::with_capacity(readers.len());
        for (readers, num_rows) in readers.iter_mut().zip(&part_rows) {
            let reader = readers[csv_position].take().expect("a reader was opened for every target");
            if let Some((row, value)) = reader.misfit() {
                let type_name = cells::type_name(schema.field(column).storage);
                let row = first_row + row;
                return Err(EngineError::data(format!(
                    "Invalid: In CSV column #{csv_position}: CSV conversion error to {type_name}: invalid value \
                     '{value}' at index {row}"
                )));
            }
            first_row += num_rows;
            column_readers.push(reader);
        }
        found.push((csv_position, column, column_readers));
    }
    let mut batch = Batch { num_rows, ..Batch::default() };
    for (column, values) in Threads::for_load(num_rows).deal(found, |(csv_position, column, readers)| {
        (column, cells::join(readers, &table.names[csv_position]))
    }) {
        batch.columns.push(BatchColumn { column, values: values?, missing: None });
    }
    Ok(batch)
}

/// A text whose header is read.
struct Table<'t> {
    text: &'t str,
    names: Vec<String>,
    /// Where its rows begin, in each part.
    cut: Cut,
}

impl<'t> Table<'t> {
    fn open(text: &'t str, threads: Threads) -> Result<Table<'t>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut splitter = Splitter::new(text, 0, text.len());
        let mut header = Block::default();
        header.fill_one(&mut splitter)?;
        if header.num_rows() == 0 {
            return Err(EngineError::data("Invalid: Empty CSV file"));
        }
        let names = unique_names((0..header.width()).map(|column| header.get(text, 0, column).to_owned()));
        let cut = Cut::new(text, splitter.position(), threads);
        Ok(Table { text, names, cut })
    }

    /// All rows, into the readers that `open` gives for each column.
    fn read(&self, open: &(impl Fn(usize) -> Option<Reader> + Sync)) -> Result<Vec<part::Part>> {
        let open_all = || (0..self.names.len()).map(open).collect();
        self.cut.read(self.text, self.names.len(), &open_all)
    }

    fn check_rows(&self, num_rows: usize) -> Result<()> {
        if num_rows == 0 && !self.text.ends_with(['\n', '\r']) {
            return Err(EngineError::data(
                "Invalid: CSV parse error: Empty CSV file or block: cannot infer number of columns",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
