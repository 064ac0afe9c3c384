//! View configurations: plain data from the client, not yet checked against a table.
//!
//! They can be written as JSON and read again, equal, for tables that follow a view and outlive the server.

mod exact;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::scalar::Scalar;

/// The configuration of a view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct ViewConfig {
    /// Columns to group by, outermost first. Empty: a row per table row.
    pub group_by: Vec<String>,
    /// Columns to split by, outermost first.
    pub split_by: Vec<String>,
    /// The columns to show. `None`: all table columns, then expressions, then windows. Empty: no columns.
    pub columns: Option<Vec<String>>,
    /// The conditions on rows.
    pub filter: Vec<FilterTerm>,
    /// How the conditions are combined.
    pub filter_op: FilterReducer,
    /// The sort, most significant term first.
    pub sort: Vec<SortTerm>,
    /// Expression columns: alias → text.
    pub expressions: BTreeMap<String, String>,
    /// Aggregates: column → name of the aggregate, then argument columns.
    pub aggregates: BTreeMap<String, Vec<String>>,
    /// Window columns: alias → specification.
    pub windows: BTreeMap<String, WindowSpec>,
    /// The number of levels initially expanded; `None` and 0 mean all.
    pub group_by_depth: Option<u32>,
    /// Which levels of groups have rows.
    pub group_rollup_mode: GroupRollupMode,
    /// Which levels of split values have columns.
    pub split_rollup_mode: SplitRollupMode,
    /// The client generation whose rules apply.
    pub generation: Generation,
}

impl ViewConfig {
    /// Estimates the work of checking the configuration: columns, terms, operands, and bytes of expressions.
    pub fn num_items(&self) -> usize {
        let operands: usize = self.filter.iter().map(|term| 1 + term.operands.len()).sum();
        let expressions: usize = self.expressions.iter().map(|(alias, text)| alias.len() + text.len()).sum();
        let columns = self.columns.as_ref().map_or(0, Vec::len);
        let others = self.group_by.len() + self.split_by.len() + self.sort.len();
        operands + expressions + columns + others + self.aggregates.len() + self.windows.len()
    }
}

/// A generation of published clients. Its rules apply where generations differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Eq, Hash, Default)]
pub enum Generation {
    /// Clients up to 5.5: sums of rows without a value are 0, a column may be grouped by twice, and keys are named
    /// `a (Group by 1)` in CSV and Arrow.
    V5_5,
    /// Clients from 5.6 on: sums of rows without a value are null, no column may be grouped by twice, and keys are
    /// named like their columns.
    #[default]
    V5_6,
}

/// A condition on a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FilterTerm {
    /// A column of the table, an expression or a window.
    pub column: String,
    /// The operator as spelled by the client (`begins with`, `startswith`, …).
    pub op: String,
    /// The values to compare with, as many as the operator takes.
    #[serde(with = "exact::scalars")]
    pub operands: Vec<Scalar>,
}

/// How filter terms are combined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Eq, Hash, Default)]
pub enum FilterReducer {
    /// A row passes if all terms hold; without terms, every row passes. `AND` in the protocol.
    #[default]
    And,
    /// A row passes if at least one term holds; without terms, every row passes. `OR` in the protocol.
    Or,
}

/// A term of a sort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Eq, Hash)]
pub struct SortTerm {
    /// The column to sort by; it need not be shown.
    pub column: String,
    /// The direction.
    pub direction: SortDirection,
}

/// The sort operators of the protocol, with its discriminants. `Col…` sorts the columns of a split view, `…Abs`
/// compares magnitudes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Eq, Hash)]
pub enum SortDirection {
    /// The term imposes no order. `SORT_NONE` in the protocol.
    None = 0,
    /// Rows ascending: null and NaN, then the least value. `SORT_ASC`.
    Asc = 1,
    /// Rows descending: the greatest value first, null and NaN last. `SORT_DESC`.
    Desc = 2,
    /// Split columns ascending. `SORT_COL_ASC`; without effect on an unsplit view.
    ColAsc = 3,
    /// Split columns descending. `SORT_COL_DESC`; without effect on an unsplit view.
    ColDesc = 4,
    /// Rows by ascending magnitude; null and non-numbers count as 0. `SORT_ASC_ABS`.
    AscAbs = 5,
    /// Rows by descending magnitude; null and non-numbers count as 0. `SORT_DESC_ABS`.
    DescAbs = 6,
    /// Split columns by ascending magnitude. `SORT_COL_ASC_ABS`.
    ColAscAbs = 7,
    /// Split columns by descending magnitude. `SORT_COL_DESC_ABS`.
    ColDescAbs = 8,
}

/// Which levels of groups have rows: all of them, the innermost only, or the total only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Eq, Hash, Default)]
pub enum GroupRollupMode {
    /// The total and every level of groups. `ROLLUP` in the protocol.
    #[default]
    Rollup,
    /// The innermost groups, without the total. `FLAT` in the protocol.
    Flat,
    /// One row that aggregates all rows, whatever `group_by` is. `TOTAL` in the protocol.
    Total,
}

/// Which levels of split values have columns: the innermost only, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Eq, Hash, Default)]
pub enum SplitRollupMode {
    /// Columns for the innermost split values. `SPLIT_ROLLUP_MODE_FLAT` in the protocol.
    #[default]
    Flat,
    /// Also columns for the outer split values and the total. `SPLIT_ROLLUP_MODE_ROLLUP` in the protocol.
    Rollup,
}

/// The specification of a window column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowSpec {
    /// The column, expression or window that is computed over.
    pub source: String,
    /// The name of the operation (`sum`, `lag`, `ema`, …).
    pub op: String,
    /// Table columns by which rows are partitioned.
    pub partition_by: Vec<String>,
    /// The order within a partition; `None`: by row key.
    pub order_by: Option<WindowOrder>,
    /// The frame; `None`: the operation's default, `Cumulative` where it takes a frame.
    pub frame: Option<WindowFrame>,
    /// The distance in rows of `lag`, `lead` and `diff`; `None` is 1.
    pub offset: Option<u32>,
    /// The weight of the newest value of `ema`, in (0, 1].
    #[serde(with = "exact::optional_float")]
    pub alpha: Option<f64>,
}

/// The order of rows within a window's partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Eq)]
pub struct WindowOrder {
    /// A column of the table.
    pub column: String,
    /// Whether greater values come first.
    pub descending: bool,
}

/// The rows, up to the current one, that a window operation combines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum WindowFrame {
    /// This many preceding rows, and the row itself.
    Rows(u32),
    /// Preceding rows whose order key is within this distance, in units of the key (days for dates, milliseconds
    /// for datetimes).
    Range(#[serde(with = "exact::float")] f64),
    /// All rows of the partition from the first to the row itself.
    Cumulative,
}
