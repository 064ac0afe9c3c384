//! Reads the keys of rows to remove: a JSON array of scalar keys, or Arrow data or CSV with a column named after the
//! index.

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::Deserializer;

use ::arrow::array::{ArrayRef, RecordBatch};
use ::arrow::datatypes::SchemaRef;

use super::cell::{CellSeed, JsonCell};
use super::json_rows::{json_error, without_mark};
use super::store::ColumnStore;
use super::{ROW_KEYS, StagingMemory, UpdateTarget, arrow, update_in};
use crate::context::EngineContext;
use crate::data::{ListFlatten, TableData, UnknownColumns};
use crate::error::CellFault;
use crate::error::{DataError, EngineError, Result};
use crate::types::schema::{Field, Schema, Storage};

pub(super) fn keys(
    data: &TableData,
    index_name: &str,
    index: Storage,
    memory: &StagingMemory,
) -> Result<ArrayRef> {
    match data {
        TableData::Rows(text) | TableData::Columns(text) => {
            memory.grow(text.len().saturating_mul(8))?;
            plain_keys(text, index_name, index)
        }
        TableData::Arrow(bytes) => {
            let (schema, batches) = arrow::read(bytes, memory)?;
            arrow_keys(&schema, batches.into_iter().map(Ok), index_name, index)
        }
        TableData::Batches(schema, batches) => {
            arrow_keys(schema, batches.iter().cloned().map(Ok), index_name, index)
        }
        TableData::Stream(source) => arrow_keys(&source.schema(), source.batches()?, index_name, index),
        // Clients of the protocol, who state no dialect, are refused.
        TableData::Delimited(..) => csv_keys(data, index_name, index, memory),
        TableData::Csv(_) | TableData::Ndjson(_) | TableData::Schema(_) => Err(DataError::KeyFormat.into()),
    }
}

/// The column of the keys alone; what else the lines have is ignored.
fn csv_keys(data: &TableData, index_name: &str, index: Storage, memory: &StagingMemory) -> Result<ArrayRef> {
    let missing = || DataError::MissingKeyColumn { column: index_name.to_owned() };
    let schema = Schema::new(vec![Field::new(index_name, index)]);
    let (list_flatten, unknown_columns) = (ListFlatten::default(), UnknownColumns::Ignore);
    let target = UpdateTarget { schema: &schema, index: None, list_flatten, unknown_columns };
    let read = update_in(data, target, &EngineContext::default(), memory);
    let batch = match read {
        Err(EngineError::Data(DataError::OnlyUnknownColumns { .. })) => return Err(missing().into()),
        read => read?,
    };
    let column = batch.columns.into_iter().next().ok_or_else(missing)?;
    Ok(column.values)
}

fn arrow_keys(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch>>,
    index_name: &str,
    index: Storage,
) -> Result<ArrayRef> {
    arrow::column(schema, batches, index_name, index)?
        .ok_or_else(|| DataError::MissingKeyColumn { column: index_name.to_owned() }.into())
}

fn plain_keys(text: &str, index_name: &str, index: Storage) -> Result<ArrayRef> {
    let mut deserializer = Deserializer::from_str(without_mark(text));
    let keys = KeysSeed.deserialize(&mut deserializer).and_then(|keys| deserializer.end().map(|()| keys));
    let keys = match keys {
        Ok(keys) => keys,
        Err(error) if error.is_data() => return Err(DataError::NotKeys.into()),
        Err(error) => return Err(json_error(&error)),
    };
    let mut store = ColumnStore::fixed(index).for_keys(true);
    for (row, key) in keys.iter().enumerate() {
        let pushed = match key {
            // A text column would accept an object as text; a key is a scalar.
            JsonCell::Object(_) if index == Storage::Utf8 => {
                Err(CellFault::Text { reason: "Cannot coerce object to string".into() })
            }
            JsonCell::Array(_) if index == Storage::Utf8 => {
                Err(CellFault::Text { reason: "Cannot coerce array to string".into() })
            }
            key => store.push(key),
        };
        match pushed {
            Ok(()) => {}
            // No row has a key outside the column's storage type, and unknown keys are ignored.
            Err(CellFault::Range { .. } | CellFault::Inexact { .. }) => {}
            Err(misfit) => return Err(misfit.at(index_name, index, row).into()),
        }
    }
    Ok(store.finish(ROW_KEYS)?.values)
}

struct KeysSeed;

impl<'de> DeserializeSeed<'de> for KeysSeed {
    type Value = Vec<JsonCell<'de>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for KeysSeed {
    type Value = Vec<JsonCell<'de>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = items.next_element_seed(CellSeed::<true>)? {
            keys.push(key);
        }
        Ok(keys)
    }
}
