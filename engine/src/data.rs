//! What comes in: a client's bytes ([`TableData`]) and what they mean for a table ([`Batch`]).

mod csv_options;

pub use csv_options::CsvOptions;

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use bytestring::ByteString;

use crate::error::Result;
use crate::types::schema::ColumnType;

/// A table's rows, or its shape, as a client wrote them.
#[derive(Clone)]
pub enum TableData {
    Schema(Vec<(String, ColumnType)>),
    /// Text whose encoding is checked when it is read; how it is written is recognised.
    Csv(Bytes),
    /// As `Csv`, and its sender says how it is written.
    Delimited(Bytes, CsvOptions),
    /// An Arrow IPC stream or file.
    Arrow(Bytes),
    /// A JSON array of objects (for `remove`: of plain keys).
    Rows(ByteString),
    /// A JSON object of arrays.
    Columns(ByteString),
    /// Concatenated JSON objects.
    Ndjson(ByteString),
    /// Arrow data that is in memory already (Flight).
    Batches(SchemaRef, Vec<RecordBatch>),
    /// Arrow data that is decoded while it is read (Parquet).
    Stream(Arc<dyn BatchSource>),
}

/// Arrow data in batches that are decoded one after the other, so that they need not be in memory together.
pub trait BatchSource: std::fmt::Debug + Send + Sync {
    /// The type of every batch.
    fn schema(&self) -> SchemaRef;

    /// All batches from the first on, whenever it is called. An error ends them and names the column at fault.
    fn batches(&self) -> Result<BatchIter<'_>>;
}

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

/// What happens to lists in nested input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListFlatten {
    #[default]
    Zip,
    Cartesian,
    Stringify,
}

impl ListFlatten {
    /// The word for it in configurations and requests.
    pub fn name(self) -> &'static str {
        match self {
            ListFlatten::Zip => "zip",
            ListFlatten::Cartesian => "cartesian",
            ListFlatten::Stringify => "stringify",
        }
    }
}

impl FromStr for ListFlatten {
    type Err = String;

    fn from_str(word: &str) -> Result<ListFlatten, String> {
        let known = [ListFlatten::Zip, ListFlatten::Cartesian, ListFlatten::Stringify];
        let found = known.into_iter().find(|mode| mode.name() == word);
        found.ok_or_else(|| format!("lists \"{word}\" is none of zip, cartesian, stringify"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableOptions {
    /// The column whose values are the rows' keys. At most one of `index` and `limit` is set.
    pub index: Option<String>,
    /// The table keeps the last `limit` rows.
    pub limit: Option<u32>,
    pub list_flatten: ListFlatten,
}

/// What a write says about the table that it goes to. What is not given is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteOptions {
    pub unknown_columns: UnknownColumns,
    /// The table must have this index.
    pub index: Option<String>,
    /// The table must have this limit.
    pub limit: Option<u32>,
    /// The table must flatten lists so.
    pub list_flatten: Option<ListFlatten>,
}

/// What becomes of columns of a write that its table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownColumns {
    /// As clients of the protocol expect.
    #[default]
    Ignore,
    /// The write is refused with an error that names one.
    Refuse,
}

impl UnknownColumns {
    /// Refuses them, unless the sender says that they are to be ignored.
    pub fn unless(are_ignored: bool) -> UnknownColumns {
        if are_ignored { UnknownColumns::Ignore } else { UnknownColumns::Refuse }
    }
}

/// Rows for one table, checked and coerced: applying it cannot fail.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub num_rows: usize,
    /// The columns that were given; a table column that is not listed is untouched.
    pub columns: Vec<BatchColumn>,
    /// Explicit row keys (`__INDEX__`): an array of the index column's storage, or `Int64` row numbers for a table
    /// without an index. A null is the null key; in a table without an index it takes the next row number.
    pub keys: Option<ArrayRef>,
}

/// One column of a [`Batch`].
#[derive(Debug, Clone)]
pub struct BatchColumn {
    /// Position in the table's schema.
    pub column: usize,
    /// `num_rows` values, of type [`crate::Storage::arrow`]; text as `Utf8` or as `Dictionary<Int32, Utf8>`.
    pub values: ArrayRef,
    /// Where set, the cell was not given at all (it stays as it was, or is null in a new row). Differs from null,
    /// which clears the cell.
    pub missing: Option<BooleanBuffer>,
}
