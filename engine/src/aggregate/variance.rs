//! Variance and standard deviation of the population; null for less than two values.
//!
//! State: sum and sum of squares, without the rounding error of the squares. Cost: O(1) a row.

use super::sums::{CompensatedSum, Number, Total};
use super::{
    AcceptedTypes, Aggregate, AggregateFunction, AggregateInput, AggregateSignature, CellContext, MenuEntry,
    Method, NO_MENU, OutputType, StateFunction, StatesOf,
};
use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

#[derive(Debug)]
pub(super) struct Variance;

impl AggregateFunction for Variance {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "variance",
            names: &["var", "variance"],
            menu: &[MenuEntry { name: "var", number: 300, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Always(Storage::Float64),
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<Variance>::boxed)
    }
}

impl StateFunction for Variance {
    type State = Moments;

    fn change(moments: &mut Moments, input: AggregateInput<'_>, slot: u32, sign: i32) {
        if let Some(value) = input.column().number(slot) {
            moments.change(value, sign);
        }
    }

    fn merge(moments: &mut Moments, other: &Moments) {
        moments.merge(other);
    }

    fn finish(_aggregate: &Aggregate, moments: &[Moments], cell: &dyn CellContext) -> Scalar {
        moments[cell.cell() as usize].variance().map_or(Scalar::Null, Scalar::Float)
    }
}

#[derive(Debug)]
pub(super) struct Stddev;

impl AggregateFunction for Stddev {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "stddev",
            names: &["stddev", "standard deviation"],
            menu: &[MenuEntry { name: "stddev", number: 260, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Always(Storage::Float64),
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<Stddev>::boxed)
    }
}

impl StateFunction for Stddev {
    type State = Moments;

    fn change(moments: &mut Moments, input: AggregateInput<'_>, slot: u32, sign: i32) {
        Variance::change(moments, input, slot, sign);
    }

    fn merge(moments: &mut Moments, other: &Moments) {
        moments.merge(other);
    }

    fn finish(_aggregate: &Aggregate, moments: &[Moments], cell: &dyn CellContext) -> Scalar {
        let variance = moments[cell.cell() as usize].variance();
        variance.map_or(Scalar::Null, |variance| Scalar::Float(variance.sqrt()))
    }
}

/// Sum and sum of squares, for the variance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Moments {
    sum: Total,
    squares: CompensatedSum,
}

impl Moments {
    fn change(&mut self, value: f64, sign: i32) {
        self.sum.change(Number::Float(value), sign);
        if self.sum.num_valid == 0 {
            *self = Moments::default();
        } else if value.is_finite() {
            let square = value * value;
            // The rounding error of the product, exact by fused multiply-add.
            let error = value.mul_add(value, -square);
            self.squares.add(square * f64::from(sign));
            self.squares.add(error * f64::from(sign));
        }
    }

    fn merge(&mut self, other: &Moments) {
        self.sum.merge(&other.sum);
        self.squares.add_all(&other.squares);
    }

    /// Returns the population variance; `None` for less than two values.
    fn variance(&self) -> Option<f64> {
        let count = f64::from(self.sum.num_valid);
        if self.sum.num_valid < 2 {
            return None;
        }
        let sum = self.sum.float();
        if !sum.is_finite() {
            return Some(f64::NAN);
        }
        // squares - sum² / n, again without the product's rounding error.
        let mean = sum / count;
        let product = sum * mean;
        let mut rest = self.squares;
        rest.add(-product);
        rest.add(-sum.mul_add(mean, -product));
        Some((rest.value() / count).max(0.0))
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
        let mut moments = Moments::default();
        for turn in 0..1_000_000 {
            moments.change(values[turn], 1);
            if turn >= 10 {
                moments.change(values[turn - 10], -1);
            }
        }
        let mut fresh = Moments::default();
        values[999_990..].iter().for_each(|&value| fresh.change(value, 1));
        assert_eq!(moments.variance(), fresh.variance());
    }
}
