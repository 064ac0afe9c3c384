//! Writes the vector of a block to a column of the expression's type.
//!
//! Invariant: cells are those of [`Value::into_scalar`]: numbers of another type are converted, other mismatches are
//! null.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, TimestampMillisecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};

use super::super::value::{ValueKind, days_of};
use super::vector::{Ref, VALID, Vector, VectorCells, VectorData};
use super::{Rows, VectorEvaluator};
use crate::column::{Column, Interner, Slots, Strings, Writes};
use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

/// Codes of texts that were already written to the column.
#[derive(Debug, Default)]
pub(crate) struct Written {
    kept: Vec<Option<u32>>,
    block: Vec<Option<u32>>,
    columns: hashbrown::HashMap<u64, u32, ahash::RandomState>,
}

impl VectorEvaluator<'_> {
    /// Evaluates and writes a block. Returns false, without writing, if the expression must be evaluated row by row.
    pub(crate) fn write(
        &mut self,
        column: &mut Column,
        interner: Option<&mut Interner>,
        slots: &[u32],
    ) -> bool {
        let rows = Rows::new(slots);
        let Some(vector) = self.block(rows) else { return false };
        let writes = match (rows.is_run, slots.first()) {
            (true, Some(&start)) => Slots::Run { start, len: slots.len() },
            _ => Slots::List(slots),
        };
        if let (Column::Str(codes, strings), Some(interner), VectorData::Text(cells)) =
            (&mut *column, interner, &vector.payloads)
        {
            let new: Vec<Option<u32>> = self.codes(&vector, cells, strings, interner, rows.len());
            crate::column::write_codes(codes, interner, &new, writes);
            return true;
        }
        if let Column::Str(..) = column {
            // Rows of several types, or without any text.
            return false;
        }
        let values = self.array(&vector, rows.len());
        column.write(None, &values, Writes { slots: writes, skip: None, first_row: 0 });
        true
    }

    fn codes(
        &mut self,
        vector: &Vector,
        cells: &VectorCells<Ref>,
        strings: &mut Strings,
        interner: &mut Interner,
        len: usize,
    ) -> Vec<Option<u32>> {
        let mut written = std::mem::take(&mut self.written);
        written.block.clear();
        let mut previous: Option<(Ref, u32)> = None;
        let codes = (0..len)
            .map(|row| {
                if vector.status(row) != VALID {
                    return None;
                }
                let place = cells.at(row);
                let code = match previous {
                    Some((same, code)) if same == place => code,
                    _ => written.code(place, |place| interner.code(strings, self.text(place))),
                };
                previous = Some((place, code));
                Some(code)
            })
            .collect();
        self.written = written;
        codes
    }

    /// Returns the vector as an array of the expression's storage type, except texts.
    pub(super) fn array(&self, vector: &Vector, len: usize) -> ArrayRef {
        let nulls = || {
            let statuses = vector.statuses.as_ref()?;
            Some(NullBuffer::new(BooleanBuffer::collect_bool(len, |row| statuses[row] == VALID)))
        };
        let is_integer = matches!(vector.kind, ValueKind::Integer(storage) if storage != Storage::UInt64);
        match (self.expression.storage, &vector.payloads) {
            (Storage::Float64, VectorData::Float(cells)) => {
                Arc::new(Float64Array::new(ScalarBuffer::from(spread(cells, len, |value| value)), nulls()))
            }
            (Storage::Float64, VectorData::Int(cells)) if is_integer => {
                Arc::new(Float64Array::new(spread(cells, len, |value| value as f64).into(), nulls()))
            }
            (Storage::Bool, VectorData::Bool(cells)) => {
                Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(len, |row| cells.at(row)), nulls()))
            }
            (Storage::Integer | Storage::Int64, VectorData::Int(cells)) if is_integer => {
                Arc::new(Int64Array::new(spread(cells, len, |value| value).into(), nulls()))
            }
            (Storage::Int32, VectorData::Int(cells)) if vector.kind == ValueKind::Integer(Storage::Int32) => {
                Arc::new(Int32Array::new(spread(cells, len, |value| value as i32).into(), nulls()))
            }
            (Storage::TimestampMs, VectorData::Int(cells)) if vector.kind == ValueKind::Datetime => {
                Arc::new(TimestampMillisecondArray::new(spread(cells, len, |value| value).into(), nulls()))
            }
            (Storage::Date32, VectorData::Int(cells)) if vector.kind == ValueKind::Date => {
                // Adjacent rows often have the same day.
                let mut last = (0, days_of(0));
                let days = (0..len).map(|row| {
                    let packed = cells.at(row) as i32;
                    if packed != last.0 {
                        last = (packed, days_of(packed));
                    }
                    last.1.filter(|_| vector.status(row) == VALID)
                });
                Arc::new(days.collect::<Date32Array>())
            }
            (storage, _) => {
                let values: Vec<Scalar> =
                    (0..len).map(|row| self.value(vector, row).into_scalar(storage)).collect();
                crate::column::array(storage, &values)
            }
        }
    }

    /// For tests: the cells that [`VectorEvaluator::write`] would write.
    #[cfg(test)]
    pub(crate) fn scalars(&mut self, slots: &[u32]) -> Option<Vec<Scalar>> {
        let vector = self.block(Rows::new(slots))?;
        let storage = self.expression.storage;
        Some((0..slots.len()).map(|row| self.value(&vector, row).into_scalar(storage)).collect())
    }
}

impl Written {
    fn code(&mut self, place: Ref, make: impl FnOnce(Ref) -> u32) -> u32 {
        let list = match place.source() {
            Ref::BLOCK => &mut self.block,
            Ref::KEPT => &mut self.kept,
            _ => return *self.columns.entry(place.bits()).or_insert_with(|| make(place)),
        };
        let at = place.code() as usize;
        if at >= list.len() {
            list.resize(at + 1, None);
        }
        *list[at].get_or_insert_with(|| make(place))
    }
}

fn spread<T: Copy, U>(cells: &VectorCells<T>, len: usize, convert: impl Fn(T) -> U) -> Vec<U> {
    match cells {
        VectorCells::Same(value) => (0..len).map(|_| convert(*value)).collect(),
        VectorCells::Each(values) => values.iter().map(|value| convert(*value)).collect(),
    }
}
