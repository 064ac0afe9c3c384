//! The aggregate state of the rows of a frame.
//!
//! Invariant: a left fold, and frames merge. The value of a frame depends on its rows and on their positions only,
//! so that an incrementally updated column and a fresh one are bitwise equal.

use std::cmp::Ordering;

use crate::column::Column;
use crate::window::Op;

/// Rows in the smallest block.
const BLOCK: usize = 32;

/// The aggregate state of a frame; only what the operation needs is maintained.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    /// The number of valid values.
    pub(super) count: u64,
    /// The sum; for `ema` the smoothed value; for `var` and `stddev` the mean.
    sum: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
    /// The row of the smallest or greatest value.
    pub(super) best: Option<u32>,
}

impl Frame {
    pub(super) fn of_count(count: u64) -> Frame {
        Frame { count, ..Frame::default() }
    }

    /// A frame whose value is that of another row.
    pub(super) fn of_row(best: Option<u32>) -> Frame {
        Frame { best, ..Frame::default() }
    }

    pub(super) fn add(&mut self, op: Op, source: &Column, slot: u32) {
        match op {
            Op::Min | Op::Max => {
                if source.is_valid(slot) {
                    self.best = Some(better(op, source, self.best, slot));
                }
            }
            Op::Count => self.count += u64::from(source.is_valid(slot)),
            Op::Sum
            | Op::Avg
            | Op::Stddev
            | Op::Var
            | Op::Lag(_)
            | Op::Lead(_)
            | Op::Diff(_)
            | Op::Rate
            | Op::Ema(_)
            | Op::RowNumber => {
                let Some(value) = source.number(slot) else { return };
                self.count += 1;
                match op {
                    Op::Var | Op::Stddev => {
                        let distance = value - self.sum;
                        self.sum += distance / self.count as f64;
                        self.squares += distance * (value - self.sum);
                    }
                    Op::Ema(_) if self.count == 1 => self.sum = value,
                    Op::Ema(alpha) => self.sum = alpha * value + (1.0 - alpha) * self.sum,
                    Op::Sum
                    | Op::Avg
                    | Op::Count
                    | Op::Min
                    | Op::Max
                    | Op::Lag(_)
                    | Op::Lead(_)
                    | Op::Diff(_)
                    | Op::Rate
                    | Op::RowNumber => self.sum += value,
                }
            }
        }
    }

    /// Merges the frame of the following rows. Not for `ema`.
    fn merge(&mut self, op: Op, source: &Column, next: &Frame) {
        if let Some(slot) = next.best {
            self.best = Some(better(op, source, self.best, slot));
        }
        if next.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = Frame { best: self.best, ..*next };
            return;
        }
        if matches!(op, Op::Var | Op::Stddev) {
            let (own, more) = (self.count as f64, next.count as f64);
            let distance = next.sum - self.sum;
            self.sum += distance * more / (own + more);
            self.squares += next.squares + distance * distance * own * more / (own + more);
        } else {
            self.sum += next.sum;
        }
        self.count += next.count;
    }

    pub(super) fn value(&self, op: Op) -> Option<f64> {
        let is_defined = match op {
            Op::Var | Op::Stddev => self.count > 1,
            Op::Sum
            | Op::Avg
            | Op::Count
            | Op::Min
            | Op::Max
            | Op::Lag(_)
            | Op::Lead(_)
            | Op::Diff(_)
            | Op::Rate
            | Op::Ema(_)
            | Op::RowNumber => self.count > 0,
        };
        is_defined.then(|| match op {
            Op::Avg => self.sum / self.count as f64,
            Op::Var => self.squares / (self.count - 1) as f64,
            Op::Stddev => (self.squares / (self.count - 1) as f64).sqrt(),
            Op::Sum
            | Op::Count
            | Op::Min
            | Op::Max
            | Op::Lag(_)
            | Op::Lead(_)
            | Op::Diff(_)
            | Op::Rate
            | Op::Ema(_)
            | Op::RowNumber => self.sum,
        })
    }
}

fn better(op: Op, source: &Column, best: Option<u32>, slot: u32) -> u32 {
    let wanted = if op == Op::Min { Ordering::Less } else { Ordering::Greater };
    match best {
        Some(best) if source.compare(slot, best) != wanted => best,
        _ => slot,
    }
}

/// Frames of aligned blocks of rows, each level twice as long as the one below: any frame is the merge of O(log n)
/// of them.
pub(super) struct Blocks<'a> {
    op: Op,
    source: &'a Column,
    slots: &'a [u32],
    levels: Vec<Vec<Frame>>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(op: Op, source: &'a Column, slots: &'a [u32]) -> Blocks<'a> {
        let mut levels: Vec<Vec<Frame>> = Vec::new();
        let mut level: Vec<Frame> = slots
            .chunks_exact(BLOCK)
            .map(|block| {
                let mut frame = Frame::default();
                block.iter().for_each(|&slot| frame.add(op, source, slot));
                frame
            })
            .collect();
        while !level.is_empty() {
            let next = level
                .chunks_exact(2)
                .map(|pair| {
                    let mut frame = pair[0];
                    frame.merge(op, source, &pair[1]);
                    frame
                })
                .collect();
            levels.push(std::mem::replace(&mut level, next));
        }
        Blocks { op, source, slots, levels }
    }

    /// The frame of the rows `start..end`.
    pub(super) fn frame(&self, start: usize, end: usize) -> Frame {
        let mut frame = Frame::default();
        let mut position = start;
        while position < end {
            if !position.is_multiple_of(BLOCK) || position + BLOCK > end {
                frame.add(self.op, self.source, self.slots[position]);
                position += 1;
                continue;
            }
            let block = position / BLOCK;
            let mut level = 0;
            while block.is_multiple_of(2 << level) && position + (BLOCK << (level + 1)) <= end {
                level += 1;
            }
            frame.merge(self.op, self.source, &self.levels[level][block >> level]);
            position += BLOCK << level;
        }
        frame
    }
}
