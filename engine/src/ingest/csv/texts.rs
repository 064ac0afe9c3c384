//! Text cells: codes into a dictionary of the part, as long as that is shorter than the texts.
//!
//! Law: the same texts either way. Dictionaries of several parts become one by renumbering the codes.

use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{ArrayRef, DictionaryArray, Int32Array};
use arrow::datatypes::Int32Type;
use hashbrown::HashTable;

use super::super::store::TextValues;
use super::split::Cell;
use crate::error::{EngineError, Result};

/// Rows after which texts of which nearly all differ are no longer coded.
const SHORT_TRIAL_ROWS: usize = 4096;

/// Rows after which texts that mostly differ are no longer coded: some thousand texts in turn take long to come again.
const TRIAL_ROWS: usize = 16 * 1024;

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
    pub(super) fn expect(&mut self, num_rows: usize) {
        match self {
            Texts::Coded(coded) => coded.codes.reserve(num_rows.saturating_sub(coded.codes.len())),
            // How long they are is not known.
            Texts::Plain(_) => {}
        }
    }

    pub(super) fn take<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) {
        match self {
            Texts::Plain(texts) => cells.for_each(|cell| texts.push(cell.text())),
            Texts::Coded(coded) => {
                coded.codes.reserve(cells.size_hint().0);
                for cell in cells {
                    let code = coded.code(cell);
                    coded.codes.push(code);
                }
                if coded.is_in_vain() {
                    *self = Texts::Plain(coded.spelled_out());
                }
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Coded {
    entries: TextValues,
    /// Codes of texts of at most seven bytes, by these bytes as a number.
    short: HashTable<(u64, i32)>,
    long: HashTable<i32>,
    hasher: RandomState,
    seed: u64,
    /// One a row.
    codes: Vec<i32>,
}

impl Default for Coded {
    fn default() -> Self {
        let hasher = RandomState::new();
        Coded {
            entries: TextValues::default(),
            short: HashTable::new(),
            long: HashTable::new(),
            seed: hasher.hash_one(0),
            hasher,
            codes: Vec::new(),
        }
    }
}

/// A text of at most seven bytes and its length as one number.
#[inline]
fn packed(cell: Cell<'_>) -> Option<u64> {
    (cell.len < 8).then_some(cell.head | (cell.len as u64) << 56)
}

/// Spreads the bits of a packed text over a hash that nobody outside can foresee.
#[inline]
fn spread(packed: u64, seed: u64) -> u64 {
    let product = u128::from(packed ^ seed) * u128::from(seed | 1);
    (product >> 64) as u64 ^ product as u64
}

impl Coded {
    #[inline]
    fn code(&mut self, cell: Cell<'_>) -> i32 {
        // Rows are counted in 32 bits, and entries are fewer.
        let next = self.entries.len() as i32;
        if let Some(packed) = packed(cell) {
            let seed = self.seed;
            let hash = spread(packed, seed);
            if let Some((_, code)) = self.short.find(hash, |(other, _)| *other == packed) {
                return *code;
            }
            self.short.insert_unique(hash, (packed, next), |(packed, _)| spread(*packed, seed));
        } else {
            let text = cell.text();
            let (entries, hasher) = (&self.entries, &self.hasher);
            let hash = hasher.hash_one(text);
            if let Some(code) = self.long.find(hash, |&code| entries.get(code as usize) == text) {
                return *code;
            }
            self.long.insert_unique(hash, next, |&code| hasher.hash_one(entries.get(code as usize)));
        }
        self.entries.push(cell.text());
        next
    }

    /// Whether texts come again too rarely.
    fn is_in_vain(&self) -> bool {
        let (num_rows, num_entries) = (self.codes.len(), self.entries.len());
        let most_entries = match num_rows {
            0..SHORT_TRIAL_ROWS => num_rows,
            SHORT_TRIAL_ROWS..TRIAL_ROWS => num_rows - num_rows / 8,
            _ => num_rows / 2,
        };
        num_entries > most_entries
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
            (0..part.entries.len()).map(|entry| joined.code(Cell::whole(part.entries.get(entry)))).collect();
        joined.codes.extend(part.codes.iter().map(|code| code_of[*code as usize]));
    }
    let entries = joined.entries.finish(None, name)?;
    let array = DictionaryArray::<Int32Type>::try_new(Int32Array::from(joined.codes), entries)
        .map_err(|error| EngineError::data(error.to_string()))?;
    Ok(Arc::new(array))
}
