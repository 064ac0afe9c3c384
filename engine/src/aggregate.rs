//! Aggregates: one value of a column for all rows of a cell.
//!
//! Every aggregate is an [`AggregateFunction`] in a file of its own (a close family shares one) and one line of
//! [`REGISTRY`], from which the parser, the plan and the clients' menus read. Its file states its names, the types it
//! takes and gives, and one of two [`Method`]s:
//!
//! * *states* ([`StateFunction`]): every cell has a state into which each row is inserted and from which it is retracted;
//!   parts of the rows merge. Invariant: retracting undoes inserting, so stepping equals rebuilding. Cost: O(1) a row.
//! * *rows* ([`RowFunction`]): the value is computed from the cell's rows when it is read, and cached until one of them
//!   changes. Cost: O(rows of the cell) a read; in cells with many rows a [`RowState`] makes it O(log n).
//!
//! Dispatch: states are typed vectors ([`StatesOf`]) behind one trait object for each aggregate of a view, whose methods
//! take slices of rows; nothing is dispatched dynamically for a single row.

mod registry;
mod row_function;
mod row_order;
mod signature;
mod spec;
mod state_column;

// What several aggregates share.
mod ordered_rows;
mod sums;
mod value_counts;
mod values;

// The aggregates.
mod any;
mod by;
mod count;
mod distinct_count;
mod dominant;
mod first_last;
mod gmv;
mod join;
mod mean;
mod min_max;
mod mul;
mod quantile;
mod share;
mod sum;
mod unique;
mod variance;
mod watermark;

use std::fmt::Debug;

pub(crate) use registry::{ANY, UNIQUE, default_for};
pub use registry::{MenuItem, menu};
pub(crate) use row_function::{MANY_ROWS, RowFunction, RowSet, RowState, Shortcut, StateCost};
pub(crate) use row_order::CellRowOrder;
pub(crate) use signature::{AcceptedTypes, AggregateSignature, MenuEntry, NO_MENU, OutputType};
pub(crate) use spec::{Aggregate, SumOfNothing};
pub(crate) use state_column::{CellContext, CellRows, StateColumn, StateFunction, StatesOf};
pub(crate) use values::canonical;

use crate::column::Column;
use crate::storage::Snapshot;
use crate::types::scalar::Scalar;

/// Every aggregate. The order means nothing.
const REGISTRY: &[&dyn AggregateFunction] = &[
    &sum::Sum,
    &sum::SumOrZero,
    &sum::AbsSum,
    &sum::SumAbs,
    &mul::Mul,
    &gmv::Gmv,
    &mean::Mean,
    &mean::WeightedMean,
    &variance::Variance,
    &variance::Stddev,
    &share::PctSumParent,
    &share::PctSumTotal,
    &count::Count,
    &distinct_count::DistinctCount,
    &unique::DistinctLeaf,
    &unique::Unique,
    &any::Any,
    &any::Or,
    &any::And,
    &dominant::Dominant,
    &join::Join,
    &first_last::First,
    &first_last::Last,
    &first_last::LastByIndex,
    &first_last::LastMinusFirst,
    &min_max::Max,
    &min_max::Min,
    &min_max::HighMinusLow,
    &watermark::High,
    &watermark::Low,
    &quantile::MEDIAN,
    &quantile::Q1,
    &quantile::Q3,
    &by::MaxBy,
    &by::MinBy,
];

/// An aggregate, independent of the column it is applied to.
pub(crate) trait AggregateFunction: Debug + Sync {
    /// Its names and types.
    fn signature(&self) -> &'static AggregateSignature;

    /// How a view keeps and computes its values.
    fn method(&self) -> Method;

    /// What clients up to 5.5 expect where they wrote `word`.
    fn older_rules(&self, _word: &str) -> OlderRules {
        OlderRules::default()
    }

    /// Returns whether a value depends on rows of other groups.
    fn reads_other_groups(&self) -> bool {
        false
    }

    /// Returns whether a value depends on rows that are no longer there, so that a view opened later differs.
    fn remembers_removed_rows(&self) -> bool {
        false
    }

    /// Returns the value where the table has no rows.
    fn value_of_empty_table(&self, _aggregate: &Aggregate, _is_total: bool) -> Scalar {
        Scalar::Null
    }
}

/// How a view keeps and computes the values of an aggregate.
pub(crate) enum Method {
    /// Creates states for no cells.
    States(fn() -> Box<dyn StateColumn>),
    /// Computes a value from the rows of its cell.
    Rows(&'static dyn RowFunction),
}

/// The differences of clients up to 5.5.
#[derive(Debug, Default)]
pub(crate) struct OlderRules {
    pub(crate) sum_of_nothing: SumOfNothing,
    /// The name they read back, if it is not the canonical one.
    pub(crate) canonical: Option<&'static str>,
}

/// An aggregate of a view and the cells it reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AggregateInput<'a> {
    pub(crate) aggregate: &'a Aggregate,
    pub(crate) snapshot: &'a Snapshot,
}

impl<'a> AggregateInput<'a> {
    /// Returns the aggregated column.
    pub(crate) fn column(&self) -> &'a Column {
        self.snapshot.column(self.aggregate.column)
    }

    /// Returns the second column of an aggregate that takes one.
    pub(crate) fn argument(&self) -> &'a Column {
        self.snapshot.column(self.aggregate.argument.expect("checked when the aggregate was parsed"))
    }
}
