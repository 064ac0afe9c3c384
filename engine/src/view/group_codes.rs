//! Dense codes: column values as small integers, from which a grouped view is built.
//!
//! Invariant: codes ascend with the values (null, NaN, ascending) without gaps, so groups numbered by code are in
//! display order.
//!
//! Memory is reserved as soon as a size is known; what a result keeps stays reserved.
//!
//! Cost: text is numbered through its dictionary codes, integers of a small range through a table, everything else
//! through a hash table.

use std::ops::Range;

use hashbrown::HashMap;

use crate::column::{Column, Strings};
use crate::memory::{MemoryRefused, MemoryReservation};
use crate::parallel::Threads;
use crate::query::concatenated;
use crate::types::scalar::Scalar;
use crate::types::total_order::text_prefix;

const NONE: u32 = u32::MAX;
/// Maximum size of a table used instead of a hash table; the limit is [`ROOM`] entries per row if that is more.
const FEW: usize = 1 << 16;
const ROOM: usize = 8;

/// The values of a column over some rows, as dense codes.
#[derive(Debug, Default)]
pub(super) struct DenseCodes {
    /// The code of each row.
    pub(super) numbers: Vec<u32>,
    /// By code: the column's bits and the value.
    pub(super) values: Vec<(Option<u64>, Scalar)>,
}

/// Bytes of a number, and of one that exists in a part and in the whole.
const NUMBER_BYTES: usize = size_of::<u32>();
const MOVED_NUMBER_BYTES: usize = 2 * NUMBER_BYTES;
/// Bytes of a value and its bits.
const VALUE_BYTES: usize = size_of::<(Option<u64>, Scalar)>();
/// Bytes of a value while values are numbered by hash: its entries in a part's table and in that of all parts, its
/// copy before it is sorted, and what sorts it.
const HASHED_VALUE_BYTES: usize = 2 * HASHED_BYTES + VALUE_BYTES + 4 * NUMBER_BYTES;
/// Bytes of an entry of a hash table of numbers, with the room that a table keeps free.
const HASHED_BYTES: usize = 2 * size_of::<(Option<u64>, u32)>();
/// Rows that are numbered by hash between two looks at how much memory the table takes.
const ROWS_BETWEEN: usize = 1 << 16;

impl DenseCodes {
    /// Numbers the values of the rows. What the result takes is reserved.
    ///
    /// # Errors
    ///
    /// The account refuses.
    pub(super) fn new(
        column: &Column,
        slots: &[u32],
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<DenseCodes, MemoryRefused> {
        let before = memory.bytes();
        memory.grow((slots.len() * MOVED_NUMBER_BYTES) as u64)?;
        let codes = DenseCodes::find(column, slots, threads, memory)?;
        let kept = slots.len() * NUMBER_BYTES + codes.values.len() * VALUE_BYTES;
        memory.grow_to(before + kept as u64)?;
        memory.shrink_to(before + kept as u64);
        Ok(codes)
    }

    fn find(
        column: &Column,
        slots: &[u32],
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<DenseCodes, MemoryRefused> {
        Ok(match column {
            Column::Str(_, strings) if strings.len() <= FEW.max(slots.len() * ROOM) => {
                memory.grow(places_bytes(strings.len() + 1, threads))?;
                let used = used_places(column, slots, 0, strings.len() + 1, threads);
                let order = by_text(strings, used);
                let values = order
                    .iter()
                    .map(|&place| match place.checked_sub(1) {
                        None => (None, Scalar::Null),
                        Some(code) => (Some(code as u64), Scalar::Str(strings.shared(code as u32))),
                    })
                    .collect();
                DenseCodes { numbers: numbered(column, slots, 0, strings.len() + 1, &order, threads), values }
            }
            Column::Str(..) | Column::Float32(_) | Column::Float64(_) | Column::UInt64(_) => {
                hashed(column, slots, threads, memory)?
            }
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
            | Column::Datetime(_) => DenseCodes::of_integers(column, slots, threads, memory)?,
        })
    }

    fn of_integers(
        column: &Column,
        slots: &[u32],
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<DenseCodes, MemoryRefused> {
        let bounds = |part: Range<usize>| {
            let (mut least, mut most) = (i64::MAX, i64::MIN);
            column.each_bits(&slots[part], |bits| {
                if let Some(bits) = bits {
                    (least, most) = (least.min(bits as i64), most.max(bits as i64));
                }
            });
            (least, most)
        };
        let parts = threads.parts(slots.len(), 1, bounds);
        let least = parts.iter().map(|part| part.0).min().unwrap_or(i64::MAX);
        let most = parts.iter().map(|part| part.1).max().unwrap_or(i64::MIN);
        let range = if least > most { 0 } else { i128::from(most) - i128::from(least) + 1 };
        if range > FEW.max(slots.len() * ROOM) as i128 {
            return hashed(column, slots, threads, memory);
        }
        let num_places = range as usize + 1;
        memory.grow(places_bytes(num_places, threads))?;
        let order = used_places(column, slots, least, num_places, threads);
        let numbers = numbered(column, slots, least, num_places, &order, threads);
        let mut values = vec![(None, Scalar::Null); order.len()];
        let mut is_known = vec![false; order.len()];
        // Any row with a code yields its value.
        let mut unknown = order.len();
        for (&slot, &number) in slots.iter().zip(&numbers) {
            if !std::mem::replace(&mut is_known[number as usize], true) {
                values[number as usize] = (column.bits(slot), column.scalar(slot));
                unknown -= 1;
                if unknown == 0 {
                    break;
                }
            }
        }
        Ok(DenseCodes { numbers, values })
    }
}

/// Bytes of a table of `num_places`: its numbers, and for each thread whether a place is used.
fn places_bytes(num_places: usize, threads: Threads) -> u64 {
    (num_places as u64).saturating_mul((NUMBER_BYTES + threads.count()) as u64)
}

/// Returns the table index of a value: 0 for null, 1 for `least`, and so on.
fn place(bits: Option<u64>, least: i64) -> usize {
    bits.map_or(0, |bits| (bits as i64).wrapping_sub(least) as usize + 1)
}

/// Returns the table indices that occur in the rows, ascending.
fn used_places(
    column: &Column,
    slots: &[u32],
    least: i64,
    num_places: usize,
    threads: Threads,
) -> Vec<usize> {
    let parts = threads.parts(slots.len(), 1, |part| {
        let mut used = vec![false; num_places];
        column.each_bits(&slots[part], |bits| used[place(bits, least)] = true);
        used
    });
    (0..num_places).filter(|&place| parts.iter().any(|part| part[place])).collect()
}

/// Returns the code of every row: the position of its table index in `order`.
fn numbered(
    column: &Column,
    slots: &[u32],
    least: i64,
    num_places: usize,
    order: &[usize],
    threads: Threads,
) -> Vec<u32> {
    let mut number_of = vec![NONE; num_places];
    for (number, &place) in order.iter().enumerate() {
        number_of[place] = number as u32;
    }
    let parts = threads.parts(slots.len(), 1, |part| {
        let mut numbers = Vec::with_capacity(part.len());
        column.each_bits(&slots[part], |bits| numbers.push(number_of[place(bits, least)]));
        numbers
    });
    concatenated(parts)
}

/// Sorts table indices of text (0 is null, codes follow) by text.
fn by_text(strings: &Strings, places: Vec<usize>) -> Vec<usize> {
    let mut keyed: Vec<(u64, usize)> = places
        .into_iter()
        .map(|place| match place.checked_sub(1) {
            None => (0, place),
            Some(code) => (text_prefix(strings.get(code as u32)), place),
        })
        .collect();
    keyed.sort_unstable_by(|left, right| {
        left.0.cmp(&right.0).then_with(|| match (left.1, right.1) {
            (0, _) | (_, 0) => left.1.cmp(&right.1),
            (left, right) => strings.compare(left as u32 - 1, right as u32 - 1),
        })
    });
    keyed.into_iter().map(|(_, place)| place).collect()
}

/// Finds distinct values by hash, separately in each part of the rows, then merges and sorts them.
fn hashed(
    column: &Column,
    slots: &[u32],
    threads: Threads,
    memory: &mut MemoryReservation,
) -> Result<DenseCodes, MemoryRefused> {
    type Numbers = HashMap<Option<u64>, u32, ahash::RandomState>;
    let parts = threads.parts(slots.len(), 1, |part| {
        let mut found = Numbers::default();
        let mut firsts: Vec<u32> = Vec::new();
        let slots = &slots[part];
        let mut of_row: Vec<u32> = Vec::with_capacity(slots.len());
        let mut of_table = memory.beside();
        for some in slots.chunks(ROWS_BETWEEN) {
            column.each_bits(some, |bits| {
                let number = *found.entry(bits).or_insert_with(|| {
                    firsts.push(slots[of_row.len()]);
                    firsts.len() as u32 - 1
                });
                of_row.push(number);
            });
            of_table.grow_to((firsts.len() * HASHED_BYTES) as u64)?;
        }
        Ok((of_row, firsts))
    });
    let parts: Vec<(Vec<u32>, Vec<u32>)> = parts.into_iter().collect::<Result<_, MemoryRefused>>()?;
    let num_found: usize = parts.iter().map(|(_, firsts)| firsts.len()).sum();
    memory.grow((num_found * HASHED_VALUE_BYTES) as u64)?;
    let mut all = Numbers::default();
    let mut values: Vec<(Option<u64>, Scalar)> = Vec::new();
    // Maps the numbers of each part to merged numbers.
    let known: Vec<Vec<u32>> = parts
        .iter()
        .map(|(_, firsts)| {
            let call = |&slot: &u32| {
                let bits = column.bits(slot);
                *all.entry(bits).or_insert_with(|| {
                    values.push((bits, column.scalar(slot)));
                    values.len() as u32 - 1
                })
            };
            firsts.iter().map(call).collect()
        })
        .collect();
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by(|&left, &right| {
        let (left, right) = (&values[left as usize], &values[right as usize]);
        left.1.cmp(&right.1).then(left.0.cmp(&right.0))
    });
    let mut number_of = vec![0; order.len()];
    for (number, &value) in order.iter().enumerate() {
        number_of[value as usize] = number as u32;
    }
    let items: Vec<(Vec<u32>, Vec<u32>)> = parts.into_iter().map(|(of_row, _)| of_row).zip(known).collect();
    let numbers = threads.each(items, |(mut of_row, known)| {
        of_row.iter_mut().for_each(|number| *number = number_of[known[*number as usize] as usize]);
        of_row
    });
    let mut sorted = vec![(None, Scalar::Null); values.len()];
    for (value, number) in values.into_iter().zip(number_of) {
        sorted[number as usize] = value;
    }
    Ok(DenseCodes { numbers: concatenated(numbers), values: sorted })
}

/// The pairs of numbers that occur in the rows.
#[derive(Debug)]
pub(super) struct Pairs {
    /// By row, the position in `pairs`.
    pub(super) of_row: Vec<u32>,
    /// The distinct pairs, ascending.
    pub(super) pairs: Vec<(u32, u32)>,
}

impl Pairs {
    /// Finds the pairs of each row's `left` (below `num_left`) and `right` (below `num_right`). What the result takes is
    /// reserved.
    ///
    /// # Errors
    ///
    /// The account refuses.
    pub(super) fn new(
        left: &[u32],
        num_left: usize,
        right: &[u32],
        num_right: usize,
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<Pairs, MemoryRefused> {
        let before = memory.bytes();
        memory.grow((left.len() * MOVED_NUMBER_BYTES) as u64)?;
        let pairs = Pairs::find(left, num_left, right, num_right, threads, memory)?;
        let kept = before + pairs.bytes();
        memory.grow_to(kept)?;
        memory.shrink_to(kept);
        Ok(pairs)
    }

    /// Bytes that the pairs take.
    pub(super) fn bytes(&self) -> u64 {
        (self.of_row.len() * NUMBER_BYTES + self.pairs.len() * size_of::<(u32, u32)>()) as u64
    }

    fn find(
        left: &[u32],
        num_left: usize,
        right: &[u32],
        num_right: usize,
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<Pairs, MemoryRefused> {
        let num_places = num_left.saturating_mul(num_right);
        if num_places > FEW.max(left.len() * ROOM) {
            return Pairs::sorted(left, right, threads, memory);
        }
        memory.grow(places_bytes(num_places, threads))?;
        let place = |row: usize| left[row] as usize * num_right + right[row] as usize;
        let marked = threads.parts_of(left.len(), 1, (num_places / 4).max(FEW), |part| {
            let mut used = vec![false; num_places];
            part.for_each(|row| used[place(row)] = true);
            used
        });
        let mut number_of = vec![0_u32; num_places];
        let mut pairs = Vec::new();
        for at in 0..num_places {
            if marked.iter().any(|part| part[at]) {
                number_of[at] = pairs.len() as u32;
                pairs.push(((at / num_right) as u32, (at % num_right) as u32));
            }
        }
        let parts =
            threads.parts(left.len(), 1, |part| part.map(|row| number_of[place(row)]).collect::<Vec<u32>>());
        Ok(Pairs { of_row: concatenated(parts), pairs })
    }

    fn sorted(
        left: &[u32],
        right: &[u32],
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<Pairs, MemoryRefused> {
        // Packed in parts, in the whole, and where runs are merged.
        memory.grow((left.len() * 5 / 2 * size_of::<u64>()) as u64)?;
        let packed = |row: usize| u64::from(left[row]) << 32 | u64::from(right[row]);
        let parts = threads.parts(left.len(), 1, |part| {
            let mut pairs: Vec<u64> = part.map(packed).collect();
            pairs.sort_unstable();
            pairs.dedup();
            pairs
        });
        let mut pairs = concatenated(parts);
        // The parts are sorted runs, which a stable sort merges.
        pairs.sort();
        pairs.dedup();
        memory.grow((pairs.len() * (HASHED_BYTES + size_of::<(u32, u32)>())) as u64)?;
        let numbers: HashMap<u64, u32, ahash::RandomState> = pairs.iter().copied().zip(0..).collect();
        let parts =
            threads.parts(left.len(), 1, |part| part.map(|row| numbers[&packed(row)]).collect::<Vec<u32>>());
        let pairs = pairs.into_iter().map(|pair| ((pair >> 32) as u32, pair as u32)).collect();
        Ok(Pairs { of_row: concatenated(parts), pairs })
    }
}
