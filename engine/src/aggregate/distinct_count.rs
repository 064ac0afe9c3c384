//! The number of distinct values, null included; zeros of both signs are two.
//!
//! State of cells with many rows: [`ValueCounts`]. Cost: O(1) a row.

use hashbrown::HashSet;

use super::value_counts::{ValueCounts, distinct_bits};
use super::{
    AcceptedTypes, AggregateFunction, AggregateInput, AggregateSignature, CellRowOrder, MenuEntry, Method,
    OutputType, RowFunction, RowSet, RowState, StateCost,
};
use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

#[derive(Debug)]
pub(super) struct DistinctCount;

impl AggregateFunction for DistinctCount {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "distinct count",
            names: &["distinct count", "distinct", "distinctcount", "distinct_count"],
            menu: &[MenuEntry { name: "distinct count", number: 60, text: 30, time: 40, boolean: 40 }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Always(Storage::UInt32),
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&DistinctCount)
    }
}

impl RowFunction for DistinctCount {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        let column = input.column();
        let distinct: HashSet<Option<u64>, ahash::RandomState> =
            cell.rows.iter().map(|&slot| distinct_bits(column, slot)).collect();
        Scalar::Int(distinct.len() as i64)
    }

    fn state_cost(&self) -> StateCost {
        StateCost::OneScan
    }

    fn build_state(
        &self,
        input: AggregateInput<'_>,
        rows: &[u32],
        _order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        Some(Box::new(DistinctCounter(ValueCounts::new(input, rows))))
    }
}

#[derive(Debug)]
struct DistinctCounter(ValueCounts);

impl RowState for DistinctCounter {
    fn change(&mut self, input: AggregateInput<'_>, slots: &[u32], sign: i32) {
        self.0.change(input, slots, sign);
    }

    fn value(&self, _input: AggregateInput<'_>, _any_row: &dyn Fn() -> u32) -> Scalar {
        Scalar::Int(self.0.num_distinct() as i64)
    }
}
