//! The tables of a server as a client sees them.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow_flight::{FlightClient, FlightInfo};
use bytes::Bytes;
use futures::TryStreamExt;
use proscenium_engine::{Field, Schema, Storage};
use serde::Deserialize;

use super::error::CliError;

/// A table of the server.
#[derive(Debug, Clone)]
pub(super) struct TableInfo {
    pub(super) name: String,
    pub(super) num_rows: i64,
    pub(super) schema: SchemaRef,
    pub(super) properties: Properties,
}

/// What the server says of a table beside its schema.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Properties {
    pub(super) index: Option<String>,
    pub(super) limit: Option<u32>,
}

/// Returns the tables, in the server's order.
pub(super) async fn tables(client: &mut FlightClient) -> Result<Vec<TableInfo>, CliError> {
    let flights: Vec<FlightInfo> = client.list_flights(Bytes::new()).await?.try_collect().await?;
    flights.into_iter().map(table).collect()
}

/// Returns the table of this name.
pub(super) async fn find(client: &mut FlightClient, name: &str) -> Result<Option<TableInfo>, CliError> {
    Ok(tables(client).await?.into_iter().find(|table| table.name == name))
}

fn table(info: FlightInfo) -> Result<TableInfo, CliError> {
    let name = info.flight_descriptor.as_ref().and_then(|descriptor| descriptor.path.first().cloned());
    Ok(TableInfo {
        name: name.unwrap_or_default(),
        num_rows: info.total_records,
        // A server that says nothing has tables without index.
        properties: serde_json::from_slice(&info.app_metadata).unwrap_or_default(),
        schema: Arc::new(info.try_decode_schema()?),
    })
}

impl TableInfo {
    /// The schema that rows of this table are read by.
    pub(super) fn engine_schema(&self) -> Schema {
        let fields = self.schema.fields().iter();
        Schema::new(fields.map(|field| Field::new(&**field.name(), storage(field.data_type()))).collect())
    }
}

/// The storage of a column that is sent as this type.
pub(super) fn storage(sent_as: &DataType) -> Storage {
    match sent_as {
        DataType::Int8 => Storage::Int8,
        DataType::Int16 => Storage::Int16,
        // A column of 64 bits is sent as one of 32 until it needs more; the server checks a narrow one.
        DataType::Int32 | DataType::Int64 => Storage::Integer,
        DataType::UInt8 => Storage::UInt8,
        DataType::UInt16 => Storage::UInt16,
        DataType::UInt32 => Storage::UInt32,
        DataType::UInt64 => Storage::UInt64,
        DataType::Float32 => Storage::Float32,
        DataType::Float64 => Storage::Float64,
        DataType::Boolean => Storage::Bool,
        DataType::Date32 => Storage::Date32,
        DataType::Timestamp(..) => Storage::TimestampMs,
        _ => Storage::Utf8,
    }
}
