//! The identity of a view's content, as a value that can be compared and hashed.
//!
//! Invariant: two plans of one table that are alive at the same time and have equal keys have equal results at every
//! version. What is only reported back (spellings, the configured aggregates of a flat view) is not part of the key,
//! nor are depth and expansion, which belong to each client's handle.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::filter::FilterKey;
use super::plan::{Plan, ViewKind};
use crate::access::{Restricted, RestrictionId};
use crate::aggregate::SumOfNothing;
use crate::config::{GroupRollupMode, SplitRollupMode};
use crate::query::sort::Direction;

/// Everything a view is a function of, besides the table.
///
/// Cost: made in O(size of the configuration), as a comparison with an equal key; cloned and hashed in O(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharingKey {
    hash: u64,
    content: Arc<KeyContent>,
}

impl Hash for SharingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct KeyContent {
    /// The part of the table that the view is of.
    restriction: Option<RestrictionId>,
    kind: ViewKind,
    levels: Vec<usize>,
    group_by: Vec<usize>,
    split_by: Vec<usize>,
    /// `None` for a view without groups, which ignores it.
    group_mode: Option<GroupRollupMode>,
    /// `None` for a view without splits, which ignores it.
    split_mode: Option<SplitRollupMode>,
    filter: FilterKey,
    /// Shown columns, in order and with repetitions.
    columns: Vec<usize>,
    aggregates: Vec<AggregateKey>,
    row_order: Vec<(usize, Direction)>,
    group_order: Vec<(usize, Direction)>,
    column_order: Vec<(usize, Direction)>,
    /// The names of the computed columns, which are output names, and their positions in the table. While a plan holds
    /// it, a position belongs to one expression or window; that of a volatile expression to one plan.
    computed: Vec<(String, usize)>,
    /// The version at which the view was opened, if its content depends on what happened since.
    opened_at: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AggregateKey {
    /// The canonical name of the function.
    function: &'static str,
    column: usize,
    argument: Option<usize>,
    /// The aggregate's spelling, where it is part of a column's readable name.
    spelling: Option<String>,
    sum_of_nothing: SumOfNothing,
}

impl SharingKey {
    /// Returns the key of a view that is opened when its table is at `version`.
    pub(super) fn of(plan: &Plan, version: u64) -> SharingKey {
        let spelling = |position: usize| {
            let column = plan.columns.get(position)?;
            plan.group_by.contains(column).then(|| plan.aggregates[position].qualifier.clone())
        };
        let aggregates = plan.aggregates.iter().enumerate().map(|(position, aggregate)| AggregateKey {
            function: aggregate.function.signature().canonical,
            column: aggregate.column,
            argument: aggregate.argument,
            spelling: spelling(position),
            sum_of_nothing: aggregate.sum_of_nothing,
        });
        // A new view has not seen removed rows.
        let remembers = plan.remembers_removed_rows();
        let mut computed: Vec<(String, usize)> =
            plan.computed_columns().iter().map(|column| (column.alias.clone(), column.position)).collect();
        computed.sort_unstable();
        let content = KeyContent {
            restriction: plan.restriction().map(Restricted::id),
            kind: plan.kind,
            levels: plan.levels.clone(),
            group_by: plan.group_by.clone(),
            split_by: plan.split_by.clone(),
            group_mode: (plan.kind == ViewKind::Grouped).then_some(plan.group_mode),
            split_mode: (!plan.split_by.is_empty()).then_some(plan.split_mode),
            filter: plan.filter.key(),
            columns: plan.columns.clone(),
            aggregates: aggregates.collect(),
            row_order: plan.row_order.terms.clone(),
            group_order: plan.group_order.clone(),
            column_order: plan.column_order.clone(),
            computed,
            opened_at: remembers.then_some(version),
        };
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        SharingKey { hash: hasher.finish(), content: Arc::new(content) }
    }
}
