//! DoPut: bulk loads.
//!
//! Invariant: rows are collected into pieces of bounded size; each piece is applied atomically and in order, and
//! acknowledged by a message with JSON `{"rows": applied so far}`, and the position of a durable table. A replacement is one piece of any size, since it
//! must be atomic. An error, also of a stream that breaks, says how many rows are kept, and a last message before it does, too. A column that the table does not have is an
//! error unless the command sets `ignore_unknown`, and so is an index, limit or list mode other than the table's.
//!
//! A piece is sent once the one before is accepted, so that the next ones are received and staged while the table's log is
//! synced. Those on their way are bounded by [`tuning::PUT_WINDOW_BYTES`]. After a piece that fails no other is sent, and those
//! behind it on their way are refused with it.

use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, PutResult};
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use proscenium_actors::{ActorError, Caller, TableRef};
use proscenium_engine::hosting::{Principal, Subject};
use proscenium_engine::ingest::{ArrowMessages, batch_bytes, guarded};
use proscenium_engine::{EngineError, MemoryKind, MemoryReservation, TableData};
use tonic::{Status, Streaming};

use super::ReplyStream;
use super::ticket::{self, Mode, PutOrder};
use crate::command_router::CommandRouter;
use crate::table_load::{LoadEffect, LoadOutcome, TableLoad};
use crate::tuning;
use crate::wire_errors::to_flight;

pub(super) async fn put(
    router: CommandRouter,
    principal: Principal,
    mut messages: Streaming<FlightData>,
) -> Result<ReplyStream<PutResult>, Status> {
    let first =
        messages.try_next().await?.ok_or_else(|| Status::invalid_argument("the put has no message"))?;
    let order = ticket::put_order(first.flight_descriptor.as_ref())?;
    let batches = decoded(futures::stream::once(async { Ok(first) }).chain(messages));
    let load = Load::new(router, principal, order)?;
    Ok(Box::pin(apply_all(load, batches)))
}

/// Decodes a put. The decoder trusts the sizes in a message, so messages are validated first; if it panics
/// nevertheless, the put ends with an error.
fn decoded(messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static) -> Batches {
    let mut checked = ArrowMessages::default();
    let messages = messages
        .and_then(move |message| std::future::ready(check(&mut checked, message)))
        .map_err(|status| FlightError::Tonic(Box::new(status)));
    Batches { decoder: FlightRecordBatchStream::new_from_flight_data(messages), is_over: false }
}

fn check(checked: &mut ArrowMessages, mut message: FlightData) -> Result<FlightData, Status> {
    // Metadata may be sent without data.
    if !message.data_header.is_empty() {
        checked
            .check(&message.data_header, &message.data_body)
            .map_err(|error| Status::invalid_argument(format!("the put is no Arrow data: {error}")))?;
        if checked.needs_alignment() && !message.data_body.as_ptr().cast::<u64>().is_aligned() {
            message.data_body = message.data_body.to_vec().into();
        }
    }
    Ok(message)
}

/// The batches of a put.
struct Batches {
    decoder: FlightRecordBatchStream,
    /// The decoder must not be used after a panic.
    is_over: bool,
}

impl Batches {
    fn schema(&self) -> Option<&SchemaRef> {
        self.decoder.schema()
    }
}

impl Stream for Batches {
    type Item = Result<RecordBatch, FlightError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let polled = guarded(|| Ok(self.decoder.poll_next_unpin(context)));
        polled.unwrap_or_else(|error| {
            self.is_over = true;
            let text = format!("the put is no Arrow data: {error}");
            Poll::Ready(Some(Err(FlightError::Tonic(Box::new(Status::invalid_argument(text))))))
        })
    }
}

/// A piece that the table has accepted, until it is answered.
struct Piece {
    rows: usize,
    bytes: usize,
    outcome: Result<LoadOutcome, ActorError>,
}

/// A piece that the table has accepted, or refused: then it is answered already.
struct Accepted {
    is_refused: bool,
    piece: BoxFuture<'static, Piece>,
}

/// The state of a put.
struct Load {
    router: CommandRouter,
    caller: Caller,
    load: TableLoad,
    /// The table that all pieces go to, once it exists.
    table: Option<TableRef>,
    /// A table of this name that another has made meanwhile is an error.
    must_create: bool,
    collected: Vec<RecordBatch>,
    collected_bytes: usize,
    /// That of the collected batches' memory.
    reservation: MemoryReservation,
    /// A batch for which there is no memory before a piece on its way is answered.
    unplaced: Option<RecordBatch>,
    /// The last piece, until it is accepted: the next one must not overtake it, nor follow it if it fails.
    accepting: Option<BoxFuture<'static, Accepted>>,
    /// The accepted pieces, in order.
    window: FuturesOrdered<BoxFuture<'static, Piece>>,
    /// Bytes of the pieces on their way.
    window_bytes: usize,
    applied_rows: usize,
    /// What the last piece did.
    outcome: Option<LoadOutcome>,
    /// Nothing is read any more.
    is_over: bool,
    /// No further piece is begun.
    is_sent: bool,
    /// Why it is over, if not for its end.
    error: Option<Status>,
    /// The stream broke: set by its error, which ends the put.
    is_cut: bool,
}

impl Load {
    fn new(router: CommandRouter, principal: Principal, order: PutOrder) -> Result<Load, Status> {
        let found = router.find_for(&principal, &order.table);
        if let Err(fault @ ActorError::NotAuthorized { .. }) = &found {
            return Err(to_flight(fault, &order.table));
        }
        let effect = match (order.mode, &found) {
            (Some(Mode::Create), Ok(_)) => {
                return Err(Status::already_exists(format!("Table \"{}\" already exists", order.table)));
            }
            (Some(Mode::Remove), Err(fault)) => return Err(to_flight(fault, &order.table)),
            (Some(Mode::Remove), Ok(_)) => LoadEffect::Remove,
            (Some(Mode::Replace), _) => LoadEffect::Replace,
            (None | Some(Mode::Create | Mode::Append | Mode::Upsert), _) => LoadEffect::Update,
        };
        let must_create = matches!(order.mode, Some(Mode::Create));
        let PutOrder { table, mode: _, index, limit, lists, ignore_unknown } = order;
        let load = TableLoad { table, effect, index, limit, lists, ignore_unknown };
        load.check().map_err(|fault| to_flight(&fault, &load.table))?;
        let checked = router.check_load(&principal, &load.table, effect);
        checked.map_err(|fault| to_flight(&fault, &load.table))?;
        let caller = router.caller(principal);
        Ok(Load {
            reservation: caller.memory.nothing(MemoryKind::Uploads),
            caller,
            router,
            load,
            table: found.ok(),
            must_create,
            collected: Vec::new(),
            collected_bytes: 0,
            unplaced: None,
            accepting: None,
            window: FuturesOrdered::new(),
            window_bytes: 0,
            applied_rows: 0,
            outcome: None,
            is_over: false,
            is_sent: false,
            error: None,
            is_cut: false,
        })
    }

    /// Collects a batch; without memory for it, it waits for the pieces on their way, if there are any.
    fn collect(&mut self, batch: RecordBatch) -> Result<(), Status> {
        let num_bytes = batch_bytes(&batch, self.collected.last());
        if let Err(refused) = self.reservation.grow(num_bytes as u64) {
            if self.is_idle() && (self.collected.is_empty() || self.is_replacement()) {
                return Err(self.fail(&EngineError::from(refused).into()));
            }
            self.unplaced = Some(batch);
            return Ok(());
        }
        self.reservation.settle_all();
        self.collected_bytes += num_bytes;
        self.collected.push(batch);
        if self.is_replacement() && self.collected_bytes > tuning::REPLACE_BYTES {
            return Err(Status::resource_exhausted(format!(
                "a replacement may bring at most {} bytes; replace with less and append the rest",
                tuning::REPLACE_BYTES
            )));
        }
        Ok(())
    }

    fn is_replacement(&self) -> bool {
        self.load.effect == LoadEffect::Replace
    }

    fn is_full(&self) -> bool {
        !self.is_replacement() && self.collected_bytes >= tuning::PUT_PIECE_BYTES
    }

    /// Whether no piece is on its way.
    fn is_idle(&self) -> bool {
        self.accepting.is_none() && self.window.is_empty()
    }

    /// Whether a piece is to be begun now.
    fn is_due(&self) -> bool {
        if self.is_sent || self.accepting.is_some() {
            return false;
        }
        let is_last = self.is_over && self.unplaced.is_none();
        let is_needed = !self.collected.is_empty() || self.table.is_none() || self.is_replacement();
        let has_room = self.window.is_empty() || self.window_bytes < tuning::PUT_WINDOW_BYTES;
        // Without memory for more, what is collected makes room.
        has_room && (self.is_full() || is_last && is_needed || self.must_make_room())
    }

    fn must_make_room(&self) -> bool {
        self.unplaced.is_some() && !self.collected.is_empty() && !self.is_replacement()
    }

    /// Sends what is collected. A table that must be made is made before anything else is done.
    async fn begin(&mut self, schema: Option<SchemaRef>) -> Result<Option<PutResult>, Status> {
        let schema = schema.ok_or_else(|| Status::invalid_argument("the put has no schema message"))?;
        self.is_sent = self.is_over && self.unplaced.is_none();
        let rows: usize = self.collected.iter().map(RecordBatch::num_rows).sum();
        let bytes = std::mem::take(&mut self.collected_bytes);
        let data = TableData::Batches(schema, std::mem::take(&mut self.collected));
        let nothing = self.caller.memory.nothing(MemoryKind::Uploads);
        let reservation = std::mem::replace(&mut self.reservation, nothing);
        let Some(table) = self.table.clone() else {
            let outcome = match self.must_create {
                true => self.load.create(&self.router, &self.caller, data).await,
                false => self.load.apply(&self.router, &self.caller, data).await,
            };
            drop(reservation);
            self.table = self.router.find(Subject::Table, &self.load.table).ok();
            return self.finish(Piece { rows, bytes: 0, outcome }).map(Some);
        };
        let pending = self.load.begin_write(&self.router, &self.caller, Ok(table), data);
        let accepting = async move {
            let accepted = pending.accepted().await;
            let is_refused = accepted.is_err();
            let piece = async move {
                let answer = match accepted {
                    Ok(answer) => answer.await,
                    Err(fault) => Err(fault),
                };
                drop(reservation);
                Piece { rows, bytes, outcome: LoadOutcome::of_write(answer) }
            };
            Accepted { is_refused, piece: piece.boxed() }
        };
        self.window_bytes += bytes;
        self.accepting = Some(accepting.boxed());
        Ok(None)
    }

    /// Counts a piece that was answered.
    fn finish(&mut self, Piece { rows, bytes, outcome }: Piece) -> Result<PutResult, Status> {
        self.window_bytes -= bytes;
        let outcome = outcome.map_err(|fault| self.fail(&fault))?;
        self.outcome = Some(outcome);
        self.applied_rows += rows;
        Ok(self.progress())
    }

    /// How many rows are applied.
    fn progress(&self) -> PutResult {
        let mut reply = serde_json::Map::from_iter([("rows".to_owned(), self.applied_rows.into())]);
        if let Some(outcome) = self.outcome {
            outcome.add_to(&mut reply);
        }
        PutResult { app_metadata: serde_json::Value::Object(reply).to_string().into() }
    }

    /// An error of the put that says how many rows are kept.
    fn failed(&self, status: &Status) -> Status {
        let kept = match self.applied_rows {
            0 if self.is_cut => "no rows were applied".to_owned(),
            // A refused write changes nothing: the text is that of every endpoint.
            0 => return status.clone(),
            applied => format!("{applied} rows were applied before"),
        };
        let text = format!("{} ({kept})", status.message());
        Status::with_metadata(status.code(), text, status.metadata().clone())
    }

    /// Ends the put once the pieces on their way are answered. What is collected is dropped.
    fn end(&mut self) {
        (self.is_over, self.is_sent) = (true, true);
        (self.collected, self.unplaced) = (Vec::new(), None);
    }

    /// As [`Load::end`], with an error.
    fn end_with(&mut self, status: Status) {
        self.error = Some(status);
        self.end();
    }

    /// Reads, collects and sends until the next piece is answered; `None` at the end.
    async fn next(&mut self, batches: &mut Batches) -> Result<Option<PutResult>, Status> {
        loop {
            if let Some(batch) = self.unplaced.take()
                && let Err(status) = self.collect(batch)
            {
                self.end_with(status);
            }
            if self.is_due() {
                match self.begin(batches.schema().cloned()).await {
                    Ok(None) => {}
                    Ok(made) => return Ok(made),
                    Err(status) => self.end_with(status),
                }
            }
            let may_read = !self.is_over && !self.is_full() && self.unplaced.is_none();
            tokio::select! {
                biased;
                Some(piece) = self.window.next(), if !self.window.is_empty() => {
                    return self.finish(piece).map(Some);
                }
                accepted = pending(&mut self.accepting), if self.accepting.is_some() => {
                    self.accepting = None;
                    self.window.push_back(accepted.piece);
                    if accepted.is_refused {
                        self.end();
                    }
                }
                batch = batches.try_next(), if may_read => match batch.map_err(not_arrow) {
                    Ok(Some(batch)) => {
                        if let Err(status) = self.collect(batch) {
                            self.end_with(status);
                        }
                    }
                    Ok(None) => self.is_over = true,
                    Err(status) => {
                        self.is_cut = true;
                        self.end_with(status);
                    }
                },
                else => match self.error.take() {
                    Some(status) => return Err(status),
                    None => return Ok(None),
                },
            }
        }
    }

    fn fail(&self, fault: &ActorError) -> Status {
        to_flight(fault, &self.load.table)
    }
}

/// Waits for a future that there is.
async fn pending<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Where a put stands between two of its results.
#[allow(clippy::large_enum_variant, reason = "one value a put, moved once a piece")]
enum Step {
    Next(Load, Batches),
    /// The number of kept rows was sent; the error follows it.
    Fail(Status),
    End,
}

/// The results of a put. An error follows a result with the number of rows that are kept.
fn apply_all(load: Load, batches: Batches) -> impl Stream<Item = Result<PutResult, Status>> + Send {
    futures::stream::unfold(Step::Next(load, batches), |step| async move {
        let (mut load, mut batches) = match step {
            Step::Next(load, batches) => (load, batches),
            Step::Fail(status) => return Some((Err(status), Step::End)),
            Step::End => return None,
        };
        match load.next(&mut batches).await {
            Ok(result) => result.map(|result| (Ok(result), Step::Next(load, batches))),
            Err(status) => Some((Ok(load.progress()), Step::Fail(load.failed(&status)))),
        }
    })
    .boxed()
}

fn not_arrow(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        error => Status::invalid_argument(format!("the put is no Arrow data: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the messages of an IPC stream as Flight messages.
    fn messages(mut stream: &[u8]) -> Vec<Result<FlightData, Status>> {
        let mut messages = Vec::new();
        while let Some((head, rest)) = stream.split_at_checked(8) {
            let meta_len = u32::from_le_bytes(head[4..].try_into().unwrap()) as usize;
            if meta_len == 0 {
                break;
            }
            let (meta, rest) = rest.split_at(meta_len);
            let body_len = arrow::ipc::root_as_message(meta).unwrap().bodyLength() as usize;
            let (body, rest) = rest.split_at(body_len);
            stream = rest;
            let header = bytes::Bytes::copy_from_slice(meta);
            messages.push(Ok(FlightData::new().with_data_header(header).with_data_body(body.to_vec())));
        }
        messages
    }

    #[actix_rt::test]
    async fn a_batch_with_false_buffer_sizes_is_refused() {
        let short = include_bytes!("../../../engine/tests/data/spoiled/short_bitmap.arrow");
        let messages = messages(short);
        assert_eq!(messages.len(), 2, "a schema and a batch");
        let read: Result<Vec<RecordBatch>, FlightError> =
            decoded(futures::stream::iter(messages)).try_collect().await;
        let error = not_arrow(read.unwrap_err());
        assert_eq!(error.code(), tonic::Code::InvalidArgument);
        let expected = "column `x` has a bitmap of nulls that is shorter than its rows";
        assert!(error.message().contains(expected), "{}", error.message());
    }

    #[actix_rt::test]
    async fn valid_batches_are_decoded() {
        let ids: arrow::array::ArrayRef =
            std::sync::Arc::new(arrow::array::Int32Array::from(vec![Some(1), None]));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let messages =
            arrow_flight::utils::batches_to_flight_data(&batch.schema(), vec![batch.clone(), batch.clone()]);
        let messages = futures::stream::iter(messages.unwrap().into_iter().map(Ok));
        let read: Result<Vec<RecordBatch>, FlightError> = decoded(messages).try_collect().await;
        assert_eq!(read.unwrap(), [batch.clone(), batch]);
    }
}
