//! DoPut: bulk loads.
//!
//! Invariant: rows are collected into pieces of bounded size; each piece is applied atomically and in order, and
//! acknowledged by a message with JSON `{"rows": applied so far}`, and the position of a durable table. A replacement is one piece of any size, since it
//! must be atomic. An error, also of a stream that breaks, says how many rows are kept, and a last message before it does, too. A column that the table does not have is an
//! error unless the command sets `ignore_unknown`, and so is an index, limit or list mode other than the table's.

use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, PutResult};
use futures::{Stream, StreamExt, TryStreamExt};
use proscenium_actors::{ActorError, Caller};
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

/// The state of a put.
struct Load {
    router: CommandRouter,
    caller: Caller,
    load: TableLoad,
    is_made: bool,
    /// A table of this name that another has made meanwhile is an error.
    must_create: bool,
    collected: Vec<RecordBatch>,
    collected_bytes: usize,
    /// That of the collected batches' memory.
    reservation: MemoryReservation,
    applied_rows: usize,
    /// What the last piece did.
    outcome: Option<LoadOutcome>,
    is_over: bool,
    /// The stream broke: set by its error, which ends the put.
    is_cut: bool,
}

impl Load {
    fn new(router: CommandRouter, principal: Principal, order: PutOrder) -> Result<Load, Status> {
        let found = router.find(Subject::Table, &order.table);
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
        let caller = router.caller(principal);
        Ok(Load {
            reservation: caller.memory.nothing(MemoryKind::Uploads),
            caller,
            router,
            load,
            is_made: found.is_ok(),
            must_create,
            collected: Vec::new(),
            collected_bytes: 0,
            applied_rows: 0,
            outcome: None,
            is_over: false,
            is_cut: false,
        })
    }

    fn collect(&mut self, batch: RecordBatch) -> Result<(), Status> {
        let num_bytes = batch_bytes(&batch, self.collected.last());
        self.reservation
            .grow(num_bytes as u64)
            .map_err(|refused| self.fail(&EngineError::from(refused).into()))?;
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

    async fn apply(&mut self, schema: SchemaRef) -> Result<PutResult, Status> {
        let rows: usize = self.collected.iter().map(RecordBatch::num_rows).sum();
        let data = TableData::Batches(schema, std::mem::take(&mut self.collected));
        self.collected_bytes = 0;
        let sent = self.send(data).await;
        self.reservation.shrink_to(0);
        sent.map_err(|fault| self.fail(&fault))?;
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

    /// Collects and applies the next piece; `None` at the end.
    async fn next(&mut self, batches: &mut Batches) -> Result<Option<PutResult>, Status> {
        while !self.is_over && !self.is_full() {
            let batch = batches.try_next().await.map_err(not_arrow);
            self.is_cut = batch.is_err();
            match batch? {
                Some(batch) => self.collect(batch)?,
                None => self.is_over = true,
            }
        }
        let schema = batches.schema().cloned();
        let schema = schema.ok_or_else(|| Status::invalid_argument("the put has no schema message"))?;
        let is_idle = self.is_over && self.collected.is_empty() && self.is_made && !self.is_replacement();
        if is_idle {
            return Ok(None);
        }
        self.apply(schema).await.map(Some)
    }

    fn fail(&self, fault: &ActorError) -> Status {
        to_flight(fault, &self.load.table)
    }

    async fn send(&mut self, data: TableData) -> Result<(), ActorError> {
        let outcome = if self.is_made {
            self.load.write(&self.router, &self.caller, data).await?
        } else if self.must_create {
            self.load.create(&self.router, &self.caller, data).await?
        } else {
            self.load.apply(&self.router, &self.caller, data).await?
        };
        (self.is_made, self.outcome) = (true, Some(outcome));
        Ok(())
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
        if load.is_over {
            return None;
        }
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
