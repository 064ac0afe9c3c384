//! Sorts all rows of a new view.
//!
//! Invariant: the result is the order of [`RowOrder::compare`].
//!
//! Cost: no cells are compared; each sort column becomes unsigned integers that ascend with the order (text by its
//! position in the sorted dictionary). A narrow first column is a counting sort, a wide one a sort of plain integers;
//! each further column sorts only runs that are still equal. Remaining ties are resolved by position in key order,
//! ascending in both directions.

use std::ops::Range;

use super::sort::{Direction, RowOrder};
use crate::column::{Column, Strings};
use crate::parallel::Threads;
use crate::storage::Snapshot;
use crate::types::total_order::{magnitude_key, signed_key, sort_order_key, text_prefix};

/// Counting sort is used up to this many different numbers, or as many as there are rows.
const FEW: u64 = 1 << 16;

/// Sorts `slots`, which are in key order.
pub(crate) fn sort(slots: &[u32], order: &RowOrder, snapshot: &Snapshot, threads: Threads) -> Vec<u32> {
    let rows = sort_rows(slots, order, snapshot, threads);
    let parts = threads
        .parts(rows.len(), 1, |part| rows[part].iter().map(|&row| slots[row as usize]).collect::<Vec<u32>>());
    super::concatenated(parts)
}

/// As [`sort`], but returns positions in `slots`.
pub(crate) fn sort_rows(slots: &[u32], order: &RowOrder, snapshot: &Snapshot, threads: Threads) -> Vec<u32> {
    let terms = order.terms.iter();
    let keys: Vec<Keys> = terms
        .flat_map(|&(column, direction)| Keys::of(snapshot.column(column), slots, direction, threads))
        .collect();
    let mut rows = match keys.first() {
        None => (0..slots.len() as u32).collect(),
        Some(first) => first.sorted(threads),
    };
    if keys.len() > 1 {
        refine_all(&mut rows, &keys, threads);
    }
    rows
}

/// Numbers that ascend as the cells do, by position in key order; the least is 0.
struct Keys {
    numbers: Vec<u64>,
    largest: u64,
    /// Some number is the largest of 64 bits.
    may_saturate: bool,
}

impl Keys {
    /// The keys of one sort term: one, or two where the numbers of the largest 64-bit integers do not fit in 64 bits beside
    /// those of null and NaN.
    fn of(column: &Column, slots: &[u32], direction: Direction, threads: Threads) -> Vec<Keys> {
        let (is_abs, is_descending) = (direction.is_absolute(), direction.is_descending());
        let ranks = if let Column::Str(_, strings) = column
            && !is_abs
        {
            ranks(strings)
        } else {
            Vec::new()
        };
        let keys = Keys::new(slots, is_descending, threads, |part| numbers(column, part, is_abs, &ranks));
        let is_integer = matches!(
            column,
            Column::Integer(..) | Column::Int64(_) | Column::UInt64(_) | Column::Datetime(_)
        );
        if is_abs || !is_integer || !keys.may_saturate {
            return vec![keys];
        }
        let is_valid = |part: &[u32]| part.iter().map(|&slot| column.bits(slot).is_some().into()).collect();
        let value = |part: &[u32]| {
            part.iter().map(|&slot| column.bits(slot).map_or(0, |bits| raw(column, bits))).collect()
        };
        vec![
            Keys::new(slots, is_descending, threads, is_valid),
            Keys::new(slots, is_descending, threads, value),
        ]
    }

    fn new(
        slots: &[u32],
        is_descending: bool,
        threads: Threads,
        numbers: impl Fn(&[u32]) -> Vec<u64> + Sync,
    ) -> Keys {
        let part = |part: Range<usize>| {
            let mut numbers = numbers(&slots[part]);
            if is_descending {
                numbers.iter_mut().for_each(|number| *number = !*number);
            }
            let least = numbers.iter().copied().min();
            let largest = numbers.iter().copied().max();
            (numbers, least, largest)
        };
        let parts = threads.parts(slots.len(), 1, part);
        let least = parts.iter().filter_map(|(_, least, _)| *least).min().unwrap_or(0);
        let largest = parts.iter().filter_map(|(.., largest)| *largest).max().unwrap_or(0);
        let may_saturate = if is_descending { least == 0 } else { largest == u64::MAX };
        let mut numbers = super::concatenated(parts.into_iter().map(|(numbers, ..)| numbers).collect());
        numbers.iter_mut().for_each(|number| *number -= least);
        Keys { numbers, largest: largest - least, may_saturate }
    }

    /// Positions sorted by number, then ascending.
    fn sorted(&self, threads: Threads) -> Vec<u32> {
        let numbers = &self.numbers;
        if self.largest < FEW.max(numbers.len() as u64) {
            return self.counted();
        }
        // The position in the low bits makes every number unique.
        if self.largest < 1 << 32 {
            let part = |part: Range<usize>| {
                let mut part: Vec<u64> = part.map(|at| numbers[at] << 32 | at as u64).collect();
                part.sort_unstable();
                part
            };
            return merged(threads.parts(numbers.len(), 1, part), |packed| packed as u32);
        }
        let part = |part: Range<usize>| {
            let mut part: Vec<u128> = part.map(|at| u128::from(numbers[at]) << 32 | at as u128).collect();
            part.sort_unstable();
            part
        };
        merged(threads.parts(numbers.len(), 1, part), |packed| packed as u32)
    }

    fn counted(&self) -> Vec<u32> {
        let mut places = vec![0_u32; self.largest as usize + 2];
        for &number in &self.numbers {
            places[number as usize + 1] += 1;
        }
        for number in 1..places.len() {
            places[number] += places[number - 1];
        }
        let mut rows = vec![0; self.numbers.len()];
        for (row, &number) in self.numbers.iter().enumerate() {
            let place = &mut places[number as usize];
            rows[*place as usize] = row as u32;
            *place += 1;
        }
        rows
    }
}

/// Merges sorted parts.
fn merged<T: Copy + Ord>(mut parts: Vec<Vec<T>>, row: impl Fn(T) -> u32) -> Vec<u32> {
    while parts.len() > 2 {
        let (right, left) = (parts.pop().unwrap_or_default(), parts.pop().unwrap_or_default());
        let mut both = Vec::with_capacity(left.len() + right.len());
        merge(&left, &right, |next| both.push(next));
        parts.insert(0, both);
    }
    let right = if parts.len() > 1 { parts.pop().unwrap_or_default() } else { Vec::new() };
    let left = parts.pop().unwrap_or_default();
    let mut rows = Vec::with_capacity(left.len() + right.len());
    merge(&left, &right, |next| rows.push(row(next)));
    rows
}

fn merge<T: Copy + Ord>(left: &[T], right: &[T], mut put: impl FnMut(T)) {
    let (mut at, mut beside) = (0, 0);
    while at < left.len() && beside < right.len() {
        let (one, other) = (left[at], right[beside]);
        let is_left = one < other;
        put(if is_left { one } else { other });
        at += usize::from(is_left);
        beside += usize::from(!is_left);
    }
    left[at..].iter().chain(&right[beside..]).for_each(|&next| put(next));
}

/// Sorts the runs of rows equal in the first column by the others; parts end at run boundaries.
fn refine_all(rows: &mut [u32], keys: &[Keys], threads: Threads) {
    let first = &keys[0].numbers;
    let mut cuts = vec![0];
    for part in threads.parts(rows.len(), 1, |part| part) {
        let mut cut = part.end;
        while cut > 0 && cut < rows.len() && first[rows[cut] as usize] == first[rows[cut - 1] as usize] {
            cut += 1;
        }
        cuts.push(cut.max(*cuts.last().unwrap_or(&0)));
    }
    let mut pieces = Vec::new();
    let mut rest = rows;
    for pair in cuts.windows(2) {
        let (piece, after) = rest.split_at_mut(pair[1] - pair[0]);
        pieces.push(piece);
        rest = after;
    }
    threads.each(pieces, |piece| refine(piece, keys, &mut Vec::new()));
}

/// Sorts runs of rows equal in the first of `keys`, by which `rows` are sorted, by the others.
fn refine(rows: &mut [u32], keys: &[Keys], scratch: &mut Vec<u128>) {
    let [first, second, ..] = keys else { return };
    let mut start = 0;
    while start < rows.len() {
        let number = first.numbers[rows[start] as usize];
        let same = rows[start..].iter().take_while(|&&row| first.numbers[row as usize] == number).count();
        let run = &mut rows[start..start + same];
        if same > 1 {
            scratch.clear();
            scratch.extend(
                run.iter().map(|&row| u128::from(second.numbers[row as usize]) << 32 | u128::from(row)),
            );
            scratch.sort_unstable();
            for (row, &packed) in run.iter_mut().zip(&*scratch) {
                *row = packed as u32;
            }
            refine(run, &keys[1..], scratch);
        }
        start += same;
    }
}

fn numbers(column: &Column, slots: &[u32], is_abs: bool, ranks: &[u32]) -> Vec<u64> {
    let slots = slots.iter().copied();
    if is_abs {
        return slots.map(|slot| magnitude_key(column.number(slot))).collect();
    }
    // 0 is NaN, 1 is null; values follow.
    match column {
        Column::Float32(cells) => slots.map(|slot| sort_order_key(cells.get(slot).map(f64::from))).collect(),
        Column::Float64(cells) => slots.map(|slot| sort_order_key(cells.get(slot))).collect(),
        Column::Str(codes, _) => {
            slots.map(|slot| codes.get(slot).map_or(1, |code| u64::from(ranks[code as usize]) + 2)).collect()
        }
        // Saturates: the three largest values share a number, see [`Keys::of`].
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
        | Column::Datetime(_) => slots
            .map(|slot| column.bits(slot).map_or(1, |bits| raw(column, bits).saturating_add(2)))
            .collect(),
    }
}

/// The bits of an integer as an unsigned one that ascends with it.
fn raw(column: &Column, bits: u64) -> u64 {
    if let Column::UInt64(_) = column { bits } else { signed_key(bits as i64) }
}

/// Returns the rank of every code's text among all texts of the dictionary.
fn ranks(strings: &Strings) -> Vec<u32> {
    // The first eight bytes decide most comparisons without reading the text.
    let mut codes: Vec<(u64, u32)> =
        (0..strings.len() as u32).map(|code| (text_prefix(strings.get(code)), code)).collect();
    codes.sort_unstable_by(|left, right| left.0.cmp(&right.0).then_with(|| strings.compare(left.1, right.1)));
    let mut ranks = vec![0; codes.len()];
    let mut rank = 0;
    for (at, &(_, code)) in codes.iter().enumerate() {
        // Retired codes may share a text; equal texts get equal ranks.
        if at > 0 && strings.compare(codes[at - 1].1, code).is_ne() {
            rank += 1;
        }
        ranks[code as usize] = rank;
    }
    ranks
}
