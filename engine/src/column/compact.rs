//! Dictionaries without entries that no row uses.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, PrimitiveArray, StringArray};
use arrow::datatypes::Int32Type;

/// The same texts in a dictionary of at most as many entries as rows, in order of appearance; other arrays, and those
/// whose dictionary is not larger, are returned as they are. A null entry is read as the empty text.
///
/// A few rows that are taken of many share the dictionary of all. Cost: O(rows).
pub(crate) fn compact(values: &ArrayRef) -> ArrayRef {
    let Some(coded) = values.as_dictionary_opt::<Int32Type>() else { return values.clone() };
    let Some(entries) = coded.values().as_string_opt::<i32>() else { return values.clone() };
    if entries.len() <= coded.len() {
        return values.clone();
    }
    let mut number_of: hashbrown::HashMap<i32, i32, ahash::RandomState> = hashbrown::HashMap::default();
    let mut used: Vec<i32> = Vec::new();
    let keys: PrimitiveArray<Int32Type> = coded
        .keys()
        .iter()
        .map(|key| {
            key.map(|key| {
                *number_of.entry(key).or_insert_with(|| {
                    used.push(key);
                    used.len() as i32 - 1
                })
            })
        })
        .collect();
    let text = |&key: &i32| if entries.is_valid(key as usize) { entries.value(key as usize) } else { "" };
    let texts = StringArray::from_iter_values(used.iter().map(text));
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(texts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_no_row_uses_are_dropped() {
        let keys = PrimitiveArray::<Int32Type>::from(vec![Some(3), None, Some(1), Some(3)]);
        let texts = StringArray::from(vec![Some("a"), None, Some("c"), Some("d"), Some("e")]);
        let coded: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(texts)));
        let compacted = compact(&coded);
        let compacted = compacted.as_dictionary::<Int32Type>();
        assert_eq!(compacted.values().as_string::<i32>(), &StringArray::from(vec!["d", ""]));
        assert_eq!(
            compacted.keys(),
            &PrimitiveArray::<Int32Type>::from(vec![Some(0), None, Some(1), Some(0)])
        );
    }
}
