//! The product, rounded once; a null counts as 0 unless it is the only row.
//!
//! State of cells with many rows: a tree of partial products. Cost: O(log n) a row.

mod product;
mod product_tree;

use super::{
    AcceptedTypes, AggregateFunction, AggregateInput, AggregateSignature, CellRowOrder, MenuEntry, Method,
    NO_MENU, OutputType, RowFunction, RowSet, RowState, StateCost,
};
use crate::column::Column;
use crate::types::scalar::Scalar;
use crate::types::schema::ColumnType;
use product::Product;
use product_tree::ProductTree;

#[derive(Debug)]
pub(super) struct Mul;

impl AggregateFunction for Mul {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "mul",
            names: &["mul"],
            menu: &[MenuEntry { name: "mul", number: 210, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Numbers,
            output: OutputType::Total,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&Mul)
    }
}

impl RowFunction for Mul {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        let (column, rows) = (input.column(), cell.rows);
        let any_row = || rows.first().copied().unwrap_or(0);
        finished_product(column, rows.len(), any_row, || Product::of(column, rows.iter().copied()))
    }

    // Adjacent rows are read together where they come leaf by leaf.
    fn follows_row_order(&self) -> bool {
        true
    }

    fn state_cost(&self) -> StateCost {
        StateCost::Sorting
    }

    fn build_state(
        &self,
        _input: AggregateInput<'_>,
        rows: &[u32],
        _order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        Some(Box::new(ProductTree::new(rows)))
    }
}

impl RowState for ProductTree {
    fn change(&mut self, _input: AggregateInput<'_>, slots: &[u32], sign: i32) {
        for &slot in slots {
            if sign > 0 {
                self.insert(slot);
            } else {
                self.remove(slot);
            }
        }
    }

    fn flush(&mut self, input: AggregateInput<'_>) {
        ProductTree::flush(self, input.column());
    }

    fn value(&self, input: AggregateInput<'_>, any_row: &dyn Fn() -> u32) -> Scalar {
        finished_product(input.column(), self.len(), any_row, || self.product())
    }
}

/// Converts a product to the result of `mul`.
///
/// The published server multiplies row by row, so its intermediate products overflow to infinity, underflow to zero, or
/// wrap around in 64 bits. Here the exact product decides, and integers saturate.
fn finished_product(
    column: &Column,
    num_rows: usize,
    any_row: impl Fn() -> u32,
    product: impl Fn() -> Product,
) -> Scalar {
    if num_rows == 0 {
        Scalar::Null
    } else if num_rows == 1 {
        let value = column.scalar(any_row());
        if let Scalar::Bool(value) = value { Scalar::Int(value.into()) } else { value }
    } else if column.storage().column_type() == ColumnType::Float {
        Scalar::Float(product().float())
    } else {
        Scalar::Int(product().integer())
    }
}
