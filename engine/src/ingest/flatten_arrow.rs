//! Nested Arrow columns → flat ones: structs become dotted columns, lists become rows (or texts).
//!
//! Law: level by level, by kernels: the lists of one level are expanded together into one list of row numbers per
//! column, then each column is taken once. Unlike JSON, a list of length one does not broadcast; an empty one does, as
//! null.

use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, AsArray, StringBuilder, UInt64Array, make_array};
use ::arrow::buffer::NullBuffer;
use ::arrow::compute::{cast, take};
use ::arrow::datatypes::{DataType, TimeUnit};
use ::arrow::error::ArrowError;

use super::arrow::Columns;
use super::{MAX_CLAIMED_ROWS, column_error};
use crate::data::ListFlatten;
use crate::error::{EngineError, Result};
use crate::export::JsonCells;

#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) list_flatten: ListFlatten,
    pub(super) index: Option<&'a str>,
    pub(super) is_update: bool,
}

pub(super) fn flatten(mut data: Columns, context: Context<'_>) -> Result<Columns> {
    loop {
        data.columns = flatten_structs(data.columns)?;
        check_weight(&data)?;
        if !data.columns.iter().any(|(_, values)| is_list(values)) {
            return Ok(data);
        }
        if context.list_flatten == ListFlatten::Stringify {
            for (name, values) in &mut data.columns {
                if is_list(values) {
                    *values = stringified(values, name)?;
                }
            }
            return Ok(data);
        }
        data = expand(data, context)?;
    }
}

/// Columns of nothing but nulls (or no columns) take no bytes, so a few bytes can claim any number of such rows.
fn check_weight(data: &Columns) -> Result<()> {
    let is_weightless = data.columns.iter().all(|(_, values)| *values.data_type() == DataType::Null);
    if is_weightless && data.num_rows > MAX_CLAIMED_ROWS {
        return Err(EngineError::data(format!("more than {MAX_CLAIMED_ROWS} rows without any values")));
    }
    Ok(())
}

fn is_list(values: &ArrayRef) -> bool {
    matches!(values.data_type(), DataType::List(_) | DataType::LargeList(_))
}

fn flatten_structs(columns: Vec<(String, ArrayRef)>) -> Result<Vec<(String, ArrayRef)>> {
    if !columns.iter().any(|(_, values)| matches!(values.data_type(), DataType::Struct(_))) {
        return Ok(columns);
    }
    let mut flat: Vec<(String, ArrayRef)> = Vec::with_capacity(columns.len());
    for (name, values) in columns {
        push_flat(name, &values, &mut flat)?;
    }
    let mut names = ahash::AHashSet::new();
    match flat.iter().find(|(name, _)| !names.insert(name)) {
        None => Ok(flat),
        Some((name, _)) => Err(EngineError::data(format!(
            "Column `{name}` is both a key and the flattened path of an object\n"
        ))),
    }
}

fn push_flat(name: String, values: &ArrayRef, flat: &mut Vec<(String, ArrayRef)>) -> Result<()> {
    let Some(parent) = values.as_struct_opt() else {
        flat.push((name, values.clone()));
        return Ok(());
    };
    for (field, child) in parent.fields().iter().zip(parent.columns()) {
        let path = format!("{name}.{}", field.name());
        let child = under_nulls(child, parent.nulls()).map_err(|error| column_error(&path, &error))?;
        push_flat(path, &child, flat)?;
    }
    Ok(())
}

/// A null parent has null children.
fn under_nulls(child: &ArrayRef, parent: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    if parent.is_none() || *child.data_type() == DataType::Null {
        return Ok(child.clone());
    }
    let nulls = NullBuffer::union(child.nulls(), parent);
    Ok(make_array(child.to_data().into_builder().nulls(nulls).build()?))
}

/// One level of lists, as 64-bit offsets.
struct Lists<'a> {
    name: &'a str,
    /// Where the items of row `i` lie in `items`: `offsets[i]..offsets[i + 1]`; none for null lists.
    offsets: Vec<i64>,
    items: ArrayRef,
    nulls: Option<NullBuffer>,
    /// For each row made, the item it gets.
    taken: Vec<Option<u64>>,
}

impl Lists<'_> {
    fn start(&self, row: usize) -> u64 {
        self.offsets[row] as u64
    }

    fn len(&self, row: usize) -> usize {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return 0;
        }
        (self.offsets[row + 1] - self.offsets[row]) as usize
    }

    fn item(&self, row: usize, position: usize) -> Option<u64> {
        (position < self.len(row)).then(|| self.start(row) + position as u64)
    }
}

fn lists<'a>(name: &'a str, values: &ArrayRef) -> Lists<'a> {
    let (offsets, items): (Vec<i64>, ArrayRef) = match values.data_type() {
        DataType::List(_) => {
            let list = values.as_list::<i32>();
            (list.offsets().iter().map(|offset| i64::from(*offset)).collect(), list.values().clone())
        }
        _ => {
            let list = values.as_list::<i64>();
            (list.offsets().to_vec(), list.values().clone())
        }
    };
    Lists { name, offsets, items, nulls: values.nulls().cloned(), taken: Vec::new() }
}

fn expand(data: Columns, context: Context<'_>) -> Result<Columns> {
    let mut expanding: Vec<Lists<'_>> = data
        .columns
        .iter()
        .filter(|(_, values)| is_list(values))
        .map(|(name, values)| lists(name, values))
        .collect();
    let mut source_rows: Vec<u64> = Vec::with_capacity(data.num_rows);
    for row in 0..data.num_rows {
        let num_rows = match context.list_flatten {
            ListFlatten::Cartesian => product_len(&expanding, row),
            ListFlatten::Zip | ListFlatten::Stringify => take_zip(&mut expanding, row)?,
        };
        if num_rows > MAX_CLAIMED_ROWS - source_rows.len().min(MAX_CLAIMED_ROWS) {
            return Err(EngineError::data(format!(
                "flattening `{}` makes more than {MAX_CLAIMED_ROWS} rows; use the `stringify` list flatten mode",
                expanding[0].name
            )));
        }
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
        return Err(EngineError::data(format!(
            "Cannot {verb} a Table indexed on `{index}` from an expanded list column, as that index repeats across \
             the rows of an expansion and would silently collide. Index on a column drawn from the list itself, or \
             use the `stringify` list flatten mode.\n"
        )));
    }
    let num_rows = source_rows.len();
    let source_rows = UInt64Array::from(source_rows);
    // The lists stand in the order of their columns.
    let mut expanded = expanding.into_iter();
    let mut columns = Vec::with_capacity(data.columns.len());
    for (name, values) in &data.columns {
        let lists = if is_list(values) { expanded.next() } else { None };
        let values = match lists {
            Some(lists) => take(&lists.items, &UInt64Array::from(lists.taken), None),
            None => codable(values).and_then(|values| take(&values, &source_rows, None)),
        };
        columns.push((name.clone(), values.map_err(|error| column_error(name, &error))?));
    }
    Ok(Columns { num_rows, columns })
}

/// Text as codes, so that repeating it repeats no bytes: one long text beside one long list would fill the memory.
fn codable(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match values.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary => {
            let text = cast(values, &DataType::Utf8)?;
            cast(&text, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)))
        }
        _ => Ok(values.clone()),
    }
}

fn take_zip(expanding: &mut [Lists<'_>], row: usize) -> Result<usize> {
    let mut longest: Option<(&str, usize)> = None;
    for lists in expanding.iter() {
        let len = lists.len(row);
        match longest {
            Some((first, first_len)) if len > 0 && len != first_len => {
                return Err(EngineError::data(format!(
                    "Cannot zip list columns `{first}` ({first_len}) and `{}` ({len}) of differing length in row \
                     {row}; use the `cartesian` list flatten mode.\n",
                    lists.name
                )));
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

/// How many rows the product has.
fn product_len(expanding: &[Lists<'_>], row: usize) -> usize {
    expanding.iter().fold(1usize, |rows, lists| rows.saturating_mul(lists.len(row).max(1)))
}

/// The last list runs fastest.
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

/// Only an index that is drawn from the single list of its level is not repeated.
fn is_repeated(data: &Columns, index: &str, list_flatten: ListFlatten) -> bool {
    let num_lists = data.columns.iter().filter(|(_, values)| is_list(values)).count();
    let holds_index =
        |name: &str| index.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    match data.columns.iter().find(|(name, _)| holds_index(name)) {
        None => false,
        Some((_, values)) => !is_list(values) || (list_flatten == ListFlatten::Cartesian && num_lists > 1),
    }
}

/// Lists as JSON text.
fn stringified(values: &ArrayRef, name: &str) -> Result<ArrayRef> {
    let lists = lists(name, values);
    let item_type = lists.items.data_type();
    let is_plain = item_type.is_integer()
        || matches!(item_type, DataType::Float32 | DataType::Float64 | DataType::Boolean | DataType::Utf8);
    if !is_plain {
        return Err(EngineError::data(format!("Given Unsupported type '{}'.\n", type_text(item_type))));
    }
    let cells = JsonCells::new(&lists.items);
    let mut texts = StringBuilder::with_capacity(values.len(), values.len() * 16);
    let mut text = String::new();
    for row in 0..values.len() {
        if values.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        text.push('[');
        for position in 0..lists.len(row) {
            if position > 0 {
                text.push(',');
            }
            cells.write_json(lists.start(row) as usize + position, false, &mut text);
        }
        text.push(']');
        texts.append_value(&text);
    }
    Ok(Arc::new(texts.finish()))
}

/// A type's family, as error messages call it.
pub(super) fn type_word(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Float16 => "halffloat",
        DataType::Decimal32(_, _) => "decimal32",
        DataType::Decimal64(_, _) => "decimal64",
        DataType::Decimal256(_, _) => "decimal256",
        DataType::Utf8View => "utf8_view",
        DataType::BinaryView => "binary_view",
        DataType::LargeBinary => "large_binary",
        DataType::FixedSizeBinary(_) => "fixed_size_binary",
        DataType::FixedSizeList(_, _) => "fixed_size_list",
        DataType::ListView(_) => "list_view",
        DataType::LargeListView(_) => "large_list_view",
        DataType::Map(_, _) => "map",
        DataType::Duration(_) => "duration",
        DataType::Interval(_) => "interval",
        DataType::RunEndEncoded(_, _) => "run_end_encoded",
        DataType::Dictionary(_, _) => "dictionary",
        DataType::Union(_, _) => "union",
        _ => "unknown",
    }
}

/// A whole type, as error messages write it.
fn type_text(data_type: &DataType) -> String {
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
