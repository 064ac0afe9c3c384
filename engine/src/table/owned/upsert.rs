//! Upserting rows into an indexed table by key.

use arrow::array::{Array, ArrayRef, BooleanArray, DictionaryArray, PrimitiveArray, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::{Changes, Keys, OwnedTable};
use crate::column::{Column, Interner, Slots, Writes, typed};
use crate::data::{Batch, BatchColumn};
use crate::parallel::Threads;
use crate::storage::KeyBits;
use crate::storage::KeyOrder;
use crate::types::total_order::float_bits;

impl OwnedTable {
    /// Merges rows whose key exists (only given cells change), and inserts the others. Rows apply in order.
    ///
    /// A row without a key has the null key. While `creating`, null cells count as not given.
    pub(super) fn upsert(&mut self, batch: &Batch, creating: bool, threads: Threads) -> Changes {
        let index_column = self.index.expect("only indexed tables merge by index");
        let given = batch.columns.iter().find(|column| column.column == index_column);
        let keys = batch.keys.as_ref().or(given.map(|column| &column.values));
        if let Some(changes) = self.append_ascending(batch, index_column, keys, threads) {
            return changes;
        }
        let mut changes = Changes::default();
        let mut slots = Vec::with_capacity(batch.num_rows);
        let bits = match keys {
            Some(keys) => {
                let (column, interner) = self.columns.writer(index_column);
                column.array_bits(interner.as_mut(), keys)
            }
            None => vec![None; batch.num_rows],
        };
        let Keys::Index(mut index) = std::mem::replace(&mut self.keys, Keys::Sequential { first_key: 0 })
        else {
            unreachable!("an indexed table has an index");
        };
        index
            .reserve(if creating { batch.num_rows } else { 0 }, |slot| self.columns[index_column].bits(slot));
        self.columns[index_column].touch_all(&index.first_probes(&bits));
        let tail = self.num_slots;
        let mut reused: hashbrown::HashSet<u32, ahash::RandomState> = hashbrown::HashSet::default();
        let mut has_repeats = false;
        for (row, &bits) in bits.iter().enumerate() {
            let slot = match index.find(bits, |slot| self.columns[index_column].bits(slot)) {
                Some(slot) => {
                    if slot < tail && !reused.contains(&slot) {
                        changes.updated.push(slot);
                    } else {
                        has_repeats = true;
                    }
                    slot
                }
                None => {
                    let slot = self.allocate_slot();
                    if slot < tail {
                        reused.insert(slot);
                    }
                    if let (Some(keys), Some(_)) = (keys, bits) {
                        let writes = Writes { slots: Slots::List(&[slot]), skip: None, first_row: row };
                        self.columns.write(index_column, keys, writes);
                    }
                    index.insert(bits, slot, |slot| self.columns[index_column].bits(slot));
                    changes.inserted.push(slot);
                    slot
                }
            };
            slots.push(slot);
        }
        self.keys = Keys::Index(index);
        if creating && has_repeats {
            let batch = null_as_missing(batch);
            self.write_columns(&batch, &slots, 0, Some(index_column), threads);
        } else {
            self.write_columns(batch, &slots, 0, Some(index_column), threads);
        }
        self.order_new_rows(&changes.inserted);
        changes
    }
}

impl OwnedTable {
    /// Appends rows whose keys ascend and follow the table's last key: the usual first load. They need no lookup
    /// and are written column by column. `None` if the keys do not, or are text or floats.
    fn append_ascending(
        &mut self,
        batch: &Batch,
        index_column: usize,
        keys: Option<&ArrayRef>,
        threads: Threads,
    ) -> Option<Changes> {
        let keys = keys.filter(|keys| keys.null_count() == 0)?;
        let column = &self.columns[index_column];
        let start = match &self.order {
            KeyOrder::Ring { start: 0, len, .. } if self.free.is_empty() && *len == self.num_slots => *len,
            KeyOrder::Ring { .. } | KeyOrder::Tree(_) => return None,
        };
        if matches!(column, Column::Str(..) | Column::Float32(_) | Column::Float64(_)) {
            return None;
        }
        let bits: Vec<u64> = column.known_bits(None, keys).into_iter().flatten().flatten().collect();
        // Signed keys order as their bits do once the sign bit is flipped.
        let is_unsigned = matches!(column, Column::UInt64(_));
        let order_key = |bits: u64| if is_unsigned { bits } else { bits ^ (1 << 63) };
        if bits.len() != batch.num_rows
            || !bits.windows(2).all(|pair| order_key(pair[0]) < order_key(pair[1]))
        {
            return None;
        }
        if let Some(last) = start.checked_sub(1) {
            let last = column.bits(last)?;
            if order_key(last) >= order_key(*bits.first()?) {
                return None;
            }
        }
        let len = batch.num_rows;
        let writes = Writes { slots: Slots::Run { start, len }, skip: None, first_row: 0 };
        self.columns[index_column].write(None, keys, writes);
        let column = &self.columns[index_column];
        let Keys::Index(index) = &mut self.keys else { return None };
        index.reserve(len, |slot| column.bits(slot));
        for (offset, &bits) in bits.iter().enumerate() {
            index.insert(Some(bits), start + offset as u32, |slot| column.bits(slot));
        }
        self.num_slots += len as u32;
        let inserted: Vec<u32> = (start..self.num_slots).collect();
        self.write_columns(batch, &inserted, 0, Some(index_column), threads);
        if let KeyOrder::Ring { len, .. } = &mut self.order {
            *len = self.num_slots;
        }
        Some(Changes { inserted, ..Changes::default() })
    }
}

fn null_as_missing(batch: &Batch) -> Batch {
    let columns = batch.columns.iter().map(|column| {
        let missing = BooleanBuffer::collect_bool(batch.num_rows, |row| {
            column.values.is_null(row) || column.missing.as_ref().is_some_and(|missing| missing.value(row))
        });
        BatchColumn { missing: Some(missing), ..column.clone() }
    });
    Batch { columns: columns.collect(), ..batch.clone() }
}

impl Column {
    /// Returns the bits ([`Column::bits`]) that `values` would have in this column.
    ///
    /// New text is assigned a code, so the caller must write each new value to a row.
    fn array_bits(&mut self, interner: Option<&mut Interner>, values: &ArrayRef) -> Vec<KeyBits> {
        match (&mut *self, interner) {
            (Column::Str(_, strings), Some(interner)) => {
                texts(values).map(|text| text.map(|text| u64::from(interner.code(strings, text)))).collect()
            }
            _ => self.known_bits(None, values).into_iter().flatten().collect(),
        }
    }

    /// Returns bits like [`Column::array_bits`], but assigns no codes: the outer `None` is text that no row holds.
    pub(super) fn known_bits(&self, interner: Option<&Interner>, values: &ArrayRef) -> Vec<Option<KeyBits>> {
        match self {
            Column::Int8(_) => primitive_bits::<Int8Type>(values, |value| value as i64 as u64),
            Column::Int16(_) => primitive_bits::<Int16Type>(values, |value| value as i64 as u64),
            Column::Int32(_) => primitive_bits::<Int32Type>(values, |value| value as i64 as u64),
            Column::Integer(..) | Column::Int64(_) => {
                primitive_bits::<Int64Type>(values, |value| value as u64)
            }
            Column::UInt8(_) => primitive_bits::<UInt8Type>(values, u64::from),
            Column::UInt16(_) => primitive_bits::<UInt16Type>(values, u64::from),
            Column::UInt32(_) => primitive_bits::<UInt32Type>(values, u64::from),
            Column::UInt64(_) => primitive_bits::<UInt64Type>(values, |value| value),
            Column::Float32(_) => primitive_bits::<Float32Type>(values, |value| float_bits(value.into())),
            Column::Float64(_) => primitive_bits::<Float64Type>(values, float_bits),
            Column::Date(_) => primitive_bits::<Date32Type>(values, |value| value as i64 as u64),
            Column::Datetime(_) => primitive_bits::<TimestampMillisecondType>(values, |value| value as u64),
            Column::Bool(_) => {
                typed::<BooleanArray>(values).iter().map(|value| Some(value.map(u64::from))).collect()
            }
            Column::Str(_, strings) => texts(values)
                .map(|text| match text {
                    None => Some(None),
                    Some(text) => interner?.find(strings, text).map(|code| Some(u64::from(code))),
                })
                .collect(),
        }
    }
}

/// Iterates over a `Utf8` or `Dictionary<Int32, Utf8>` array. A null dictionary entry is read as the empty text.
fn texts(values: &ArrayRef) -> Box<dyn Iterator<Item = Option<&str>> + '_> {
    if let Some(array) = values.as_any().downcast_ref::<DictionaryArray<Int32Type>>() {
        let entries = typed::<StringArray>(array.values());
        return Box::new(array.keys().iter().map(|key| {
            let entry = key? as usize;
            Some(if entries.is_valid(entry) { entries.value(entry) } else { "" })
        }));
    }
    Box::new(typed::<StringArray>(values).iter())
}

fn primitive_bits<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    bits: impl Fn(T::Native) -> u64,
) -> Vec<Option<KeyBits>> {
    typed::<PrimitiveArray<T>>(values).iter().map(|value| Some(value.map(&bits))).collect()
}
