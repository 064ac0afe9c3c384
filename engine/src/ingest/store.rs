//! A column under construction from JSON cells.
//!
//! Invariant: a growing column (of a new table) takes its type from its first value and is promoted INTEGER → FLOAT,
//! DATE → DATETIME, and to STRING by a text that is no value of its type; a fixed column (of an existing table) never
//! changes its type. Values read as numbers or dates before their spelling was required are read again
//! ([`ColumnStore::respell`]). Every cell is given, null or missing; the table defines the meaning of a missing cell.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, StringArray, TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::cell::JsonCell;
use super::coerce;
use super::infer;
use crate::error::{CellFault, DataError, Result};
use crate::types::scalar::MS_PER_DAY;
use crate::types::schema::Storage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Null,
    Given,
}

pub(super) struct ColumnStore {
    /// `None` while a growing column has only nulls.
    storage: Option<Storage>,
    is_growing: bool,
    states: Vec<State>,
    values: StoreValues,
    /// Whether the values are row keys, into which no integer may be rounded.
    is_key: bool,
    /// The treatment of the column in a second reading of the text.
    respell: Option<Respell>,
    found: Found,
}

/// Why a text is read a second time, with the spelling of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Respell {
    /// A number was written to a text column.
    Given,
    /// All numbers are integers, some possibly beyond 64 bits: they stay texts unless one was spelled as a float.
    Digits,
    /// The column became a text column.
    Texts,
}

/// Properties of the values of a growing column of numbers.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    /// A number with a fraction or an exponent.
    has_fraction: bool,
    /// An integer beyond 64 bits, or a float that may be one.
    has_huge: bool,
    /// An integer that no float equals.
    has_inexact: bool,
}

/// One value per state; that of a cell that is not given is a filler.
enum StoreValues {
    Untyped,
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Bools(Vec<bool>),
    Days(Vec<i32>),
    Millis(Vec<i64>),
    Texts(TextValues),
}

/// Maximum size of a text array in bytes.
const MAX_TEXT_BYTES: usize = i32::MAX as usize;

/// Concatenated texts.
#[derive(Debug, Default)]
pub(super) struct TextValues {
    pub(super) bytes: String,
    /// The end of each text.
    pub(super) ends: Vec<usize>,
}

impl TextValues {
    pub(super) fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn append(&mut self, texts: &TextValues) {
        let start = self.bytes.len();
        self.bytes.push_str(&texts.bytes);
        self.ends.extend(texts.ends.iter().map(|end| start + end));
    }

    /// Builds the array without copying the bytes.
    pub(super) fn finish(self, nulls: Option<NullBuffer>, column: &str) -> Result<ArrayRef> {
        if self.bytes.len() > MAX_TEXT_BYTES {
            return Err(DataError::TooMuchText { column: column.to_owned() }.into());
        }
        let offsets: Vec<i32> = std::iter::once(0).chain(self.ends.iter().map(|end| *end as i32)).collect();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let array = StringArray::try_new(offsets, Buffer::from_vec(self.bytes.into_bytes()), nulls);
        Ok(Arc::new(array.map_err(|error| super::column_error(column, &error))?))
    }
}

impl ColumnStore {
    pub(super) fn growing() -> Self {
        ColumnStore {
            storage: None,
            is_growing: true,
            states: Vec::new(),
            values: StoreValues::Untyped,
            is_key: false,
            respell: None,
            found: Found::default(),
        }
    }

    /// Returns a column whose treatment was determined by an earlier reading.
    pub(super) fn respelled(respell: Respell) -> Self {
        ColumnStore { respell: Some(respell), ..ColumnStore::fixed(Storage::Utf8) }
    }

    /// Marks a column of row keys.
    pub(super) fn for_keys(self, is_key: bool) -> Self {
        ColumnStore { is_key, ..self }
    }

    pub(super) fn fixed(storage: Storage) -> Self {
        let values = StoreValues::new(storage);
        ColumnStore { storage: Some(storage), is_growing: false, values, ..ColumnStore::growing() }
    }

    /// Returns an empty store of the same type.
    pub(super) fn like(&self) -> Self {
        let values = self.storage.map_or(StoreValues::Untyped, StoreValues::new);
        ColumnStore {
            storage: self.storage,
            is_growing: self.is_growing,
            is_key: self.is_key,
            values,
            ..ColumnStore::growing()
        }
    }

    /// Appends the cells of another store of the same type.
    pub(super) fn append(&mut self, other: ColumnStore) {
        match (&mut self.values, other.values) {
            (StoreValues::Ints(values), StoreValues::Ints(more))
            | (StoreValues::Millis(values), StoreValues::Millis(more)) => {
                values.extend(more);
            }
            (StoreValues::Floats(values), StoreValues::Floats(more)) => values.extend(more),
            (StoreValues::Bools(values), StoreValues::Bools(more)) => values.extend(more),
            (StoreValues::Days(values), StoreValues::Days(more)) => values.extend(more),
            (StoreValues::Texts(texts), StoreValues::Texts(more)) => texts.append(&more),
            (StoreValues::Untyped, StoreValues::Untyped) => {}
            _ => unreachable!("the other store is of the same type"),
        }
        self.states.extend(other.states);
        self.respell = self.respell.max(other.respell);
        self.found.has_fraction |= other.found.has_fraction;
        self.found.has_huge |= other.found.has_huge;
        self.found.has_inexact |= other.found.has_inexact;
    }

    /// Why the text must be read again, if it must.
    pub(super) fn respell(&self) -> Option<Respell> {
        let Found { has_fraction, has_huge, .. } = self.found;
        let is_undecided = self.is_growing && self.storage == Some(Storage::Float64);
        if is_undecided && has_huge && (!has_fraction || self.is_key) {
            return Some(Respell::Digits);
        }
        self.respell
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn storage(&self) -> Option<Storage> {
        self.storage
    }

    /// Makes a column with only nulls a text column, for good.
    pub(super) fn settle(&mut self) {
        if self.storage.is_none() {
            self.become_typed(Storage::Utf8);
        }
    }

    /// Appends missing cells up to `len`.
    pub(super) fn pad_to(&mut self, len: usize) {
        while self.states.len() < len {
            self.push_state(State::Missing);
        }
    }

    /// Removes the last cell: a key that is repeated within one object counts once.
    pub(super) fn pop(&mut self) {
        self.states.pop();
        match &mut self.values {
            StoreValues::Untyped => {}
            StoreValues::Ints(values) | StoreValues::Millis(values) => drop(values.pop()),
            StoreValues::Floats(values) => drop(values.pop()),
            StoreValues::Bools(values) => drop(values.pop()),
            StoreValues::Days(values) => drop(values.pop()),
            StoreValues::Texts(texts) => {
                texts.ends.pop();
                texts.bytes.truncate(texts.ends.last().copied().unwrap_or(0));
            }
        }
    }

    pub(super) fn push(&mut self, cell: &JsonCell<'_>) -> Result<(), CellFault> {
        if matches!(cell, JsonCell::Null) {
            self.push_state(State::Null);
            return Ok(());
        }
        if self.is_growing {
            self.grow_for(cell);
        }
        let storage = self.storage.unwrap_or(Storage::Utf8);
        match (storage, cell) {
            (Storage::Utf8, JsonCell::Float(_)) => self.respell = self.respell.max(Some(Respell::Given)),
            (Storage::Utf8, JsonCell::Spelled { is_integer: false, .. }) => self.found.has_fraction = true,
            (Storage::Float32 | Storage::Float64, _) => self.check_exact(cell, storage)?,
            _ => {}
        }
        let state = match &mut self.values {
            StoreValues::Ints(values) => push_value(values, coerce::to_int(cell, storage)?),
            StoreValues::Floats(values) => push_value(values, coerce::to_float(cell)?),
            StoreValues::Bools(values) => push_value(values, coerce::to_bool(cell)?),
            StoreValues::Days(values) => push_value(values, coerce::to_days(cell)?),
            StoreValues::Millis(values) => push_value(values, coerce::to_ms(cell)?),
            StoreValues::Texts(texts) => {
                let is_given = coerce::write_text(cell, &mut texts.bytes);
                texts.ends.push(texts.bytes.len());
                if texts.bytes.len() > MAX_TEXT_BYTES {
                    return Err(CellFault::Text { reason: "more than 2 GiB of text".into() });
                }
                if is_given { State::Given } else { State::Null }
            }
            StoreValues::Untyped => State::Null,
        };
        self.states.push(state);
        Ok(())
    }

    fn push_state(&mut self, state: State) {
        self.states.push(state);
        self.values.push_filler();
    }

    /// Records integers that a float column would round; in a key of a fixed column they are an error.
    fn check_exact(&mut self, cell: &JsonCell<'_>, storage: Storage) -> Result<(), CellFault> {
        let is_exact = match cell {
            JsonCell::Int(value) if storage == Storage::Float32 => {
                *value as f32 as i128 == i128::from(*value)
            }
            JsonCell::Int(value) => *value as f64 as i128 == i128::from(*value),
            JsonCell::Float(value) => {
                if self.is_key && !self.is_growing && cell.may_be_huge() {
                    self.respell = self.respell.max(Some(Respell::Given));
                }
                self.found.has_fraction |= value.abs() < 1e15;
                true
            }
            JsonCell::UInt(value) => *value as f64 as u128 == u128::from(*value),
            JsonCell::Spelled { value, text, is_integer } => !is_integer || is_exactly(*value, text),
            _ => true,
        };
        self.found.has_huge |= cell.may_be_huge();
        self.found.has_inexact |= !is_exact && self.is_growing;
        if is_exact || !self.is_key || self.is_growing {
            return Ok(());
        }
        let mut number = String::new();
        coerce::write_text(cell, &mut number);
        Err(CellFault::Inexact { value: number })
    }

    /// Infers or promotes the column's type so that `cell` fits, where the rules allow it.
    fn grow_for(&mut self, cell: &JsonCell<'_>) {
        match (self.storage, cell) {
            (None, cell) => {
                if let Some(storage) = infer::storage_of(cell) {
                    self.become_typed(storage);
                }
            }
            (Some(Storage::Integer), JsonCell::Float(_) | JsonCell::UInt(_) | JsonCell::Spelled { .. }) => {
                self.promote_ints_to_floats();
            }
            (Some(Storage::Integer | Storage::Bool), JsonCell::Text(_)) => self.promote_to_texts(),
            (Some(Storage::Float64), JsonCell::Text(_)) => self.await_respelling(),
            (Some(Storage::Date32), JsonCell::Text(text)) => match infer::moment_in(text) {
                Some(moment) if moment.inferred_from_json() == Storage::Date32 => {}
                Some(_) => self.promote_days_to_ms(),
                None => self.await_respelling(),
            },
            (Some(Storage::Date32), JsonCell::Int(ms)) if ms.rem_euclid(MS_PER_DAY) != 0 => {
                self.promote_days_to_ms();
            }
            (Some(Storage::TimestampMs), JsonCell::Text(text)) if infer::moment_in(text).is_none() => {
                self.await_respelling();
            }
            _ => {}
        }
    }

    /// Makes the column a text column although its spellings are lost; it holds fillers until the next reading.
    fn await_respelling(&mut self) {
        self.respell = Some(Respell::Texts);
        self.become_typed(Storage::Utf8);
    }

    fn become_typed(&mut self, storage: Storage) {
        self.storage = Some(storage);
        self.values = StoreValues::new(storage);
        for _ in 0..self.states.len() {
            self.values.push_filler();
        }
    }

    fn promote_ints_to_floats(&mut self) {
        if let StoreValues::Ints(values) = &self.values {
            self.found.has_inexact |= values.iter().any(|value| *value as f64 as i128 != i128::from(*value));
            self.values = StoreValues::Floats(values.iter().map(|value| *value as f64).collect());
            self.storage = Some(Storage::Float64);
        }
    }

    fn promote_days_to_ms(&mut self) {
        if let StoreValues::Days(values) = &self.values {
            self.values =
                StoreValues::Millis(values.iter().map(|days| i64::from(*days) * MS_PER_DAY).collect());
            self.storage = Some(Storage::TimestampMs);
        }
    }

    /// Converts texts, all of which are numbers, some of them floats.
    fn promote_digits_to_floats(&mut self) {
        let StoreValues::Texts(texts) = &self.values else { return };
        let mut floats = Vec::with_capacity(texts.len());
        for (row, state) in self.states.iter().enumerate() {
            let text = if *state == State::Given { texts.get(row) } else { "0" };
            let value = text.parse().unwrap_or(f64::NAN);
            let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            self.found.has_inexact |= is_integer && !is_exactly(value, text);
            floats.push(value);
        }
        self.values = StoreValues::Floats(floats);
        self.storage = Some(Storage::Float64);
    }

    /// Converts integers and bools, which have only one spelling.
    fn promote_to_texts(&mut self) {
        let mut texts = TextValues::default();
        for (row, state) in self.states.iter().enumerate() {
            match (&self.values, state) {
                (StoreValues::Ints(values), State::Given) => texts.push(&values[row].to_string()),
                (StoreValues::Bools(values), State::Given) => texts.push(&values[row].to_string()),
                _ => texts.push(""),
            }
        }
        self.values = StoreValues::Texts(texts);
        self.storage = Some(Storage::Utf8);
    }

    /// Builds the array, with a bitmap of missing cells if there are any.
    pub(super) fn finish(mut self, column: &str) -> Result<Finished> {
        self.settle();
        if self.respell == Some(Respell::Digits) && self.found.has_fraction {
            self.promote_digits_to_floats();
        }
        let storage = self.storage.unwrap_or(Storage::Utf8);
        if self.is_key && self.found.has_inexact && storage == Storage::Float64 {
            return Err(DataError::InexactIndex { column: column.to_owned() }.into());
        }
        let count = |wanted: State| self.states.iter().filter(|state| **state == wanted).count();
        let bits = |is: fn(State) -> bool| {
            BooleanBuffer::collect_bool(self.states.len(), |row| is(self.states[row]))
        };
        let num_missing = count(State::Missing);
        let num_given = count(State::Given);
        let missing = (num_missing > 0).then(|| bits(|state| state == State::Missing));
        let nulls =
            (num_given < self.states.len()).then(|| NullBuffer::new(bits(|state| state == State::Given)));
        Ok(Finished { values: self.values.finish(storage, nulls, column)?, missing, storage })
    }
}

pub(super) struct Finished {
    pub(super) storage: Storage,
    pub(super) values: ArrayRef,
    pub(super) missing: Option<BooleanBuffer>,
}

/// Returns whether the digits are the float's exact value.
fn is_exactly(value: f64, digits: &str) -> bool {
    format!("{value:.0}") == digits
}

fn push_value<T: Default>(values: &mut Vec<T>, value: Option<T>) -> State {
    let state = if value.is_some() { State::Given } else { State::Null };
    values.push(value.unwrap_or_default());
    state
}

impl StoreValues {
    fn new(storage: Storage) -> StoreValues {
        match storage {
            Storage::Integer
            | Storage::Int8
            | Storage::Int16
            | Storage::Int32
            | Storage::Int64
            | Storage::UInt8
            | Storage::UInt16
            | Storage::UInt32
            | Storage::UInt64 => StoreValues::Ints(Vec::new()),
            Storage::Float32 | Storage::Float64 => StoreValues::Floats(Vec::new()),
            Storage::Bool => StoreValues::Bools(Vec::new()),
            Storage::Utf8 => StoreValues::Texts(TextValues::default()),
            Storage::Date32 => StoreValues::Days(Vec::new()),
            Storage::TimestampMs => StoreValues::Millis(Vec::new()),
        }
    }

    fn push_filler(&mut self) {
        match self {
            StoreValues::Untyped => {}
            StoreValues::Ints(values) | StoreValues::Millis(values) => values.push(0),
            StoreValues::Floats(values) => values.push(0.0),
            StoreValues::Bools(values) => values.push(false),
            StoreValues::Days(values) => values.push(0),
            StoreValues::Texts(texts) => texts.push(""),
        }
    }

    fn finish(self, storage: Storage, nulls: Option<NullBuffer>, column: &str) -> Result<ArrayRef> {
        // The range of integers was checked when they were pushed.
        macro_rules! narrowed {
            ($array:ident, $values:ident, $native:ty) => {{
                let values: Vec<$native> = $values.into_iter().map(|value| value as $native).collect();
                Arc::new($array::new(values.into(), nulls))
            }};
        }
        Ok(match (self, storage) {
            (StoreValues::Texts(texts), _) => texts.finish(nulls, column)?,
            (StoreValues::Bools(values), _) => Arc::new(BooleanArray::new(values.into(), nulls)),
            (StoreValues::Days(values), _) => Arc::new(Date32Array::new(values.into(), nulls)),
            (StoreValues::Millis(values), _) => {
                Arc::new(TimestampMillisecondArray::new(values.into(), nulls))
            }
            (StoreValues::Floats(values), Storage::Float32) => narrowed!(Float32Array, values, f32),
            (StoreValues::Floats(values), _) => Arc::new(Float64Array::new(values.into(), nulls)),
            (StoreValues::Ints(values), Storage::Int8) => narrowed!(Int8Array, values, i8),
            (StoreValues::Ints(values), Storage::Int16) => narrowed!(Int16Array, values, i16),
            (StoreValues::Ints(values), Storage::Int32) => narrowed!(Int32Array, values, i32),
            (StoreValues::Ints(values), Storage::UInt8) => narrowed!(UInt8Array, values, u8),
            (StoreValues::Ints(values), Storage::UInt16) => narrowed!(UInt16Array, values, u16),
            (StoreValues::Ints(values), Storage::UInt32) => narrowed!(UInt32Array, values, u32),
            (StoreValues::Ints(values), Storage::UInt64) => narrowed!(UInt64Array, values, u64),
            (StoreValues::Ints(values), _) => Arc::new(Int64Array::new(values.into(), nulls)),
            (StoreValues::Untyped, _) => TextValues::default().finish(None, column)?,
        })
    }
}
