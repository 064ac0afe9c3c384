//! ListFlights, GetFlightInfo, GetSchema: the hosted tables and their schemas.
//!
//! The entry of a table in the list has its index and limit as metadata: JSON `{"index": …, "limit": …}`.

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
    let hosted = table_listing::list(router, principal).await.map_err(|fault| to_flight(&fault, ""))?;
    let entry = |(table, snapshot): (HostedTable, Snapshot)| {
        let descriptor = FlightDescriptor::new_path(vec![table.name.to_string()]);
        let properties = serde_json::json!({"index": table.index, "limit": table.limit});
        let flight =
            flight(descriptor, &arrow_schema(&snapshot), snapshot.num_rows(), table.name.as_bytes())?;
        Ok(flight.with_app_metadata(properties.to_string()))
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
    let opened = get::shape(router, principal, wanted).await?;
    flight(descriptor, &opened.schema, opened.num_rows, &ticket)
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
