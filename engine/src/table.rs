//! Tables: columns, keys, and a total order of batches.
//!
//! Invariant: every applied batch increments the version by one and yields the [`TableDelta`] that leads to it, unless
//! it is applied unobserved ([`Table::apply_unobserved`]). Snapshots are immutable. Cost: a snapshot is O(columns).
//!
//! Most tables are written by clients ([`owned`]); a derived table presents a view as a table and follows its source
//! ([`derived`]); a joined table follows two ([`joined`]).

mod checkpoint;
mod computed;
mod definition;
mod derived;
mod joined;
mod owned;
mod record;
mod restricted;
mod write;
mod write_guard;

pub use crate::storage::{
    AppliedLoad, LoadHistory, LoadMark, LoadStep, LogicalDelta, Operation, Snapshot, StagedBatch, WriteKind,
};
pub use checkpoint::{Checkpoint, TableState};
pub use joined::{JoinKind, JoinSide, JoinSpec};
pub use restricted::PartDeltas;

use std::collections::BTreeSet;

use crate::access::Restricted;
use crate::config::ViewConfig;
use crate::context::EngineContext;
use crate::error::Result;
use crate::storage::TableDelta;
use crate::types::schema::{ColumnType, Schema};
use crate::view::{ParsedColumns, Plan};
use computed::ComputedColumns;
pub use computed::{Backfill, BackfillResult, CatchUpLog, InstalledColumns, RefusedColumn};
use derived::DerivedTable;
use joined::JoinedTable;
#[cfg(test)]
pub(crate) use owned::OwnedTable;
#[cfg(not(test))]
use owned::OwnedTable;
pub use owned::Stager;
use restricted::Parts;
pub use write_guard::RefusedRow;

/// A table with the computed columns of its plans.
#[derive(Debug)]
pub struct Table {
    body: Body,
    computed: ComputedColumns,
    /// What readers with restricted rights take for the table.
    parts: Parts,
}

#[derive(Debug)]
enum Body {
    Owned(Box<OwnedTable>),
    Derived(Box<DerivedTable>),
    Joined(Box<JoinedTable>),
}

impl Table {
    fn of(body: Body) -> Table {
        Table { body, computed: ComputedColumns::default(), parts: Parts::default() }
    }

    /// Creates a read-only table from a view of `source`, kept up to date by [`Table::follow`].
    ///
    /// `plan` is of a view of the source. `wanted` selects columns by name and type; those that the view lacks are
    /// null. `None` selects all columns of the view. `source_limit` is the limit of the source table, which the
    /// table of a flat view inherits.
    ///
    /// Fails if a wanted column has another type than the view's, occurs twice, or omits the source's index column
    /// from a flat view that shows it, for a view that is split but not grouped, and if the context's account refuses
    /// the memory.
    pub fn derive(
        plan: Plan,
        source: &Snapshot,
        source_limit: Option<u32>,
        wanted: Option<&[(String, ColumnType)]>,
        context: &EngineContext,
    ) -> Result<Table> {
        Table::derive_in_order(plan, source, source_limit, wanted, &[], context)
    }

    /// As [`Table::derive`]; the groups of a pivot come in this order, as [`Table::group_order`] and [`Table::new_groups`] have
    /// named them one after the other. Those that it does not name follow in the view's order.
    pub fn derive_in_order(
        plan: Plan,
        source: &Snapshot,
        source_limit: Option<u32>,
        wanted: Option<&[(String, ColumnType)]>,
        order: &[String],
        context: &EngineContext,
    ) -> Result<Table> {
        let derived = DerivedTable::new(plan, source, source_limit, wanted, order, context)?;
        Ok(Table::of(Body::Derived(Box::new(derived))))
    }

    /// The names of the groups of a table from a pivot, in the order of its rows, which is that of their creation; nothing
    /// for other tables, whose order depends on nothing but their sources' rows. Cost: O(groups).
    pub fn group_order(&self) -> Vec<String> {
        match &self.body {
            Body::Derived(table) => table.group_order(),
            Body::Owned(_) | Body::Joined(_) => Vec::new(),
        }
    }

    /// The names of the groups that a delta of the table has added, as [`Table::group_order`] has them.
    pub fn new_groups(&self, delta: &TableDelta) -> Vec<String> {
        match &self.body {
            Body::Derived(table) => table.new_groups(delta),
            Body::Owned(_) | Body::Joined(_) => Vec::new(),
        }
    }

    /// Creates a read-only join of two tables, kept up to date by [`Table::follow_side`].
    ///
    /// Fails if a join column is missing, the types of the join columns differ, or both tables have another column
    /// of one name; and if the context's account refuses the memory of all pairs, which is estimated before any is made.
    pub fn join(
        left: &Snapshot,
        right: &Snapshot,
        spec: &JoinSpec,
        context: &EngineContext,
    ) -> Result<Table> {
        Ok(Table::of(Body::Joined(Box::new(JoinedTable::new(left, right, spec, context)?))))
    }

    /// The table's own columns, without computed ones.
    pub fn schema(&self) -> &Schema {
        match &self.body {
            Body::Joined(table) => table.snapshot().schema(),
            Body::Owned(table) => table.schema(),
            Body::Derived(table) => table.schema(),
        }
    }

    /// The name of the index column, if any.
    pub fn index(&self) -> Option<&str> {
        match &self.body {
            Body::Joined(_) => None,
            Body::Owned(table) => table.index(),
            Body::Derived(table) => table.index(),
        }
    }

    /// The maximum number of rows, if limited.
    pub fn limit(&self) -> Option<u32> {
        match &self.body {
            Body::Joined(_) => None,
            Body::Owned(table) => table.limit(),
            Body::Derived(table) => table.limit(),
        }
    }

    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        match &self.body {
            Body::Joined(table) => table.snapshot().num_rows(),
            Body::Owned(table) => table.num_rows(),
            Body::Derived(table) => table.snapshot().num_rows(),
        }
    }

    /// The number of batches applied since creation.
    pub fn version(&self) -> u64 {
        match &self.body {
            Body::Joined(table) => table.snapshot().version(),
            Body::Owned(table) => table.version(),
            Body::Derived(table) => table.snapshot().version(),
        }
    }

    /// The current version of the table, including its computed columns. Cost: O(columns).
    pub fn snapshot(&self) -> Snapshot {
        self.computed.extend(&self.stored())
    }

    fn stored(&self) -> Snapshot {
        match &self.body {
            Body::Joined(table) => table.snapshot().clone(),
            Body::Owned(table) => table.snapshot(),
            Body::Derived(table) => table.snapshot().clone(),
        }
    }

    /// Allocates a port for updates: 1, 2, 3, …
    pub fn make_port(&mut self) -> u32 {
        match &mut self.body {
            Body::Owned(table) => table.make_port(),
            Body::Derived(table) => table.make_port(),
            Body::Joined(table) => table.make_port(),
        }
    }

    /// Checks a config against this table. The plan's expressions and windows stay computed for as long as a plan holds
    /// them. New ones are left to the returned backfill, which any thread may run ([`Backfill::run`]); its result is
    /// then installed ([`Table::install`]), and what waited for it is taken ([`Table::take_ready`]). Until then no view can
    /// be built of the plan ([`Table::is_pending`]). Errors name the first thing at fault. Cost: O(size of the config).
    pub fn plan(&mut self, config: &ViewConfig) -> Result<(Plan, Option<Backfill>)> {
        let stored = self.stored();
        let parsed = ParsedColumns::of(config, stored.schema(), stored.index())?;
        // Everything else is checked before anything is computed.
        Plan::check(config, stored.schema(), &parsed)?;
        self.computed.drop_unused();
        let mut computed = Vec::with_capacity(parsed.expressions.len() + parsed.windows.len());
        let mut pending = Vec::new();
        for (alias, expression) in parsed.expressions {
            let column = self.computed.hold(alias, expression, &computed, &mut pending);
            computed.push(column);
        }
        let num_columns = stored.schema().len();
        for (alias, window) in parsed.windows {
            let column = self.computed.hold_window(alias, window, num_columns, &computed, &mut pending);
            computed.push(column);
        }
        let plan = Plan::with_computed(config, stored.schema(), computed)?;
        Ok((plan, self.computed.backfill(&stored, pending)))
    }

    /// As [`Table::plan`], of a part of the table; `None`: of the whole table.
    ///
    /// # Errors
    ///
    /// As [`Table::plan`].
    pub fn plan_within(
        &mut self,
        config: &ViewConfig,
        restricted: Option<Restricted>,
    ) -> Result<(Plan, Option<Backfill>)> {
        let Some(restricted) = restricted else { return self.plan(config) };
        let (plan, backfill) = self.part_mut(&restricted).plan(config)?;
        let backfill = backfill.map(|backfill| backfill.within(restricted.clone()));
        Ok((plan.within(restricted), backfill))
    }

    /// As [`Table::plan_in`], in a default context: for callers whose expressions read neither time nor chance.
    pub fn plan_now(&mut self, config: &ViewConfig) -> Result<Plan> {
        self.plan_in(config, &EngineContext::default())
    }

    /// As [`Table::plan`], where the caller waits for new columns: a view can be built of the plan at once. Cost: O(rows)
    /// for each new column.
    ///
    /// # Errors
    ///
    /// As [`Table::plan`], and if the context's account refuses the columns' memory.
    pub fn plan_in(&mut self, config: &ViewConfig, context: &EngineContext) -> Result<Plan> {
        let (plan, backfill) = self.plan(config)?;
        self.run_now(backfill, context)?;
        assert!(!self.is_pending(&plan), "nothing of the plan is being computed elsewhere");
        Ok(plan)
    }

    /// Computes columns on this thread.
    fn run_now(&mut self, backfill: Option<Backfill>, context: &EngineContext) -> Result<()> {
        let mut open: Vec<Backfill> = backfill.into_iter().collect();
        while let Some(backfill) = open.pop() {
            match backfill.run(context) {
                Ok(result) => self.install(&backfill, result, context),
                Err(error) => {
                    self.abandon(&backfill);
                    return Err(error);
                }
            };
            open.extend(self.computed.take_ready());
        }
        Ok(())
    }

    /// Whether some column of the plan is still being backfilled.
    pub fn is_pending(&self, plan: &Plan) -> bool {
        let computed = &self.of_plan(plan).computed;
        plan.computed_columns().iter().any(|column| computed.is_pending(column))
    }

    /// Installs columns that were computed elsewhere, led to the present. The result amends the snapshots and deltas that
    /// were kept since the backfill was planned.
    pub fn install(
        &mut self,
        backfill: &Backfill,
        result: BackfillResult,
        context: &EngineContext,
    ) -> InstalledColumns {
        let computed = match backfill.restriction() {
            None => &mut self.computed,
            Some(restricted) => &mut self.part_mut(restricted).computed,
        };
        computed.install(backfill, result, context)
    }

    /// The backfills whose source columns have been installed since.
    pub fn take_ready(&mut self) -> Vec<Backfill> {
        let mut ready = self.computed.take_ready();
        for (restricted, part) in self.parts.tables_mut() {
            let of_part = part.computed.take_ready().into_iter();
            ready.extend(of_part.map(|backfill| backfill.within(restricted.clone())));
        }
        ready
    }

    /// The computed columns that have grown beyond their memory since the last call: the views that have them are to be ended.
    pub fn take_refused(&mut self) -> Vec<RefusedColumn> {
        let mut refused = self.computed.take_refused();
        refused.extend(self.parts.tables_mut().flat_map(|(_, part)| part.computed.take_refused()));
        refused
    }

    /// Forgets a backfill that failed. Its columns stay without values until the plans that have them are dropped.
    pub fn abandon(&mut self, backfill: &Backfill) {
        match backfill.restriction() {
            None => self.computed.abandon(backfill),
            Some(restricted) => self.part_mut(restricted).computed.abandon(backfill),
        }
    }

    /// The deltas that a backfill has to catch up with, see [`BackfillResult::follow`].
    pub fn catch_up_log(&self, backfill: &Backfill, result: &BackfillResult) -> CatchUpLog {
        match backfill.restriction() {
            None => self.computed.catch_up_log(result),
            Some(restricted) => self.part(restricted).computed.catch_up_log(result),
        }
    }

    /// The number of deltas kept for running backfills.
    pub fn num_to_catch_up(&self) -> usize {
        self.computed.num_logged() + self.parts.tables().map(|part| part.computed.num_logged()).sum::<usize>()
    }

    /// Merges the deltas kept for running backfills. Afterwards snapshots and deltas can be amended, and columns followed,
    /// at the `needed` versions only.
    pub fn shorten_catch_up_log(&mut self, needed: &BTreeSet<u64>) {
        self.computed.shorten_log(needed);
        self.parts.tables_mut().for_each(|(_, part)| part.computed.shorten_log(needed));
    }

    /// Applies a delta of a derived table's source. `None` if no row of this table is affected.
    ///
    /// # Errors
    ///
    /// The context's account refuses the memory of what the batch adds: the table must then be dropped.
    pub fn follow(&mut self, delta: &TableDelta, context: &EngineContext) -> Result<Option<TableDelta>> {
        let followed = match &mut self.body {
            Body::Owned(_) | Body::Joined(_) => None,
            Body::Derived(table) => table.follow(delta, context)?,
        };
        Ok(followed.map(|delta| self.observe(delta, context)))
    }

    /// Applies a delta of one source of a joined table, and always returns a delta. `None` for any other table.
    ///
    /// # Errors
    ///
    /// The context's account refuses the memory of the pairs that the batch adds: the table must then be dropped.
    pub fn follow_side(
        &mut self,
        side: JoinSide,
        delta: &TableDelta,
        context: &EngineContext,
    ) -> Result<Option<TableDelta>> {
        let followed = match &mut self.body {
            Body::Owned(_) | Body::Derived(_) => return Ok(None),
            Body::Joined(table) => table.follow(side, delta, context)?,
        };
        Ok(Some(self.observe(followed, context)))
    }

    /// Bytes held by the table's own columns and keys.
    pub fn memory(&self) -> usize {
        match &self.body {
            Body::Owned(table) => table.memory(),
            Body::Derived(_) => 0,
            Body::Joined(table) => table.memory(),
        }
    }
}
