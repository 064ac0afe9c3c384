//! Bytes → batch: CSV, JSON rows, JSON columns, NDJSON and Arrow, read by well-kept readers; the rules written here by
//! hand (inference, coercion, flattening) are the published server's own.
//!
//! Law: all or nothing. A bad batch is an error that names its row and column, and no part of it is applied.

use arrow::array::ArrayRef;

use crate::data::{Batch, ListFlatten, TableData, TableOptions};
use crate::error::{EngineError, Result};
use crate::schema::{ColumnType, Schema, Storage};

/// Reads the data that makes a table: infers the schema and yields the first rows.
///
/// `__INDEX__` in Arrow data becomes [`Batch::keys`]. Checks that `options.index` names a column of the data.
pub fn create(_data: &TableData, _options: &TableOptions) -> Result<(Schema, Batch)> {
    Err(EngineError::Unsupported("create".into()))
}

/// Where an update's rows go.
#[derive(Debug, Clone, Copy)]
pub struct UpdateTarget<'a> {
    pub schema: &'a Schema,
    /// Position of the index column.
    pub index: Option<usize>,
    pub list_flatten: ListFlatten,
}

/// Reads rows for an existing table: coerces every cell to its column's storage; unknown columns are ignored.
pub fn update(_data: &TableData, _target: UpdateTarget<'_>) -> Result<Batch> {
    Err(EngineError::Unsupported("update".into()))
}

/// Reads the keys of rows to remove: an array of the index column's storage.
pub fn remove_keys(_data: &TableData, _index_name: &str, _index: Storage) -> Result<ArrayRef> {
    Err(EngineError::Unsupported("remove".into()))
}

/// Parses a date or datetime as a filter operand: days (`Date`) or milliseconds (`Datetime`).
pub fn parse_temporal(_text: &str, _wanted: ColumnType) -> Option<i64> {
    None
}
