//! The list of the server's features, from which the viewer builds its menus in this order. The first filter operator
//! of a type is the default of a new filter.

use std::collections::BTreeMap;

use proscenium_engine::{ColumnType, aggregate};

use crate::generated as wire;
use crate::generated::get_features_resp::{
    AggregateArgs, AggregateOptions, ColumnTypeOptions, WindowAggregateArgs, WindowAggregateOptions,
};
use crate::translate::schema::type_to_wire;

const COMPARISONS: [&str; 6] = ["==", "!=", ">", ">=", "<", "<="];

const TEXT_SEARCHES: [&str; 10] = [
    "begins with",
    "not begins with",
    "contains",
    "not contains",
    "ends with",
    "not ends with",
    "matches",
    "not matches",
    "in",
    "not in",
];

const NULL_CHECKS: [&str; 2] = ["is not null", "is null"];

const ALL_FRAMES: &[&str] = &["rows", "range", "cumulative"];

/// A row of the tables of window operations.
struct WindowOp {
    name: &'static str,
    frames: &'static [&'static str],
    offset: bool,
    alpha: bool,
    /// `None`: the type of the source column.
    result_type: Option<ColumnType>,
}

const fn framed(name: &'static str, result_type: Option<ColumnType>) -> WindowOp {
    WindowOp { name, frames: ALL_FRAMES, offset: false, alpha: false, result_type }
}

const fn shifted(name: &'static str, result_type: Option<ColumnType>) -> WindowOp {
    WindowOp { name, frames: &[], offset: true, alpha: false, result_type }
}

const ROW_NUMBER: WindowOp = WindowOp {
    name: "row_number",
    frames: &[],
    offset: false,
    alpha: false,
    result_type: Some(ColumnType::Integer),
};

const ANY_WINDOWS: [WindowOp; 6] = [
    framed("count", Some(ColumnType::Integer)),
    framed("min", None),
    framed("max", None),
    shifted("lag", None),
    shifted("lead", None),
    ROW_NUMBER,
];

const NUMBER_WINDOWS: [WindowOp; 13] = [
    framed("sum", Some(ColumnType::Float)),
    framed("avg", Some(ColumnType::Float)),
    framed("count", Some(ColumnType::Integer)),
    framed("min", None),
    framed("max", None),
    framed("stddev", Some(ColumnType::Float)),
    framed("var", Some(ColumnType::Float)),
    shifted("lag", None),
    shifted("lead", None),
    shifted("diff", Some(ColumnType::Float)),
    WindowOp {
        name: "rate",
        frames: &["range"],
        offset: false,
        alpha: false,
        result_type: Some(ColumnType::Float),
    },
    WindowOp { name: "ema", frames: &[], offset: false, alpha: true, result_type: Some(ColumnType::Float) },
    ROW_NUMBER,
];

/// Builds the reply. `view_derivations`: whether `MakeTable` from a view is supported; otherwise clients copy the view
/// themselves.
pub fn features(view_derivations: bool) -> wire::GetFeaturesResp {
    wire::GetFeaturesResp {
        group_by: true,
        split_by: true,
        expressions: true,
        on_update: true,
        sort: true,
        filter_ops: of_each_type(filter_ops),
        aggregates: of_each_type(aggregates),
        group_rollup_mode: vec![
            wire::GroupRollupMode::Rollup.into(),
            wire::GroupRollupMode::Flat.into(),
            wire::GroupRollupMode::Total.into(),
        ],
        window_aggregates: ColumnType::ALL
            .map(|column_type| (column_type as u32, windows(column_type)))
            .into(),
        unordered: false,
        split_rollup_mode: vec![wire::SplitRollupMode::Flat.into(), wire::SplitRollupMode::Rollup.into()],
        view_derivations,
    }
}

fn of_each_type<T>(options: fn(ColumnType) -> T) -> BTreeMap<u32, T> {
    ColumnType::ALL.map(|column_type| (column_type as u32, options(column_type))).into()
}

fn filter_ops(column_type: ColumnType) -> ColumnTypeOptions {
    let searches: &[&str] = if column_type == ColumnType::String { &TEXT_SEARCHES } else { &[] };
    let names = COMPARISONS.iter().chain(searches).chain(&NULL_CHECKS);
    ColumnTypeOptions { options: names.map(|name| name.to_string()).collect() }
}

fn aggregates(column_type: ColumnType) -> AggregateOptions {
    let aggregates = aggregate::menu(column_type).into_iter().map(|item| AggregateArgs {
        name: item.name.to_owned(),
        args: if item.has_argument { vec![wire::ColumnType::Float.into()] } else { Vec::new() },
    });
    AggregateOptions { aggregates: aggregates.collect() }
}

fn windows(column_type: ColumnType) -> WindowAggregateOptions {
    let ops: &[WindowOp] = match column_type {
        ColumnType::Integer | ColumnType::Float => &NUMBER_WINDOWS,
        ColumnType::String | ColumnType::Date | ColumnType::Datetime | ColumnType::Boolean => &ANY_WINDOWS,
    };
    let options = ops.iter().map(|op| WindowAggregateArgs {
        name: op.name.to_string(),
        frames: op.frames.iter().map(|frame| frame.to_string()).collect(),
        offset: op.offset,
        alpha: op.alpha,
        result_type: op.result_type.map(|column_type| type_to_wire(column_type).into()),
    });
    WindowAggregateOptions { options: options.collect() }
}
