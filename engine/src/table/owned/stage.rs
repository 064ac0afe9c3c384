//! Staging: a write is decoded, coerced and checked against the table, which does not change.
//!
//! Invariant: everything that can fail for a reason of the sender fails here. Cost: O(rows of the write).

use std::sync::Arc;

use crate::access::Access;
use crate::context::EngineContext;
use crate::data::{Batch, TableData, TableOptions, WriteOptions};
use crate::error::{Result, TableError};
use crate::ingest::{self, StagingMemory, UpdateTarget};
use crate::storage::{Operation, StagedBatch, WriteKind};
use crate::types::schema::Schema;

use super::OwnedTable;

/// Stages writes to one table on any thread, while the table goes on. The properties by which writes are staged never
/// change, except for the number of ports: a write through a later one is staged without effect.
///
/// Cost: made and cloned in O(1).
#[derive(Debug, Clone)]
pub struct Stager {
    schema: Schema,
    options: TableOptions,
    /// Position of the index column.
    index: Option<usize>,
    num_ports: u32,
    /// The columns that the writer may write, by position in the schema; `None`: all.
    written: Option<Arc<[usize]>>,
}

impl OwnedTable {
    /// Stages the creation of a table.
    pub fn stage_create(
        data: &TableData,
        options: TableOptions,
        context: &EngineContext,
    ) -> Result<StagedBatch> {
        let options = TableOptions { index: options.index.filter(|index| !index.is_empty()), ..options };
        let memory = StagingMemory::new(&context.memory);
        let (schema, batch) = ingest::create_in(data, &options, context, &memory)?;
        let reservation = Some(Arc::new(memory.read(&batch)?));
        Ok(StagedBatch { operation: Operation::Create(options), schema, batch, reservation, mark: None })
    }

    /// Stages writes to the table as it is now.
    pub fn stager(&self) -> Stager {
        Stager {
            schema: self.schema.clone(),
            options: self.options.clone(),
            index: self.index,
            num_ports: self.num_ports,
            written: None,
        }
    }

    /// Stages the removal of all rows.
    pub fn stage_clear(&self) -> StagedBatch {
        self.stager().staged(WriteKind::Clear, Batch::default())
    }
}

impl Stager {
    /// Stages writes of one for whom the columns that are hidden or masked do not exist.
    ///
    /// # Errors
    ///
    /// One of them is the index: such a table cannot be written without it.
    pub fn within(self, access: &Access) -> Result<Stager> {
        let fields = self.schema.fields().iter().enumerate();
        let clear: Vec<usize> =
            fields.filter(|(_, field)| access.is_clear(&field.name)).map(|(column, _)| column).collect();
        match self.index {
            Some(index) if !clear.contains(&index) => Err(TableError::NoIndex.into()),
            _ if clear.len() == self.schema.len() => Ok(self),
            _ => Ok(Stager { written: Some(clear.into()), ..self }),
        }
    }

    /// Stages a write. See [`Table::stage`](crate::table::Table::stage).
    ///
    /// # Errors
    ///
    /// The data cannot be read or does not fit, the table's properties differ from `options`, or it lacks a column and
    /// `options` forbid that; a removal also if the table has no index.
    pub fn stage(
        &self,
        data: &TableData,
        kind: WriteKind,
        options: &WriteOptions,
        context: &EngineContext,
    ) -> Result<Option<StagedBatch>> {
        let memory = StagingMemory::new(&context.memory);
        let (batch, has_effect) = match kind {
            WriteKind::Update { port_id } => {
                let batch = self.read(data, options, context, &memory)?;
                let has_effect = batch.num_rows > 0 && port_id <= self.num_ports;
                (batch, has_effect)
            }
            WriteKind::Replace => (self.read(data, options, context, &memory)?, true),
            WriteKind::Remove => {
                let batch = self.read_keys(data, &memory)?;
                let has_effect = batch.num_rows > 0;
                (batch, has_effect)
            }
            WriteKind::Clear => (Batch::default(), true),
        };
        let reservation = Some(Arc::new(memory.read(&batch)?));
        Ok(has_effect.then(|| StagedBatch { reservation, ..self.staged(kind, batch) }))
    }

    fn staged(&self, kind: WriteKind, batch: Batch) -> StagedBatch {
        StagedBatch {
            operation: Operation::Write(kind),
            schema: self.schema.clone(),
            batch,
            reservation: None,
            mark: None,
        }
    }

    fn read(
        &self,
        data: &TableData,
        options: &WriteOptions,
        context: &EngineContext,
        memory: &StagingMemory,
    ) -> Result<Batch> {
        self.check(options)?;
        let (list_flatten, unknown_columns) = (self.options.list_flatten, options.unknown_columns);
        let Some(written) = &self.written else {
            let target =
                UpdateTarget { schema: &self.schema, index: self.index, list_flatten, unknown_columns };
            return ingest::update_in(data, target, context, memory);
        };
        let schema = Schema::new(written.iter().map(|&column| self.schema.field(column).clone()).collect());
        let index = self.index.and_then(|index| written.iter().position(|column| *column == index));
        let target = UpdateTarget { schema: &schema, index, list_flatten, unknown_columns };
        let mut batch = ingest::update_in(data, target, context, memory)?;
        batch.columns.iter_mut().for_each(|column| column.column = written[column.column]);
        Ok(batch)
    }

    fn read_keys(&self, data: &TableData, memory: &StagingMemory) -> Result<Batch> {
        let Some(index) = self.index else {
            return Err(TableError::NoIndex.into());
        };
        let field = self.schema.field(index);
        let keys = ingest::remove_keys_in(data, &field.name, field.storage, memory)?;
        Ok(Batch { num_rows: keys.len(), columns: Vec::new(), keys: Some(keys) })
    }

    /// Fails if the table's properties differ from those that a write expects.
    fn check(&self, options: &WriteOptions) -> Result<()> {
        let TableOptions { index, limit, list_flatten } = &self.options;
        let refused = |property: &'static str, expected: String, own: Option<String>| {
            Err(TableError::Property { property, expected, own }.into())
        };
        if let Some(given) = options.index.as_ref().filter(|given| Some(*given) != index.as_ref()) {
            return refused("index", given.clone(), index.clone());
        }
        if let Some(given) = options.limit.filter(|given| Some(*given) != *limit) {
            return refused("limit", given.to_string(), limit.map(|limit| limit.to_string()));
        }
        if let Some(given) = options.list_flatten.filter(|given| given != list_flatten) {
            return refused("list flattening", given.name().into(), Some(list_flatten.name().into()));
        }
        Ok(())
    }
}
