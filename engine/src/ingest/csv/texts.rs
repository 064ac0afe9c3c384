//! Text cells: dictionary-coded within a part, as long as that is shorter than the texts.
//!
//! Invariant: both representations hold the same texts. Dictionaries of several parts are merged by renumbering codes.

use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{ArrayRef, DictionaryArray, Int32Array, NullBufferBuilder};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::Int32Type;
use hashbrown::HashTable;

use super::super::store::TextValues;
use super::split::FieldText;
use crate::error::Result;

/// Number of rows after which texts that are nearly all distinct are no longer coded.
const SHORT_TRIAL_ROWS: usize = 4096;

/// Number of rows after which texts that are mostly distinct are no longer coded; cycles of a few thousand texts take
/// that long to repeat.
const TRIAL_ROWS: usize = 16 * 1024;

#[derive(Debug)]
pub(super) enum Texts {
    Coded(Coded),
    PlainTexts(PlainTexts),
}

/// Uncoded texts.
#[derive(Debug)]
pub(super) struct PlainTexts {
    texts: TextValues,
    valid: NullBufferBuilder,
}

/// The code of a row without a text.
const NONE: i32 = -1;

impl Default for Texts {
    fn default() -> Self {
        Texts::Coded(Coded::default())
    }
}

impl Texts {
    pub(super) fn expect(&mut self, num_rows: usize) {
        match self {
            Texts::Coded(coded) => coded.codes.reserve(num_rows.saturating_sub(coded.codes.len())),
            // Their length is not known.
            Texts::PlainTexts(_) => {}
        }
    }

    /// Reads cells; an empty, unquoted field is null.
    pub(super) fn take<'a>(&mut self, cells: impl Iterator<Item = FieldText<'a>>) {
        match self {
            Texts::PlainTexts(plain) => cells.for_each(|cell| {
                plain.push(if cell.is_absent() { None } else { Some(cell.text()) });
            }),
            Texts::Coded(coded) => {
                coded.codes.reserve(cells.size_hint().0);
                for cell in cells {
                    let code = if cell.is_absent() { NONE } else { coded.code(cell) };
                    coded.codes.push(code);
                }
                if coded.is_wasteful() {
                    *self = Texts::PlainTexts(coded.spelled_out());
                }
            }
        }
    }
}

impl PlainTexts {
    fn new() -> PlainTexts {
        PlainTexts { texts: TextValues::default(), valid: NullBufferBuilder::new(0) }
    }

    fn push(&mut self, text: Option<&str>) {
        self.texts.push(text.unwrap_or(""));
        self.valid.append(text.is_some());
    }

    fn append(&mut self, mut other: PlainTexts) {
        self.texts.append(&other.texts);
        match other.valid.finish() {
            Some(nulls) => self.valid.append_buffer(&nulls),
            None => self.valid.append_n_non_nulls(other.texts.len()),
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
    /// One per row.
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

/// Packs a text of at most seven bytes and its length into one number.
#[inline]
fn packed(cell: FieldText<'_>) -> Option<u64> {
    (cell.len < 8).then_some(cell.head | (cell.len as u64) << 56)
}

/// Hashes a packed text with a secret seed.
#[inline]
fn spread(packed: u64, seed: u64) -> u64 {
    let product = u128::from(packed ^ seed) * u128::from(seed | 1);
    (product >> 64) as u64 ^ product as u64
}

impl Coded {
    #[inline]
    fn code(&mut self, cell: FieldText<'_>) -> i32 {
        // The number of rows fits 32 bits, and there are at most as many entries.
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

    /// Returns whether too few texts repeat for coding to pay off.
    fn is_wasteful(&self) -> bool {
        let (num_rows, num_entries) = (self.codes.len(), self.entries.len());
        let most_entries = match num_rows {
            0..SHORT_TRIAL_ROWS => num_rows,
            SHORT_TRIAL_ROWS..TRIAL_ROWS => num_rows - num_rows / 8,
            _ => num_rows / 2,
        };
        num_entries > most_entries
    }

    fn spelled_out(&self) -> PlainTexts {
        let mut plain = PlainTexts::new();
        for &code in &self.codes {
            plain.push((code != NONE).then(|| self.entries.get(code as usize)));
        }
        plain
    }
}

/// Concatenates the parts of one column, coded if all are.
pub(super) fn join(parts: Vec<Texts>, name: &str) -> Result<ArrayRef> {
    if parts.iter().any(|part| matches!(part, Texts::PlainTexts(_))) {
        let mut plain = parts.into_iter().map(|part| match part {
            Texts::PlainTexts(plain) => plain,
            Texts::Coded(coded) => coded.spelled_out(),
        });
        let mut joined = plain.next().unwrap_or_else(PlainTexts::new);
        plain.for_each(|other| joined.append(other));
        let nulls = joined.valid.finish();
        return joined.texts.finish(nulls, name);
    }
    let mut coded = parts.into_iter().filter_map(|part| match part {
        Texts::Coded(coded) => Some(coded),
        Texts::PlainTexts(_) => None,
    });
    let mut joined = coded.next().unwrap_or_default();
    for part in coded {
        let code_of: Vec<i32> = (0..part.entries.len())
            .map(|entry| joined.code(FieldText::whole(part.entries.get(entry))))
            .collect();
        let code = |code: &i32| if *code == NONE { NONE } else { code_of[*code as usize] };
        joined.codes.extend(part.codes.iter().map(code));
    }
    let entries = joined.entries.finish(None, name)?;
    let nulls = joined.codes.contains(&NONE).then(|| {
        NullBuffer::new(BooleanBuffer::collect_bool(joined.codes.len(), |row| joined.codes[row] != NONE))
    });
    if nulls.is_some() {
        joined.codes.iter_mut().for_each(|code| *code = (*code).max(0));
    }
    let codes = Int32Array::new(joined.codes.into(), nulls);
    let array = DictionaryArray::<Int32Type>::try_new(codes, entries)
        .map_err(|error| super::super::column_error(name, &error))?;
    Ok(Arc::new(array))
}
