//! Converts view configurations in both directions.

use std::collections::BTreeMap;

use proscenium_engine::Result;
use proscenium_engine::config::{
    FilterReducer, FilterTerm, Generation, GroupRollupMode, SortDirection, SortTerm, SplitRollupMode,
    ViewConfig, WindowFrame, WindowOrder, WindowSpec,
};
use proscenium_engine::error::RequestError;

use crate::generated as wire;
use crate::generated::columns_update::{Columns, OptColumns};
use crate::generated::view_config as parts;
use crate::generated::window_spec::{Frame, Order};
use crate::translate::scalar;

/// Converts a client's configuration. An absent one is the default: every column, nothing else.
///
/// # Errors
///
/// An enum value is unknown.
pub fn from_wire(config: Option<wire::ViewConfig>, generation: Generation) -> Result<ViewConfig> {
    let Some(config) = config else { return Ok(ViewConfig { generation, ..ViewConfig::default() }) };
    let group_rollup_mode = known("group_rollup_mode", config.group_rollup_mode.unwrap_or_default())?;
    let split_rollup_mode = known("split_rollup_mode", config.split_rollup_mode.unwrap_or_default())?;
    let filter_op = known("filter_op", config.filter_op)?;
    let sort = config.sort.into_iter().map(sort_from_wire).collect::<Result<_>>()?;
    let columns = match config.columns.and_then(|columns| columns.opt_columns) {
        Some(OptColumns::Columns(columns)) => Some(columns.columns),
        Some(OptColumns::DefaultColumns(_)) | None => None,
    };
    let aggregates = config.aggregates.into_iter().map(|(column, list)| (column, list.aggregations));
    Ok(ViewConfig {
        group_by: config.group_by,
        split_by: config.split_by,
        columns,
        filter: config.filter.into_iter().map(filter_from_wire).collect(),
        filter_op: match filter_op {
            parts::FilterReducer::And => FilterReducer::And,
            parts::FilterReducer::Or => FilterReducer::Or,
        },
        sort,
        expressions: config.expressions,
        aggregates: aggregates.collect(),
        windows: config.windows.into_iter().map(|(alias, spec)| (alias, window_from_wire(spec))).collect(),
        group_by_depth: config.group_by_depth,
        group_rollup_mode: match group_rollup_mode {
            wire::GroupRollupMode::Rollup => GroupRollupMode::Rollup,
            wire::GroupRollupMode::Flat => GroupRollupMode::Flat,
            wire::GroupRollupMode::Total => GroupRollupMode::Total,
        },
        split_rollup_mode: match split_rollup_mode {
            wire::SplitRollupMode::Flat => SplitRollupMode::Flat,
            wire::SplitRollupMode::Rollup => SplitRollupMode::Rollup,
        },
        generation,
    })
}

/// Converts a configuration for a reply. Both rollup modes are always set; absent columns become the default columns.
pub fn to_wire(config: ViewConfig) -> wire::ViewConfig {
    let opt_columns = match config.columns {
        Some(columns) => OptColumns::Columns(Columns { columns }),
        None => OptColumns::DefaultColumns(prost_types::NullValue::NullValue.into()),
    };
    let aggregates = config.aggregates.into_iter();
    wire::ViewConfig {
        group_by: config.group_by,
        split_by: config.split_by,
        columns: Some(wire::ColumnsUpdate { opt_columns: Some(opt_columns) }),
        filter: config.filter.into_iter().map(filter_to_wire).collect(),
        sort: config.sort.into_iter().map(sort_to_wire).collect(),
        expressions: config.expressions,
        aggregates: aggregates
            .map(|(column, aggregations)| (column, parts::AggList { aggregations }))
            .collect(),
        filter_op: match config.filter_op {
            FilterReducer::And => parts::FilterReducer::And,
            FilterReducer::Or => parts::FilterReducer::Or,
        }
        .into(),
        group_by_depth: config.group_by_depth,
        group_rollup_mode: Some(
            match config.group_rollup_mode {
                GroupRollupMode::Rollup => wire::GroupRollupMode::Rollup,
                GroupRollupMode::Flat => wire::GroupRollupMode::Flat,
                GroupRollupMode::Total => wire::GroupRollupMode::Total,
            }
            .into(),
        ),
        windows: config
            .windows
            .into_iter()
            .map(|(alias, spec)| (alias, window_to_wire(spec)))
            .collect::<BTreeMap<_, _>>(),
        split_rollup_mode: Some(
            match config.split_rollup_mode {
                SplitRollupMode::Flat => wire::SplitRollupMode::Flat,
                SplitRollupMode::Rollup => wire::SplitRollupMode::Rollup,
            }
            .into(),
        ),
    }
}

fn filter_from_wire(filter: parts::Filter) -> FilterTerm {
    FilterTerm {
        column: filter.column,
        op: filter.op,
        operands: filter.value.into_iter().map(scalar::from_wire).collect(),
    }
}

fn filter_to_wire(term: FilterTerm) -> parts::Filter {
    parts::Filter {
        column: term.column,
        op: term.op,
        value: term.operands.iter().map(scalar::operand_to_wire).collect(),
    }
}

fn sort_from_wire(sort: parts::Sort) -> Result<SortTerm> {
    let direction = match known::<wire::SortOp>("sort op", sort.op)? {
        wire::SortOp::SortNone => SortDirection::None,
        wire::SortOp::SortAsc => SortDirection::Asc,
        wire::SortOp::SortDesc => SortDirection::Desc,
        wire::SortOp::SortColAsc => SortDirection::ColAsc,
        wire::SortOp::SortColDesc => SortDirection::ColDesc,
        wire::SortOp::SortAscAbs => SortDirection::AscAbs,
        wire::SortOp::SortDescAbs => SortDirection::DescAbs,
        wire::SortOp::SortColAscAbs => SortDirection::ColAscAbs,
        wire::SortOp::SortColDescAbs => SortDirection::ColDescAbs,
    };
    Ok(SortTerm { column: sort.column, direction })
}

fn sort_to_wire(term: SortTerm) -> parts::Sort {
    // The engine's discriminants equal the protocol's numbers.
    parts::Sort { column: term.column, op: term.direction as i32 }
}

fn window_from_wire(spec: wire::WindowSpec) -> WindowSpec {
    WindowSpec {
        source: spec.source,
        op: spec.op,
        partition_by: spec.partition_by,
        order_by: spec.order_by.map(|order| WindowOrder { column: order.column, descending: order.desc }),
        frame: spec.frame.map(|frame| match frame {
            Frame::Rows(rows) => WindowFrame::Rows(rows),
            Frame::Range(range) => WindowFrame::Range(range),
            Frame::Cumulative(_) => WindowFrame::Cumulative,
        }),
        offset: spec.offset,
        alpha: spec.alpha,
    }
}

fn window_to_wire(spec: WindowSpec) -> wire::WindowSpec {
    wire::WindowSpec {
        source: spec.source,
        op: spec.op,
        partition_by: spec.partition_by,
        order_by: spec.order_by.map(|order| Order { column: order.column, desc: order.descending }),
        frame: spec.frame.map(|frame| match frame {
            WindowFrame::Rows(rows) => Frame::Rows(rows),
            WindowFrame::Range(range) => Frame::Range(range),
            WindowFrame::Cumulative => Frame::Cumulative(prost_types::NullValue::NullValue.into()),
        }),
        offset: spec.offset,
        alpha: spec.alpha,
    }
}

fn known<E: TryFrom<i32>>(field: &str, value: i32) -> Result<E> {
    E::try_from(value).map_err(|_| {
        RequestError::UnknownValue { field: format!("{field} of the view config:"), value: value.to_string() }
            .into()
    })
}

#[cfg(test)]
mod tests {
    use proscenium_engine::Scalar;

    use super::*;

    fn full() -> ViewConfig {
        ViewConfig {
            group_by: vec!["a".into(), "b".into()],
            split_by: vec!["c".into()],
            columns: Some(vec!["v".into()]),
            filter: vec![FilterTerm {
                column: "v".into(),
                op: "in".into(),
                operands: vec![Scalar::Float(1.5), Scalar::Null, Scalar::Bool(true), Scalar::from("x")],
            }],
            filter_op: FilterReducer::Or,
            sort: vec![SortTerm { column: "v".into(), direction: SortDirection::ColDescAbs }],
            expressions: BTreeMap::from([("e".into(), "\"v\" + 1".into())]),
            aggregates: BTreeMap::from([("v".into(), vec!["weighted mean".into(), "w".into()])]),
            windows: BTreeMap::from([(
                "w".into(),
                WindowSpec {
                    source: "v".into(),
                    op: "sum".into(),
                    partition_by: vec!["a".into()],
                    order_by: Some(WindowOrder { column: "b".into(), descending: true }),
                    frame: Some(WindowFrame::Rows(3)),
                    offset: Some(1),
                    alpha: Some(0.5),
                },
            )]),
            group_by_depth: Some(0),
            group_rollup_mode: GroupRollupMode::Total,
            split_rollup_mode: SplitRollupMode::Rollup,
            generation: Generation::V5_6,
        }
    }

    #[test]
    fn a_config_survives_the_wire() {
        assert_eq!(from_wire(Some(to_wire(full())), Generation::V5_6), Ok(full()));
        assert_eq!(
            from_wire(Some(to_wire(ViewConfig::default())), Generation::V5_6),
            Ok(ViewConfig::default())
        );
        assert_eq!(from_wire(None, Generation::V5_6), Ok(ViewConfig::default()));
    }

    #[test]
    fn every_sort_operator_survives_the_wire() {
        for op in 0..=8 {
            let term = sort_from_wire(parts::Sort { column: "v".into(), op }).unwrap();
            assert_eq!(sort_to_wire(term).op, op);
        }
    }

    #[test]
    fn no_columns_differ_from_default_columns() {
        let none = ViewConfig { columns: Some(Vec::new()), ..ViewConfig::default() };
        assert_eq!(from_wire(Some(to_wire(none.clone())), Generation::V5_6), Ok(none));
    }

    #[test]
    fn an_unknown_sort_operator_is_named() {
        let config =
            wire::ViewConfig { sort: vec![parts::Sort { column: "v".into(), op: 99 }], ..Default::default() };
        assert_eq!(
            from_wire(Some(config), Generation::V5_6).unwrap_err().to_string(),
            "unknown sort op of the view config: 99"
        );
    }
}
