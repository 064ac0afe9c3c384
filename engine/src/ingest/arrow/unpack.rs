//! Decodes coded columns (dictionaries, runs) to columns with one value per row.
//!
//! Invariant: values of unbounded size are not repeated. Text stays coded, as `Dictionary<Int32, Utf8>`; a struct
//! becomes one of coded members; a list refers to the existing items. A null entry is a null.

use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, LargeListViewArray, PrimitiveArray, RunArray,
    StructArray, UInt32Array, downcast_run_array,
};
use ::arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use ::arrow::compute::{cast, cast_with_options, take};
use ::arrow::datatypes::{DataType, Field, FieldRef, Int32Type, RunEndIndexType, UInt32Type};
use ::arrow::error::ArrowError;

use super::super::MAX_CLAIMED_ROWS;
use super::nested::list_ranges;
use super::types::{STRICT, coded_type, is_list, is_text, natural};

/// Returns whether [`unpacked`] decodes a column of this type.
pub(crate) fn is_packed(data_type: &DataType) -> bool {
    match data_type {
        DataType::RunEndEncoded(..) => true,
        DataType::Dictionary(..) => *data_type != coded_type(),
        _ => false,
    }
}

/// Removes one layer of coding. The field keeps its name and, unless the inner field has its own, its metadata (which
/// names extension types).
pub(crate) fn unpacked(field: &Field, values: &ArrayRef) -> Result<(FieldRef, ArrayRef), ArrowError> {
    let (entries, rows) = match values.data_type() {
        DataType::Dictionary(..) => (values.as_any_dictionary().values().clone(), codes(values)?),
        _ => downcast_run_array!(
            values => (values.values().clone(), run_rows(values)?),
            other => return Err(ArrowError::InvalidArgumentError(format!("{other} is no coded type")))
        ),
    };
    let metadata = match field.data_type() {
        DataType::RunEndEncoded(_, inner) if !inner.metadata().is_empty() => inner.metadata().clone(),
        _ => field.metadata().clone(),
    };
    let entry_field = Field::new(field.name(), entries.data_type().clone(), true).with_metadata(metadata);
    spread(&Arc::new(entry_field), &entries, &rows)
}

/// Expands entries to one per row, repeating them as `rows` refers to them.
pub(crate) fn spread(
    field: &FieldRef,
    entries: &ArrayRef,
    rows: &UInt32Array,
) -> Result<(FieldRef, ArrayRef), ArrowError> {
    if let DataType::RunEndEncoded(..) = entries.data_type() {
        // `take` on runs would repeat the values.
        let (field, entries) = unpacked(field, entries)?;
        return spread(&field, &entries, rows);
    }
    let spread: ArrayRef = match entries.data_type() {
        DataType::Struct(_) => coded_members(entries.as_struct(), rows)?,
        other if is_list(other) => shared_lists(entries, rows)?,
        other if !is_packed(other) && is_text(field) => {
            let (_, texts) = natural(field, entries)?;
            // The text supersedes the extension type.
            let coded = coded_entries(&texts, rows)?;
            return Ok((Arc::new(Field::new(field.name(), coded.data_type().clone(), true)), coded));
        }
        _ => return Ok((field.clone(), take(entries, rows, None)?)),
    };
    Ok((Arc::new(Field::new(field.name(), spread.data_type().clone(), true)), spread))
}

/// Builds `Dictionary<Int32, Utf8>` of entries that are `Utf8` or coded themselves.
fn coded_entries(texts: &ArrayRef, rows: &UInt32Array) -> Result<ArrayRef, ArrowError> {
    if *texts.data_type() != DataType::Utf8 {
        return take(texts, rows, None);
    }
    let keys = cast_with_options(rows, &DataType::Int32, &STRICT)?;
    let keys = without_null_entries(keys.as_primitive::<Int32Type>(), texts);
    Ok(Arc::new(DictionaryArray::try_new(keys, texts.clone())?))
}

fn coded_members(entries: &StructArray, rows: &UInt32Array) -> Result<ArrayRef, ArrowError> {
    let mut fields = Vec::with_capacity(entries.num_columns());
    let mut members: Vec<ArrayRef> = Vec::with_capacity(entries.num_columns());
    for (field, child) in entries.fields().iter().zip(entries.columns()) {
        let coded = DictionaryArray::<UInt32Type>::try_new(rows.clone(), child.clone())?;
        fields.push(field.as_ref().clone().with_data_type(coded.data_type().clone()).with_nullable(true));
        members.push(Arc::new(coded));
    }
    let nulls = entry_nulls(rows, entries);
    if members.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(rows.len(), nulls)));
    }
    Ok(Arc::new(StructArray::try_new(fields.into(), members, nulls)?))
}

fn shared_lists(entries: &ArrayRef, rows: &UInt32Array) -> Result<ArrayRef, ArrowError> {
    let (item, items, ranges) = list_ranges(entries)
        .ok_or_else(|| ArrowError::InvalidArgumentError("a list type is expected".into()))?;
    let nulls = entry_nulls(rows, entries);
    let is_valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let range = |row: usize| match is_valid(row) {
        true => {
            let entry = rows.value(row) as usize;
            (ranges.starts[entry], ranges.ends[entry] - ranges.starts[entry])
        }
        false => (0, 0),
    };
    let (starts, lens): (Vec<i64>, Vec<i64>) = (0..rows.len()).map(range).unzip();
    let (starts, lens) = (ScalarBuffer::from(starts), ScalarBuffer::from(lens));
    Ok(Arc::new(LargeListViewArray::try_new(item, starts, lens, items, nulls)?))
}

/// Returns the nulls of rows without a code or with a null entry.
fn entry_nulls(rows: &UInt32Array, entries: &dyn Array) -> Option<NullBuffer> {
    if rows.null_count() == 0 && entries.null_count() == 0 {
        return None;
    }
    let is_valid = |row: usize| rows.is_valid(row) && entries.is_valid(rows.value(row) as usize);
    Some(NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), is_valid)))
}

/// Replaces codes of null entries by nulls.
fn without_null_entries(keys: &Int32Array, entries: &ArrayRef) -> Int32Array {
    let Some(nulls) = entries.nulls().filter(|nulls| nulls.null_count() > 0) else { return keys.clone() };
    let is_valid = |row: usize| keys.is_valid(row) && nulls.is_valid(keys.value(row) as usize);
    let valid = NullBuffer::new(BooleanBuffer::collect_bool(keys.len(), is_valid));
    PrimitiveArray::new(keys.values().clone(), Some(valid))
}

/// Removes codes of null entries from a `Dictionary<Int32, Utf8>`.
pub(crate) fn coded_text(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let dictionary = values.as_dictionary::<Int32Type>();
    if dictionary.values().null_count() == 0 {
        return Ok(values.clone());
    }
    let keys = without_null_entries(dictionary.keys(), dictionary.values());
    Ok(Arc::new(DictionaryArray::try_new(keys, dictionary.values().clone())?))
}

/// Codes text, so that repeating it repeats no bytes: otherwise one long text beside one long list could exhaust
/// memory.
pub(crate) fn codable(field: &FieldRef, values: &ArrayRef) -> Result<(FieldRef, ArrayRef), ArrowError> {
    if !is_text(field) || *values.data_type() == coded_type() {
        return Ok((field.clone(), values.clone()));
    }
    let (_, texts) = natural(field, values)?;
    let coded = cast(&texts, &coded_type())?;
    Ok((Arc::new(Field::new(field.name(), coded.data_type().clone(), true)), coded))
}

fn codes(values: &ArrayRef) -> Result<UInt32Array, ArrowError> {
    let keys = values.as_any_dictionary().keys();
    Ok(cast_with_options(keys, &DataType::UInt32, &STRICT)?.as_primitive().clone())
}

/// For each row, the index of its run.
fn run_rows<R: RunEndIndexType>(runs: &RunArray<R>) -> Result<UInt32Array, ArrowError> {
    if runs.len() > MAX_CLAIMED_ROWS {
        return Err(ArrowError::InvalidArgumentError(format!("more than {MAX_CLAIMED_ROWS} rows in runs")));
    }
    let logical: Vec<u32> = (0..runs.len() as u32).collect();
    let physical = runs.get_physical_indices(&logical)?;
    Ok(physical.into_iter().map(|run| run as u32).collect::<Vec<_>>().into())
}
