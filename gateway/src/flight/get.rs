//! DoGet: a table, or a view config over it, at one version.
//!
//! Law: rows are cut and encoded a piece at a time, when the client has room for the next, so that a get of any size
//! holds a bounded amount of memory beside the shared snapshot. The table plans the view in its own order, expressions
//! and windows included; the view is built here and known to nobody else, so that a call that ends takes it along.

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
use super::{Answers, status, work};

/// Rows encoded at a time.
const PIECE_ROWS: u32 = 65_536;

pub(super) async fn get(catalog: &Catalog, ticket: &Ticket) -> Result<Answers<FlightData>, Status> {
    let wanted = ticket::wanted(&ticket.ticket)?;
    let answer = open(catalog, wanted).await?;
    let schema = answer.schema.clone();
    let batches = pieces(answer).map_err(|status| FlightError::Tonic(Box::new(status)));
    let encoded = FlightDataEncoderBuilder::new().with_schema(schema).build(batches);
    Ok(Box::pin(encoded.map_err(|error| match error {
        FlightError::Tonic(status) => *status,
        error => Status::internal(error.to_string()),
    })))
}

/// A view that is open for one get.
pub(super) struct Answer {
    view: View,
    handle: Handle,
    pub(super) num_rows: usize,
    pub(super) schema: SchemaRef,
}

pub(super) async fn open(catalog: &Catalog, wanted: Wanted) -> Result<Answer, Status> {
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

fn build(Planned { plan, snapshot }: Planned, group_by_depth: Option<u32>) -> Result<Answer, Status> {
    let mut view = View::build(plan, &snapshot);
    let mut handle = view.handle(group_by_depth);
    let num_rows = view.dimensions(&mut handle).num_view_rows;
    let none = Viewport { end_row: Some(0), ..Viewport::default() };
    let window = view.slice(&mut handle, SliceOptions { viewport: none, ..SliceOptions::default() }).gather();
    let empty = export::record_batch(&window, Naming::Readable)
        .map_err(|error| Status::internal(error.to_string()))?;
    Ok(Answer { view, handle, num_rows, schema: plain(&empty.schema()) })
}

/// The schema with text as plain `Utf8`, as the encoder sends it.
fn plain(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, values) => field.as_ref().clone().with_data_type(values.as_ref().clone()),
        _ => field.as_ref().clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn pieces(answer: Answer) -> impl Stream<Item = Result<arrow::array::RecordBatch, Status>> + Send {
    futures::stream::try_unfold((answer, 0_u32), |(mut answer, start)| async move {
        if start as usize >= answer.num_rows {
            return Ok(None);
        }
        let end = start.saturating_add(PIECE_ROWS);
        let viewport = Viewport { start_row: Some(start), end_row: Some(end), ..Viewport::default() };
        let (answer, batch) = work(move || {
            let slice =
                answer.view.slice(&mut answer.handle, SliceOptions { viewport, ..SliceOptions::default() });
            let batch = export::record_batch(&slice.gather(), Naming::Readable);
            (answer, batch)
        })
        .await?;
        let batch = batch.map_err(|error| Status::internal(error.to_string()))?;
        let columns = batch
            .columns()
            .iter()
            .zip(answer.schema.fields())
            .map(|(column, field)| arrow::compute::cast(column, field.data_type()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Status::internal(error.to_string()))?;
        let batch = arrow::array::RecordBatch::try_new(answer.schema.clone(), columns)
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(Some((batch, (answer, end))))
    })
    .boxed()
}
