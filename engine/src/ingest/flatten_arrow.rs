//! Flattens nested Arrow columns: structs become dotted columns, lists become rows (or texts).
//!
//! Invariant: unlike in JSON, a list of length one does not broadcast; an empty one does, as null.
//!
//! Cost: level by level, by kernels. The lists of one level are expanded together into one list of row numbers per
//! column, then each column is taken once.

use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, AsArray, UInt64Array, make_array};
use ::arrow::buffer::NullBuffer;
use ::arrow::compute::take;
use ::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use ::arrow::error::ArrowError;

use super::arrow::{
    ArrowColumn, Columns, ItemRanges, codable, is_list, is_packed, json_texts, list_ranges, natural, spread,
    typed_error, unpacked,
};
use super::guard::reading_column;
use super::{MAX_CLAIMED_ROWS, StagingMemory, column_error};
use crate::data::ListFlatten;
use crate::error::{DataError, FlattenBound, Result};

#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) list_flatten: ListFlatten,
    pub(super) index: Option<&'a str>,
    pub(super) is_update: bool,
    /// Number of rows made from earlier batches of the same data.
    pub(super) rows_before: usize,
    pub(super) memory: &'a StagingMemory,
}

pub(super) fn flatten(mut data: Columns, context: Context<'_>) -> Result<Columns> {
    loop {
        data.columns = flatten_structs(data.columns)?;
        check_weight(&data, context)?;
        if !data.columns.iter().any(has_lists) {
            return Ok(data);
        }
        if context.list_flatten == ListFlatten::Stringify {
            for column in data.columns.iter_mut().filter(|column| has_lists(column)) {
                reading_column(&column.name);
                let texts = json_texts(&column.field, &column.values);
                column.values =
                    texts.map_err(|error| typed_error(&column.name, column.field.data_type(), &error))?;
                column.field = Arc::new(Field::new(&column.name, DataType::Utf8, true));
            }
            return Ok(data);
        }
        data = expand(data, context)?;
    }
}

/// Limits rows without any values: columns of nulls (or no columns) take no bytes, so a few bytes can claim any number
/// of rows.
fn check_weight(data: &Columns, context: Context<'_>) -> Result<()> {
    let is_weightless = data.columns.iter().all(|column| *column.values.data_type() == DataType::Null);
    if is_weightless && data.num_rows.saturating_add(context.rows_before) > MAX_CLAIMED_ROWS {
        return Err(DataError::TooManyRows { limit: MAX_CLAIMED_ROWS, what: "without any values" }.into());
    }
    Ok(())
}

fn has_lists(column: &ArrowColumn) -> bool {
    is_list(column.values.data_type())
}

fn flatten_structs(columns: Vec<ArrowColumn>) -> Result<Vec<ArrowColumn>> {
    let is_flat = |column: &ArrowColumn| {
        !is_packed(column.values.data_type()) && !matches!(column.values.data_type(), DataType::Struct(_))
    };
    if columns.iter().all(is_flat) {
        return Ok(columns);
    }
    let mut flat: Vec<ArrowColumn> = Vec::with_capacity(columns.len());
    let mut has_structs = false;
    for column in columns {
        push_flat(column, &mut flat, &mut has_structs)?;
    }
    if !has_structs {
        return Ok(flat);
    }
    let mut names = ahash::AHashSet::new();
    match flat.iter().find(|column| !names.insert(&column.name)) {
        None => Ok(flat),
        Some(column) => Err(DataError::PathConflict { path: column.name.to_string() }.into()),
    }
}

/// Decodes coded columns and flattens structs.
fn push_flat(column: ArrowColumn, flat: &mut Vec<ArrowColumn>, has_structs: &mut bool) -> Result<()> {
    let ArrowColumn { name, field, values } = column;
    reading_column(&name);
    if is_packed(values.data_type()) {
        let unpacked = unpacked(&field, &values);
        let (field, values) = unpacked.map_err(|error| typed_error(&name, values.data_type(), &error))?;
        return push_flat(ArrowColumn { name, field, values }, flat, has_structs);
    }
    let Some(parent) = values.as_struct_opt() else {
        flat.push(ArrowColumn { name, field, values });
        return Ok(());
    };
    *has_structs = true;
    for (field, child) in parent.fields().iter().zip(parent.columns()) {
        let path = format!("{name}.{}", field.name());
        let (field, values) = under_nulls(field, child, parent.nulls())
            .map_err(|error| typed_error(&path, child.data_type(), &error))?;
        push_flat(ArrowColumn { name: path, field, values }, flat, has_structs)?;
    }
    Ok(())
}

/// Propagates a parent's nulls to a child.
fn under_nulls(
    field: &FieldRef,
    child: &ArrayRef,
    parent: Option<&NullBuffer>,
) -> Result<(FieldRef, ArrayRef), ArrowError> {
    match child.data_type() {
        _ if parent.is_none() => Ok((field.clone(), child.clone())),
        DataType::Null => Ok((field.clone(), child.clone())),
        // These types have no nulls of their own.
        DataType::RunEndEncoded(..) => {
            let (field, child) = unpacked(field, child)?;
            under_nulls(&field, &child, parent)
        }
        DataType::Union(..) => {
            let (storage, child) = natural(field, child)?;
            let field = Arc::new(Field::new(field.name(), storage.arrow(), true));
            under_nulls(&field, &child, parent)
        }
        _ => {
            let nulls = NullBuffer::union(child.nulls(), parent);
            Ok((field.clone(), make_array(child.to_data().into_builder().nulls(nulls).build()?)))
        }
    }
}

/// The lists of one column at one level.
struct Lists<'a> {
    name: &'a str,
    ranges: ItemRanges,
    field: FieldRef,
    items: ArrayRef,
    nulls: Option<NullBuffer>,
    /// Whether several lists may refer to the same items.
    may_share: bool,
    /// The item of each row made.
    taken: Vec<Option<u64>>,
}

impl Lists<'_> {
    fn len(&self, row: usize) -> usize {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return 0;
        }
        (self.ranges.ends[row] - self.ranges.starts[row]) as usize
    }

    fn item(&self, row: usize, position: usize) -> Option<u64> {
        (position < self.len(row)).then(|| self.ranges.starts[row] as u64 + position as u64)
    }
}

/// Returns the lists of a column; `None` if it has none.
fn lists(column: &ArrowColumn) -> Option<Lists<'_>> {
    if !has_lists(column) {
        return None;
    }
    let (field, items, ranges) = list_ranges(&column.values)?;
    let nulls = column.values.nulls().cloned();
    let may_share = matches!(column.values.data_type(), DataType::ListView(_) | DataType::LargeListView(_));
    Some(Lists { name: &column.name, ranges, field, items, nulls, may_share, taken: Vec::new() })
}

fn expand(data: Columns, context: Context<'_>) -> Result<Columns> {
    let mut expanding: Vec<Lists<'_>> = data.columns.iter().filter_map(lists).collect();
    let mut source_rows: Vec<u64> = Vec::with_capacity(data.num_rows);
    let row_bytes = 8 + 16 * expanding.len() + 8 * data.columns.len();
    let mut reserved =
        ReservedRows { memory: context.memory, row_bytes, num_rows: FREE_ROWS.max(data.num_rows) };
    for row in 0..data.num_rows {
        let num_rows = match context.list_flatten {
            ListFlatten::Cartesian => product_len(&expanding, row),
            ListFlatten::Zip | ListFlatten::Stringify => {
                take_zip(&mut expanding, row, context.rows_before + row)?
            }
        };
        let so_far = source_rows.len().saturating_add(context.rows_before);
        if num_rows > MAX_CLAIMED_ROWS - so_far.min(MAX_CLAIMED_ROWS) {
            return Err(DataError::Flatten {
                path: Some(expanding[0].name.to_owned()),
                bound: FlattenBound::Rows(MAX_CLAIMED_ROWS),
            }
            .into());
        }
        reserved.rows_to(source_rows.len() + num_rows)?;
        if context.list_flatten == ListFlatten::Cartesian {
            fill_product(&mut expanding, row, num_rows);
        }
        source_rows.resize(source_rows.len() + num_rows, row as u64);
    }
    let repeats = !context.is_update || source_rows.len() > data.num_rows;
    if let Some(index) =
        context.index.filter(|index| repeats && is_repeated(&data, index, context.list_flatten))
    {
        let verb = if context.is_update { "update" } else { "create" };
        return Err(DataError::RepeatedIndex { verb, index: index.to_owned(), is_arrow: true }.into());
    }
    let num_rows = source_rows.len();
    let source_rows = UInt64Array::from(source_rows);
    // Lists are in the order of their columns.
    let mut expanded = expanding.into_iter();
    let mut columns = Vec::with_capacity(data.columns.len());
    for column in &data.columns {
        let name = &column.name;
        reading_column(name);
        let lists = if has_lists(column) { expanded.next() } else { None };
        let made = match lists {
            Some(lists) => {
                // In other cases every item is taken at most once.
                if lists.may_share || context.list_flatten == ListFlatten::Cartesian {
                    let rows = lists.taken.iter().map(|item| item.map(|item| item as u32)).collect();
                    spread(&lists.field, &lists.items, &rows)
                } else {
                    take(&lists.items, &UInt64Array::from(lists.taken), None)
                        .map(|values| (lists.field, values))
                }
            }
            None => codable(&column.field, &column.values)
                .and_then(|(field, values)| Ok((field, take(&values, &source_rows, None)?))),
        };
        let (field, values) = made.map_err(|error| column_error(name, &error))?;
        columns.push(ArrowColumn { name: name.clone(), field, values });
    }
    Ok(Columns { num_rows, columns })
}

/// Rows whose memory is not reserved: a small write stays a small one.
const FREE_ROWS: usize = 256;

/// The rows of an expansion, whose memory is reserved before they are made.
struct ReservedRows<'a> {
    memory: &'a StagingMemory,
    row_bytes: usize,
    num_rows: usize,
}

impl ReservedRows<'_> {
    fn rows_to(&mut self, num_rows: usize) -> Result<()> {
        if num_rows > self.num_rows {
            // Not for each row of the source.
            let more = (num_rows - self.num_rows).max(self.num_rows / 8);
            self.memory.grow(more.saturating_mul(self.row_bytes))?;
            self.num_rows += more;
        }
        Ok(())
    }
}

/// Zips the lists of a row. `shown_row` is the row number in errors.
fn take_zip(expanding: &mut [Lists<'_>], row: usize, shown_row: usize) -> Result<usize> {
    let mut longest: Option<(&str, usize)> = None;
    for lists in expanding.iter() {
        let len = lists.len(row);
        match longest {
            Some((first, first_len)) if len > 0 && len != first_len => {
                return Err(DataError::ListLengths {
                    first: first.to_owned(),
                    first_len,
                    second: lists.name.to_owned(),
                    second_len: len,
                    row: Some(shown_row),
                    is_arrow: true,
                }
                .into());
            }
            None if len > 0 => longest = Some((lists.name, len)),
            _ => {}
        }
    }
    let num_rows = longest.map_or(1, |(_, len)| len);
    for lists in expanding {
        for position in 0..num_rows {
            let item = lists.item(row, position);
            lists.taken.push(item);
        }
    }
    Ok(num_rows)
}

/// Returns the number of rows of the cartesian product.
fn product_len(expanding: &[Lists<'_>], row: usize) -> usize {
    expanding.iter().fold(1usize, |rows, lists| rows.saturating_mul(lists.len(row).max(1)))
}

/// Fills the cartesian product of a row; the last list varies fastest.
fn fill_product(expanding: &mut [Lists<'_>], row: usize, num_rows: usize) {
    let mut stride = num_rows;
    for lists in expanding {
        let len = lists.len(row).max(1);
        stride /= len;
        for made in 0..num_rows {
            let item = lists.item(row, made / stride % len);
            lists.taken.push(item);
        }
    }
}

/// Returns whether the rows of an expansion share index values. Only an index drawn from the single list of its level
/// is not repeated.
fn is_repeated(data: &Columns, index: &str, list_flatten: ListFlatten) -> bool {
    let num_lists = data.columns.iter().filter(|column| has_lists(column)).count();
    let holds_index =
        |name: &str| index.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    match data.columns.iter().find(|column| holds_index(&column.name)) {
        None => false,
        Some(column) => !has_lists(column) || (list_flatten == ListFlatten::Cartesian && num_lists > 1),
    }
}

/// Returns a type as written in error messages, with its nested types.
pub(super) fn type_text(data_type: &DataType) -> String {
    let unit_text = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    let field_text =
        |field: &::arrow::datatypes::FieldRef| format!("{}: {}", field.name(), type_text(field.data_type()));
    match data_type {
        DataType::Timestamp(unit, None) => format!("timestamp[{}]", unit_text(unit)),
        DataType::Timestamp(unit, Some(zone)) => format!("timestamp[{}, tz={zone}]", unit_text(unit)),
        DataType::Date32 => "date32[day]".into(),
        DataType::Date64 => "date64[ms]".into(),
        DataType::Boolean => "bool".into(),
        DataType::Utf8 => "string".into(),
        DataType::LargeUtf8 => "large_string".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::List(field) => format!("list<{}>", field_text(field)),
        DataType::LargeList(field) => format!("large_list<{}>", field_text(field)),
        DataType::Struct(fields) => {
            format!("struct<{}>", fields.iter().map(field_text).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}
