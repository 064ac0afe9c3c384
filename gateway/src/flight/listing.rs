//! ListFlights, GetFlightInfo, GetSchema: the hosted tables and their schemas.

use arrow::datatypes::{Field, Schema as ArrowSchema};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, SchemaAsIpc, SchemaResult, Ticket};
use proscenium_actors::{ActorError, Caller};
use proscenium_engine::hosting::{Answer, Command, Principal, TableCommand};
use proscenium_engine::table::Snapshot;
use tonic::Status;

use super::{ReplyStream, get, status, ticket};
use crate::command_router::CommandRouter;
use crate::transient_view::unexpected;

pub(super) async fn list(
    router: &CommandRouter,
    principal: Principal,
) -> Result<ReplyStream<FlightInfo>, Status> {
    let mut flights = Vec::new();
    for hosted in router.catalog().list() {
        let caller = Caller::without_connection(principal.clone());
        let command = Command::Table(TableCommand::GetSnapshot);
        let snapshot = match router.ask(caller, &hosted.name, command).await {
            Ok(Answer::Snapshot(snapshot)) => snapshot,
            Ok(other) => return Err(status(&unexpected(&other), &hosted.name)),
            // A table that is deleted meanwhile is omitted.
            Err(ActorError::Gone | ActorError::TableNotFound | ActorError::TableFailed { .. }) => continue,
            Err(fault) => return Err(status(&fault, &hosted.name)),
        };
        let descriptor = FlightDescriptor::new_path(vec![hosted.name.to_string()]);
        flights.push(flight(
            descriptor,
            &arrow_schema(&snapshot),
            snapshot.num_rows(),
            hosted.name.as_bytes(),
        ));
    }
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
