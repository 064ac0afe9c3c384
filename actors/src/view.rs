//! A view's actor: one shared [`View`], stepped by its table's deltas and read by its handles.
//!
//! Invariant: batches of commands are handled completely and in order, so a read sees the version that the table had
//! when it forwarded the read. The view is built on a worker thread while commands wait in the table's
//! [queue](crate::table); large replies are encoded there too, from an immutable slice. The actor holds reservations,
//! not subscriptions.

mod batch_ack;
mod lagging;
mod read;
mod step;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;
use proscenium_engine::MemoryAccount;
use proscenium_engine::export::ExportBudget;
use proscenium_engine::hosting::{Answer, HandleId, SliceRequest, ViewRead};
use proscenium_engine::table::Snapshot;
use proscenium_engine::view::{Handle, Plan, View};

pub use batch_ack::{BatchAck, BatchHandled};
pub use step::{Delivery, Receiver, Step, Wanted};

use lagging::LaggingSubscribers;

use crate::caller::Requester;
use crate::engine_context::engine_context;
use crate::error::ActorError;
use crate::mailbox::Reply;
use crate::metrics::ActorMetrics;
use crate::workers::Workers;

/// The actor of a shared view.
#[derive(Debug)]
pub struct ViewActor {
    /// The plan and the snapshot to build from, and whose job that is; taken when building starts.
    start: Option<(Arc<Plan>, Snapshot, Requester)>,
    /// `None` until it is built; no message is handled before.
    view: Option<View>,
    /// Why it could not be built.
    refusal: Option<ActorError>,
    handles: HashMap<HandleId, Held>,
    /// Changes that slow connections have not received yet.
    lagging: LaggingSubscribers,
    workers: Workers,
    /// Bound on the bytes of one reply.
    export_bytes: usize,
    build: Arc<BuildState>,
    metrics: ActorMetrics,
}

/// What a view's queue and its build know of each other.
#[derive(Debug, Default)]
pub struct BuildState {
    /// Set by the view actor once the view is built.
    pub built: AtomicBool,
    /// Set by the queue when nobody waits for the view any more: a build that has not begun is not begun.
    pub abandoned: AtomicBool,
}

/// One client's handle, with its expansion of the view.
#[derive(Debug)]
struct Held {
    handle: Handle,
    /// The depth. Handles of equal depth show the same rows unless single groups were expanded or collapsed, which sets
    /// this to `None`.
    same_rows_as: Option<Option<u32>>,
}

/// A command in the queue of a view.
#[derive(Debug)]
pub enum QueuedCommand {
    /// Applies a delta.
    Step(Step),
    /// Sends deferred updates to subscribers that have room again.
    FlushDeferred(Wanted),
    /// Adds a handle.
    Open(Opening),
    /// Removes a handle.
    Close(HandleId),
    /// Reads the view through a handle.
    Read(HandleId, ViewRead, Reply<Answer>),
    /// Reads rows and columns through a handle, with the memory of this account.
    Slice(HandleId, SliceRequest, MemoryAccount, Reply<Answer>),
    /// Panics; for tests.
    Crash,
}

impl QueuedCommand {
    /// The handle through which this reads the view, if it does.
    pub(crate) fn reader(&self) -> Option<HandleId> {
        match self {
            QueuedCommand::Read(handle, ..) | QueuedCommand::Slice(handle, ..) => Some(*handle),
            QueuedCommand::Step(_)
            | QueuedCommand::FlushDeferred(_)
            | QueuedCommand::Open(_)
            | QueuedCommand::Close(_)
            | QueuedCommand::Crash => None,
        }
    }

    /// Replies to a read with an error.
    pub(crate) fn refuse(self, error: ActorError) {
        match self {
            QueuedCommand::Read(_, _, reply) | QueuedCommand::Slice(_, _, _, reply) => reply.send(Err(error)),
            QueuedCommand::Step(_)
            | QueuedCommand::FlushDeferred(_)
            | QueuedCommand::Open(_)
            | QueuedCommand::Close(_)
            | QueuedCommand::Crash => {}
        }
    }
}

/// A new handle.
#[derive(Debug)]
pub struct Opening {
    /// The id of the new handle.
    pub handle: HandleId,
    /// Depth down to which groups are expanded; `None`: all.
    pub group_by_depth: Option<u32>,
}

/// The commands queued since the previous batch, in order.
#[derive(Debug)]
pub struct ViewBatch {
    /// Executed in order; a read sees the steps before it.
    pub commands: Vec<QueuedCommand>,
    /// `None` for the last batch, after the view was closed.
    pub ack: Option<BatchAck>,
}

impl ViewActor {
    pub(crate) fn new(
        plan: Arc<Plan>,
        snapshot: Snapshot,
        requester: Requester,
        workers: Workers,
        export_bytes: usize,
        build: Arc<BuildState>,
        metrics: ActorMetrics,
    ) -> Self {
        let (handles, lagging) = (HashMap::new(), LaggingSubscribers::default());
        ViewActor {
            start: Some((plan, snapshot, requester)),
            view: None,
            refusal: None,
            handles,
            lagging,
            workers,
            export_bytes,
            build,
            metrics,
        }
    }
}

impl Actor for ViewActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some((plan, snapshot, requester)) = self.start.take() else { return };
        let (build, metrics) = (self.build.clone(), self.metrics.clone());
        let world = engine_context(&requester.memory);
        let building = self.workers.run(requester.owner, move || {
            if build.abandoned.load(Ordering::Acquire) {
                metrics.build_abandoned();
                return None;
            }
            Some(View::build_within(plan, &snapshot, &world))
        });
        ctx.wait(building.into_actor(self).map(|built, actor, ctx| match built {
            Ok(Some(Ok(view))) => {
                actor.view = Some(view);
                actor.build.built.store(true, Ordering::Release);
            }
            // Lives until its queue has passed on the reads that wait, which get the reason.
            Ok(Some(Err(error))) => actor.refusal = Some(error.into()),
            Ok(None) => ctx.stop(),
            // Building panicked. The batch that is dropped with the actor reports the failure.
            Err(_) => ctx.stop(),
        }));
    }
}

impl Message for ViewBatch {
    type Result = ();
}

impl Handler<ViewBatch> for ViewActor {
    type Result = ();

    fn handle(&mut self, ViewBatch { commands, ack }: ViewBatch, _ctx: &mut Self::Context) {
        if let Some(error) = &self.refusal {
            commands.into_iter().for_each(|command| command.refuse(error.clone()));
            // The acknowledgement is dropped, which reports the failure.
            return;
        }
        let Some(view) = &mut self.view else { return };
        for command in commands {
            match command {
                QueuedCommand::Step(step) => step.apply(view, &mut self.handles, &mut self.lagging),
                QueuedCommand::FlushDeferred(wanted) => self.lagging.flush(wanted, view, &mut self.handles),
                QueuedCommand::Open(Opening { handle, group_by_depth }) => {
                    let same_rows_as = Some(group_by_depth);
                    self.handles.insert(handle, Held { handle: view.handle(group_by_depth), same_rows_as });
                }
                QueuedCommand::Crash => panic!("a view received a crash command"),
                QueuedCommand::Close(handle) => {
                    self.handles.remove(&handle);
                    self.lagging.forget(handle);
                }
                QueuedCommand::Read(handle, read, reply) => match self.handles.get_mut(&handle) {
                    Some(held) => read::answer(&read, reply, view, held),
                    None => reply.send(Err(ActorError::ViewNotFound)),
                },
                QueuedCommand::Slice(handle, slice, memory, reply) => match self.handles.get_mut(&handle) {
                    Some(held) => {
                        let budget = ExportBudget::new(memory, self.export_bytes);
                        read::slice(slice, reply, view, held, &self.workers, budget);
                    }
                    None => reply.send(Err(ActorError::ViewNotFound)),
                },
            }
        }
        if let Some(ack) = ack {
            ack.complete();
        }
    }
}
