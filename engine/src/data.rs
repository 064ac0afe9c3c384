//! Input data: a client's bytes ([`TableData`]) and the batches that they become ([`Batch`]).

mod csv_options;

pub use csv_options::CsvOptions;

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use bytestring::ByteString;

use crate::error::{DataError, EngineError, Result};
use crate::types::schema::ColumnType;

/// A table's rows or schema, as a client sent them.
#[derive(Clone)]
pub enum TableData {
    /// Column names and types in table order, without rows.
    Schema(Vec<(String, ColumnType)>),
    /// CSV text. The encoding is checked when it is read; the dialect is detected.
    Csv(Bytes),
    /// CSV text whose dialect the sender states.
    Delimited(Bytes, CsvOptions),
    /// An Arrow IPC stream or file.
    Arrow(Bytes),
    /// A JSON array of objects (for `remove`: of key values).
    Rows(ByteString),
    /// A JSON object of arrays.
    Columns(ByteString),
    /// Concatenated JSON objects.
    Ndjson(ByteString),
    /// Arrow data in memory (Flight).
    Batches(SchemaRef, Vec<RecordBatch>),
    /// Arrow data that is decoded while it is read (Parquet).
    Stream(Arc<dyn BatchSource>),
}

impl TableData {
    /// Estimates the work of reading the data: bytes of text or of Arrow data in memory, `usize::MAX` if they are decoded
    /// while they are read. Cost: O(batches · columns).
    pub fn read_work(&self) -> usize {
        match self {
            TableData::Schema(columns) => columns.len(),
            TableData::Csv(bytes) | TableData::Delimited(bytes, _) | TableData::Arrow(bytes) => bytes.len(),
            TableData::Rows(text) | TableData::Columns(text) | TableData::Ndjson(text) => text.len(),
            TableData::Batches(_, batches) => batches.iter().map(RecordBatch::get_array_memory_size).sum(),
            TableData::Stream(_) => usize::MAX,
        }
    }
}

/// Arrow data in batches that are decoded one after the other, so that they need not be in memory together.
pub trait BatchSource: std::fmt::Debug + Send + Sync {
    /// The schema of every batch.
    fn schema(&self) -> SchemaRef;

    /// Iterates over all batches, from the first on at each call. An error ends the iteration and names the column
    /// at fault.
    fn batches(&self) -> Result<BatchIter<'_>>;
}

/// Iterator over the batches of a [`BatchSource`].
pub type BatchIter<'a> = Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>;

impl std::fmt::Debug for TableData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TableData::Schema(columns) => write!(f, "Schema({} columns)", columns.len()),
            TableData::Csv(bytes) | TableData::Delimited(bytes, _) => write!(f, "Csv({} bytes)", bytes.len()),
            TableData::Arrow(bytes) => write!(f, "Arrow({} bytes)", bytes.len()),
            TableData::Rows(text) => write!(f, "Rows({} bytes)", text.len()),
            TableData::Columns(text) => write!(f, "Columns({} bytes)", text.len()),
            TableData::Ndjson(text) => write!(f, "Ndjson({} bytes)", text.len()),
            TableData::Batches(schema, batches) => {
                let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
                write!(f, "Batches({} columns, {rows} rows)", schema.fields().len())
            }
            TableData::Stream(source) => write!(f, "Stream({} columns)", source.schema().fields().len()),
        }
    }
}

/// How lists in nested input become rows or cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListFlatten {
    /// One row per item; the lists of a row advance together, and lengths above 1 must be equal.
    #[default]
    Zip,
    /// One row per combination of items; the last list varies fastest.
    Cartesian,
    /// A list becomes one cell of JSON text; rows are not multiplied.
    Stringify,
}

impl ListFlatten {
    /// The name in configurations and requests.
    pub fn name(self) -> &'static str {
        match self {
            ListFlatten::Zip => "zip",
            ListFlatten::Cartesian => "cartesian",
            ListFlatten::Stringify => "stringify",
        }
    }
}

impl FromStr for ListFlatten {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<ListFlatten, EngineError> {
        let known = [ListFlatten::Zip, ListFlatten::Cartesian, ListFlatten::Stringify];
        let found = known.into_iter().find(|mode| mode.name() == name);
        found.ok_or_else(|| {
            let reason = format!("lists \"{name}\" is none of zip, cartesian, stringify");
            DataError::FormatOption { reason }.into()
        })
    }
}

/// The properties of a table, fixed at creation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableOptions {
    /// The column whose values are the rows' keys. At most one of `index` and `limit` is set.
    pub index: Option<String>,
    /// The maximum number of rows; those with the lowest keys are evicted.
    pub limit: Option<u32>,
    /// How lists in nested input are treated.
    pub list_flatten: ListFlatten,
}

/// What a write expects of its table. `None` expects nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteOptions {
    /// How columns that the table lacks are treated.
    pub unknown_columns: UnknownColumns,
    /// The index that the table must have.
    pub index: Option<String>,
    /// The limit that the table must have.
    pub limit: Option<u32>,
    /// The treatment of lists that the table must have.
    pub list_flatten: Option<ListFlatten>,
}

/// How a write treats columns that its table lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownColumns {
    /// They are ignored, as clients of the protocol expect.
    #[default]
    Ignore,
    /// The write is refused with an error that names one.
    Refuse,
}

impl UnknownColumns {
    /// Returns `Ignore` if `are_ignored`, else `Refuse`.
    pub fn unless(are_ignored: bool) -> UnknownColumns {
        if are_ignored { UnknownColumns::Ignore } else { UnknownColumns::Refuse }
    }
}

/// Rows for one table, validated and coerced: applying it cannot fail.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The number of rows.
    pub num_rows: usize,
    /// The given columns; table columns that are not listed are unchanged.
    pub columns: Vec<BatchColumn>,
    /// Explicit row keys (`__INDEX__`): an array of the index column's storage, or `Int64` row numbers for a table
    /// without an index. A null is the null key; in a table without an index it is replaced by the next row number.
    pub keys: Option<ArrayRef>,
}

/// One column of a [`Batch`].
#[derive(Debug, Clone)]
pub struct BatchColumn {
    /// Position in the table's schema.
    pub column: usize,
    /// `num_rows` values, of type [`crate::Storage::arrow`]; text as `Utf8` or as `Dictionary<Int32, Utf8>`.
    pub values: ArrayRef,
    /// Where set, no cell was given: it keeps its value, or is null in a new row. Differs from null, which clears
    /// the cell.
    pub missing: Option<BooleanBuffer>,
}
