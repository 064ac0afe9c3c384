//! DoGet: a table, or a view over it, at one version.
//!
//! Invariant: the view is opened, read and closed by the commands of WebSocket clients, and shared with equal ones. Its
//! rows are one immutable slice, so the reply is one version, regardless of writes meanwhile.
//!
//! Cost: the rows of a flat view are gathered and encoded a piece at a time, when the client has room for the next, so a
//! get of any size holds bounded memory besides the shared snapshot; those of a pivot are gathered at once.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, Ticket};
use futures::{Stream, StreamExt, TryStreamExt};
use proscenium_actors::ActorError;
use proscenium_engine::export::{self, ExportBudget, Naming};
use proscenium_engine::hosting::Principal;
use proscenium_engine::view::{ViewSlice, Viewport};
use proscenium_engine::{EngineError, MemoryKind, MemoryReservation};
use tonic::Status;

use super::ticket::{self, Wanted};
use super::{ReplyStream, work};
use crate::command_router::CommandRouter;
use crate::transient_view::TransientView;
use crate::tuning;
use crate::wire_errors::to_flight;

pub(super) async fn get(
    router: &CommandRouter,
    principal: Principal,
    ticket: &Ticket,
) -> Result<ReplyStream<FlightData>, Status> {
    let wanted = ticket::wanted(&ticket.ticket)?;
    let table = wanted.table.clone();
    let (slice, budget) = read(router, principal, wanted).await.map_err(|fault| to_flight(&fault, &table))?;
    let (slice, schema) = work(move || schema_of(&slice).map(|schema| (slice, schema))).await??;
    let batches =
        pieces(slice, schema.clone(), budget, table).map_err(|status| FlightError::Tonic(Box::new(status)));
    let encoded = FlightDataEncoderBuilder::new().with_schema(schema).build(batches);
    Ok(Box::pin(encoded.map_err(|error| match error {
        FlightError::Tonic(status) => *status,
        error => Status::internal(error.to_string()),
    })))
}

async fn read(
    router: &CommandRouter,
    principal: Principal,
    wanted: Wanted,
) -> Result<(ViewSlice, ExportBudget), ActorError> {
    let config = wanted.view.unwrap_or_default();
    let view = TransientView::open(router, principal, &wanted.table, config).await?;
    Ok((view.slice(Viewport::default()).await?, view.budget()))
}

/// What a get would return.
pub(super) struct ViewShape {
    pub(super) num_rows: usize,
    pub(super) schema: SchemaRef,
}

pub(super) async fn shape(
    router: &CommandRouter,
    principal: Principal,
    wanted: Wanted,
) -> Result<ViewShape, Status> {
    let table = wanted.table.clone();
    let config = wanted.view.unwrap_or_default();
    let read = async {
        let view = TransientView::open(router, principal, &wanted.table, config).await?;
        let num_rows = view.dimensions().await?.num_view_rows;
        let none = Viewport { end_row: Some(0), ..Viewport::default() };
        Ok((num_rows, view.slice(none).await?))
    };
    let (num_rows, slice) = read.await.map_err(|fault| to_flight(&fault, &table))?;
    let schema = work(move || schema_of(&slice)).await??;
    Ok(ViewShape { num_rows, schema })
}

fn schema_of(slice: &ViewSlice) -> Result<SchemaRef, Status> {
    let empty = export::record_batch(&slice.rows(0..0), Naming::Readable)
        .map_err(|error| Status::internal(error.to_string()))?;
    Ok(plain(&empty.schema()))
}

/// Returns the schema with dictionary-coded text as plain `Utf8`, as the encoder sends it.
fn plain(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, values) => field.as_ref().clone().with_data_type(values.as_ref().clone()),
        _ => field.as_ref().clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn pieces(
    slice: ViewSlice,
    schema: SchemaRef,
    budget: ExportBudget,
    table: String,
) -> impl Stream<Item = Result<RecordBatch, Status>> + Send {
    let get = Arc::new(Get { slice, schema, budget, table });
    futures::stream::try_unfold((get, 0, None), |(get, start, sent)| async move {
        // The client has room for the next piece: the one before was sent.
        drop::<Option<MemoryReservation>>(sent);
        if start >= get.slice.num_rows() {
            return Ok(None);
        }
        let (get, piece) = work(move || get.piece(start).map(|piece| (get, piece))).await??;
        let Piece { end, batch, reservation } = piece;
        Ok(Some((batch, (get, end, Some(reservation)))))
    })
    .boxed()
}

/// A get that is being sent.
struct Get {
    slice: ViewSlice,
    schema: SchemaRef,
    budget: ExportBudget,
    table: String,
}

/// Some rows of a get.
struct Piece {
    /// The row past the last.
    end: usize,
    batch: RecordBatch,
    /// That of the batch's memory.
    reservation: MemoryReservation,
}

impl Get {
    /// Gathers the next rows, text as it is sent.
    fn piece(&self, start: usize) -> Result<Piece, Status> {
        let to_status = |error: EngineError| to_flight(&error.into(), &self.table);
        let most_rows = start..self.slice.num_rows().min(start + tuning::GET_PIECE_ROWS);
        let (rows, num_bytes) = self.slice.fitting_rows(most_rows, tuning::GET_PIECE_BYTES);
        let mut reservation = self.budget.begin(MemoryKind::Answers, num_bytes).map_err(to_status)?;
        let end = rows.end;
        let gathered = export::record_batch(&self.slice.rows(rows), Naming::Readable).map_err(to_status)?;
        let internal = |error: ArrowError| Status::internal(error.to_string());
        let columns = gathered
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| arrow::compute::cast(column, field.data_type()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(internal)?;
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(internal)?;
        reservation.settle_all();
        self.budget.count(batch.get_array_memory_size()).map_err(to_status)?;
        Ok(Piece { end, batch, reservation })
    }
}
