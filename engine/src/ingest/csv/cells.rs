//! The cells of a CSV column: parsing into an array, and inference of the column's type.
//!
//! Invariant: a type is possible as long as no value has refuted it. A reader uses the first possible type; a misfit
//! within its first block restarts it with the next, a later one leaves the column to another round.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, NullBufferBuilder, TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};

use super::parse::{self, is_null};
use super::split::{Block, FieldText};
use super::texts::{self, Texts};
use crate::error::Result;
use crate::types::schema::Storage;

/// The types a new column may have, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CsvKind {
    Integer,
    Boolean,
    Date,
    Datetime,
    Float,
    Text,
}

/// How floats are written, and whether they are keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CsvNumbers {
    /// The decimal separator is a comma.
    pub(super) has_comma: bool,
    /// They are row keys: an integer that would be rounded does not fit.
    pub(super) is_key: bool,
}

impl CsvNumbers {
    fn float(self, text: &str) -> Option<f64> {
        match (self.has_comma, self.is_key) {
            (true, false) => parse::comma_float(text),
            (true, true) => parse::comma_float(text).and(parse::exact_float(&text.replacen(',', ".", 1))),
            (false, true) => parse::exact_float(text),
            (false, false) => parse::float(text),
        }
    }
}

/// A set of types, one bit each.
#[derive(Debug, Clone, Copy)]
struct Kinds(u8);

impl CsvKind {
    pub(super) const FIRST: CsvKind = CsvKind::Integer;
    const ALL: [CsvKind; 6] =
        [CsvKind::Integer, CsvKind::Boolean, CsvKind::Date, CsvKind::Datetime, CsvKind::Float, CsvKind::Text];

    pub(super) fn storage(self) -> Storage {
        match self {
            CsvKind::Integer => Storage::Int64,
            CsvKind::Boolean => Storage::Bool,
            CsvKind::Date => Storage::Date32,
            CsvKind::Datetime => Storage::TimestampMs,
            CsvKind::Float => Storage::Float64,
            CsvKind::Text => Storage::Utf8,
        }
    }

    fn takes(self, text: &str, numbers: CsvNumbers) -> bool {
        match self {
            CsvKind::Integer => parse::integer(text).is_some(),
            CsvKind::Boolean => parse::boolean(text).is_some(),
            CsvKind::Date => parse::date(text).is_some(),
            CsvKind::Datetime => parse::datetime(text).is_some(),
            CsvKind::Float => numbers.float(text).is_some(),
            CsvKind::Text => true,
        }
    }

    /// Returns the first type that no reader of the column has refuted.
    pub(super) fn agreed(readers: &[CellReader]) -> CsvKind {
        Kinds(readers.iter().fold(u8::MAX, |kinds, reader| kinds & reader.possible.0)).first()
    }
}

impl Kinds {
    /// This type and those that are tried after it.
    fn from(kind: CsvKind) -> Kinds {
        Kinds(u8::MAX << kind as u8)
    }

    /// Returns the types that accept a value, which is not null.
    fn of(text: &str, numbers: CsvNumbers) -> Kinds {
        Kinds(
            CsvKind::ALL
                .iter()
                .filter(|kind| kind.takes(text, numbers))
                .fold(0, |kinds, kind| kinds | 1 << *kind as u8),
        )
    }

    fn first(self) -> CsvKind {
        let first = CsvKind::ALL.into_iter().find(|kind| self.0 >> *kind as u8 & 1 == 1);
        first.unwrap_or(CsvKind::Text)
    }
}

/// Reads the cells of one column in one part of the text.
#[derive(Debug)]
pub(super) struct CellReader {
    /// The type tried for a new column; `None` if the storage type is fixed.
    kind: Option<CsvKind>,
    numbers: CsvNumbers,
    possible: Kinds,
    cells: ParsedCells,
    num_rows: usize,
    /// The first row that does not fit, and its text; reading stops there.
    misfit: Option<(usize, String)>,
}

impl CellReader {
    /// Infers the type; `kind` and the types after it are possible.
    pub(super) fn inferring(kind: CsvKind, numbers: CsvNumbers) -> CellReader {
        CellReader {
            kind: Some(kind),
            possible: Kinds::from(kind),
            ..CellReader::fixed(kind.storage(), numbers)
        }
    }

    pub(super) fn fixed(storage: Storage, numbers: CsvNumbers) -> CellReader {
        let possible = Kinds::from(CsvKind::FIRST);
        CellReader {
            kind: None,
            numbers,
            possible,
            cells: ParsedCells::new(storage),
            num_rows: 0,
            misfit: None,
        }
    }

    pub(super) fn is_of(&self, kind: CsvKind) -> bool {
        self.kind == Some(kind) && self.misfit.is_none()
    }

    /// Returns whether all cells are nulls.
    pub(super) fn is_null(&self) -> bool {
        self.misfit.is_none() && self.cells.is_null()
    }

    pub(super) fn misfit(&self) -> Option<(usize, &str)> {
        self.misfit.as_ref().map(|(row, value)| (*row, &**value))
    }

    /// Reserves memory for this many rows in total, where the size per row is known.
    pub(super) fn expect(&mut self, num_rows: usize) {
        self.cells.expect(num_rows);
    }

    /// Reads the cells of a block.
    pub(super) fn take(&mut self, text: &str, block: &Block, column: usize) {
        while self.misfit.is_none() {
            let Err(row) = self.cells.take(text, block, column, self.kind, self.numbers) else {
                self.num_rows += block.num_rows();
                return;
            };
            let value = block.get(text, row, column);
            if self.kind.is_some() {
                self.possible.0 &= Kinds::of(value, self.numbers).0;
                let kind = self.possible.first();
                self.kind = Some(kind);
                self.cells = ParsedCells::new(kind.storage());
                if self.num_rows == 0 {
                    continue;
                }
            }
            self.misfit = Some((self.num_rows + row, value.to_owned()));
        }
    }
}

#[derive(Debug)]
enum ParsedCells {
    Int8(NullableValues<i8>),
    Int16(NullableValues<i16>),
    Int32(NullableValues<i32>),
    Int64(NullableValues<i64>),
    UInt8(NullableValues<u8>),
    UInt16(NullableValues<u16>),
    UInt32(NullableValues<u32>),
    UInt64(NullableValues<u64>),
    Float32(NullableValues<f32>),
    Float64(NullableValues<f64>),
    Bool(NullableValues<bool>),
    Date(NullableValues<i32>),
    Datetime(NullableValues<i64>),
    Text(Texts),
}

impl ParsedCells {
    fn new(storage: Storage) -> ParsedCells {
        match storage {
            Storage::Int8 => ParsedCells::Int8(NullableValues::default()),
            Storage::Int16 => ParsedCells::Int16(NullableValues::default()),
            Storage::Int32 => ParsedCells::Int32(NullableValues::default()),
            Storage::Integer | Storage::Int64 => ParsedCells::Int64(NullableValues::default()),
            Storage::UInt8 => ParsedCells::UInt8(NullableValues::default()),
            Storage::UInt16 => ParsedCells::UInt16(NullableValues::default()),
            Storage::UInt32 => ParsedCells::UInt32(NullableValues::default()),
            Storage::UInt64 => ParsedCells::UInt64(NullableValues::default()),
            Storage::Float32 => ParsedCells::Float32(NullableValues::default()),
            Storage::Float64 => ParsedCells::Float64(NullableValues::default()),
            Storage::Bool => ParsedCells::Bool(NullableValues::default()),
            Storage::Date32 => ParsedCells::Date(NullableValues::default()),
            Storage::TimestampMs => ParsedCells::Datetime(NullableValues::default()),
            Storage::Utf8 => ParsedCells::Text(Texts::default()),
        }
    }

    fn expect(&mut self, num_rows: usize) {
        match self {
            ParsedCells::Int8(values) => values.expect(num_rows),
            ParsedCells::Int16(values) => values.expect(num_rows),
            ParsedCells::Int32(values) | ParsedCells::Date(values) => values.expect(num_rows),
            ParsedCells::Int64(values) | ParsedCells::Datetime(values) => values.expect(num_rows),
            ParsedCells::UInt8(values) => values.expect(num_rows),
            ParsedCells::UInt16(values) => values.expect(num_rows),
            ParsedCells::UInt32(values) => values.expect(num_rows),
            ParsedCells::UInt64(values) => values.expect(num_rows),
            ParsedCells::Float32(values) => values.expect(num_rows),
            ParsedCells::Float64(values) => values.expect(num_rows),
            ParsedCells::Bool(values) => values.expect(num_rows),
            ParsedCells::Text(texts) => texts.expect(num_rows),
        }
    }

    fn is_null(&self) -> bool {
        match self {
            ParsedCells::Int8(values) => values.is_null(),
            ParsedCells::Int16(values) => values.is_null(),
            ParsedCells::Int32(values) | ParsedCells::Date(values) => values.is_null(),
            ParsedCells::Int64(values) | ParsedCells::Datetime(values) => values.is_null(),
            ParsedCells::UInt8(values) => values.is_null(),
            ParsedCells::UInt16(values) => values.is_null(),
            ParsedCells::UInt32(values) => values.is_null(),
            ParsedCells::UInt64(values) => values.is_null(),
            ParsedCells::Float32(values) => values.is_null(),
            ParsedCells::Float64(values) => values.is_null(),
            ParsedCells::Bool(values) => values.is_null(),
            ParsedCells::Text(_) => false,
        }
    }

    /// Reads cells of a block. The error is the row within the block of the first cell that does not fit; cells before
    /// it may have been read.
    fn take(
        &mut self,
        text: &str,
        block: &Block,
        column: usize,
        kind: Option<CsvKind>,
        numbers: CsvNumbers,
    ) -> Result<(), usize> {
        let cells = block.column(text, column);
        match self {
            ParsedCells::Int8(values) => values.take(cells, |cell| parse::narrow_integer::<i8>(cell.text())),
            ParsedCells::Int16(values) => {
                values.take(cells, |cell| parse::narrow_integer::<i16>(cell.text()))
            }
            ParsedCells::Int32(values) => {
                values.take(cells, |cell| i32::try_from(parse::integer_cell(cell)?).ok())
            }
            ParsedCells::Int64(values) => values.take(cells, parse::integer_cell),
            ParsedCells::UInt8(values) => values.take(cells, |cell| parse::narrow_integer::<u8>(cell.text())),
            ParsedCells::UInt16(values) => {
                values.take(cells, |cell| parse::narrow_integer::<u16>(cell.text()))
            }
            ParsedCells::UInt32(values) => {
                values.take(cells, |cell| parse::narrow_integer::<u32>(cell.text()))
            }
            ParsedCells::UInt64(values) => values.take(cells, |cell| parse::unsigned_integer(cell.text())),
            ParsedCells::Float32(values) => {
                values.take(cells, |cell| numbers.float(cell.text()).map(|value| value as f32))
            }
            ParsedCells::Float64(values) if numbers == CsvNumbers::default() => {
                values.take(cells, |cell| parse::float(cell.text()))
            }
            ParsedCells::Float64(values) => values.take(cells, |cell| numbers.float(cell.text())),
            ParsedCells::Bool(values) => values.take(cells, |cell| parse::boolean(cell.text())),
            ParsedCells::Date(values) => values.take(cells, |cell| parse::date(cell.text())),
            ParsedCells::Datetime(values) if kind.is_some() => {
                values.take(cells, |cell| parse::datetime(cell.text()))
            }
            ParsedCells::Datetime(values) => {
                values.take(cells, |cell| parse::datetime(cell.text()).or_else(|| parse::integer_cell(cell)))
            }
            ParsedCells::Text(texts) => {
                texts.take(cells);
                Ok(())
            }
        }
    }
}

/// One value per row; that of a null is a filler.
#[derive(Debug)]
struct NullableValues<T> {
    values: Vec<T>,
    valid: NullBufferBuilder,
    num_nulls: usize,
}

impl<T> Default for NullableValues<T> {
    fn default() -> Self {
        // Allocates nothing before the first null.
        NullableValues { values: Vec::new(), valid: NullBufferBuilder::new(0), num_nulls: 0 }
    }
}

impl<T: Copy + Default> NullableValues<T> {
    fn expect(&mut self, num_rows: usize) {
        self.values.reserve(num_rows.saturating_sub(self.values.len()));
    }

    fn is_null(&self) -> bool {
        self.num_nulls == self.values.len()
    }

    #[inline]
    fn take<'a>(
        &mut self,
        cells: impl ExactSizeIterator<Item = FieldText<'a>>,
        parse: impl Fn(FieldText<'a>) -> Option<T>,
    ) -> Result<(), usize> {
        self.values.reserve(cells.len());
        let first = self.values.len();
        // The number of these rows whose validity bit has been appended.
        let mut num_marked = 0;
        for cell in cells {
            if let Some(value) = parse(cell) {
                self.values.push(value);
                continue;
            }
            let row = self.values.len() - first;
            if !is_null(cell.text()) {
                return Err(row);
            }
            self.valid.append_n_non_nulls(row - num_marked);
            self.valid.append_null();
            num_marked = row + 1;
            self.values.push(T::default());
            self.num_nulls += 1;
        }
        self.valid.append_n_non_nulls(self.values.len() - first - num_marked);
        Ok(())
    }

    fn append(&mut self, other: &NullableValues<T>, other_nulls: Option<&NullBuffer>) {
        self.values.extend_from_slice(&other.values);
        self.num_nulls += other.num_nulls;
        match other_nulls {
            Some(nulls) => self.valid.append_buffer(nulls),
            None => self.valid.append_n_non_nulls(other.values.len()),
        }
    }
}

/// Concatenates the parts of one column, which have the same type.
pub(super) fn join(parts: Vec<CellReader>, name: &str) -> Result<ArrayRef> {
    let storage = parts.first().map(|part| part.cells.storage());
    macro_rules! joined {
        ($variant:ident, $array:ident) => {
            joined!($variant, $array, ScalarBuffer::from)
        };
        ($variant:ident, $array:ident, $packed:expr) => {{
            let mut parts = parts.into_iter().filter_map(|part| match part.cells {
                ParsedCells::$variant(values) => Some(values),
                _ => None,
            });
            let mut joined = parts.next().unwrap_or_default();
            let parts: Vec<_> = parts.collect();
            joined.values.reserve_exact(parts.iter().map(|part| part.values.len()).sum());
            for mut part in parts {
                let nulls = part.valid.finish();
                joined.append(&part, nulls.as_ref());
            }
            let nulls = joined.valid.finish();
            Ok(Arc::new($array::new($packed(joined.values), nulls)) as ArrayRef)
        }};
    }
    match storage {
        Some(Storage::Int8) => joined!(Int8, Int8Array),
        Some(Storage::Int16) => joined!(Int16, Int16Array),
        Some(Storage::Int32) => joined!(Int32, Int32Array),
        Some(Storage::Integer | Storage::Int64) => joined!(Int64, Int64Array),
        Some(Storage::UInt8) => joined!(UInt8, UInt8Array),
        Some(Storage::UInt16) => joined!(UInt16, UInt16Array),
        Some(Storage::UInt32) => joined!(UInt32, UInt32Array),
        Some(Storage::UInt64) => joined!(UInt64, UInt64Array),
        Some(Storage::Float32) => joined!(Float32, Float32Array),
        Some(Storage::Float64) => joined!(Float64, Float64Array),
        Some(Storage::Bool) => joined!(Bool, BooleanArray, |bools: Vec<bool>| {
            BooleanBuffer::collect_bool(bools.len(), |row| bools[row])
        }),
        Some(Storage::Date32) => joined!(Date, Date32Array),
        Some(Storage::TimestampMs) => joined!(Datetime, TimestampMillisecondArray),
        Some(Storage::Utf8) | None => {
            let texts = parts.into_iter().filter_map(|part| match part.cells {
                ParsedCells::Text(texts) => Some(texts),
                _ => None,
            });
            texts::join(texts.collect(), name)
        }
    }
}

impl ParsedCells {
    fn storage(&self) -> Storage {
        match self {
            ParsedCells::Int8(_) => Storage::Int8,
            ParsedCells::Int16(_) => Storage::Int16,
            ParsedCells::Int32(_) => Storage::Int32,
            ParsedCells::Int64(_) => Storage::Int64,
            ParsedCells::UInt8(_) => Storage::UInt8,
            ParsedCells::UInt16(_) => Storage::UInt16,
            ParsedCells::UInt32(_) => Storage::UInt32,
            ParsedCells::UInt64(_) => Storage::UInt64,
            ParsedCells::Float32(_) => Storage::Float32,
            ParsedCells::Float64(_) => Storage::Float64,
            ParsedCells::Bool(_) => Storage::Bool,
            ParsedCells::Date(_) => Storage::Date32,
            ParsedCells::Datetime(_) => Storage::TimestampMs,
            ParsedCells::Text(_) => Storage::Utf8,
        }
    }
}

/// Returns the name of a storage type in conversion errors.
pub(super) fn type_name(storage: Storage) -> &'static str {
    match storage {
        Storage::Int8 => "int8",
        Storage::Int16 => "int16",
        Storage::Int32 => "int32",
        Storage::Integer | Storage::Int64 => "int64",
        Storage::UInt8 => "uint8",
        Storage::UInt16 => "uint16",
        Storage::UInt32 => "uint32",
        Storage::UInt64 => "uint64",
        Storage::Float32 => "float",
        Storage::Float64 => "double",
        Storage::Bool => "bool",
        Storage::Utf8 => "string",
        Storage::Date32 => "date64[ms]",
        Storage::TimestampMs => "timestamp[ms]",
    }
}
