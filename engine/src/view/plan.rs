//! A view configuration checked against a table's schema, in canonical form.
//!
//! Invariant: plans with equal [`Plan::sharing_key`] have equal results. Depth and expansion are not part of a plan;
//! they belong to each client's handle.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::filter::Filter;
use super::sharing_key::SharingKey;
use crate::access::Restricted;
use crate::aggregate::{self, Aggregate};
use crate::config::{Generation, GroupRollupMode, SortTerm, SplitRollupMode, ViewConfig};
use crate::error::{ConfigError, EngineError, Result, ViewClause};
use crate::expr::Expression;
use crate::query::sort::{Axis, Direction, RowOrder, direction};
use crate::storage::ComputedRef;
use crate::types::schema::{ColumnType, Field, Schema, Storage};
use crate::window::{Window, check_windows};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ViewKind {
    /// One row per table row.
    Flat,
    /// A tree of groups; also the single row of total mode.
    Grouped,
    /// One row per table row, its values in the block of its split values.
    ColumnOnly,
}

/// A checked view configuration, from which a [`super::View`] is built.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) kind: ViewKind,
    /// The table's columns, followed by computed ones by position.
    pub(crate) schema: Schema,
    pub(crate) num_table_columns: usize,
    /// Expression and window columns; holding the references keeps them computed.
    computed: Vec<ComputedRef>,
    /// The part of the table that the view is of; `None`: the whole.
    restriction: Option<Restricted>,
    /// The columns of the row tree's levels; empty in total mode.
    pub(crate) levels: Vec<usize>,
    /// The columns of the row paths: the `group_by`, also in total mode.
    pub(crate) group_by: Vec<usize>,
    pub(crate) split_by: Vec<usize>,
    pub(crate) group_mode: GroupRollupMode,
    pub(crate) split_mode: SplitRollupMode,
    pub(crate) filter: Filter,
    /// The shown columns.
    pub(crate) columns: Vec<usize>,
    /// Grouped views: the aggregate of each shown column, then those of hidden sort columns.
    pub(crate) aggregates: Vec<Aggregate>,
    /// The row order of flat and column-only views.
    pub(crate) row_order: RowOrder,
    /// Group order of grouped views, as positions in `aggregates`.
    pub(crate) group_order: Vec<(usize, Direction)>,
    /// Column order of split views, as positions in `aggregates`.
    pub(crate) column_order: Vec<(usize, Direction)>,
    config: ViewConfig,
}

/// The expressions and windows of a config, each parsed and typed once, in the order of their aliases.
#[derive(Debug)]
pub(crate) struct ParsedColumns<'a> {
    pub(crate) expressions: Vec<(&'a str, Expression)>,
    pub(crate) windows: Vec<(&'a str, Window)>,
}

impl<'a> ParsedColumns<'a> {
    /// Parses what `config` computes on a table with `schema`, indexed by `index`. Errors name the first expression or
    /// window at fault.
    pub(crate) fn of(config: &'a ViewConfig, schema: &Schema, index: Option<usize>) -> Result<Self> {
        let expressions = config.expressions.iter().map(|(alias, text)| {
            let parsed = Expression::new(alias, text, schema, index);
            Ok((
                alias.as_str(),
                parsed.map_err(|error| ConfigError::Expression {
                    alias: alias.clone(),
                    reason: error.message,
                })?,
            ))
        });
        ParsedColumns::with(expressions.collect::<Result<_>>()?, config, schema)
    }

    /// The windows of `config` beside its parsed expressions.
    pub(crate) fn with(
        expressions: Vec<(&'a str, Expression)>,
        config: &'a ViewConfig,
        schema: &Schema,
    ) -> Result<Self> {
        let storages: Vec<Storage> = expressions.iter().map(|(_, expression)| expression.storage).collect();
        Ok(ParsedColumns { windows: check_windows(config, schema, &storages)?, expressions })
    }
}

impl Plan {
    /// Plans a view of a table without computed columns; expressions and windows require the table
    /// ([`crate::table::Table::plan`]).
    ///
    /// # Errors
    ///
    /// The first invalid part of `config`; [`EngineError::Unsupported`] if it has expressions or windows.
    pub fn new(config: &ViewConfig, schema: &Schema) -> Result<Plan> {
        if let Some(alias) = config.expressions.keys().next() {
            return Err(EngineError::Unsupported(format!("expression column '{alias}' here")));
        }
        if let Some(alias) = config.windows.keys().next() {
            return Err(EngineError::Unsupported(format!("window column '{alias}' here")));
        }
        Plan::with_computed(config, schema, Vec::new())
    }

    /// Checks a configuration with its expressions and windows. The plan reports schemas only; no view can be built
    /// from it.
    pub(crate) fn check(config: &ViewConfig, schema: &Schema, parsed: &ParsedColumns<'_>) -> Result<Plan> {
        let mut fields = schema.fields().to_vec();
        let expressions = parsed.expressions.iter().map(|(alias, expression)| (*alias, expression.storage));
        let windows = parsed.windows.iter().map(|(alias, window)| (*alias, window.storage));
        fields.extend(expressions.chain(windows).map(|(alias, storage)| Field::new(alias, storage)));
        Plan::over(config, &Schema::new(fields), schema.len(), Vec::new())
    }

    pub(crate) fn with_computed(
        config: &ViewConfig,
        schema: &Schema,
        computed: Vec<ComputedRef>,
    ) -> Result<Plan> {
        let mut fields = schema.fields().to_vec();
        let num_behind = computed.iter().map(|column| column.position + 1).max().unwrap_or(0);
        // Computed columns of other plans lie between ours; they get a name that no client can send.
        fields.extend((0..num_behind).map(|position| Field::new(format!("\0{position}"), Storage::Bool)));
        for column in &computed {
            fields[schema.len() + column.position] = Field::new(column.alias.as_str(), column.storage);
        }
        Plan::over(config, &Schema::new(fields), schema.len(), computed)
    }

    fn over(
        config: &ViewConfig,
        schema: &Schema,
        num_table_columns: usize,
        computed: Vec<ComputedRef>,
    ) -> Result<Plan> {
        let column_of = |name: &str| schema.index_of(name);
        let (filter, canonical_filter) = Filter::new(&config.filter, config.filter_op, |name| {
            column_of(name).map(|column| (column, schema.field(column).storage))
        })?;
        let shown: Vec<String> = match &config.columns {
            Some(columns) => columns.clone(),
            None => {
                let own = schema.fields()[..num_table_columns].iter().map(|field| field.name.to_string());
                own.chain(config.expressions.keys().cloned()).chain(config.windows.keys().cloned()).collect()
            }
        };
        let columns = columns_named(&shown, ViewClause::Columns, column_of)?;
        let mut configured: BTreeMap<&str, Aggregate> = BTreeMap::new();
        for (name, words) in &config.aggregates {
            let column = column_of(name).ok_or_else(|| invalid(name, ViewClause::Aggregates))?;
            let mut aggregate = Aggregate::parse(schema.field(column), column, words, column_of)?;
            if config.generation == Generation::V5_5 {
                aggregate.follow_older_rules(words);
            }
            configured.insert(name, aggregate);
        }
        let group_by = columns_named(&config.group_by, ViewClause::GroupBy, column_of)?;
        let split_by = columns_named(&config.split_by, ViewClause::SplitBy, column_of)?;
        // A repeated column adds a level whose groups have one child each: only cost.
        if config.generation != Generation::V5_5 {
            refuse_repeats(&config.group_by, ViewClause::GroupBy)?;
            refuse_repeats(&config.split_by, ViewClause::SplitBy)?;
        }
        let sorts = first_of_each(&config.sort);
        let sort_names: Vec<String> = sorts.iter().map(|term| term.column.clone()).collect();
        columns_named(&sort_names, ViewClause::Sort, column_of)?;

        let is_total = config.group_rollup_mode == GroupRollupMode::Total;
        let kind = match (group_by.is_empty() && !is_total, split_by.is_empty()) {
            (true, true) => ViewKind::Flat,
            (true, false) => ViewKind::ColumnOnly,
            (false, _) => ViewKind::Grouped,
        };
        let mut plan = Plan {
            kind,
            schema: schema.clone(),
            num_table_columns,
            computed,
            restriction: None,
            levels: if is_total { Vec::new() } else { group_by.clone() },
            group_by,
            split_by,
            group_mode: config.group_rollup_mode,
            split_mode: config.split_rollup_mode,
            filter,
            columns,
            aggregates: Vec::new(),
            row_order: RowOrder::default(),
            group_order: Vec::new(),
            column_order: Vec::new(),
            config: ViewConfig {
                columns: Some(shown),
                filter: canonical_filter,
                aggregates: BTreeMap::new(),
                ..config.clone()
            },
        };
        plan.choose_aggregates(&configured, &sorts)?;
        plan.choose_orders(&sorts);
        plan.config.aggregates = plan.reported_aggregates();
        Ok(plan)
    }

    /// Chooses one aggregate per shown column, then one per hidden sort column.
    fn choose_aggregates(
        &mut self,
        configured: &BTreeMap<&str, Aggregate>,
        sorts: &[SortTerm],
    ) -> Result<()> {
        if self.kind == ViewKind::Flat {
            return Ok(());
        }
        let default = |field: &Field, column: usize| match self.kind {
            ViewKind::ColumnOnly => Aggregate::new(field, column, aggregate::ANY),
            ViewKind::Flat | ViewKind::Grouped => {
                let function = aggregate::default_for(field.column_type());
                let mut aggregate = Aggregate::new(field, column, function);
                if self.config.generation == Generation::V5_5 {
                    aggregate.follow_older_rules(&[]);
                }
                aggregate
            }
        };
        let mut aggregates = Vec::new();
        for &column in &self.columns {
            let field = self.schema.field(column);
            let aggregate = match configured.get(&*field.name) {
                Some(configured) if self.kind != ViewKind::ColumnOnly => configured.clone(),
                _ => default(field, column),
            };
            aggregates.push(aggregate);
        }
        for term in sorts {
            if aggregates.iter().any(|aggregate| *aggregate.name == *term.column) {
                continue;
            }
            let Some(column) = self.schema.index_of(&term.column) else { continue };
            let field = self.schema.field(column);
            let is_own_value = match direction(term.direction) {
                None => continue,
                Some((Axis::Rows, _)) => self.group_by.contains(&column),
                Some((Axis::Columns, _)) => self.split_by.contains(&column),
            };
            let aggregate = match configured.get(&*field.name) {
                _ if self.kind == ViewKind::ColumnOnly => default(field, column),
                Some(configured) => configured.clone(),
                None if is_own_value => Aggregate::new(field, column, aggregate::UNIQUE),
                None => default(field, column),
            };
            aggregates.push(aggregate);
        }
        for aggregate in &aggregates {
            aggregate.check_type()?;
        }
        self.aggregates = aggregates;
        Ok(())
    }

    fn choose_orders(&mut self, sorts: &[SortTerm]) {
        for term in sorts {
            let Some((axis, direction)) = direction(term.direction) else { continue };
            let aggregate = self.aggregates.iter().position(|aggregate| *aggregate.name == *term.column);
            match (self.kind, axis) {
                (ViewKind::Flat | ViewKind::ColumnOnly, Axis::Rows) => {
                    self.row_order
                        .terms
                        .extend(self.schema.index_of(&term.column).map(|column| (column, direction)));
                }
                (ViewKind::Grouped, Axis::Rows) => {
                    self.group_order.extend(aggregate.map(|aggregate| (aggregate, direction)));
                }
                (ViewKind::Grouped | ViewKind::ColumnOnly, Axis::Columns) => {
                    self.column_order.extend(aggregate.map(|aggregate| (aggregate, direction)));
                }
                (ViewKind::Flat, Axis::Columns) => {}
            }
        }
    }

    fn reported_aggregates(&self) -> BTreeMap<String, Vec<String>> {
        if self.group_by.is_empty() && self.split_by.is_empty() {
            return BTreeMap::new();
        }
        self.aggregates
            .iter()
            .map(|aggregate| (aggregate.name.to_string(), aggregate.canonical.clone()))
            .collect()
    }

    /// Whether the view depends on rows that were removed since it was opened, so that it cannot be built again.
    pub(crate) fn remembers_removed_rows(&self) -> bool {
        self.aggregates.iter().any(|aggregate| aggregate.function.remembers_removed_rows())
    }

    /// Returns the identity of the view of this plan, if opened when its table is at `version`. Plans of one table with
    /// equal keys share one [`super::View`]. Costs a copy of the configuration.
    pub fn sharing_key(&self, version: u64) -> SharingKey {
        SharingKey::of(self, version)
    }

    /// Returns the configuration as clients read it back, with the `group_by_depth` of this plan's own handle.
    pub fn config(&self) -> ViewConfig {
        self.config.clone()
    }

    /// Returns names and types of the shown columns, and of the hidden sort columns of pivots.
    pub fn schema(&self) -> Vec<(Arc<str>, ColumnType)> {
        match self.kind {
            ViewKind::Flat => self
                .columns
                .iter()
                .map(|&column| self.schema.field(column))
                .map(|field| (field.name.clone(), field.column_type()))
                .collect(),
            ViewKind::Grouped => self
                .aggregates
                .iter()
                .map(|aggregate| (aggregate.name.clone(), aggregate.output_type()))
                .collect(),
            ViewKind::ColumnOnly => self
                .aggregates
                .iter()
                .map(|aggregate| (aggregate.name.clone(), aggregate.input.column_type()))
                .collect(),
        }
    }

    /// Name and displayed type of every expression of the configuration.
    pub fn expression_schema(&self) -> Vec<(Arc<str>, ColumnType)> {
        self.config
            .expressions
            .keys()
            .filter_map(|alias| {
                let field = self.schema.field(self.schema.index_of(alias)?);
                let shown = self.aggregates.iter().find(|aggregate| aggregate.name == field.name);
                let column_type = match (self.kind, shown) {
                    (ViewKind::Grouped, Some(aggregate)) => aggregate.output_type(),
                    _ => field.column_type(),
                };
                Some((field.name.clone(), column_type))
            })
            .collect()
    }

    /// Returns the names of the computed columns that this plan keeps computed.
    pub fn computed(&self) -> impl Iterator<Item = &str> {
        self.computed.iter().map(|column| column.alias.as_str())
    }

    /// Marks the plan as one of a part of the table, whose schema it was made for.
    pub(crate) fn within(self, restriction: Restricted) -> Plan {
        Plan { restriction: Some(restriction), ..self }
    }

    /// The part of the table that the view is of; `None`: the whole.
    pub fn restriction(&self) -> Option<&Restricted> {
        self.restriction.as_ref()
    }

    pub(crate) fn computed_columns(&self) -> &[ComputedRef] {
        &self.computed
    }

    /// Returns the name of a shown column in CSV and Arrow, below the split path `prefix`.
    pub(crate) fn readable_name(&self, shown: usize, prefix: &str) -> String {
        let column = self.columns[shown];
        let name = &self.schema.field(column).name;
        if self.kind == ViewKind::Grouped && self.group_by.contains(&column) {
            return format!("{prefix}{name} ({})", self.aggregates[shown].qualifier);
        }
        format!("{prefix}{name}")
    }

    /// Returns whether a value depends on the total or the parent, and so on rows of other groups.
    pub(crate) fn has_shares(&self) -> bool {
        self.aggregates.iter().any(|aggregate| aggregate.function.reads_other_groups())
    }

    /// Returns the columns on which the displayed rows of a flat view depend.
    pub(crate) fn row_inputs(&self) -> Vec<usize> {
        self.inputs().into_iter().chain(self.columns.iter().copied()).collect()
    }

    /// Returns the columns on which the set, grouping and aggregates of rows depend.
    pub(crate) fn inputs(&self) -> Vec<usize> {
        let mut inputs: Vec<usize> = self
            .filter
            .columns()
            .chain(self.levels.iter().copied())
            .chain(self.split_by.iter().copied())
            .chain(self.aggregates.iter().map(|aggregate| aggregate.column))
            .chain(self.aggregates.iter().filter_map(|aggregate| aggregate.argument))
            .chain(self.row_order.terms.iter().map(|(column, _)| *column))
            .collect();
        inputs.sort_unstable();
        inputs.dedup();
        inputs
    }
}

fn columns_named(
    names: &[String],
    clause: ViewClause,
    column_of: impl Fn(&str) -> Option<usize>,
) -> Result<Vec<usize>> {
    names.iter().map(|name| column_of(name).ok_or_else(|| invalid(name, clause))).collect()
}

fn refuse_repeats(names: &[String], clause: ViewClause) -> Result<()> {
    let mut seen = HashSet::with_capacity(names.len());
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(column) => Err(ConfigError::DuplicateColumn { clause, column: column.clone() }.into()),
        None => Ok(()),
    }
}

fn invalid(name: &str, clause: ViewClause) -> EngineError {
    ConfigError::UnknownColumn { clause, column: name.to_owned() }.into()
}

/// Removes all but the first sort term of each column.
fn first_of_each(sorts: &[SortTerm]) -> Vec<SortTerm> {
    let mut kept: Vec<SortTerm> = Vec::new();
    for term in sorts {
        if !kept.iter().any(|other| other.column == term.column) {
            kept.push(term.clone());
        }
    }
    kept
}
