//! Checked window columns: specifications resolved against the columns they name.
//!
//! Invariant: a window that passes the check can be computed on any rows. Every error names the window.

use crate::config::{ViewConfig, WindowFrame, WindowSpec};
use crate::error::{ConfigError, Result, WindowFault};
use crate::types::schema::{ColumnType, Schema, Storage};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Op {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Stddev,
    Var,
    Lag(usize),
    Lead(usize),
    Diff(usize),
    Rate,
    /// The weight of the newest value.
    Ema(f64),
    RowNumber,
}

/// The column from which a window column reads its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WindowSource {
    /// A column of the table, by position.
    Table(usize),
    /// An expression, or a window that was checked earlier, by name.
    Computed(String),
}

/// A checked window column. Its numbers are neither NaN nor signed zeros, so windows that compare equal have equal
/// results.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    pub(crate) op: Op,
    pub(crate) source: WindowSource,
    /// Columns of the table.
    pub(crate) partition_by: Vec<usize>,
    /// A column of the table, and whether it descends; `None` is the order of row keys.
    pub(crate) order_by: Option<(usize, bool)>,
    pub(crate) frame: WindowFrame,
    pub(crate) storage: Storage,
}

/// Checks the windows of a config in the order of their names.
///
/// `schema` has the table's own columns, `expressions` the storage of each expression of the config.
pub(crate) fn check_windows<'a>(
    config: &'a ViewConfig,
    schema: &Schema,
    expressions: &[Storage],
) -> Result<Vec<(&'a str, Window)>> {
    let mut known: Vec<(&str, Storage)> =
        config.expressions.keys().map(String::as_str).zip(expressions.iter().copied()).collect();
    let mut windows = Vec::with_capacity(config.windows.len());
    for (alias, spec) in &config.windows {
        let window = check(alias, spec, schema, &known)
            .map_err(|reason| ConfigError::Window { alias: alias.clone(), reason })?;
        known.push((alias, window.storage));
        windows.push((alias.as_str(), window));
    }
    Ok(windows)
}

fn check(
    alias: &str,
    spec: &WindowSpec,
    schema: &Schema,
    known: &[(&str, Storage)],
) -> Result<Window, WindowFault> {
    if alias.is_empty() {
        return Err(WindowFault::NoName);
    }
    if schema.index_of(alias).is_some() || known.iter().any(|(name, _)| *name == alias) {
        return Err(WindowFault::NameTaken);
    }
    let computed = || known.iter().find(|(name, _)| *name == spec.source);
    let (source, storage) = match (schema.index_of(&spec.source), computed()) {
        (Some(column), _) => (WindowSource::Table(column), schema.field(column).storage),
        (None, Some((name, storage))) => (WindowSource::Computed((*name).to_owned()), *storage),
        (None, None) => return Err(WindowFault::Source { column: spec.source.clone() }),
    };
    let table_column = |name: &str, clause: &'static str| {
        schema.index_of(name).ok_or_else(|| WindowFault::Column { clause, column: name.to_owned() })
    };
    let partition_by =
        spec.partition_by.iter().map(|name| table_column(name, "partition_by")).collect::<Result<_, _>>()?;
    let order_by = match &spec.order_by {
        Some(order) => Some((table_column(&order.column, "order_by")?, order.descending)),
        None => None,
    };
    let op = operation(spec)?;
    let column_type = storage.column_type();
    let needs_numbers =
        !matches!(op, Op::Count | Op::Min | Op::Max | Op::Lag(_) | Op::Lead(_) | Op::RowNumber);
    if needs_numbers && !matches!(column_type, ColumnType::Integer | ColumnType::Float) {
        return Err(WindowFault::NotNumeric {
            operation: spec.op.clone(),
            column: spec.source.clone(),
            column_type,
        });
    }
    check_frame(op, spec)?;
    if let Some(WindowFrame::Range(distance)) = spec.frame {
        if distance.is_nan() || distance <= 0.0 {
            return Err(WindowFault::RangeSize);
        }
        let key_type = order_by.map(|(column, _)| schema.field(column).column_type());
        match key_type {
            None => return Err(WindowFault::RangeOrder),
            Some(ColumnType::String | ColumnType::Boolean) => {
                return Err(WindowFault::RangeOrderType);
            }
            Some(ColumnType::Integer | ColumnType::Float | ColumnType::Date | ColumnType::Datetime) => {}
        }
    }
    let storage = match op {
        Op::Min | Op::Max | Op::Lag(_) | Op::Lead(_) => storage,
        Op::Count | Op::RowNumber => Storage::Int64,
        Op::Sum | Op::Avg | Op::Stddev | Op::Var | Op::Diff(_) | Op::Rate | Op::Ema(_) => Storage::Float64,
    };
    let frame = spec.frame.unwrap_or(WindowFrame::Cumulative);
    Ok(Window { op, source, partition_by, order_by, frame, storage })
}

fn operation(spec: &WindowSpec) -> Result<Op, WindowFault> {
    let offset = spec.offset.unwrap_or(1) as usize;
    Ok(match spec.op.as_str() {
        "sum" => Op::Sum,
        "avg" => Op::Avg,
        "count" => Op::Count,
        "min" => Op::Min,
        "max" => Op::Max,
        "stddev" => Op::Stddev,
        "var" => Op::Var,
        "lag" => Op::Lag(offset),
        "lead" => Op::Lead(offset),
        "diff" => Op::Diff(offset),
        "rate" => Op::Rate,
        "ema" => match spec.alpha {
            Some(alpha) if alpha > 0.0 && alpha <= 1.0 => Op::Ema(alpha),
            _ => return Err(WindowFault::Alpha),
        },
        "row_number" => Op::RowNumber,
        other => return Err(WindowFault::Operation { operation: other.to_owned() }),
    })
}

fn check_frame(op: Op, spec: &WindowSpec) -> Result<(), WindowFault> {
    let is_allowed = match (op, spec.frame) {
        (Op::Lag(_) | Op::Lead(_) | Op::Diff(_), frame) => frame.is_none(),
        (Op::Rate, frame) => matches!(frame, Some(WindowFrame::Range(_))),
        (Op::Ema(_) | Op::RowNumber, frame) => matches!(frame, None | Some(WindowFrame::Cumulative)),
        (Op::Sum | Op::Avg | Op::Count | Op::Min | Op::Max | Op::Stddev | Op::Var, _) => true,
    };
    match (op, is_allowed) {
        (_, true) => Ok(()),
        (Op::Rate, false) => Err(WindowFault::RateRange),
        (_, false) => Err(WindowFault::Frame { operation: spec.op.clone() }),
    }
}
