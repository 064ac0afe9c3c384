//! Typed, chunked, copy-on-write columns.
//!
//! Invariant: a column *is* its snapshot: readers hold a clone, the writer continues. Cost: cloning a column is
//! O(1); a write copies only the chunk it modifies, and only if a clone still shares it.

mod chunked_vec;
mod code_reclaim;
mod column_set;
mod compact;
mod dictionary;
mod from_scalars;
mod gather;
mod live;
mod scan;
mod text_bytes;
mod width;

pub(crate) use chunked_vec::{CHUNK, CellValue, Chunk, ChunkedVec, PAGE_ROWS};
use code_reclaim::CodeReclaim;
pub(crate) use column_set::ColumnSet;
pub(crate) use compact::compact;
pub(crate) use dictionary::{Interner, Strings, write_codes};
pub(crate) use from_scalars::array;
use gather::gather_primitive;
pub(crate) use gather::gather_strings;
pub(crate) use live::{Live, LiveSlots};
pub(crate) use text_bytes::TextBytes;
pub(crate) use width::Width;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBuilder, PrimitiveArray};
use arrow::datatypes::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::types::scalar::Scalar;
use crate::types::schema::Storage;
use crate::types::total_order::{compare_floats, float_bits, null_first};

/// The cells of one column, by slot.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    Integer(ChunkedVec<i64>, Width),
    Int8(ChunkedVec<i8>),
    Int16(ChunkedVec<i16>),
    Int32(ChunkedVec<i32>),
    Int64(ChunkedVec<i64>),
    UInt8(ChunkedVec<u8>),
    UInt16(ChunkedVec<u16>),
    UInt32(ChunkedVec<u32>),
    UInt64(ChunkedVec<u64>),
    Float32(ChunkedVec<f32>),
    Float64(ChunkedVec<f64>),
    Bool(ChunkedVec<bool>),
    Date(ChunkedVec<i32>),
    Datetime(ChunkedVec<i64>),
    Str(ChunkedVec<u32>, Strings),
}

/// Runs `$body` with `$cells` bound to the typed cells of `$column`, whichever variant it is. Text binds its codes.
macro_rules! each_column {
    ($column:expr, $cells:ident => $body:expr) => {
        match $column {
            Column::Integer($cells, _) => $body,
            Column::Int8($cells) => $body,
            Column::Int16($cells) => $body,
            Column::Int32($cells) => $body,
            Column::Int64($cells) => $body,
            Column::UInt8($cells) => $body,
            Column::UInt16($cells) => $body,
            Column::UInt32($cells) => $body,
            Column::UInt64($cells) => $body,
            Column::Float32($cells) => $body,
            Column::Float64($cells) => $body,
            Column::Bool($cells) => $body,
            Column::Date($cells) => $body,
            Column::Datetime($cells) => $body,
            Column::Str($cells, _) => $body,
        }
    };
}

impl Column {
    pub(crate) fn new(storage: Storage) -> Column {
        match storage {
            Storage::Integer => Column::Integer(ChunkedVec::default(), Width::default()),
            Storage::Int8 => Column::Int8(ChunkedVec::default()),
            Storage::Int16 => Column::Int16(ChunkedVec::default()),
            Storage::Int32 => Column::Int32(ChunkedVec::default()),
            Storage::Int64 => Column::Int64(ChunkedVec::default()),
            Storage::UInt8 => Column::UInt8(ChunkedVec::default()),
            Storage::UInt16 => Column::UInt16(ChunkedVec::default()),
            Storage::UInt32 => Column::UInt32(ChunkedVec::default()),
            Storage::UInt64 => Column::UInt64(ChunkedVec::default()),
            Storage::Float32 => Column::Float32(ChunkedVec::default()),
            Storage::Float64 => Column::Float64(ChunkedVec::default()),
            Storage::Bool => Column::Bool(ChunkedVec::default()),
            Storage::Date32 => Column::Date(ChunkedVec::default()),
            Storage::TimestampMs => Column::Datetime(ChunkedVec::default()),
            Storage::Utf8 => Column::Str(ChunkedVec::default(), Strings::default()),
        }
    }

    /// Bytes that a cell takes in the column, without the texts of a text column.
    pub(crate) fn bytes_of(storage: Storage) -> usize {
        let column = Column::new(storage);
        each_column!(&column, cells => cells.cell_bytes())
    }

    pub(crate) fn storage(&self) -> Storage {
        match self {
            Column::Integer(..) => Storage::Integer,
            Column::Int8(_) => Storage::Int8,
            Column::Int16(_) => Storage::Int16,
            Column::Int32(_) => Storage::Int32,
            Column::Int64(_) => Storage::Int64,
            Column::UInt8(_) => Storage::UInt8,
            Column::UInt16(_) => Storage::UInt16,
            Column::UInt32(_) => Storage::UInt32,
            Column::UInt64(_) => Storage::UInt64,
            Column::Float32(_) => Storage::Float32,
            Column::Float64(_) => Storage::Float64,
            Column::Bool(_) => Storage::Bool,
            Column::Date(_) => Storage::Date32,
            Column::Datetime(_) => Storage::TimestampMs,
            Column::Str(..) => Storage::Utf8,
        }
    }

    pub(crate) fn is_valid(&self, slot: u32) -> bool {
        each_column!(self, cells => cells.get(slot).is_some())
    }

    /// Prefetches the cells ([`ChunkedVec::prefetch`]).
    pub(crate) fn touch_all(&self, slots: &[u32]) {
        each_column!(self, cells => slots.iter().for_each(|&slot| cells.prefetch(slot)));
    }

    /// The cell as bits that are equal exactly when the values are; `None` is null.
    ///
    /// The bits of text are its code: comparable only within one column, and only while the code is in use.
    pub(crate) fn bits(&self, slot: u32) -> Option<u64> {
        match self {
            Column::Int8(cells) => cells.get(slot).map(|value| value as i64 as u64),
            Column::Int16(cells) => cells.get(slot).map(|value| value as i64 as u64),
            Column::Int32(cells) | Column::Date(cells) => cells.get(slot).map(|value| value as i64 as u64),
            Column::Integer(cells, _) | Column::Int64(cells) | Column::Datetime(cells) => {
                cells.get(slot).map(|value| value as u64)
            }
            Column::UInt8(cells) => cells.get(slot).map(u64::from),
            Column::UInt16(cells) => cells.get(slot).map(u64::from),
            Column::UInt32(cells) | Column::Str(cells, _) => cells.get(slot).map(u64::from),
            Column::UInt64(cells) => cells.get(slot),
            Column::Float32(cells) => cells.get(slot).map(|value| float_bits(f64::from(value))),
            Column::Float64(cells) => cells.get(slot).map(float_bits),
            Column::Bool(cells) => cells.get(slot).map(u64::from),
        }
    }

    /// The cell as a number (see [`Scalar::as_f64`]); `None` for null and text.
    pub(crate) fn number(&self, slot: u32) -> Option<f64> {
        match self {
            Column::Int8(cells) => cells.get(slot).map(f64::from),
            Column::Int16(cells) => cells.get(slot).map(f64::from),
            Column::Int32(cells) => cells.get(slot).map(f64::from),
            Column::Integer(cells, _) | Column::Int64(cells) | Column::Datetime(cells) => {
                cells.get(slot).map(|value| value as f64)
            }
            Column::UInt8(cells) => cells.get(slot).map(f64::from),
            Column::UInt16(cells) => cells.get(slot).map(f64::from),
            Column::UInt32(cells) => cells.get(slot).map(f64::from),
            Column::UInt64(cells) => cells.get(slot).map(|value| value as f64),
            Column::Float32(cells) => cells.get(slot).map(f64::from),
            Column::Float64(cells) => cells.get(slot),
            Column::Bool(cells) => cells.get(slot).map(|value| f64::from(u8::from(value))),
            Column::Date(cells) => Scalar::Date(cells.get(slot)?).as_f64(),
            Column::Str(..) => None,
        }
    }

    pub(crate) fn text(&self, slot: u32) -> Option<&str> {
        let Column::Str(codes, strings) = self else { return None };
        codes.get(slot).map(|code| strings.get(code))
    }

    pub(crate) fn scalar(&self, slot: u32) -> Scalar {
        match self {
            Column::Int8(cells) => cells.get(slot).map_or(Scalar::Null, |value| Scalar::Int(value.into())),
            Column::Int16(cells) => cells.get(slot).map_or(Scalar::Null, |value| Scalar::Int(value.into())),
            Column::Int32(cells) => cells.get(slot).map_or(Scalar::Null, |value| Scalar::Int(value.into())),
            Column::Integer(cells, _) | Column::Int64(cells) => {
                cells.get(slot).map_or(Scalar::Null, Scalar::Int)
            }
            Column::UInt8(cells) => cells.get(slot).map_or(Scalar::Null, |value| Scalar::Int(value.into())),
            Column::UInt16(cells) => cells.get(slot).map_or(Scalar::Null, |value| Scalar::Int(value.into())),
            Column::UInt32(cells) => cells.get(slot).map_or(Scalar::Null, |value| Scalar::Int(value.into())),
            Column::UInt64(cells) => cells.get(slot).map_or(Scalar::Null, Scalar::UInt),
            Column::Float32(cells) => {
                cells.get(slot).map_or(Scalar::Null, |value| Scalar::Float(value.into()))
            }
            Column::Float64(cells) => cells.get(slot).map_or(Scalar::Null, Scalar::Float),
            Column::Bool(cells) => cells.get(slot).map_or(Scalar::Null, Scalar::Bool),
            Column::Date(cells) => cells.get(slot).map_or(Scalar::Null, Scalar::Date),
            Column::Datetime(cells) => cells.get(slot).map_or(Scalar::Null, Scalar::Datetime),
            Column::Str(codes, strings) => {
                codes.get(slot).map_or(Scalar::Null, |code| Scalar::Str(strings.shared(code)))
            }
        }
    }

    /// Compares two cells in the engine's order: null, NaN, ascending.
    pub(crate) fn compare(&self, left: u32, right: u32) -> Ordering {
        match self {
            Column::Float32(cells) => null_first(cells.get(left), cells.get(right), |left, right| {
                compare_floats(left.into(), right.into())
            }),
            Column::Float64(cells) => null_first(cells.get(left), cells.get(right), compare_floats),
            Column::Str(codes, strings) => {
                null_first(codes.get(left), codes.get(right), |left, right| strings.compare(left, right))
            }
            Column::Int8(cells) => cells.get(left).cmp(&cells.get(right)),
            Column::Int16(cells) => cells.get(left).cmp(&cells.get(right)),
            Column::Int32(cells) | Column::Date(cells) => cells.get(left).cmp(&cells.get(right)),
            Column::Integer(cells, _) | Column::Int64(cells) | Column::Datetime(cells) => {
                cells.get(left).cmp(&cells.get(right))
            }
            Column::UInt8(cells) => cells.get(left).cmp(&cells.get(right)),
            Column::UInt16(cells) => cells.get(left).cmp(&cells.get(right)),
            Column::UInt32(cells) => cells.get(left).cmp(&cells.get(right)),
            Column::UInt64(cells) => cells.get(left).cmp(&cells.get(right)),
            Column::Bool(cells) => cells.get(left).cmp(&cells.get(right)),
        }
    }

    /// Gathers the cells at `slots`, in that order; text as `Dictionary<Int32, Utf8>` with codes in order of
    /// appearance.
    pub(crate) fn gather(&self, slots: &[u32]) -> ArrayRef {
        macro_rules! plain {
            ($cells:ident, $arrow:ty) => {
                Arc::new(PrimitiveArray::<$arrow>::new($cells.cells_of(slots), $cells.nulls_of(slots)))
            };
        }
        match self {
            Column::Int8(cells) => plain!(cells, Int8Type),
            Column::Int16(cells) => plain!(cells, Int16Type),
            Column::Int32(cells) => plain!(cells, Int32Type),
            Column::Integer(cells, _) | Column::Int64(cells) => plain!(cells, Int64Type),
            Column::UInt8(cells) => plain!(cells, UInt8Type),
            Column::UInt16(cells) => plain!(cells, UInt16Type),
            Column::UInt32(cells) => plain!(cells, UInt32Type),
            Column::UInt64(cells) => plain!(cells, UInt64Type),
            Column::Float32(cells) => plain!(cells, Float32Type),
            Column::Float64(cells) => plain!(cells, Float64Type),
            Column::Date(cells) => plain!(cells, Date32Type),
            Column::Datetime(cells) => plain!(cells, TimestampMillisecondType),
            Column::Bool(_) | Column::Str(..) => self.gather_optional(slots.len(), |row| Some(slots[row])),
        }
    }

    /// Gathers cells like [`Column::gather`]; a row without a slot is null.
    pub(crate) fn gather_optional(
        &self,
        num_rows: usize,
        slot_of: impl Fn(usize) -> Option<u32>,
    ) -> ArrayRef {
        match self {
            Column::Int8(cells) => gather_primitive::<Int8Type>(cells, num_rows, slot_of),
            Column::Int16(cells) => gather_primitive::<Int16Type>(cells, num_rows, slot_of),
            Column::Int32(cells) => gather_primitive::<Int32Type>(cells, num_rows, slot_of),
            Column::Integer(cells, _) | Column::Int64(cells) => {
                gather_primitive::<Int64Type>(cells, num_rows, slot_of)
            }
            Column::UInt8(cells) => gather_primitive::<UInt8Type>(cells, num_rows, slot_of),
            Column::UInt16(cells) => gather_primitive::<UInt16Type>(cells, num_rows, slot_of),
            Column::UInt32(cells) => gather_primitive::<UInt32Type>(cells, num_rows, slot_of),
            Column::UInt64(cells) => gather_primitive::<UInt64Type>(cells, num_rows, slot_of),
            Column::Float32(cells) => gather_primitive::<Float32Type>(cells, num_rows, slot_of),
            Column::Float64(cells) => gather_primitive::<Float64Type>(cells, num_rows, slot_of),
            Column::Date(cells) => gather_primitive::<Date32Type>(cells, num_rows, slot_of),
            Column::Datetime(cells) => gather_primitive::<TimestampMillisecondType>(cells, num_rows, slot_of),
            Column::Bool(cells) => {
                let mut builder = BooleanBuilder::with_capacity(num_rows);
                for row in 0..num_rows {
                    builder.append_option(slot_of(row).and_then(|slot| cells.get(slot)));
                }
                Arc::new(builder.finish())
            }
            Column::Str(codes, strings) => {
                gather_strings(strings, num_rows, |row| slot_of(row).and_then(|slot| codes.get(slot)))
            }
        }
    }

    /// Sets `slots` to null and releases their text.
    pub(crate) fn clear(&mut self, interner: Option<&mut Interner>, slots: &[u32]) {
        match (self, interner) {
            (Column::Str(codes, _), Some(interner)) => {
                for &slot in slots {
                    if let Some(code) = codes.get(slot) {
                        interner.release(code);
                    }
                    codes.set(slot, None);
                }
            }
            (column, _) => each_column!(column, cells => for &slot in slots {
                cells.set(slot, None);
            }),
        }
    }

    /// Removes all cells and releases all text.
    pub(crate) fn reset(&mut self, interner: Option<&mut Interner>) {
        if let (Column::Str(..), Some(interner)) = (&mut *self, interner) {
            interner.release_all();
        }
        if let Column::Integer(_, width) = self {
            *width = Width::default();
        }
        each_column!(self, cells => *cells = ChunkedVec::default());
    }

    /// Writes `values[row]` to the slot of each row of `writes`.
    ///
    /// The caller ensures that `values` has this column's storage type.
    pub(crate) fn write(&mut self, interner: Option<&mut Interner>, values: &ArrayRef, writes: Writes<'_>) {
        if let Slots::List(slots) = writes.slots {
            self.touch_all(slots);
        }
        match self {
            Column::Integer(cells, width) => {
                width.widen_for(values);
                write_primitive::<Int64Type>(cells, values, writes);
            }
            Column::Int8(cells) => write_primitive::<Int8Type>(cells, values, writes),
            Column::Int16(cells) => write_primitive::<Int16Type>(cells, values, writes),
            Column::Int32(cells) => write_primitive::<Int32Type>(cells, values, writes),
            Column::Int64(cells) => write_primitive::<Int64Type>(cells, values, writes),
            Column::UInt8(cells) => write_primitive::<UInt8Type>(cells, values, writes),
            Column::UInt16(cells) => write_primitive::<UInt16Type>(cells, values, writes),
            Column::UInt32(cells) => write_primitive::<UInt32Type>(cells, values, writes),
            Column::UInt64(cells) => write_primitive::<UInt64Type>(cells, values, writes),
            Column::Float32(cells) => write_primitive::<Float32Type>(cells, values, writes),
            Column::Float64(cells) => write_primitive::<Float64Type>(cells, values, writes),
            Column::Date(cells) => write_primitive::<Date32Type>(cells, values, writes),
            Column::Datetime(cells) => write_primitive::<TimestampMillisecondType>(cells, values, writes),
            Column::Bool(cells) => {
                let array = typed::<BooleanArray>(values);
                if let (Slots::Run { start, len }, None, 0) = (writes.slots, writes.skip, array.null_count())
                {
                    let values = array.values().slice(writes.first_row, len);
                    return cells.write_valid_run(start, &values.iter().collect::<Vec<bool>>());
                }
                writes.each(|row, slot| cells.set(slot, array.is_valid(row).then(|| array.value(row))));
            }
            Column::Str(codes, strings) => {
                let interner = interner.expect("a text column has an interner");
                dictionary::write(codes, strings, interner, values, writes);
            }
        }
    }

    /// Takes the pages of [`PAGE_ROWS`] slots in `pages` from a column of the same storage. Text columns are not
    /// supported.
    pub(crate) fn take_pages(&mut self, from: Column, pages: Range<usize>) {
        match (self, from) {
            (Column::Integer(cells, width), Column::Integer(from, from_width)) => {
                width.is_wide |= from_width.is_wide;
                cells.take_pages(&from, pages);
            }
            (Column::Int8(cells), Column::Int8(from)) => cells.take_pages(&from, pages),
            (Column::Int16(cells), Column::Int16(from)) => cells.take_pages(&from, pages),
            (Column::Int32(cells), Column::Int32(from)) => cells.take_pages(&from, pages),
            (Column::Int64(cells), Column::Int64(from)) => cells.take_pages(&from, pages),
            (Column::UInt8(cells), Column::UInt8(from)) => cells.take_pages(&from, pages),
            (Column::UInt16(cells), Column::UInt16(from)) => cells.take_pages(&from, pages),
            (Column::UInt32(cells), Column::UInt32(from)) => cells.take_pages(&from, pages),
            (Column::UInt64(cells), Column::UInt64(from)) => cells.take_pages(&from, pages),
            (Column::Float32(cells), Column::Float32(from)) => cells.take_pages(&from, pages),
            (Column::Float64(cells), Column::Float64(from)) => cells.take_pages(&from, pages),
            (Column::Bool(cells), Column::Bool(from)) => cells.take_pages(&from, pages),
            (Column::Date(cells), Column::Date(from)) => cells.take_pages(&from, pages),
            (Column::Datetime(cells), Column::Datetime(from)) => cells.take_pages(&from, pages),
            (to, from) => panic!("cannot take pages of {:?} into {:?}", from.storage(), to.storage()),
        }
    }

    /// The number of chunks of [`CHUNK`] slots, up to the last one ever written.
    pub(crate) fn num_chunks(&self) -> usize {
        each_column!(self, cells => cells.num_chunks())
    }

    /// Bytes held by the cells, including those shared with snapshots.
    pub(crate) fn memory(&self) -> usize {
        let cells = each_column!(self, cells => cells.memory());
        if let Column::Str(_, strings) = self { cells + strings.memory() } else { cells }
    }
}

/// The destination of a batch's rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writes<'a> {
    pub(crate) slots: Slots<'a>,
    /// Rows that are not written, because the batch has no cell for them.
    pub(crate) skip: Option<&'a arrow::buffer::BooleanBuffer>,
    /// The number of leading rows of the batch that are not written at all.
    pub(crate) first_row: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Slots<'a> {
    /// Row `first_row + i` is written to slot `start + i`, for `len` rows.
    Run { start: u32, len: usize },
    /// Row `first_row + i` is written to slot `list[i]`.
    List(&'a [u32]),
}

impl Writes<'_> {
    pub(crate) fn each(&self, mut write: impl FnMut(usize, u32)) {
        let given = |row: usize| self.skip.is_none_or(|skip| !skip.value(row));
        match self.slots {
            Slots::Run { start, len } => {
                for offset in 0..len {
                    let row = self.first_row + offset;
                    if given(row) {
                        write(row, start + offset as u32);
                    }
                }
            }
            Slots::List(list) => {
                for (offset, &slot) in list.iter().enumerate() {
                    let row = self.first_row + offset;
                    if given(row) {
                        write(row, slot);
                    }
                }
            }
        }
    }
}

pub(crate) fn typed<A: Array + 'static>(values: &ArrayRef) -> &A {
    values.as_any().downcast_ref::<A>().expect("a batch's arrays have their column's storage type")
}

fn write_primitive<T: ArrowPrimitiveType>(
    cells: &mut ChunkedVec<T::Native>,
    values: &ArrayRef,
    writes: Writes<'_>,
) where
    T::Native: CellValue,
{
    let array = typed::<PrimitiveArray<T>>(values);
    if let (Slots::Run { start, len }, None) = (writes.slots, writes.skip) {
        let values = &array.values()[writes.first_row..writes.first_row + len];
        if array.null_count() == 0 {
            cells.write_valid_run(start, values);
        } else {
            cells.write_run(start, values, |offset| array.is_valid(writes.first_row + offset));
        }
        return;
    }
    writes.each(|row, slot| cells.set(slot, array.is_valid(row).then(|| array.value(row))));
}
