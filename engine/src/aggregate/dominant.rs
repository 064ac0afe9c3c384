//! The most frequent value, null excluded; of equally frequent ones, the one that reached its count first in row order.
//!
//! State of cells with many rows: [`Leaders`]. Cost: O(log n) a row.

mod leaders;

use hashbrown::HashMap;

use super::{
    AcceptedTypes, AggregateFunction, AggregateInput, AggregateSignature, CellRowOrder, MenuEntry, Method,
    OutputType, RowFunction, RowSet, RowState, StateCost,
};
use crate::types::scalar::Scalar;
use leaders::Leaders;

#[derive(Debug)]
pub(super) struct Dominant;

impl AggregateFunction for Dominant {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "dominant",
            names: &["dominant"],
            menu: &[MenuEntry { name: "dominant", number: 80, text: 50, time: 60, boolean: 60 }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&Dominant)
    }
}

impl RowFunction for Dominant {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        let column = input.column();
        let mut counts: HashMap<u64, u32, ahash::RandomState> = HashMap::default();
        let mut best: Option<(u32, u32)> = None;
        for &slot in cell.rows {
            let Some(bits) = column.bits(slot) else { continue };
            let count = counts.entry(bits).or_insert(0);
            *count += 1;
            if best.is_none_or(|(top, _)| *count > top) {
                best = Some((*count, slot));
            }
        }
        best.map_or(Scalar::Null, |(_, slot)| column.scalar(slot))
    }

    fn follows_row_order(&self) -> bool {
        true
    }

    fn state_cost(&self) -> StateCost {
        StateCost::Sorting
    }

    fn build_state(
        &self,
        input: AggregateInput<'_>,
        rows: &[u32],
        order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        Some(Box::new(Leaders::new(input.aggregate.column, order, input.snapshot, rows)))
    }
}

impl RowState for Leaders {
    fn change(&mut self, input: AggregateInput<'_>, slots: &[u32], sign: i32) {
        for &slot in slots {
            if sign > 0 {
                self.insert(input.snapshot, slot);
            } else {
                self.remove(input.snapshot, slot);
            }
        }
    }

    fn value(&self, input: AggregateInput<'_>, _any_row: &dyn Fn() -> u32) -> Scalar {
        super::values::cell_of(input.column(), self.first())
    }
}
