//! Text cells: codes into a dictionary of the part, as long as that is shorter than the texts.
//!
//! Law: the same texts either way. Dictionaries of several parts become one by renumbering the codes.

use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{ArrayRef, DictionaryArray, Int32Array};
use arrow::datatypes::Int32Type;
use hashbrown::HashTable;

use super::super::store::TextValues;
use crate::error::{EngineError, Result};

/// Rows after which texts that mostly differ are no longer coded.
const TRIAL_ROWS: usize = 4096;

#[derive(Debug)]
pub(super) enum Texts {
    Coded(Coded),
    Plain(TextValues),
}

impl Default for Texts {
    fn default() -> Self {
        Texts::Coded(Coded::default())
    }
}

impl Texts {
    pub(super) fn take<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        match self {
            Texts::Plain(texts) => cells.for_each(|cell| texts.push(cell)),
            Texts::Coded(coded) => {
                coded.codes.reserve(cells.size_hint().0);
                for cell in cells {
                    let code = coded.code(cell);
                    coded.codes.push(code);
                }
                let num_rows = coded.codes.len();
                if num_rows >= TRIAL_ROWS && coded.entries.len() > num_rows / 2 {
                    *self = Texts::Plain(coded.spelled_out());
                }
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Coded {
    entries: TextValues,
    table: HashTable<i32>,
    hasher: RandomState,
    /// One a row.
    codes: Vec<i32>,
}

impl Coded {
    #[inline]
    fn code(&mut self, text: &str) -> i32 {
        let hash = self.hasher.hash_one(text);
        if let Some(code) = self.table.find(hash, |&code| self.entries.get(code as usize) == text) {
            return *code;
        }
        // Rows are counted in 32 bits, and entries are fewer.
        let code = self.entries.len() as i32;
        self.entries.push(text);
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.table.insert_unique(hash, code, |&code| hasher.hash_one(entries.get(code as usize)));
        code
    }

    fn spelled_out(&self) -> TextValues {
        let mut texts = TextValues::default();
        for &code in &self.codes {
            texts.push(self.entries.get(code as usize));
        }
        texts
    }
}

/// The parts of one column as one array, coded if all are.
pub(super) fn join(parts: Vec<Texts>, name: &str) -> Result<ArrayRef> {
    if parts.iter().any(|part| matches!(part, Texts::Plain(_))) {
        let mut plain = parts.into_iter().map(|part| match part {
            Texts::Plain(texts) => texts,
            Texts::Coded(coded) => coded.spelled_out(),
        });
        let mut joined = plain.next().unwrap_or_default();
        plain.for_each(|texts| joined.append(&texts));
        return joined.finish(None, name);
    }
    let mut coded = parts.into_iter().filter_map(|part| match part {
        Texts::Coded(coded) => Some(coded),
        Texts::Plain(_) => None,
    });
    let mut joined = coded.next().unwrap_or_default();
    for part in coded {
        let code_of: Vec<i32> =
            (0..part.entries.len()).map(|entry| joined.code(part.entries.get(entry))).collect();
        joined.codes.extend(part.codes.iter().map(|code| code_of[*code as usize]));
    }
    let entries = joined.entries.finish(None, name)?;
    let array = DictionaryArray::<Int32Type>::try_new(Int32Array::from(joined.codes), entries)
        .map_err(|error| EngineError::data(error.to_string()))?;
    Ok(Arc::new(array))
}
