//! A table's columns and options in a serialisable form, for records of a log and headers of checkpoints.
//!
//! JSON, because both are read by people when something is wrong, and the engine reads and writes it already.

use serde::{Deserialize, Serialize};

use crate::data::{ListFlatten, TableOptions};
use crate::error::{DataError, IndexSource, Result, TableError};
use crate::types::schema::{Field, Schema, Storage};

/// What a table is, without its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableDefinition {
    /// Names and storage of the columns, in order.
    columns: Vec<(String, Storage)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    list_flatten: String,
}

impl TableDefinition {
    pub(crate) fn new(schema: &Schema, options: &TableOptions) -> TableDefinition {
        let columns = schema.fields().iter().map(|field| (field.name.to_string(), field.storage));
        TableDefinition {
            columns: columns.collect(),
            index: options.index.clone(),
            limit: options.limit,
            list_flatten: options.list_flatten.name().to_owned(),
        }
    }

    /// The schema and options, if they make a table.
    pub(crate) fn read(&self) -> Result<(Schema, TableOptions)> {
        for (position, (name, _)) in self.columns.iter().enumerate() {
            if self.columns[..position].iter().any(|(other, _)| other == name) {
                return Err(DataError::DuplicateColumn { column: name.clone() }.into());
            }
        }
        let fields = self.columns.iter().map(|(name, storage)| Field::new(name.as_str(), *storage));
        let schema = Schema::new(fields.collect());
        if let Some(name) = &self.index {
            match schema.index_of(name).map(|index| schema.field(index).storage) {
                Some(storage) if storage != Storage::Bool => {}
                Some(_) => return Err(TableError::BooleanIndex.into()),
                None => {
                    return Err({
                        let (index, source_kind) = (name.clone(), IndexSource::Schema);
                        TableError::UnknownIndex { index, source_kind }.into()
                    });
                }
            }
        }
        let list_flatten: ListFlatten = self.list_flatten.parse()?;
        let options = TableOptions { index: self.index.clone(), limit: self.limit, list_flatten };
        Ok((schema, options))
    }
}
