//! Gathering of scattered cells into one Arrow array. Cost: O(rows).

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, DictionaryArray, PrimitiveArray, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;

use super::{ChunkedVec, Strings};

/// Gathers the cells of rows; a row without a slot is null.
pub(super) fn gather_primitive<T: ArrowPrimitiveType>(
    cells: &ChunkedVec<T::Native>,
    num_rows: usize,
    slot_of: impl Fn(usize) -> Option<u32>,
) -> ArrayRef
where
    T::Native: Default + Send + Sync,
{
    let mut values: Vec<T::Native> = Vec::with_capacity(num_rows);
    let mut valid = arrow::array::BooleanBufferBuilder::new(num_rows);
    let mut num_nulls = 0;
    for row in 0..num_rows {
        let cell = slot_of(row).and_then(|slot| cells.get(slot));
        values.push(cell.unwrap_or_default());
        valid.append(cell.is_some());
        num_nulls += usize::from(cell.is_none());
    }
    let nulls = (num_nulls > 0).then(|| NullBuffer::new(valid.finish()));
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls))
}

/// Gathers the strings whose codes `code_of` returns into a dictionary array, with entries in order of first
/// appearance.
pub(crate) fn gather_strings(
    strings: &Strings,
    num_rows: usize,
    code_of: impl Fn(usize) -> Option<u32>,
) -> ArrayRef {
    const NONE: i32 = -1;
    let mut entries: Vec<u32> = Vec::new();
    // Rows without text are marked `NONE`, and made null at the end.
    let mut keys: Vec<i32> = Vec::with_capacity(num_rows);
    // Unless the dictionary is much larger than the output, a list maps codes to entries; otherwise a hash map
    // does.
    if strings.len() <= num_rows * 4 {
        let mut entry_of = vec![NONE; strings.len()];
        for row in 0..num_rows {
            keys.push(code_of(row).map_or(NONE, |code| {
                let entry = &mut entry_of[code as usize];
                if *entry == NONE {
                    *entry = entries.len() as i32;
                    entries.push(code);
                }
                *entry
            }));
        }
    } else {
        let mut entry_of: hashbrown::HashMap<u32, i32, ahash::RandomState> = hashbrown::HashMap::default();
        let mut previous: Option<(u32, i32)> = None;
        for row in 0..num_rows {
            let Some(code) = code_of(row) else {
                keys.push(NONE);
                continue;
            };
            let entry = match previous {
                Some((previous_code, entry)) if previous_code == code => entry,
                _ => *entry_of.entry(code).or_insert_with(|| {
                    entries.push(code);
                    entries.len() as i32 - 1
                }),
            };
            previous = Some((code, entry));
            keys.push(entry);
        }
    }
    let is_valid = |row: usize| keys[row] != NONE;
    let nulls =
        keys.contains(&NONE).then(|| NullBuffer::new(BooleanBuffer::collect_bool(num_rows, is_valid)));
    if nulls.is_some() {
        keys.iter_mut().for_each(|key| *key = (*key).max(0));
    }
    let values = StringArray::from_iter_values(entries.iter().map(|&code| strings.get(code)));
    let keys = PrimitiveArray::<Int32Type>::new(ScalarBuffer::from(keys), nulls);
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values)))
}
