//! ListFlights, GetFlightInfo, GetSchema: the hosted tables and their schemas.
//!
//! The entry of a table in the list has its index, limit and position as metadata: JSON `{"index": …, "limit": …, "epoch": …,
//! "version": …}`; what is told of one table or view has the position of the table when it was asked. Tables that are not durable
//! have no epoch, and who sees a part of a table is told no position of it.

use arrow::datatypes::{Field, Schema as ArrowSchema};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, SchemaAsIpc, SchemaResult, Ticket};
use proscenium_engine::hosting::{HostedTable, Principal};
use proscenium_engine::table::Snapshot;
use tonic::Status;

use super::{ReplyStream, get, ticket};
use crate::command_router::CommandRouter;
use crate::table_listing;
use crate::wire_errors::to_flight;

pub(super) async fn list(
    router: &CommandRouter,
    principal: Principal,
) -> Result<ReplyStream<FlightInfo>, Status> {
    let hosted =
        table_listing::list(router, principal.clone()).await.map_err(|fault| to_flight(&fault, ""))?;
    let entry = |(table, snapshot): (HostedTable, Snapshot)| {
        let descriptor = FlightDescriptor::new_path(vec![table.name.to_string()]);
        let mut properties = serde_json::Map::from_iter([
            ("index".to_owned(), table.index.clone().into()),
            ("limit".to_owned(), table.limit.into()),
        ]);
        table_listing::add_position(router, &principal, &table.name, &snapshot, &mut properties);
        let flight =
            flight(descriptor, &arrow_schema(&snapshot), snapshot.num_rows(), table.name.as_bytes())?;
        Ok(flight.with_app_metadata(serde_json::Value::Object(properties).to_string()))
    };
    let flights: Vec<_> = hosted.into_iter().map(entry).collect();
    Ok(Box::pin(futures::stream::iter(flights)))
}

pub(super) async fn info(
    router: &CommandRouter,
    principal: Principal,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let wanted = ticket::wanted_by(&descriptor)?;
    let ticket = match descriptor.cmd.is_empty() {
        true => wanted.table.clone().into_bytes(),
        false => descriptor.cmd.to_vec(),
    };
    let table = wanted.table.clone();
    // Before the rows are counted: who begins at this position misses nothing.
    let snapshot = table_listing::snapshot(router, &principal, &table).await;
    let snapshot = snapshot.map_err(|fault| to_flight(&fault, &table))?;
    let mut properties = serde_json::Map::new();
    table_listing::add_position(router, &principal, &table, &snapshot, &mut properties);
    drop(snapshot);
    let opened = get::shape(router, principal, wanted).await?;
    let flight = flight(descriptor, &opened.schema, opened.num_rows, &ticket)?;
    Ok(flight.with_app_metadata(serde_json::Value::Object(properties).to_string()))
}

pub(super) async fn schema(
    router: &CommandRouter,
    principal: Principal,
    descriptor: FlightDescriptor,
) -> Result<SchemaResult, Status> {
    let opened = get::shape(router, principal, ticket::wanted_by(&descriptor)?).await?;
    SchemaAsIpc::new(&opened.schema, &IpcWriteOptions::default())
        .try_into()
        .map_err(|error: arrow::error::ArrowError| Status::internal(error.to_string()))
}

fn flight(
    descriptor: FlightDescriptor,
    schema: &ArrowSchema,
    num_rows: usize,
    ticket: &[u8],
) -> Result<FlightInfo, Status> {
    // An endpoint without a location is this server.
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket.to_vec()));
    Ok(FlightInfo::new()
        .try_with_schema(schema)
        .map_err(|error| Status::internal(error.to_string()))?
        .with_descriptor(descriptor)
        .with_endpoint(endpoint)
        .with_total_records(num_rows as i64))
}

fn arrow_schema(snapshot: &Snapshot) -> ArrowSchema {
    let fields = snapshot.schema().fields().iter().enumerate();
    let field = |(position, field): (usize, &proscenium_engine::Field)| {
        Field::new(&*field.name, snapshot.arrow_type(position), true)
    };
    ArrowSchema::new(fields.map(field).collect::<Vec<_>>())
}
