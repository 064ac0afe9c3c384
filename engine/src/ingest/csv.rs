//! CSV: fields between separators, a header line, doubled quotes; types as the published server infers them.
//!
//! Invariant: the result does not depend on how the text is divided into parts. A column has the first type whose
//! parser accepts every value that is not null. Nulls are recognised by spelling; in a text column only an empty field
//! is null, and a pair of quotes is the empty text. A column of integers, one of which exceeds 64 bits, is a text
//! column.
//!
//! Cost: one pass as a rule, in parallel on all cores.

mod cells;
mod dialect;
mod masks;
mod parse;
mod part;
mod split;
mod texts;
mod whole_fields;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type};

use self::cells::{CellReader, CsvKind, CsvNumbers};
use self::part::Cut;
use self::split::{Block, Splitter};
use super::{StagingMemory, UnknownNames, UpdateTarget, unique_names};
use crate::data::CsvOptions;
use crate::data::{Batch, BatchColumn};
use crate::error::{DataError, Result};
use crate::parallel::Threads;
use crate::types::schema::{Field, Schema, Storage};

/// Minimum size of a part that is worth a thread of its own.
const PART_BYTES: usize = 1 << 20;

/// Checks that bytes are UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| DataError::NotUtf8 { reason: error.to_string() }.into())
}

/// The text of these bytes, once there is memory for what it becomes.
pub(super) fn reserved<'t>(bytes: &'t [u8], options: CsvOptions, memory: &StagingMemory) -> Result<&'t str> {
    let text = text(bytes)?;
    memory.grow_csv(text, dialect::separator_of(options, text))?;
    Ok(text)
}

/// Reads the columns of a new table.
pub(super) fn create(
    text: &str,
    options: CsvOptions,
    index: Option<&str>,
    threads: Threads,
) -> Result<(Schema, Batch)> {
    create_on(text, options, index, threads.for_bytes(text.len(), PART_BYTES))
}

fn create_on(
    text: &str,
    options: CsvOptions,
    index: Option<&str>,
    threads: Threads,
) -> Result<(Schema, Batch)> {
    let table = CsvTable::open(text, options, threads)?;
    let width = table.names.len();
    let numbers = CsvNumbers { has_comma: options.has_decimal_comma(), is_key: false };
    // Float columns that may hold integers beyond a float's precision; their texts decide.
    let mut doubtful: Vec<Option<ArrayRef>> = vec![None; width];
    let mut columns: Vec<Option<(Storage, ArrayRef)>> = vec![None; width];
    let mut kinds: Vec<CsvKind> = vec![CsvKind::FIRST; width];
    let mut num_rows;
    // Usually one round; a column whose type is refuted late, or in one part only, is read again.
    loop {
        let open =
            |column: usize| columns[column].is_none().then(|| CellReader::inferring(kinds[column], numbers));
        let parts = table.read(&open)?;
        num_rows = parts.iter().map(|part| part.num_rows).sum();
        let mut found: Vec<(usize, Vec<CellReader>)> = Vec::new();
        let mut readers: Vec<_> = parts.into_iter().map(|part| part.readers).collect();
        for column in (0..width).filter(|column| columns[*column].is_none()) {
            let column_readers: Vec<CellReader> =
                readers.iter_mut().filter_map(|readers| readers[column].take()).collect();
            kinds[column] = CsvKind::agreed(&column_readers);
            let is_agreed = column_readers.iter().all(|reader| reader.is_of(kinds[column]));
            if is_agreed || column_readers.iter().all(CellReader::is_null) {
                found.push((column, column_readers));
            }
        }
        for (column, inferred) in threads.for_load(num_rows).deal(found, |(column, readers)| {
            let values = if readers.iter().all(CellReader::is_null) {
                Ok((Storage::Utf8, Arc::new(StringArray::new_null(num_rows)) as ArrayRef))
            } else {
                let storage = kinds[column].storage();
                cells::join(readers, &table.names[column]).map(|values| (storage, values))
            };
            (column, values)
        }) {
            let (storage, values) = inferred?;
            let is_index = index == Some(&*table.names[column]);
            columns[column] = match doubtful[column].take() {
                Some(floats) => Some(decided(floats, values, is_index, &table.names[column])?),
                None if storage == Storage::Float64 && may_round(&values, is_index) => {
                    doubtful[column] = Some(values);
                    kinds[column] = CsvKind::Text;
                    None
                }
                None => Some((storage, values)),
            };
        }
        if columns.iter().all(Option::is_some) {
            break;
        }
    }
    let mut fields = Vec::with_capacity(width);
    let mut batch = Batch { num_rows, ..Batch::default() };
    for (position, (name, inferred)) in table.names.into_iter().zip(columns).enumerate() {
        let (storage, values) = inferred.expect("the loop ends when every column is read");
        fields.push(Field::new(name, storage));
        batch.columns.push(BatchColumn { column: position, values, missing: None });
    }
    Ok((Schema::new(fields), batch))
}

/// Returns whether floats may be rounded integers: beyond 64 bits, or for an index beyond a float's precision.
fn may_round(floats: &ArrayRef, is_index: bool) -> bool {
    let bound = if is_index { 2_f64.powi(53) } else { 2_f64.powi(63) };
    let floats = floats.as_primitive::<Float64Type>();
    floats.iter().flatten().any(|value| value.is_finite() && value.abs() >= bound)
}

/// Returns a column of numbers as floats, or as their original texts if all are integers.
fn decided(floats: ArrayRef, texts: ArrayRef, is_index: bool, name: &str) -> Result<(Storage, ArrayRef)> {
    let values = floats.as_primitive::<Float64Type>();
    let spelled = |row: usize| match texts.data_type() {
        DataType::Dictionary(..) => {
            let coded = texts.as_dictionary::<Int32Type>();
            coded.values().as_string::<i32>().value(coded.keys().value(row) as usize)
        }
        _ => texts.as_string::<i32>().value(row),
    };
    let mut given = (0..values.len()).filter(|row| values.is_valid(*row));
    if given.clone().all(|row| parse::is_digits(spelled(row))) {
        return Ok((Storage::Utf8, texts));
    }
    let is_rounded =
        |row: usize| parse::is_digits(spelled(row)) && !parse::is_exactly(values.value(row), spelled(row));
    if is_index && given.any(is_rounded) {
        return Err(DataError::InexactIndex { column: name.to_owned() }.into());
    }
    Ok((Storage::Float64, floats))
}

/// Reads rows for the columns of the target's schema; the target decides whether others are ignored or an error.
/// Without a header, fields belong to the first columns by position.
pub(super) fn update(
    text: &str,
    options: CsvOptions,
    target: UpdateTarget<'_>,
    threads: Threads,
) -> Result<Batch> {
    update_on(text, options, target, threads.for_bytes(text.len(), PART_BYTES))
}

fn update_on(text: &str, options: CsvOptions, target: UpdateTarget<'_>, threads: Threads) -> Result<Batch> {
    let schema = target.schema;
    let table = CsvTable::open(text, options, threads)?;
    let targets: Vec<Option<usize>> = match options.has_header() {
        true => table.names.iter().map(|name| schema.index_of(name)).collect(),
        false => (0..table.names.len()).map(|field| (field < schema.len()).then_some(field)).collect(),
    };
    let mut unknown = UnknownNames::default();
    for (name, _) in table.names.iter().zip(&targets).filter(|(_, target)| target.is_none()) {
        target.unknown_column(name)?;
        unknown.note(name);
    }
    let open = |column: usize| {
        let column = targets[column]?;
        let numbers =
            CsvNumbers { has_comma: options.has_decimal_comma(), is_key: target.index == Some(column) };
        Some(CellReader::fixed(schema.field(column).storage, numbers))
    };
    let parts = table.read(&open)?;
    let num_rows = parts.iter().map(|part| part.num_rows).sum();
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
                return Err(DataError::CsvCell {
                    column: csv_position,
                    row,
                    value: value.to_owned(),
                    type_name,
                }
                .into());
            }
            first_row += num_rows;
            column_readers.push(reader);
        }
        found.push((csv_position, column, column_readers));
    }
    let mut batch = Batch { num_rows, ..Batch::default() };
    for (column, values) in threads.for_load(num_rows).deal(found, |(csv_position, column, readers)| {
        (column, cells::join(readers, &table.names[csv_position]))
    }) {
        batch.columns.push(BatchColumn { column, values: values?, missing: None });
    }
    target.check_columns(&batch, unknown)?;
    Ok(batch)
}

/// A text whose header has been read.
struct CsvTable<'t> {
    text: &'t str,
    names: Vec<String>,
    /// Where the rows of each part start.
    cut: Cut,
}

impl<'t> CsvTable<'t> {
    fn open(text: &'t str, options: CsvOptions, threads: Threads) -> Result<CsvTable<'t>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let separator = dialect::separator_of(options, text);
        let mut splitter = Splitter::new(text, separator, 0, text.len());
        let mut first = Block::default();
        first.fill_one(&mut splitter)?;
        if first.num_rows() == 0 {
            return Err(DataError::CsvEmpty.into());
        }
        let (names, start) = match options.has_header() {
            true => {
                let names = (0..first.width()).map(|column| first.get(text, 0, column).to_owned());
                (unique_names(names), splitter.position())
            }
            false => ((1..=first.width()).map(|number| format!("column_{number}")).collect(), 0),
        };
        Ok(CsvTable { text, names, cut: Cut::new(text, separator, start, threads) })
    }

    /// Reads all rows into the readers that `open` creates for each column.
    fn read(&self, open: &(impl Fn(usize) -> Option<CellReader> + Sync)) -> Result<Vec<part::CsvPart>> {
        let open_all = || (0..self.names.len()).map(open).collect();
        self.cut.read(self.text, self.names.len(), &open_all)
    }
}

#[cfg(test)]
mod tests;
