//! Means, plain and weighted by a second column.
//!
//! State: exact sums. Cost: O(1) a row.

use super::sum::OverTotals;
use super::sums::{Number, Total};
use super::{
    AcceptedTypes, Aggregate, AggregateFunction, AggregateInput, AggregateSignature, CellContext, MenuEntry,
    Method, NO_MENU, OutputType, StateFunction, StatesOf,
};
use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

/// The sum of the values divided by their number.
#[derive(Debug)]
pub(super) struct Mean;

impl AggregateFunction for Mean {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "mean",
            names: &["avg", "mean"],
            menu: &[
                // Offered for dates too, as by the reference engine, which then refuses it.
                MenuEntry { name: "avg", number: 40, time: 30, ..NO_MENU },
                MenuEntry { name: "mean", number: 190, ..NO_MENU },
            ],
            has_argument: false,
            accepts: AcceptedTypes::Numbers,
            output: OutputType::Always(Storage::Float64),
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<Mean>::boxed)
    }
}

impl OverTotals for Mean {
    fn finish(_aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        match &totals[cell.cell() as usize] {
            total if total.num_valid == 0 => Scalar::Null,
            total => Scalar::Float(total.float() / f64::from(total.num_valid)),
        }
    }
}

/// The sum of the weighted values divided by the sum of the weights; null if that is zero. Rows count only if value and
/// weight are finite.
#[derive(Debug)]
pub(super) struct WeightedMean;

/// Sums of weights and of weighted values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct WeightedTotal {
    weights: Total,
    products: Total,
}

impl AggregateFunction for WeightedMean {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "weighted mean",
            names: &["weighted mean", "weighted_mean"],
            menu: &[MenuEntry { name: "weighted mean", number: 310, ..NO_MENU }],
            has_argument: true,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Always(Storage::Float64),
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<WeightedMean>::boxed)
    }
}

impl StateFunction for WeightedMean {
    type State = WeightedTotal;

    fn change(state: &mut WeightedTotal, input: AggregateInput<'_>, slot: u32, sign: i32) {
        if let (Some(value), Some(weight)) = (input.column().number(slot), input.argument().number(slot))
            && value.is_finite()
            && weight.is_finite()
        {
            state.weights.change(Number::Float(weight), sign);
            state.products.change(Number::Float(value * weight), sign);
        }
    }

    fn merge(state: &mut WeightedTotal, other: &WeightedTotal) {
        state.weights.merge(&other.weights);
        state.products.merge(&other.products);
    }

    fn finish(_aggregate: &Aggregate, states: &[WeightedTotal], cell: &dyn CellContext) -> Scalar {
        let state = &states[cell.cell() as usize];
        let weights = state.weights.float();
        if state.weights.num_valid > 0 && weights != 0.0 {
            Scalar::Float(state.products.float() / weights)
        } else {
            Scalar::Null
        }
    }
}
