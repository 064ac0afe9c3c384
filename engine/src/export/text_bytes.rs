//! How many bytes of text a piece of an export shows, before it is written.
//!
//! A dictionary's text is stored once and written once for each row that refers to it, so that the size of a text export has
//! no relation to the memory of its table.

use std::ops::Range;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::Int32Type;

use super::RowSlice;
use crate::column::TextBytes;

/// Those of rows of a gathered slice, its row paths included. Cost: O(cells with text).
pub(crate) fn of_slice(slice: &RowSlice, rows: Range<usize>, columns: Range<usize>) -> TextBytes {
    let levels = slice.row_paths.iter().flat_map(|paths| &paths.levels).map(|(_, values)| values);
    let mut sum = TextBytes::default();
    for values in levels.chain(slice.columns[columns].iter().map(|column| &column.values)) {
        sum.add(of_array(values, rows.clone()));
    }
    sum
}

fn of_array(values: &ArrayRef, rows: Range<usize>) -> TextBytes {
    if let Some(texts) = values.as_string_opt::<i32>() {
        let offsets = texts.value_offsets();
        let shown = (offsets[rows.end] - offsets[rows.start]) as usize;
        return TextBytes { shown, distinct: of_texts(texts) };
    }
    let Some(dictionary) = values.as_dictionary_opt::<Int32Type>() else { return TextBytes::default() };
    let Some(texts) = dictionary.values().as_string_opt::<i32>() else { return TextBytes::default() };
    let offsets = texts.value_offsets();
    let codes = &dictionary.keys().values()[rows];
    // The code of a null is 0, and there may be no text.
    let len = |code: &i32| match offsets.get(*code as usize..*code as usize + 2) {
        Some(bounds) => (bounds[1] - bounds[0]) as usize,
        None => 0,
    };
    TextBytes { shown: codes.iter().map(len).sum(), distinct: of_texts(texts) }
}

fn of_texts(texts: &StringArray) -> usize {
    let offsets = texts.value_offsets();
    (offsets[offsets.len() - 1] - offsets[0]) as usize
}
