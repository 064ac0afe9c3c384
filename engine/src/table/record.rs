//! Staged batches as Arrow IPC bytes, for a log and for other servers.
//!
//! Invariant: what is read equals what was written, except that text may be coded by another dictionary: the operation,
//! the port, which columns are given, and in which rows a cell is absent (it keeps its value) or null (it is cleared).
//! Reading checks everything against the table, so that applying cannot fail.
//!
//! Format: one IPC stream with at most one batch. A field's metadata says what it is (`cells` or `missing` of a table
//! column, or `keys`), the schema's metadata holds a [`RecordHeader`] as JSON. Cost: O(rows of the batch); reading does not
//! copy aligned columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field as ArrowField, Schema as ArrowSchema};
use arrow_ipc::writer::StreamWriter;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Table;
use super::definition::TableDefinition;
use crate::column::compact;
use crate::data::{Batch, BatchColumn};
use crate::error::{DataError, EngineError, Result};
use crate::ingest;
use crate::storage::{LoadMark, Operation, StagedBatch, WriteKind};
use crate::types::schema::{Schema, Storage};

/// The version of the format.
const FORMAT: u32 = 1;
/// The key of the header in the metadata of the schema.
const HEADER: &str = "proscenium.record";
/// The keys in the metadata of a field.
const ROLE: &str = "role";
const COLUMN: &str = "column";

#[derive(Debug, Serialize, Deserialize)]
struct RecordHeader {
    format: u32,
    operation: RecordOperation,
    num_rows: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    load: Option<LoadMark>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecordOperation {
    Create(TableDefinition),
    Update { port_id: u32 },
    Replace,
    Remove,
    Clear,
}

impl StagedBatch {
    /// Writes the batch as one Arrow IPC stream.
    ///
    /// # Errors
    ///
    /// If the Arrow writer fails.
    pub fn to_ipc(&self) -> Result<Vec<u8>> {
        let header = RecordHeader {
            format: FORMAT,
            operation: match &self.operation {
                Operation::Create(options) => {
                    RecordOperation::Create(TableDefinition::new(&self.schema, options))
                }
                Operation::Write(WriteKind::Update { port_id }) => {
                    RecordOperation::Update { port_id: *port_id }
                }
                Operation::Write(WriteKind::Replace) => RecordOperation::Replace,
                Operation::Write(WriteKind::Remove) => RecordOperation::Remove,
                Operation::Write(WriteKind::Clear) => RecordOperation::Clear,
            },
            num_rows: self.batch.num_rows,
            load: self.mark.as_deref().cloned(),
        };
        let header = serde_json::to_string(&header).map_err(|error| unwritable(&error))?;
        let mut parts = RecordParts::default();
        for BatchColumn { column, values, missing } in &self.batch.columns {
            parts.push(Role::Cells, Some(*column), &compact(values));
            if let Some(missing) = missing {
                let missing: ArrayRef = Arc::new(BooleanArray::new(missing.clone(), None));
                parts.push(Role::Missing, Some(*column), &missing);
            }
        }
        if let Some(keys) = &self.batch.keys {
            parts.push(Role::Keys, None, &compact(keys));
        }
        let metadata = HashMap::from([(HEADER.to_owned(), header)]);
        let schema = Arc::new(ArrowSchema::new_with_metadata(parts.fields, metadata));
        let options = RecordBatchOptions::new().with_row_count(Some(self.batch.num_rows));
        let batch = RecordBatch::try_new_with_options(schema.clone(), parts.arrays, &options);
        let batch = batch.map_err(|error| unwritable(&error))?;
        let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(|error| unwritable(&error))?;
        writer.write(&batch).map_err(|error| unwritable(&error))?;
        writer.into_inner().map_err(|error| unwritable(&error))
    }
}

impl Table {
    /// Reads a write that was staged for this table, or for one of the same schema and options.
    ///
    /// # Errors
    ///
    /// If the table is read-only, the bytes are damaged, are no staged write, or do not fit the table.
    pub fn staged_from_ipc(&self, bytes: &Bytes) -> Result<StagedBatch> {
        let table = self.written()?;
        let (header, batch) = open(bytes)?;
        let kind = match header.operation {
            RecordOperation::Create(_) => return Err(damaged("it creates a table")),
            RecordOperation::Update { port_id } => WriteKind::Update { port_id },
            RecordOperation::Replace => WriteKind::Replace,
            RecordOperation::Remove => WriteKind::Remove,
            RecordOperation::Clear => WriteKind::Clear,
        };
        let schema = table.schema().clone();
        let key = table.index().and_then(|name| schema.index_of(name));
        let batch = batch_of(&header, &batch, &schema, key)?;
        let mark = header.load.map(Arc::new);
        if kind == WriteKind::Remove && (key.is_none() || batch.keys.is_none()) {
            return Err(damaged("it removes rows without keys"));
        }
        Ok(StagedBatch { operation: Operation::Write(kind), schema, batch, reservation: None, mark })
    }

    /// Reads the staged creation of a table.
    ///
    /// # Errors
    ///
    /// If the bytes are damaged, or are no staged creation.
    pub fn creation_from_ipc(bytes: &Bytes) -> Result<StagedBatch> {
        let (header, batch) = open(bytes)?;
        let RecordOperation::Create(definition) = &header.operation else {
            return Err(damaged("it creates no table"));
        };
        let (schema, options) = definition.read()?;
        let key = options.index.as_ref().and_then(|name| schema.index_of(name));
        let batch = batch_of(&header, &batch, &schema, key)?;
        let mark = header.load.map(Arc::new);
        let operation = Operation::Create(options);
        Ok(StagedBatch { operation, schema, batch, reservation: None, mark })
    }
}

/// What a field of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Cells,
    Missing,
    Keys,
}

impl Role {
    const ALL: [Role; 3] = [Role::Cells, Role::Missing, Role::Keys];

    fn name(self) -> &'static str {
        match self {
            Role::Cells => "cells",
            Role::Missing => "missing",
            Role::Keys => "keys",
        }
    }
}

/// The fields of a record that is written.
#[derive(Debug, Default)]
struct RecordParts {
    fields: Vec<ArrowField>,
    arrays: Vec<ArrayRef>,
}

impl RecordParts {
    fn push(&mut self, role: Role, column: Option<usize>, values: &ArrayRef) {
        let mut metadata = HashMap::from([(ROLE.to_owned(), role.name().to_owned())]);
        let mut name = role.name().to_owned();
        if let Some(column) = column {
            metadata.insert(COLUMN.to_owned(), column.to_string());
            name = format!("{name} {column}");
        }
        let field = ArrowField::new(name, values.data_type().clone(), true);
        self.fields.push(field.with_metadata(metadata));
        self.arrays.push(values.clone());
    }
}

fn open(bytes: &Bytes) -> Result<(RecordHeader, RecordBatch)> {
    let (schema, mut batches) = ingest::read_ipc(bytes)?;
    let header = schema.metadata().get(HEADER).ok_or_else(|| damaged("it has no header"))?;
    let header: RecordHeader = serde_json::from_str(header).map_err(|error| damaged(&error.to_string()))?;
    if header.format != FORMAT {
        return Err(damaged(&format!("its format is {}, not {FORMAT}", header.format)));
    }
    match (batches.pop(), batches.pop()) {
        (Some(batch), None) if batch.num_rows() == header.num_rows => Ok((header, batch)),
        _ => Err(damaged(&format!("it is not one batch of {} rows", header.num_rows))),
    }
}

/// Takes the parts of a record, each of which must be what the table's columns need.
fn batch_of(
    header: &RecordHeader,
    record: &RecordBatch,
    schema: &Schema,
    index: Option<usize>,
) -> Result<Batch> {
    let mut batch = Batch { num_rows: header.num_rows, ..Batch::default() };
    for (field, values) in record.schema_ref().fields().iter().zip(record.columns()) {
        let role = field.metadata().get(ROLE);
        let role = Role::ALL.into_iter().find(|known| Some(known.name()) == role.map(String::as_str));
        let column = || {
            let column = field.metadata().get(COLUMN).and_then(|column| column.parse::<usize>().ok());
            column
                .filter(|column| *column < schema.len())
                .ok_or_else(|| damaged(&format!("its field \"{}\" is of no column", field.name())))
        };
        match role {
            Some(Role::Cells) => {
                let column = column()?;
                check_type(field, schema.field(column).storage)?;
                batch.columns.push(BatchColumn { column, values: values.clone(), missing: None });
            }
            Some(Role::Missing) => {
                let column = column()?;
                let last = batch.columns.last_mut().filter(|last| last.column == column);
                match (last, values.as_boolean_opt()) {
                    (Some(last), Some(missing)) if missing.null_count() == 0 => {
                        last.missing = Some(missing.values().clone());
                    }
                    _ => return Err(damaged(&format!("its field \"{}\" follows no cells", field.name()))),
                }
            }
            Some(Role::Keys) => {
                check_type(field, index.map_or(Storage::Int64, |index| schema.field(index).storage))?;
                batch.keys = Some(values.clone());
            }
            None => return Err(damaged(&format!("its field \"{}\" has no role", field.name()))),
        }
    }
    Ok(batch)
}

fn check_type(field: &ArrowField, storage: Storage) -> Result<()> {
    if is_of(field.data_type(), storage) {
        return Ok(());
    }
    let (name, found) = (field.name(), field.data_type());
    Err(damaged(&format!("its field \"{name}\" is of type {found}, not {}", storage.arrow())))
}

/// Whether arrays of a type are cells of a storage: texts may be coded.
pub(super) fn is_of(data_type: &DataType, storage: Storage) -> bool {
    let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    *data_type == storage.arrow() || storage == Storage::Utf8 && *data_type == coded
}

fn damaged(why: &str) -> EngineError {
    DataError::Record { act: "read the record", reason: why.to_owned() }.into()
}

fn unwritable(error: &dyn std::fmt::Display) -> EngineError {
    DataError::Record { act: "write the record", reason: error.to_string() }.into()
}
