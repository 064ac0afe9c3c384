//! DoGet: a table, or a view over it, at one version.
//!
//! Invariant: the table's actor plans the view in its message order, expressions and windows included; the view is
//! built here and owned by the call, so it is dropped when the call ends.
//!
//! Cost: rows are sliced and encoded a piece at a time, when the client has room for the next, so a get of any size
//! holds bounded memory besides the shared snapshot.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, Ticket};
use futures::{Stream, StreamExt, TryStreamExt};
use proscenium_actors::table::{PlanView, Planned};
use proscenium_actors::{Catalog, tuning};
use proscenium_engine::export::{self, Naming};
use proscenium_engine::view::{Handle, SliceOptions, View, Viewport};
use tonic::Status;

use super::ticket::{self, Wanted};
use super::{ReplyStream, status, work};

/// Number of rows encoded at a time.
const PIECE_ROWS: u32 = 65_536;

pub(super) async fn get(catalog: &Catalog, ticket: &Ticket) -> Result<ReplyStream<FlightData>, Status> {
    let wanted = ticket::wanted(&ticket.ticket)?;
    let opened = open(catalog, wanted).await?;
    let schema = opened.schema.clone();
    let batches = pieces(opened).map_err(|status| FlightError::Tonic(Box::new(status)));
    let encoded = FlightDataEncoderBuilder::new().with_schema(schema).build(batches);
    Ok(Box::pin(encoded.map_err(|error| match error {
        FlightError::Tonic(status) => *status,
        error => Status::internal(error.to_string()),
    })))
}

/// A view that is open for one get.
pub(super) struct OpenedView {
    view: View,
    handle: Handle,
    pub(super) num_rows: usize,
    pub(super) schema: SchemaRef,
}

pub(super) async fn open(catalog: &Catalog, wanted: Wanted) -> Result<OpenedView, Status> {
    let table = catalog.table(&wanted.table).map_err(|_| no_table(&wanted.table))?;
    let config = wanted.view.unwrap_or_default();
    let group_by_depth = config.group_by_depth;
    let planned = table
        .mailbox
        .ask(tuning::ASK_DEADLINE, |reply| PlanView { config, reply })
        .await
        .map_err(|fault| status(&fault))?;
    work(move || build(planned, group_by_depth)).await?
}

fn no_table(name: &str) -> Status {
    Status::not_found(format!("table \"{name}\" is not hosted"))
}

fn build(Planned { plan, snapshot }: Planned, group_by_depth: Option<u32>) -> Result<OpenedView, Status> {
    let mut view = View::build(plan, &snapshot);
    let mut handle = view.handle(group_by_depth);
    let num_rows = view.dimensions(&mut handle).num_view_rows;
    let none = Viewport { end_row: Some(0), ..Viewport::default() };
    let window = view.slice(&mut handle, SliceOptions { viewport: none, ..SliceOptions::default() }).gather();
    let empty = export::record_batch(&window, Naming::Readable)
        .map_err(|error| Status::internal(error.to_string()))?;
    Ok(OpenedView { view, handle, num_rows, schema: plain(&empty.schema()) })
}

/// Returns the schema with dictionary-coded text as plain `Utf8`, as the encoder sends it.
fn plain(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, values) => field.as_ref().clone().with_data_type(values.as_ref().clone()),
        _ => field.as_ref().clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn pieces(opened: OpenedView) -> impl Stream<Item = Result<arrow::array::RecordBatch, Status>> + Send {
    futures::stream::try_unfold((opened, 0_u32), |(mut opened, start)| async move {
        if start as usize >= opened.num_rows {
            return Ok(None);
        }
        let end = start.saturating_add(PIECE_ROWS);
        let viewport = Viewport { start_row: Some(start), end_row: Some(end), ..Viewport::default() };
        let (opened, batch) = work(move || {
            let slice =
                opened.view.slice(&mut opened.handle, SliceOptions { viewport, ..SliceOptions::default() });
            let batch = export::record_batch(&slice.gather(), Naming::Readable);
            (opened, batch)
        })
        .await?;
        let batch = batch.map_err(|error| Status::internal(error.to_string()))?;
        let columns = batch
            .columns()
            .iter()
            .zip(opened.schema.fields())
            .map(|(column, field)| arrow::compute::cast(column, field.data_type()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Status::internal(error.to_string()))?;
        let batch = arrow::array::RecordBatch::try_new(opened.schema.clone(), columns)
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(Some((batch, (opened, end))))
    })
    .boxed()
}
