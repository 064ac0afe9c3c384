//! DoGet: a table, or a view over it, at one version.
//!
//! Invariant: the view is opened, read and closed by the commands of WebSocket clients, and shared with equal ones. Its
//! rows are one immutable slice, so the reply is one version, regardless of writes meanwhile.
//!
//! Cost: the rows are gathered and encoded a piece at a time, when the client has room for the next, so a get of any size holds
//! bounded memory besides the shared snapshot. A pivot is built again for it and kept while the client reads; after a pause of
//! [`tuning::GET_PAUSE`] it is dropped, and built once more when the client goes on.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, Ticket};
use futures::{Stream, StreamExt, TryStreamExt};
use proscenium_actors::ActorError;
use proscenium_engine::export::{ExportBudget, Naming};
use proscenium_engine::hosting::Principal;
use proscenium_engine::view::{BatchStream, ReservedBatch, Viewport};
use proscenium_engine::{EngineError, MemoryReservation};
use tokio::task::JoinHandle;
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
    let opened = read(router, principal.clone(), wanted).await;
    router.record_export(&principal, &table, &opened);
    let batches = opened.map_err(|fault| to_flight(&fault, &table))?;
    let schema = batches.schema();
    let batches = pieces(batches, table).map_err(|status| FlightError::Tonic(Box::new(status)));
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
) -> Result<BatchStream, ActorError> {
    let config = wanted.view.unwrap_or_default();
    let view = TransientView::open(router, principal, &wanted.table, config).await?;
    view.batches(Naming::Readable).await
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
        let empty = BatchStream::new(view.slice(none).await?, Naming::Readable, ExportBudget::unlimited())?;
        Ok(ViewShape { num_rows, schema: empty.schema() })
    };
    read.await.map_err(|fault: ActorError| to_flight(&fault, &table))
}

/// The batches of a get, each gathered when the client has room for it.
fn pieces(
    batches: BatchStream,
    table: String,
) -> impl Stream<Item = Result<arrow::array::RecordBatch, Status>> + Send {
    let get = Arc::new(Get { batches: Mutex::new(batches), table });
    futures::stream::try_unfold((get, None), |(get, sent)| async move {
        // The client has room for the next piece: the one before was sent.
        drop::<Option<Sent>>(sent);
        let (get, piece) = work(move || get.next().map(|piece| (get, piece))).await??;
        Ok(piece.map(|ReservedBatch { batch, reservation }| {
            let release = Release::after_pause(&get);
            (batch, (get, Some(Sent { _reservation: reservation, _release: release })))
        }))
    })
    .boxed()
}

/// What is held while a batch is sent.
struct Sent {
    _reservation: MemoryReservation,
    _release: Release,
}

/// A get that is being sent.
struct Get {
    batches: Mutex<BatchStream>,
    table: String,
}

impl Get {
    fn next(&self) -> Result<Option<ReservedBatch>, Status> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.next_batch().map_err(|error: EngineError| to_flight(&error.into(), &self.table))
    }
}

/// Drops what a get keeps for its next piece, unless that is asked for soon.
struct Release(JoinHandle<()>);

impl Release {
    fn after_pause(get: &Arc<Get>) -> Release {
        let get = Arc::downgrade(get);
        Release(tokio::spawn(async move {
            tokio::time::sleep(tuning::GET_PAUSE).await;
            let release = move || {
                if let Some(get) = get.upgrade() {
                    get.batches.lock().unwrap_or_else(PoisonError::into_inner).release();
                }
            };
            // Freeing a view takes long.
            tokio::task::spawn_blocking(release);
        }))
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        self.0.abort();
    }
}
