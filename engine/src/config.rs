//! What a view is asked: plain data, as the client said it, not yet checked against a table.

use std::collections::BTreeMap;

use crate::types::scalar::Scalar;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ViewConfig {
    /// Outermost first.
    pub group_by: Vec<String>,
    pub split_by: Vec<String>,
    /// Absent: all table columns, then expressions, then windows. Empty: no columns.
    pub columns: Option<Vec<String>>,
    pub filter: Vec<FilterTerm>,
    pub filter_op: FilterReducer,
    pub sort: Vec<SortTerm>,
    /// Alias → text.
    pub expressions: BTreeMap<String, String>,
    /// Column → name, then argument columns.
    pub aggregates: BTreeMap<String, Vec<String>>,
    /// Alias → specification.
    pub windows: BTreeMap<String, WindowSpec>,
    pub group_by_depth: Option<u32>,
    pub group_rollup_mode: GroupRollupMode,
    pub split_rollup_mode: SplitRollupMode,
    pub generation: Generation,
}

/// Whose rules decide where the published clients' generations differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Generation {
    /// Clients up to 5.5: sums of rows without a value are 0, a column may be grouped by twice, keys are called
    /// `a (Group by 1)` in CSV and Arrow.
    V5_5,
    /// Clients from 5.6 on: sums of rows without a value are null, no column is grouped by twice, keys have the names of
    /// their columns.
    #[default]
    V5_6,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FilterTerm {
    pub column: String,
    /// As the client spelled it (`begins with`, `startswith`, …).
    pub op: String,
    pub operands: Vec<Scalar>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FilterReducer {
    #[default]
    And,
    Or,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SortTerm {
    pub column: String,
    pub direction: SortDirection,
}

/// The wire's sort operators, discriminants included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortDirection {
    None = 0,
    Asc = 1,
    Desc = 2,
    ColAsc = 3,
    ColDesc = 4,
    AscAbs = 5,
    DescAbs = 6,
    ColAscAbs = 7,
    ColDescAbs = 8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GroupRollupMode {
    #[default]
    Rollup,
    Flat,
    Total,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SplitRollupMode {
    #[default]
    Flat,
    Rollup,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WindowSpec {
    pub source: String,
    pub op: String,
    pub partition_by: Vec<String>,
    pub order_by: Option<WindowOrder>,
    /// Absent: the operation's default, `Cumulative` where it takes a frame.
    pub frame: Option<WindowFrame>,
    pub offset: Option<u32>,
    pub alpha: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowOrder {
    pub column: String,
    pub descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WindowFrame {
    /// That many preceding rows, and the row itself.
    Rows(u32),
    /// Preceding rows whose order key is within this distance.
    Range(f64),
    Cumulative,
}
