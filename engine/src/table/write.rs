//! Writing to a table: a write is staged, then applied.
//!
//! Invariant: staging changes nothing and fails for every reason that a sender can give; applying cannot fail. So a
//! staged batch may wait (for a log to keep it), travel, and be applied by several servers with the same result. Cost:
//! both O(rows of the batch), see [`owned`](super).

use super::{Body, Stager, Table};
use crate::context::EngineContext;
use crate::data::{TableData, TableOptions, WriteOptions};
use crate::error::{ReadOnly, Result, TableError};
use crate::storage::{LoadHistory, LogicalDelta, StagedBatch, TableDelta, WriteKind};
use crate::table::owned::OwnedTable;

impl Table {
    /// Stages the creation of a table from its first rows, or from a schema.
    ///
    /// Fails if the data cannot be read, or if `options.index` names no column or a boolean one.
    pub fn stage_create(
        data: &TableData,
        options: TableOptions,
        context: &EngineContext,
    ) -> Result<StagedBatch> {
        OwnedTable::stage_create(data, options, context)
    }

    /// Creates a table from a staged creation. Its version is 0.
    ///
    /// # Panics
    ///
    /// If the batch is staged for an existing table.
    pub fn build(staged: &StagedBatch, context: &EngineContext) -> Table {
        Table::of(Body::Owned(Box::new(OwnedTable::build(staged, context.threads()))))
    }

    /// Checks a write against the table, which does not change: decodes and coerces the data. `None` if the write would
    /// have no effect: there are no rows or keys, or the port was never allocated.
    ///
    /// Fails if the table is read-only, the data cannot be read or does not fit the columns, the table's properties differ
    /// from `options`, or it lacks a column and `options` forbid that; a removal also if the table has no index.
    pub fn stage(
        &self,
        data: &TableData,
        kind: WriteKind,
        options: &WriteOptions,
        context: &EngineContext,
    ) -> Result<Option<StagedBatch>> {
        self.stager()?.stage(data, kind, options, context)
    }

    /// Stages writes to the table as it is now, on any thread. Fails if the table is read-only.
    pub fn stager(&self) -> Result<Stager> {
        Ok(self.written()?.stager())
    }

    /// The loads that the table has parts of; `None` for a read-only table.
    pub fn loads(&self) -> Option<&LoadHistory> {
        self.written().ok().map(OwnedTable::loads)
    }

    /// Stages the removal of all rows. Fails if the table is read-only.
    pub fn stage_clear(&self) -> Result<StagedBatch> {
        Ok(self.written()?.stage_clear())
    }

    /// Applies a staged batch as `version`, and returns the changes of the table and of its computed columns. The context
    /// decides only how fast, and what expressions of views read.
    ///
    /// # Panics
    ///
    /// If `version` is not the one after the table's, or the batch is staged for a table of another schema.
    pub fn apply(&mut self, staged: &StagedBatch, version: u64, context: &EngineContext) -> TableDelta {
        let delta = self.next(version).apply(staged, context.threads());
        self.observe(delta, context)
    }

    /// Applies a staged batch like [`Table::apply`], for a table without views or followers.
    ///
    /// No delta is made, and cells that no snapshot shares are written in place.
    pub fn apply_unobserved(&mut self, staged: &StagedBatch, version: u64, context: &EngineContext) {
        self.parts.drop_idle();
        self.computed.drop_unused();
        if self.computed.is_empty() && self.parts.is_empty() {
            self.next(version).apply_unobserved(staged, context.threads());
        } else {
            self.apply(staged, version, context);
        }
    }

    /// Applies a delta of the table of which this one is a copy ([`TableDelta::logical`]), and takes its version.
    ///
    /// # Errors
    ///
    /// If this table is read-only, the delta does not start at its version or is of another table; nothing changes then.
    pub fn replicate(&mut self, delta: &LogicalDelta, context: &EngineContext) -> Result<TableDelta> {
        self.written()?;
        let Body::Owned(table) = &mut self.body else { unreachable!("only a written table gets here") };
        let delta = table.replicate(delta, context.threads())?;
        Ok(self.observe(delta, context))
    }

    /// The table that takes `version`, which must be its next one.
    fn next(&mut self, version: u64) -> &mut OwnedTable {
        assert_eq!(version, self.version() + 1, "batches are applied in order, each once");
        match &mut self.body {
            Body::Owned(table) => table,
            Body::Derived(_) | Body::Joined(_) => panic!("nothing can be staged for a read-only table"),
        }
    }

    pub(super) fn written(&self) -> Result<&OwnedTable> {
        match &self.body {
            Body::Owned(table) => Ok(table),
            Body::Derived(_) => Err(TableError::ReadOnly(ReadOnly::Derived).into()),
            Body::Joined(_) => Err(TableError::ReadOnly(ReadOnly::Join).into()),
        }
    }
}

/// Stages and applies at once.
impl Table {
    /// Creates a table from its first rows, or from a schema, on this thread. See [`Table::stage_create`].
    pub fn create(data: &TableData, options: TableOptions) -> Result<Table> {
        Table::create_in(data, options, &EngineContext::default())
    }

    /// Creates a table from its first rows, or from a schema. See [`Table::stage_create`].
    pub fn create_in(data: &TableData, options: TableOptions, context: &EngineContext) -> Result<Table> {
        Ok(Table::build(&Table::stage_create(data, options, context)?, context))
    }

    /// Upserts or appends rows in a default context. See [`Table::update_with`].
    pub fn update(&mut self, data: &TableData, port_id: u32) -> Result<Option<TableDelta>> {
        self.update_with(data, port_id, &WriteOptions::default(), &EngineContext::default())
    }

    /// Upserts rows into an indexed table, or appends them. `None` if nothing changed. See [`Table::stage`].
    pub fn update_with(
        &mut self,
        data: &TableData,
        port_id: u32,
        options: &WriteOptions,
        context: &EngineContext,
    ) -> Result<Option<TableDelta>> {
        self.write(data, WriteKind::Update { port_id }, options, context)
    }

    /// Writes rows like [`Table::update_with`], for a table without views or followers, and returns whether anything was
    /// written. See [`Table::apply_unobserved`].
    pub fn update_unobserved(
        &mut self,
        data: &TableData,
        port_id: u32,
        options: &WriteOptions,
        context: &EngineContext,
    ) -> Result<bool> {
        let staged = self.stage(data, WriteKind::Update { port_id }, options, context)?;
        if let Some(staged) = &staged {
            self.apply_unobserved(staged, self.version() + 1, context);
        }
        Ok(staged.is_some())
    }

    /// Replaces all rows in a default context. See [`Table::replace_with`].
    pub fn replace(&mut self, data: &TableData) -> Result<TableDelta> {
        self.replace_with(data, &WriteOptions::default(), &EngineContext::default())
    }

    /// Clears the table and appends rows, as one batch. Invalid data leaves the table unchanged. See [`Table::stage`].
    pub fn replace_with(
        &mut self,
        data: &TableData,
        options: &WriteOptions,
        context: &EngineContext,
    ) -> Result<TableDelta> {
        let delta = self.write(data, WriteKind::Replace, options, context)?;
        Ok(delta.expect("a replacement always has an effect"))
    }

    /// Removes rows by key in a default context. See [`Table::remove_with`].
    pub fn remove(&mut self, data: &TableData) -> Result<Option<TableDelta>> {
        self.remove_with(data, &EngineContext::default())
    }

    /// Removes rows by key; unknown keys are ignored. `None` if no keys were given. Fails for a table without an
    /// index.
    pub fn remove_with(&mut self, data: &TableData, context: &EngineContext) -> Result<Option<TableDelta>> {
        self.write(data, WriteKind::Remove, &WriteOptions::default(), context)
    }

    fn write(
        &mut self,
        data: &TableData,
        kind: WriteKind,
        options: &WriteOptions,
        context: &EngineContext,
    ) -> Result<Option<TableDelta>> {
        let staged = self.stage(data, kind, options, context)?;
        Ok(staged.map(|staged| self.apply(&staged, self.version() + 1, context)))
    }
}
