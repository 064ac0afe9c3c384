//! Normalized keys: integers that never descend where a sort ascends, stored by the tree as sort key prefixes
//! ([`Compare::sort_key_prefix`]).
//!
//! Invariant: a prefix is a function of a row's cells, its key and the `NormalizedKey`, which is chosen once for the
//! lifetime of a tree. Where the values of the first sort column fit into a part of the 64 bits, the rest encodes the
//! second one, or the key; so rows with equal symbols are ordered without reading their cells. A value that does not
//! fit shares its prefix with others, which costs comparisons but never correctness. Floats that are decimals of a few
//! places (prices) are encoded as integers of the last place, and so need fewer bits.
//!
//! [`Compare::sort_key_prefix`]: crate::sorted::Compare::sort_key_prefix

use std::cmp::Ordering;

use super::sort::{Direction, RowOrder};
use crate::column::Column;
use crate::storage::Snapshot;
use crate::types::total_order::{magnitude_key, signed_key, sort_order_key, text_prefix};

/// Number of rows sampled to choose a normalized key.
const SAMPLE: usize = 256;
/// Maximum number of decimal places recognised in floats.
const PLACES: i32 = 6;
/// Maximum number of bits of the first column that leaves room for another one.
const MOST_BITS: u32 = 48;

/// How the rows of one tree are encoded as sort key prefixes.
#[derive(Debug, Clone)]
pub(crate) struct NormalizedKey {
    /// The common prefix of the first column's sampled texts.
    prefix: Box<str>,
    /// The power of ten that makes the first column's sampled floats integers, if there is one.
    scale: Option<f64>,
    /// Bits of the first column; 64 leaves no room for others.
    high_bits: u32,
    /// The least expected number of the first column, if that has no texts.
    base: u64,
    /// The least expected number of the second column, or of the key.
    low_base: u64,
    /// Number of low bits dropped from the second number to fit.
    low_shift: u32,
}

/// The position of a value relative to the values that its number encodes exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyExactness {
    Before,
    Exact,
    Behind,
}

impl Default for NormalizedKey {
    fn default() -> Self {
        NormalizedKey {
            prefix: Box::default(),
            scale: None,
            high_bits: 64,
            base: 0,
            low_base: 0,
            low_shift: 64,
        }
    }
}

impl NormalizedKey {
    /// Chooses an encoding from a sample of `len` rows, which are in `order`.
    pub(crate) fn new(
        order: &RowOrder,
        snapshot: &Snapshot,
        len: usize,
        slot: impl Fn(usize) -> u32,
    ) -> NormalizedKey {
        let Some(&(column, direction)) = order.terms.first() else { return NormalizedKey::default() };
        let column = snapshot.column(column);
        let positions = (0..len).step_by(len.div_ceil(SAMPLE).max(1)).chain(len.checked_sub(1));
        let sample: Vec<u32> = positions.map(slot).collect();
        let mut normalized_key = NormalizedKey::default();
        if matches!(column, Column::Str(..)) && !direction.is_absolute() {
            let texts: Vec<&str> = sample.iter().filter_map(|&slot| column.text(slot)).collect();
            normalized_key.prefix = common_prefix(&texts).into();
            let rests = texts.iter().map(|text| text.len() - normalized_key.prefix.len());
            normalized_key.high_bits = rests.max().map_or(64, |longest| longest.max(1) as u32 * 8);
        } else {
            normalized_key.scale = scale(column, &sample, direction);
            let number = |&slot: &u32| normalized_key.number(column, slot, direction).0;
            (normalized_key.base, normalized_key.high_bits) =
                room(sample.iter().map(number).filter(|&number| number > 1));
        }
        if normalized_key.high_bits > MOST_BITS {
            return NormalizedKey { high_bits: 64, scale: None, ..normalized_key };
        }
        let (low_base, low_bits) = room(sample.iter().map(|&slot| low_number(order, snapshot, slot)));
        NormalizedKey {
            low_base,
            low_shift: low_bits.saturating_sub(64 - normalized_key.high_bits),
            ..normalized_key
        }
    }

    /// Returns the sort key prefix of a row; without sort terms, that of its key alone.
    #[inline]
    pub(crate) fn sort_key_prefix(&self, order: &RowOrder, snapshot: &Snapshot, slot: u32) -> u64 {
        let Some(&(column, direction)) = order.terms.first() else {
            return low_number(order, snapshot, slot);
        };
        let column = snapshot.column(column);
        let (high, place) = if let Column::Str(codes, strings) = column
            && !direction.is_absolute()
        {
            match codes.get(slot) {
                None => (0, KeyExactness::Before),
                Some(code) => self.of_text(strings.get(code)),
            }
        } else {
            let (number, place) = self.number(column, slot, direction);
            self.of_number(number, place)
        };
        self.with_low(high, place, order, direction, snapshot, slot)
    }

    /// Returns the sort key prefixes of many rows.
    pub(crate) fn sort_key_prefixes(&self, order: &RowOrder, snapshot: &Snapshot, slots: &[u32]) -> Vec<u64> {
        if let Some(&(column, direction)) = order.terms.first()
            && let Column::Str(codes, strings) = snapshot.column(column)
            && !direction.is_absolute()
            && strings.len() < slots.len()
        {
            // Encodes each string of the dictionary once.
            let of_code: Vec<(u64, KeyExactness)> =
                (0..strings.len() as u32).map(|code| self.of_text(strings.get(code))).collect();
            let of_cell =
                |slot| codes.get(slot).map_or((0, KeyExactness::Before), |code| of_code[code as usize]);
            let key = |slot| {
                let (high, place) = of_cell(slot);
                self.with_low(high, place, order, direction, snapshot, slot)
            };
            return slots.iter().copied().map(key).collect();
        }
        slots.iter().map(|&slot| self.sort_key_prefix(order, snapshot, slot)).collect()
    }

    #[inline]
    fn with_low(
        &self,
        high: u64,
        place: KeyExactness,
        order: &RowOrder,
        direction: Direction,
        snapshot: &Snapshot,
        slot: u32,
    ) -> u64 {
        let is_descending = direction.is_descending();
        if self.high_bits == 64 {
            return if is_descending { !high } else { high };
        }
        let low_bits = 64 - self.high_bits;
        let most = (1_u64 << low_bits) - 1;
        let (high, place) = match (is_descending, place) {
            (false, place) => (high, place),
            (true, place) => ((1 << self.high_bits) - 1 - high, place.reversed()),
        };
        let low = match place {
            KeyExactness::Before => 0,
            KeyExactness::Exact => {
                let number = low_number(order, snapshot, slot).saturating_sub(self.low_base);
                number.checked_shr(self.low_shift).unwrap_or(0).min(most - 2) + 1
            }
            KeyExactness::Behind => most,
        };
        high << low_bits | low
    }

    fn of_text(&self, text: &str) -> (u64, KeyExactness) {
        match text.strip_prefix(&*self.prefix) {
            Some(rest) => {
                let high = text_prefix(rest) >> (64 - self.high_bits);
                // A text is followed by those that it is a prefix of, even if they only add zero bytes.
                let fits = rest.len() as u32 * 8 <= self.high_bits && !rest.ends_with('\0');
                (high, if fits { KeyExactness::Exact } else { KeyExactness::Behind })
            }
            None if text.as_bytes() < self.prefix.as_bytes() => (0, KeyExactness::Before),
            None => (u64::MAX >> (64 - self.high_bits), KeyExactness::Behind),
        }
    }

    /// As the free function [`number`], but in integers of the last decimal place if there is a scale; with the
    /// position of the cell relative to that number.
    #[inline]
    fn number(&self, column: &Column, slot: u32, direction: Direction) -> (u64, KeyExactness) {
        let Some(scale) = self.scale else { return (number(column, slot, direction), KeyExactness::Exact) };
        let Some(value) = float(column, slot, direction) else { return (1, KeyExactness::Exact) };
        if value.is_nan() {
            return (0, KeyExactness::Exact);
        }
        let (nearest, decimal) = nearest(column, value, scale);
        let place = match decimal.total_cmp(&(value + 0.0)) {
            Ordering::Less => KeyExactness::Behind,
            Ordering::Equal => KeyExactness::Exact,
            Ordering::Greater => KeyExactness::Before,
        };
        (signed_key(nearest).saturating_add(2), place)
    }

    fn of_number(&self, number: u64, place: KeyExactness) -> (u64, KeyExactness) {
        if self.high_bits == 64 {
            return (number, KeyExactness::Exact);
        }
        let most = (1 << self.high_bits) - 1;
        match number.checked_sub(self.base) {
            // Includes null and NaN.
            _ if number < 2 => (0, KeyExactness::Before),
            None => (0, KeyExactness::Before),
            // The largest numbers may share a key.
            Some(number) if number > most || number.saturating_add(self.base) == u64::MAX => {
                (most, KeyExactness::Behind)
            }
            Some(number) => (number, place),
        }
    }
}

impl KeyExactness {
    fn reversed(self) -> KeyExactness {
        match self {
            KeyExactness::Before => KeyExactness::Behind,
            KeyExactness::Exact => KeyExactness::Exact,
            KeyExactness::Behind => KeyExactness::Before,
        }
    }
}

/// Returns the float that is sorted by; `None` for null.
#[inline]
fn float(column: &Column, slot: u32, direction: Direction) -> Option<f64> {
    match column {
        _ if direction.is_absolute() => Some(column.number(slot).unwrap_or(0.0).abs()),
        Column::Float32(cells) => cells.get(slot).map(f64::from),
        Column::Float64(cells) => cells.get(slot),
        Column::Integer(..)
        | Column::Int8(_)
        | Column::Int16(_)
        | Column::Int32(_)
        | Column::Int64(_)
        | Column::UInt8(_)
        | Column::UInt16(_)
        | Column::UInt32(_)
        | Column::UInt64(_)
        | Column::Bool(_)
        | Column::Date(_)
        | Column::Datetime(_)
        | Column::Str(..) => None,
    }
}

/// Returns the integer multiple of `1 / scale` nearest to a value, and the column's value for that.
#[inline]
fn nearest(column: &Column, value: f64, scale: f64) -> (i64, f64) {
    let whole = (value * scale).round();
    let decimal = whole / scale + 0.0;
    (whole as i64, if matches!(column, Column::Float32(_)) { f64::from(decimal as f32) } else { decimal })
}

/// Returns the least power of ten that makes integers of all finite floats of a sample.
fn scale(column: &Column, sample: &[u32], direction: Direction) -> Option<f64> {
    let values = sample.iter().filter_map(|&slot| float(column, slot, direction));
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let is_whole = |scale: &f64| values.iter().all(|&value| nearest(column, value, *scale).1 == value);
    (0..=PLACES).map(|places| 10_f64.powi(places)).find(is_whole).filter(|_| !values.is_empty())
}

/// Returns the start and the number of bits of a range of numbers, with a margin of its own size below and above.
fn room(numbers: impl Iterator<Item = u64>) -> (u64, u32) {
    let Some((least, largest)) = numbers.fold(None, |range: Option<(u64, u64)>, number| match range {
        None => Some((number, number)),
        Some((least, largest)) => Some((least.min(number), largest.max(number))),
    }) else {
        return (0, 64);
    };
    let range = largest - least;
    (least.saturating_sub(range), 64 - range.saturating_mul(3).max(1).leading_zeros())
}

/// Returns the longest common prefix, cut at a character boundary.
fn common_prefix<'a>(texts: &[&'a str]) -> &'a str {
    let Some((&first, others)) = texts.split_first() else { return "" };
    let common = |len: usize, text: &&str| {
        first.bytes().zip(text.bytes()).take(len).take_while(|(one, other)| one == other).count()
    };
    &first[..first.floor_char_boundary(others.iter().fold(first.len(), common))]
}

/// Returns a number that ascends with the second sort column, or with the key if there is none, for rows equal in the
/// first.
fn low_number(order: &RowOrder, snapshot: &Snapshot, slot: u32) -> u64 {
    match order.terms.get(1) {
        Some(&(column, direction)) => {
            let number = number(snapshot.column(column), slot, direction);
            if direction.is_descending() { !number } else { number }
        }
        None => snapshot.index_column().map_or(0, |column| key_number(column, slot)),
    }
}

/// As [`number`], but in keys null precedes NaN.
fn key_number(column: &Column, slot: u32) -> u64 {
    match (column, number(column, slot, Direction::Ascending)) {
        (Column::Float32(_) | Column::Float64(_), number @ 0..2) => 1 - number,
        (_, number) => number,
    }
}

/// Maps a cell to a number that never descends where cells ascend (regardless of the direction, but by absolute value
/// if the direction is). NaN is 0 and null 1, except that null is 0 among texts.
#[inline]
fn number(column: &Column, slot: u32, direction: Direction) -> u64 {
    if direction.is_absolute() {
        return magnitude_key(column.number(slot));
    }
    match column {
        Column::Float32(cells) => sort_order_key(cells.get(slot).map(f64::from)),
        Column::Float64(cells) => sort_order_key(cells.get(slot)),
        Column::Str(codes, strings) => codes.get(slot).map_or(0, |code| text_prefix(strings.get(code))),
        Column::UInt64(cells) => cells.get(slot).map_or(1, |value| value.saturating_add(2)),
        Column::Integer(..)
        | Column::Int8(_)
        | Column::Int16(_)
        | Column::Int32(_)
        | Column::Int64(_)
        | Column::UInt8(_)
        | Column::UInt16(_)
        | Column::UInt32(_)
        | Column::Bool(_)
        | Column::Date(_)
        | Column::Datetime(_) => {
            column.bits(slot).map_or(1, |bits| signed_key(bits as i64).saturating_add(2))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array,
    };

    use super::*;
    use crate::table::Table;
    use crate::{TableData, TableOptions};

    /// Values at the limits of what fits, each repeated to cause ties.
    fn table() -> Table {
        let texts = [
            None,
            Some(""),
            Some("a"),
            Some("id 1"),
            Some("id 2"),
            Some("id 2\0"),
            Some("id 2\0\0"),
            Some("id 20"),
            Some("id 3"),
            Some("id 31415926535"),
            Some("id "),
            Some("id"),
            Some("je"),
            Some("ie\u{10ffff}"),
        ];
        let wholes = [i64::MIN, i64::MIN + 1, -7, -1, 0, 1, 2, 3, 900, i64::MAX - 1, i64::MAX];
        let unsigned = [0, 1, 5, 6, 1000, u64::MAX - 2, u64::MAX - 1, u64::MAX];
        let floats = [f64::NAN, f64::NEG_INFINITY, -1.0, -0.0, 0.0, 1e-300, 2.5, f64::INFINITY];
        let rows = 0..2000_usize;
        let maybe = |row: usize, of: usize| (!(row * 7).is_multiple_of(of)).then_some(());
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "id",
                Arc::new(rows.clone().map(|row| (row * 7919 % 2000) as i64 - 700).collect::<Int64Array>()),
            ),
            (
                "text",
                Arc::new(
                    rows.clone().map(|row| texts[row * 31 % 977 % texts.len()]).collect::<StringArray>(),
                ),
            ),
            (
                "few",
                Arc::new(
                    rows.clone().map(|row| maybe(row, 9).map(|()| (row % 5) as i64)).collect::<Int64Array>(),
                ),
            ),
            (
                "whole",
                Arc::new(rows.clone().map(|row| wholes[row * 13 % wholes.len()]).collect::<Int64Array>()),
            ),
            (
                "unsigned",
                Arc::new(
                    rows.clone()
                        .map(|row| maybe(row, 11).map(|()| unsigned[row % 8]))
                        .collect::<UInt64Array>(),
                ),
            ),
            (
                "float",
                Arc::new(
                    rows.clone().map(|row| maybe(row, 5).map(|()| floats[row % 8])).collect::<Float64Array>(),
                ),
            ),
            (
                "flag",
                Arc::new(
                    rows.clone().map(|row| maybe(row, 3).map(|()| row % 2 == 0)).collect::<BooleanArray>(),
                ),
            ),
        ];
        let columns = columns.into_iter().chain([
            (
                "price",
                Arc::new(
                    rows.clone().map(|row| maybe(row, 23).map(|()| price(row))).collect::<Float64Array>(),
                ) as ArrayRef,
            ),
            ("single", Arc::new(rows.map(|row| Some(price(row) as f32)).collect::<Float32Array>())),
        ]);
        let batch = RecordBatch::try_from_iter(columns).expect("the columns have one length");
        let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
        Table::create(&TableData::Batches(batch.schema(), vec![batch]), options).expect("the data is good")
    }

    /// Mostly values of two decimal places.
    fn price(row: usize) -> f64 {
        match row % 41 {
            3 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0][row % 5],
            7 => [0.295, 0.2950001, 0.294_999_999_999, 1e300, -1e300, 1e-300][row % 6],
            11 => f64::from_bits((row as f64 / 100.0).to_bits() + 1),
            _ => (row * 7 % 500) as f64 / 100.0 - 1.0,
        }
    }

    #[test]
    fn rows_with_one_price_are_distinguished_by_key() {
        let prices: Vec<f64> = (0..3000).map(|row| f64::from(row % 29) / 100.0).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new((0..3000).map(|row| row * 7919 % 3000).collect::<Int64Array>())),
            ("price", Arc::new(Float64Array::from(prices.clone()))),
            ("single", Arc::new(prices.iter().map(|&price| Some(price as f32)).collect::<Float32Array>())),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("the columns have one length");
        let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
        let table =
            Table::create(&TableData::Batches(batch.schema(), vec![batch]), options).expect("good data");
        let snapshot = table.snapshot();
        for column in [1, 2] {
            let order = RowOrder { terms: vec![(column, Direction::Descending)] };
            let mut sorted: Vec<u32> = snapshot.order().iter_from(0).collect();
            sorted.sort_by(|&left, &right| order.compare(&snapshot, left, right));
            let normalized_key = NormalizedKey::new(&order, &snapshot, sorted.len(), |at| sorted[at]);
            let keys: Vec<u64> =
                sorted.iter().map(|&slot| normalized_key.sort_key_prefix(&order, &snapshot, slot)).collect();
            assert!(keys.is_sorted_by(|left, right| left < right));
        }
    }

    #[test]
    fn prefixes_never_descend_where_rows_ascend() {
        let snapshot = table().snapshot();
        let all: Vec<u32> = snapshot.order().iter_from(0).collect();
        let directions =
            [Direction::Ascending, Direction::Descending, Direction::AscendingAbs, Direction::DescendingAbs];
        let mut num_ties = 0;
        for first in 1..9 {
            for second in [None, Some(1), Some(2), Some(5), Some(6), Some(7)] {
                for (at, &direction) in directions.iter().enumerate() {
                    let mut terms = vec![(first, direction)];
                    terms.extend(second.map(|column| (column, directions[(at + 1) % 4])));
                    let order = RowOrder { terms };
                    let mut sorted = all.clone();
                    sorted.sort_by(|&left, &right| order.compare(&snapshot, left, right));
                    // Chosen from all rows, from a few similar ones, from none.
                    for part in [0..sorted.len(), 900..1000, 0..0_usize] {
                        let normalized_key =
                            NormalizedKey::new(&order, &snapshot, part.len(), |at| sorted[part.start + at]);
                        let key = |slot: u32| normalized_key.sort_key_prefix(&order, &snapshot, slot);
                        assert_eq!(
                            normalized_key.sort_key_prefixes(&order, &snapshot, &sorted),
                            sorted.iter().map(|&slot| key(slot)).collect::<Vec<_>>()
                        );
                        for pair in sorted.windows(2) {
                            let order = key(pair[0]).cmp(&key(pair[1]));
                            assert_ne!(order, Ordering::Greater, "{first} {second:?} {direction:?}");
                            num_ties += usize::from(order == Ordering::Equal);
                        }
                    }
                }
            }
        }
        assert!(num_ties > 0, "some values do not fit");
    }

    #[test]
    fn null_and_nan_keys_have_prefixes_too() {
        let keys = [Some(2.5), None, Some(f64::NAN), Some(-1.0), Some(f64::INFINITY), Some(0.0)];
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Float64Array::from(keys.to_vec()))),
            ("few", Arc::new(Int64Array::from(vec![7; keys.len()]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("the columns have one length");
        let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
        let table =
            Table::create(&TableData::Batches(batch.schema(), vec![batch]), options).expect("good data");
        let snapshot = table.snapshot();
        for terms in [Vec::new(), vec![(1, Direction::Ascending)], vec![(1, Direction::Descending)]] {
            let order = RowOrder { terms };
            let mut sorted: Vec<u32> = snapshot.order().iter_from(0).collect();
            assert_eq!(sorted.len(), keys.len());
            sorted.sort_by(|&left, &right| order.compare(&snapshot, left, right));
            let normalized_key = NormalizedKey::new(&order, &snapshot, sorted.len(), |at| sorted[at]);
            let keys: Vec<u64> =
                sorted.iter().map(|&slot| normalized_key.sort_key_prefix(&order, &snapshot, slot)).collect();
            assert!(keys.is_sorted(), "{keys:?}");
        }
    }

    #[test]
    fn rows_with_one_short_text_are_distinguished_by_key() {
        let snapshot = table().snapshot();
        let order = RowOrder { terms: vec![(2, Direction::Descending)] };
        let mut sorted: Vec<u32> = snapshot.order().iter_from(0).collect();
        sorted.sort_by(|&left, &right| order.compare(&snapshot, left, right));
        let normalized_key = NormalizedKey::new(&order, &snapshot, sorted.len(), |at| sorted[at]);
        let valid = sorted.iter().filter(|&&slot| snapshot.column(2).is_valid(slot));
        let keys: Vec<u64> =
            valid.map(|&slot| normalized_key.sort_key_prefix(&order, &snapshot, slot)).collect();
        assert!(keys.len() > 1000 && keys.is_sorted_by(|left, right| left < right));
    }
}
