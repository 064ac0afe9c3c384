//! Faults of data: bytes, cells, columns, and the bounds of a load.

use std::fmt;

use crate::types::schema::{ColumnType, Storage};

/// The format of data that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFormat {
    /// Arrow IPC: a stream, or a file.
    Arrow,
    /// Comma-separated values, or any other separator.
    Csv,
    /// JSON, in any of its shapes.
    Json,
    /// Parquet.
    Parquet,
}

impl fmt::Display for DataFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DataFormat::Arrow => "Arrow",
            DataFormat::Csv => "CSV",
            DataFormat::Json => "JSON",
            DataFormat::Parquet => "Parquet",
        })
    }
}

/// Why a value does not fit its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellFault {
    /// The value is of a kind that its column cannot hold. `found` is the number of the kind.
    Kind {
        /// The kind that the column takes.
        expected: &'static str,
        /// The kind of the value, as the published server numbers it.
        found: u8,
    },
    /// The value has a type that is not converted to the column's.
    Type {
        /// The type of the value.
        found: &'static str,
    },
    /// The number is outside the range of the column's storage.
    Range {
        /// The number as it was written.
        value: String,
    },
    /// An integer that would be rounded as a key of a float column.
    Inexact {
        /// The integer as it was written.
        value: String,
    },
    /// The text is no value of the column's type.
    Text {
        /// What is wrong with the text.
        reason: String,
    },
}

/// The bound that flattening nested data would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlattenBound {
    /// Rows of the whole batch.
    Rows(usize),
    /// Rows made of one row.
    RowsOfOne(usize),
    /// Cells made of each value that was given, beside a free allowance.
    Cells {
        /// Cells for each value given.
        for_each: usize,
        /// Cells that are free.
        free: usize,
    },
    /// Bytes of repeated text.
    TextBytes(usize),
}

/// Data that cannot be taken. Rows count from 0, lines from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// The bytes do not conform to their format.
    #[error("Invalid {format}: {reason}")]
    Malformed {
        /// The format.
        format: DataFormat,
        /// The fault and its place.
        reason: String,
    },
    /// The bytes of a text are not UTF-8.
    #[error("the text is not UTF-8: {reason}")]
    NotUtf8 {
        /// The place of the first wrong byte.
        reason: String,
    },
    /// A reader failed on the bytes in a way that it does not explain.
    #[error("cannot read {}: the bytes are damaged or inconsistent{}", column_or_data(column), after(reason))]
    Damaged {
        /// The column being read, if known.
        column: Option<String>,
        /// What the reader says, if anything.
        reason: Option<String>,
    },
    /// The values of a column cannot be converted.
    #[error("cannot read column `{column}`{}: {reason}", of_type(arrow_type))]
    UnreadableColumn {
        /// The column.
        column: String,
        /// Its Arrow type, if that is at fault.
        arrow_type: Option<String>,
        /// Why not.
        reason: String,
    },
    /// A CSV record has another number of fields than the first.
    #[error("Invalid CSV: expected {expected} columns, got {found}: {text} (line {line})")]
    CsvWidth {
        /// Fields of the first record.
        expected: usize,
        /// Fields of this one.
        found: usize,
        /// The start of the record.
        text: String,
        /// Its line.
        line: usize,
    },
    /// A quote of a CSV field is never closed.
    #[error("Invalid CSV: the quote opened in line {line} is never closed: {text}")]
    CsvOpenQuote {
        /// The line of the quote.
        line: usize,
        /// The start of the text behind it.
        text: String,
    },
    /// A CSV field is no value of the type of its column.
    #[error("column #{column} holds '{value}' at index {row}, which is no {type_name}")]
    CsvCell {
        /// The position of the column in the file, from 0.
        column: usize,
        /// The row.
        row: usize,
        /// The field.
        value: String,
        /// The column's type.
        type_name: &'static str,
    },
    /// A CSV file without a record.
    #[error("the CSV is empty")]
    CsvEmpty,
    /// JSON without names of columns.
    #[error("the data has no column names")]
    NoColumnNames,
    /// A column of JSON that is no list of values.
    #[error("a column is not an array of values, or is shorter than the others")]
    MalformedColumn,
    /// A column of JSON without values.
    #[error("a table cannot be created from empty columns; give a schema instead")]
    EmptyColumns,
    /// A row of JSON that is no object. `kind` is the number of what it is.
    #[error("a row is not an object (kind {kind})")]
    NotAnObject {
        /// The kind, as the published server numbers it.
        kind: u8,
    },
    /// A value does not fit its column.
    #[error("{}", cell_text(fault, column, *column_type, storage.as_deref(), *row))]
    Cell {
        /// The column.
        column: String,
        /// The row.
        row: usize,
        /// The column's type.
        column_type: ColumnType,
        /// The Arrow type in which the column is stored, where that is narrower.
        storage: Option<String>,
        /// What is wrong.
        fault: CellFault,
    },
    /// An Arrow column whose type is not converted to the table's.
    #[error("column `{column}` is {} and cannot be filled from {}", expected.column_type().name(), found.column_type().name())]
    ColumnType {
        /// The column.
        column: String,
        /// How the table stores it.
        expected: Storage,
        /// What was given.
        found: Storage,
    },
    /// A column that the table lacks, where that is refused.
    #[error("the table has no column \"{column}\"")]
    UnknownColumn {
        /// The column.
        column: String,
    },
    /// A write to an indexed table without the column that says which rows it is about.
    #[error("the rows have no key: their column `{key}` is missing{}", also(unknown))]
    MissingKey {
        /// The index column.
        key: String,
        /// Columns of the write that the table does not have, some of them.
        unknown: Vec<String>,
    },
    /// A write of which the table has no column.
    #[error("the table has none of the columns of the rows: {}", quoted(columns))]
    OnlyUnknownColumns {
        /// Some of the columns of the write.
        columns: Vec<String>,
    },
    /// A schema that names a column twice.
    #[error("Column \"{column}\" is in the schema more than once")]
    DuplicateColumn {
        /// The column.
        column: String,
    },
    /// An index column with values that would be rounded as floats.
    #[error(
        "column \"{column}\" is the index and has both fractions and integers beyond 2^53, which would be rounded; \
         write all of its values as texts"
    )]
    InexactIndex {
        /// The column.
        column: String,
    },
    /// Keys to remove in a format that cannot hold keys.
    #[error("keys to remove are given as JSON or Arrow")]
    KeyFormat,
    /// Keys to remove that are neither values nor objects.
    #[error("keys to remove are an array of values")]
    NotKeys,
    /// Arrow data of keys to remove without the index column.
    #[error("the index column `{column}` is missing from the keys to remove")]
    MissingKeyColumn {
        /// The index column.
        column: String,
    },
    /// A schema where data is expected.
    #[error("a schema is not data: it only creates a table")]
    SchemaAsData,
    /// Nested data in which one path is written twice.
    #[error("Column `{path}` is both a key and the flattened path of an object")]
    PathConflict {
        /// The path.
        path: String,
    },
    /// Flattened rows would repeat their key.
    #[error(
        "Cannot {verb} a Table indexed on `{index}` from an expanded list, as the index repeats across the rows of an \
         expansion; index on a column of the list itself, or use the `stringify` list flatten mode"
    )]
    RepeatedIndex {
        /// `create` or `update`.
        verb: &'static str,
        /// The index column.
        index: String,
        /// Whether the list is a column of Arrow; otherwise an array of JSON.
        is_arrow: bool,
    },
    /// Lists of one row that have different lengths.
    #[error(
        "Cannot zip `{first}` ({first_len}) and `{second}` ({second_len}) of differing length{}; use the `cartesian` list \
         flatten mode",
        in_row(row)
    )]
    ListLengths {
        /// One list.
        first: String,
        /// Its length.
        first_len: usize,
        /// The other list.
        second: String,
        /// Its length.
        second_len: usize,
        /// The row, if known.
        row: Option<usize>,
        /// Whether the lists are columns of Arrow.
        is_arrow: bool,
    },
    /// Flattening would make more than a bound allows.
    #[error("{}; use the `stringify` list flatten mode", flatten_text(path.as_deref(), bound))]
    Flatten {
        /// The path of the list, if one is at fault.
        path: Option<String>,
        /// The bound.
        bound: FlattenBound,
    },
    /// More rows than one batch may claim.
    #[error("more than {limit} rows {what}")]
    TooManyRows {
        /// The bound.
        limit: usize,
        /// Which rows.
        what: &'static str,
    },
    /// Rows that would mostly be padding.
    #[error("{rows} rows of {columns} columns hold only {cells} cells; send them in parts")]
    TooSparse {
        /// Rows.
        rows: usize,
        /// Columns that any of them has.
        columns: usize,
        /// Cells given.
        cells: usize,
    },
    /// More text in one column than one batch may hold.
    #[error("more than 2 GiB of text in column \"{column}\"")]
    TooMuchText {
        /// The column.
        column: String,
    },
    /// An option of a format with an impossible value.
    #[error("{reason}")]
    FormatOption {
        /// The option and what is wrong with it.
        reason: String,
    },
    /// A codec that Arrow does not have.
    #[error("Unknown `compression` \"{given}\", expected \"lz4\" or \"zstd\"")]
    UnknownCodec {
        /// The name given.
        given: String,
    },
    /// A record of a log, a checkpoint or a delta of another table that does not fit this table.
    #[error("cannot {act}: {reason}")]
    Record {
        /// What was to be done.
        act: &'static str,
        /// Why not.
        reason: String,
    },
    /// A Parquet file whose metadata claims more than its bytes can hold.
    #[error("{reason}")]
    Claims {
        /// The claim.
        reason: String,
    },
    /// Rows of a view that cannot be written in a format.
    #[error("cannot encode the view as {format}: {reason}")]
    Encoding {
        /// The format.
        format: DataFormat,
        /// Why not.
        reason: String,
    },
}

impl DataError {
    /// The stable identifier, see [`crate::EngineError::code`].
    pub fn code(&self) -> &'static str {
        match self {
            DataError::Malformed { .. }
            | DataError::NotUtf8 { .. }
            | DataError::CsvWidth { .. }
            | DataError::CsvOpenQuote { .. }
            | DataError::CsvEmpty
            | DataError::NoColumnNames
            | DataError::MalformedColumn
            | DataError::EmptyColumns
            | DataError::NotAnObject { .. } => "malformed_data",
            DataError::Damaged { .. } => "damaged_data",
            DataError::UnreadableColumn { .. } | DataError::ColumnType { .. } => "column_type",
            DataError::CsvCell { .. } | DataError::Cell { .. } => "cell_type",
            DataError::UnknownColumn { .. } | DataError::OnlyUnknownColumns { .. } => "unknown_column",
            DataError::MissingKey { .. } => "missing_key",
            DataError::DuplicateColumn { .. } => "duplicate_column",
            DataError::InexactIndex { .. } => "inexact_index",
            DataError::KeyFormat | DataError::NotKeys | DataError::MissingKeyColumn { .. } => "bad_keys",
            DataError::SchemaAsData => "schema_as_data",
            DataError::PathConflict { .. }
            | DataError::RepeatedIndex { .. }
            | DataError::ListLengths { .. } => "nested_data",
            DataError::Flatten { .. }
            | DataError::TooManyRows { .. }
            | DataError::TooSparse { .. }
            | DataError::TooMuchText { .. } => "too_large",
            DataError::FormatOption { .. } | DataError::UnknownCodec { .. } => "bad_option",
            DataError::Record { .. } => "bad_record",
            DataError::Claims { .. } => "too_large",
            DataError::Encoding { .. } => "encoding_failed",
        }
    }
}

fn column_or_data(column: &Option<String>) -> String {
    column.as_ref().map_or_else(|| "the data".to_owned(), |column| format!("column `{column}`"))
}

fn after(reason: &Option<String>) -> String {
    reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"))
}

fn of_type(arrow_type: &Option<String>) -> String {
    arrow_type.as_ref().map_or_else(String::new, |name| format!(" of type {name}"))
}

fn in_row(row: &Option<usize>) -> String {
    row.map_or_else(String::new, |row| format!(" in row {row}"))
}

fn cell_text(
    fault: &CellFault,
    column: &str,
    column_type: ColumnType,
    storage: Option<&str>,
    row: usize,
) -> String {
    let column_type = column_type.name();
    match fault {
        CellFault::Kind { expected, found } => {
            format!("Expected {expected}, found {found} in column \"{column}\" at index {row}")
        }
        CellFault::Type { found } => format!(
            "Cannot append value of type {found} to column \"{column}\" of type {column_type} at index {row}"
        ),
        CellFault::Range { value } => {
            let beyond = storage.map_or_else(String::new, |storage| format!(": beyond {storage}"));
            format!(
                "Cannot append {value} to column \"{column}\" of type {column_type} at index {row}{beyond}"
            )
        }
        CellFault::Inexact { value } => {
            format!("{value} is no exact FLOAT, so it cannot be a key in column \"{column}\" at index {row}")
        }
        CellFault::Text { reason } => format!("{reason} in column \"{column}\" at index {row}"),
    }
}

fn flatten_text(path: Option<&str>, bound: &FlattenBound) -> String {
    let path = path.map_or_else(String::new, |path| format!(" `{path}`"));
    match bound {
        FlattenBound::Rows(limit) => format!("flattening{path} makes more than {limit} rows"),
        FlattenBound::RowsOfOne(limit) => format!("flattening{path} makes more than {limit} rows of one"),
        FlattenBound::Cells { for_each, free } => {
            format!(
                "flattening around{path} makes more than {for_each} cells of each value given (and {free} beside)"
            )
        }
        FlattenBound::TextBytes(limit) => {
            format!("flattening around{path} repeats more than {limit} bytes of text")
        }
    }
}

/// Column names for an error text.
fn quoted(columns: &[String]) -> String {
    let quoted: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
    quoted.join(", ")
}

fn also(unknown: &[String]) -> String {
    match unknown {
        [] => String::new(),
        unknown => format!("; the table does not have their {}", quoted(unknown)),
    }
}
