//! Sums that insert and retract values.
//!
//! Invariant: inserting and then retracting a value leaves the state as it was. Integers are summed exactly in 128
//! bits; floats in double-double arithmetic (the error-free TwoSum of Knuth, TAOCP 4.2.2, with the error carried
//! along), whose rounding error is 2^52 times smaller than that of the result, so that a million updates leave no
//! visible drift. NaN and infinities are counted separately, so that they can be retracted. A state without rows is
//! exactly empty.

use crate::column::Column;

/// A sum with its accumulated rounding error.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct CompensatedSum {
    high: f64,
    low: f64,
}

impl CompensatedSum {
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.high + value;
        let part = sum - self.high;
        let error = (self.high - (sum - part)) + (value - part);
        let low = self.low + error;
        // Renormalise, so that `low` stays below half a unit in the last place of `high`.
        self.high = sum + low;
        self.low = low - (self.high - sum);
    }

    pub(crate) fn add_all(&mut self, other: &CompensatedSum) {
        self.add(other.high);
        self.add(other.low);
    }

    pub(crate) fn value(&self) -> f64 {
        self.high + self.low
    }
}

/// The sum of a cell's valid values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Total {
    pub(crate) num_valid: u32,
    num_nan: u32,
    num_infinite: u32,
    num_negative_infinite: u32,
    integers: i128,
    floats: CompensatedSum,
}

impl Total {
    /// Inserts (`sign` 1) or retracts (`sign` -1) one value.
    #[inline]
    pub(crate) fn change(&mut self, value: Number, sign: i32) {
        let step = |count: &mut u32| *count = count.wrapping_add_signed(sign);
        step(&mut self.num_valid);
        match value {
            Number::Integer(value) => self.integers += value * i128::from(sign),
            Number::Float(value) if value.is_nan() => step(&mut self.num_nan),
            Number::Float(f64::INFINITY) => step(&mut self.num_infinite),
            Number::Float(f64::NEG_INFINITY) => step(&mut self.num_negative_infinite),
            Number::Float(value) => self.floats.add(value * f64::from(sign)),
        }
        if self.num_valid == 0 {
            *self = Total::default();
        }
    }

    pub(crate) fn merge(&mut self, other: &Total) {
        self.num_valid += other.num_valid;
        self.num_nan += other.num_nan;
        self.num_infinite += other.num_infinite;
        self.num_negative_infinite += other.num_negative_infinite;
        self.integers += other.integers;
        self.floats.add_all(&other.floats);
    }

    /// Returns the sum as an integer, for integer and boolean columns only; saturates at 64 bits.
    pub(crate) fn integer(&self) -> i64 {
        self.integers.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    pub(crate) fn float(&self) -> f64 {
        if self.num_nan > 0 || (self.num_infinite > 0 && self.num_negative_infinite > 0) {
            f64::NAN
        } else if self.num_infinite > 0 {
            f64::INFINITY
        } else if self.num_negative_infinite > 0 {
            f64::NEG_INFINITY
        } else {
            self.finite()
        }
    }

    /// Returns the sum of the finite values.
    pub(crate) fn finite(&self) -> f64 {
        self.floats.value() + self.integers as f64
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    pub(crate) fn abs(self) -> Number {
        match self {
            Number::Integer(value) => Number::Integer(value.abs()),
            Number::Float(value) => Number::Float(value.abs()),
        }
    }
}

impl Column {
    /// Returns the exact value of a numeric or boolean cell; `None` for null and other types.
    #[inline]
    pub(crate) fn exact(&self, slot: u32) -> Option<Number> {
        Some(match self {
            Column::Int8(cells) => Number::Integer(cells.get(slot)?.into()),
            Column::Int16(cells) => Number::Integer(cells.get(slot)?.into()),
            Column::Int32(cells) => Number::Integer(cells.get(slot)?.into()),
            Column::Integer(cells, _) | Column::Int64(cells) => Number::Integer(cells.get(slot)?.into()),
            Column::UInt8(cells) => Number::Integer(cells.get(slot)?.into()),
            Column::UInt16(cells) => Number::Integer(cells.get(slot)?.into()),
            Column::UInt32(cells) => Number::Integer(cells.get(slot)?.into()),
            Column::UInt64(cells) => Number::Integer(cells.get(slot)?.into()),
            Column::Bool(cells) => Number::Integer(cells.get(slot)?.into()),
            Column::Float32(cells) => Number::Float(cells.get(slot)?.into()),
            Column::Float64(cells) => Number::Float(cells.get(slot)?),
            Column::Date(_) | Column::Datetime(_) | Column::Str(..) => return None,
        })
    }
}

impl Column {
    /// Calls `visit` with [`Column::exact`] of each slot.
    #[inline]
    pub(crate) fn each_exact(&self, slots: &[u32], mut visit: impl FnMut(Option<Number>)) {
        macro_rules! integers {
            ($cells:expr) => {
                $cells.each(slots, |cell| visit(cell.map(|value| Number::Integer(i128::from(value)))))
            };
        }
        match self {
            Column::Int8(cells) => integers!(cells),
            Column::Int16(cells) => integers!(cells),
            Column::Int32(cells) => integers!(cells),
            Column::Integer(cells, _) | Column::Int64(cells) => integers!(cells),
            Column::UInt8(cells) => integers!(cells),
            Column::UInt16(cells) => integers!(cells),
            Column::UInt32(cells) => integers!(cells),
            Column::UInt64(cells) => integers!(cells),
            Column::Bool(cells) => integers!(cells),
            Column::Float32(cells) => {
                cells.each(slots, |cell| visit(cell.map(|value| Number::Float(value.into()))));
            }
            Column::Float64(cells) => cells.each(slots, |cell| visit(cell.map(Number::Float))),
            Column::Date(_) | Column::Datetime(_) | Column::Str(..) => {
                slots.iter().for_each(|_| visit(None));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn a_million_changes_leave_no_drift() {
        let mut random = Random::new(1);
        let values: Vec<f64> =
            (0..1_000_000).map(|_| random.below(2_000_000_000) as f64 / 1e4 - 1e5).collect();
        let mut sum = Total::default();
        for turn in 0..1_000_000 {
            sum.change(Number::Float(values[turn]), 1);
            if turn >= 10 {
                sum.change(Number::Float(values[turn - 10]), -1);
            }
        }
        let mut fresh = Total::default();
        values[999_990..].iter().for_each(|&value| fresh.change(Number::Float(value), 1));
        assert_eq!(sum.float(), fresh.float());
    }

    #[test]
    fn non_finite_values_can_be_retracted() {
        let mut sum = Total::default();
        for value in [1.5, f64::NAN, f64::INFINITY] {
            sum.change(Number::Float(value), 1);
        }
        assert!(sum.float().is_nan());
        sum.change(Number::Float(f64::NAN), -1);
        assert_eq!(sum.float(), f64::INFINITY);
        sum.change(Number::Float(f64::INFINITY), -1);
        assert_eq!(sum.float(), 1.5);
    }

    #[test]
    fn integers_are_exact_beyond_double_precision() {
        let mut sum = Total::default();
        sum.change(Number::Integer(9_007_199_254_740_993), 1);
        sum.change(Number::Integer(1 << 62), 1);
        sum.change(Number::Integer(1 << 62), -1);
        assert_eq!(sum.integer(), 9_007_199_254_740_993);
    }
}
