//! DoPut: bulk loads.
//!
//! Invariant: rows are collected into pieces of bounded size; each piece is applied atomically and in order, and
//! acknowledged by a message with JSON `{"rows": applied so far}`, and the position of a durable table. A replacement is one piece of any size, since it
//! must be atomic. An error, also of a stream that breaks, says how many rows are kept, and a last message before it does, too. A column that the table does not have is an
//! error unless the command sets `ignore_unknown`, and so is an index, limit or list mode other than the table's.
//!
//! A load with a name is repeated after a break: its batches are numbered in their metadata, JSON `{"batch": n}` from 0, each is
//! a piece of its own, those that the table has are not applied again, and an acknowledgement says the last that it has.
//!
//! A piece is sent once the one before is accepted, so that the next ones are received and staged while the table's log is
//! synced. Those on their way are bounded by [`tuning::PUT_WINDOW_BYTES`]. After a piece that fails no other is sent, and those
//! behind it on their way are refused with it.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::{FlightData, PutResult};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use proscenium_actors::{ActorError, Caller, TableRef};
use proscenium_engine::hosting::{Principal, Subject};
use proscenium_engine::ingest::batch_bytes;
use proscenium_engine::{EngineError, MemoryKind, MemoryReservation, TableData};
use tonic::{Status, Streaming};

use super::ReplyStream;
use super::batches::{Batches, decoded, not_arrow};
use super::numbered::Numbered;
use super::ticket::{self, Mode, PutOrder};
use crate::command_router::CommandRouter;
use crate::load_key::LoadKey;
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

/// A piece that the table has accepted, until it is answered.
struct Piece {
    rows: usize,
    bytes: usize,
    /// The number of its last batch, of a load with a name.
    last: Option<u64>,
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
    unplaced: Option<(RecordBatch, Bytes)>,
    /// The numbers of the batches, of a load with a name.
    numbered: Option<Numbered>,
    /// The last piece, until it is accepted: the next one must not overtake it, nor follow it if it fails.
    accepting: Option<BoxFuture<'static, Accepted>>,
    /// The accepted pieces, in order.
    window: FuturesOrdered<BoxFuture<'static, Piece>>,
    /// Bytes of the pieces on their way.
    window_bytes: usize,
    applied_rows: usize,
    /// Whether what is collected is a piece: a batch of a load with a name that has rows.
    has_rows_of_load: bool,
    /// The number of the last batch that the table has, of a load with a name.
    last_batch: Option<u64>,
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
            // A load that is repeated has made it, or its first batch is refused.
            (Some(Mode::Create), Ok(_)) if order.load.is_some() => LoadEffect::Update,
            (Some(Mode::Create), Ok(_)) => {
                return Err(Status::already_exists(format!("Table \"{}\" already exists", order.table)));
            }
            (Some(Mode::Remove), Err(fault)) => return Err(to_flight(fault, &order.table)),
            (Some(Mode::Remove), Ok(_)) => LoadEffect::Remove,
            (Some(Mode::Replace), _) => LoadEffect::Replace,
            (None | Some(Mode::Create | Mode::Append | Mode::Upsert), _) => LoadEffect::Update,
        };
        let must_create = matches!(order.mode, Some(Mode::Create));
        let PutOrder { table, mode: _, index, limit, lists, ignore_unknown, load: name } = order;
        let named = name.map(|name| LoadKey::new("flight", &principal, &name)).transpose();
        let named = named.map_err(|reason| Status::invalid_argument(format!("the load's name: {reason}")))?;
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
            numbered: named.map(|key| Numbered::new(key, must_create)),
            accepting: None,
            window: FuturesOrdered::new(),
            window_bytes: 0,
            applied_rows: 0,
            has_rows_of_load: false,
            last_batch: None,
            outcome: None,
            is_over: false,
            is_sent: false,
            error: None,
            is_cut: false,
        })
    }

    /// Collects a batch; without memory for it, it waits for the pieces on their way, if there are any.
    fn collect(&mut self, (batch, metadata): (RecordBatch, Bytes)) -> Result<(), Status> {
        let num_bytes = batch_bytes(&batch, self.collected.last());
        if let Err(refused) = self.reservation.grow(num_bytes as u64) {
            if self.is_idle() && (self.collected.is_empty() || self.is_replacement()) {
                return Err(self.fail(&EngineError::from(refused).into()));
            }
            self.unplaced = Some((batch, metadata));
            return Ok(());
        }
        if let Some(numbered) = &mut self.numbered {
            numbered.note(&metadata)?;
            self.has_rows_of_load |= batch.num_rows() > 0;
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
        !self.is_replacement() && (self.has_rows_of_load || self.collected_bytes >= tuning::PUT_PIECE_BYTES)
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
        self.has_rows_of_load = false;
        let mark = self.numbered.as_mut().and_then(Numbered::take_mark);
        let last = mark.as_ref().map(|mark| mark.last);
        let is_late = mark.as_ref().is_some_and(|mark| mark.first > 0);
        let caller = mark.map_or_else(|| self.caller.clone(), |mark| self.caller.loading(mark));
        let nothing = self.caller.memory.nothing(MemoryKind::Uploads);
        let reservation = std::mem::replace(&mut self.reservation, nothing);
        let Some(table) = self.table.clone() else {
            if is_late {
                return Err(self.fail(&ActorError::LoadGap { expected: 0 }));
            }
            let outcome = match self.must_create {
                true => self.load.create(&self.router, &caller, data).await,
                false => self.load.apply(&self.router, &caller, data).await,
            };
            drop(reservation);
            self.table = self.router.find(Subject::Table, &self.load.table).ok();
            return self.finish(Piece { rows, bytes: 0, last, outcome }).map(Some);
        };
        let pending = self.load.begin_write(&self.router, &caller, Ok(table), data);
        let accepting = async move {
            let accepted = pending.accepted().await;
            let is_refused = accepted.is_err();
            let piece = async move {
                let answer = match accepted {
                    Ok(answer) => answer.await,
                    Err(fault) => Err(fault),
                };
                drop(reservation);
                Piece { rows, bytes, last, outcome: LoadOutcome::of_write(answer) }
            };
            Accepted { is_refused, piece: piece.boxed() }
        };
        self.window_bytes += bytes;
        self.accepting = Some(accepting.boxed());
        Ok(None)
    }

    /// Counts a piece that was answered.
    fn finish(&mut self, Piece { rows, bytes, last, outcome }: Piece) -> Result<PutResult, Status> {
        self.window_bytes -= bytes;
        let outcome = outcome.map_err(|fault| self.fail(&fault))?;
        self.outcome = Some(outcome);
        self.applied_rows += if outcome.is_replayed { 0 } else { rows };
        self.last_batch = last.or(self.last_batch);
        Ok(self.progress())
    }

    /// How many rows are applied.
    fn progress(&self) -> PutResult {
        let mut reply = serde_json::Map::from_iter([("rows".to_owned(), self.applied_rows.into())]);
        if let Some(last) = self.last_batch {
            reply.insert("batch".to_owned(), last.into());
        }
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
