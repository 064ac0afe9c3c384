//! A table: columns, keys, one order of batches.

use crate::data::{TableData, TableOptions};
use crate::delta::TableDelta;
use crate::error::{EngineError, Result};
use crate::schema::Schema;

/// The table's columns at one version: immutable, cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshot {}

impl Snapshot {
    pub fn version(&self) -> u64 {
        0
    }
    pub fn num_rows(&self) -> usize {
        0
    }
    pub fn schema(&self) -> &Schema {
        unimplemented!()
    }
}

#[derive(Debug)]
pub struct Table {}

impl Table {
    pub fn create(_data: &TableData, _options: TableOptions) -> Result<Table> {
        Err(EngineError::Unsupported("create".into()))
    }
    pub fn schema(&self) -> &Schema {
        unimplemented!()
    }
    pub fn index(&self) -> Option<&str> {
        None
    }
    pub fn limit(&self) -> Option<u32> {
        None
    }
    pub fn num_rows(&self) -> usize {
        0
    }
    pub fn version(&self) -> u64 {
        0
    }
    pub fn snapshot(&self) -> Snapshot {
        unimplemented!()
    }
    /// A new port for updates: 1, 2, 3, …
    pub fn make_port(&mut self) -> u32 {
        0
    }
    /// Applies rows. `None`: nothing happened and nobody is told (no rows, or a port that was never made).
    pub fn update(&mut self, _data: &TableData, _port_id: u32) -> Result<Option<TableDelta>> {
        unimplemented!()
    }
    /// Clears, then appends, in one step.
    pub fn replace(&mut self, _data: &TableData) -> Result<TableDelta> {
        unimplemented!()
    }
    /// Removes rows by key.
    pub fn remove(&mut self, _data: &TableData) -> Result<TableDelta> {
        unimplemented!()
    }
}
