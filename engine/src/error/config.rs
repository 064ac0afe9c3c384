//! Faults of a view's configuration, by the clause at fault.

use crate::types::schema::ColumnType;

/// A clause of a view config that names columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewClause {
    /// The shown columns.
    Columns,
    /// The aggregates.
    Aggregates,
    /// The row pivots.
    GroupBy,
    /// The column pivots.
    SplitBy,
    /// The sort.
    Sort,
}

impl ViewClause {
    /// The name in a config.
    pub fn name(self) -> &'static str {
        match self {
            ViewClause::Columns => "columns",
            ViewClause::Aggregates => "aggregates",
            ViewClause::GroupBy => "group_by",
            ViewClause::SplitBy => "split_by",
            ViewClause::Sort => "sort",
        }
    }
}

/// A view config that does not fit its table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A clause names a column that the table lacks.
    #[error("there is no column '{column}' for {}", clause.name())]
    UnknownColumn {
        /// The clause.
        clause: ViewClause,
        /// The column.
        column: String,
    },
    /// A clause names a column twice.
    #[error("column '{column}' is more than once in {}", clause.name())]
    DuplicateColumn {
        /// The clause.
        clause: ViewClause,
        /// The column.
        column: String,
    },
    /// A filter names a column that the table lacks.
    #[error("there is no column '{column}' for filter")]
    FilterColumn {
        /// The column.
        column: String,
    },
    /// A filter with an operator that does not exist.
    #[error("there is no filter operator '{operator}'")]
    FilterOperator {
        /// The operator.
        operator: String,
        /// Whether it is one that joins filters.
        joins: bool,
    },
    /// A filter without the value that it needs.
    #[error("Filter `{operator}` on column '{column}' needs a value")]
    FilterValueMissing {
        /// The operator.
        operator: String,
        /// The column.
        column: String,
    },
    /// A filter's value that is none of its column's type.
    #[error("Invalid filter value {value} for column '{column}' of type {}", column_type.name())]
    FilterValue {
        /// The value.
        value: String,
        /// The column.
        column: String,
        /// The column's type.
        column_type: ColumnType,
    },
    /// An aggregate that does not exist, or not for columns of this type.
    #[error("there is no aggregate '{aggregate}' for column '{column}'")]
    UnknownAggregate {
        /// The name given.
        aggregate: String,
        /// The column.
        column: String,
        /// Whether the published engine has it.
        is_unimplemented: bool,
    },
    /// An aggregate that needs a second column.
    #[error("aggregate '{aggregate}' for column '{column}' needs a second column")]
    AggregateArgument {
        /// The aggregate.
        aggregate: String,
        /// The column.
        column: String,
    },
    /// An aggregate whose second column does not exist.
    #[error("there is no column '{argument}' for aggregate '{aggregate}' of column '{column}'")]
    AggregateColumn {
        /// The second column.
        argument: String,
        /// The aggregate.
        aggregate: String,
        /// The column.
        column: String,
    },
    /// An aggregate that does not take columns of this type.
    #[error("aggregate '{aggregate}' does not take column '{column}' of type {}", column_type.name())]
    AggregateType {
        /// The aggregate.
        aggregate: String,
        /// The column.
        column: String,
        /// The column's type.
        column_type: ColumnType,
    },
    /// An expression that cannot be parsed or typed. The text is that of the expression language.
    #[error("expression '{alias}': {reason}")]
    Expression {
        /// The name of its column.
        alias: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// A window column that cannot be computed.
    #[error("window '{alias}': {reason}")]
    Window {
        /// The name of its column.
        alias: String,
        /// What is wrong.
        reason: WindowFault,
    },
    /// A column whose range is asked for, and that the view does not show.
    #[error("the view has no column '{column}'")]
    RangeColumn {
        /// The column.
        column: String,
    },
}

/// What is wrong with a window column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowFault {
    /// It has no name.
    #[error("a window column needs a name")]
    NoName,
    /// Its name is taken.
    #[error("the name is that of a column or an expression")]
    NameTaken,
    /// Its source does not exist.
    #[error("there is no column '{column}' to compute over")]
    Source {
        /// The source.
        column: String,
    },
    /// A clause names a column that the table lacks.
    #[error("{clause} '{column}' is not a column of the table")]
    Column {
        /// `partition_by` or `order_by`.
        clause: &'static str,
        /// The column.
        column: String,
    },
    /// Its operation does not exist.
    #[error("there is no operation '{operation}'")]
    Operation {
        /// The operation.
        operation: String,
    },
    /// Its operation needs numbers.
    #[error("'{operation}' needs numbers, and '{column}' is {}", column_type.name())]
    NotNumeric {
        /// The operation.
        operation: String,
        /// The source.
        column: String,
        /// The source's type.
        column_type: ColumnType,
    },
    /// The weight of an exponential average is out of range.
    #[error("'ema' needs an alpha greater than 0 and at most 1")]
    Alpha,
    /// A range that is not positive.
    #[error("a range must be greater than 0")]
    RangeSize,
    /// A range without an order.
    #[error("a range needs an order_by")]
    RangeOrder,
    /// A range over an order that has no distances.
    #[error("a range needs a number, date or datetime as order_by")]
    RangeOrderType,
    /// A rate without a range.
    #[error("'rate' needs a range")]
    RateRange,
    /// The operation does not take this frame.
    #[error("'{operation}' takes no such frame")]
    Frame {
        /// The operation.
        operation: String,
    },
}

impl ConfigError {
    /// The stable identifier, see [`crate::EngineError::code`].
    pub fn code(&self) -> &'static str {
        match self {
            ConfigError::UnknownColumn { .. }
            | ConfigError::FilterColumn { .. }
            | ConfigError::AggregateColumn { .. }
            | ConfigError::RangeColumn { .. } => "unknown_column",
            ConfigError::DuplicateColumn { .. } => "duplicate_column",
            ConfigError::FilterOperator { .. }
            | ConfigError::FilterValueMissing { .. }
            | ConfigError::FilterValue { .. } => "bad_filter",
            ConfigError::UnknownAggregate { .. }
            | ConfigError::AggregateArgument { .. }
            | ConfigError::AggregateType { .. } => "bad_aggregate",
            ConfigError::Expression { .. } => "bad_expression",
            ConfigError::Window { .. } => "bad_window",
        }
    }
}
