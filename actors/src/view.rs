//! A view's actor: one shared [`View`], stepped by its table's deltas and read by its handles.
//!
//! Invariant: batches of commands are handled completely and in order, so a read sees the version that the table had
//! when it forwarded the read. The view is built on a worker thread while commands wait in the table's
//! [queue](crate::table); large replies are encoded there too, from an immutable slice. A batch that may take long is
//! handled by a worker as a whole, which has the [state](state) meanwhile, so that the other actors of the thread go on.
//! The actor holds reservations, not subscriptions.

mod batch_ack;
mod lagging;
mod read;
mod state;
mod step;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;
use proscenium_engine::MemoryAccount;
use proscenium_engine::hosting::{Answer, HandleId, SliceRequest, ViewRead};
use proscenium_engine::interrupt::{Interrupt, Interrupted};
use proscenium_engine::table::Snapshot;
use proscenium_engine::view::{Plan, View};

pub use batch_ack::{BatchAck, BatchHandled};
pub use step::{Delivery, Receiver, Step, Wanted};

pub(crate) use state::ReadContext;
use state::ViewState;

use crate::caller::Requester;
use crate::engine_context::engine_context;
use crate::error::ActorError;
use crate::lent::Lent;
use crate::mailbox::{IsAwaited, Reply};
use crate::metrics::ActorMetrics;
use crate::pace::{Pace, Stopwatch};
use crate::tuning;
use crate::workers::JobOwner;

/// The actor of a shared view.
#[derive(Debug)]
pub struct ViewActor {
    /// The plan and the snapshot to build from, and whose job that is; taken when building starts.
    start: Option<(Arc<Plan>, Snapshot, Requester)>,
    /// `None` until it is built; no message is handled before.
    state: Option<Lent<ViewState>>,
    /// Why it could not be built, or could not grow.
    refusal: Option<ActorError>,
    /// Whose jobs its steps are.
    table: JobOwner,
    context: ReadContext,
    pace: Pace,
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

    /// Whether the answer of a read is awaited; `None`: always, or it is no read.
    pub(crate) fn is_awaited(&self) -> Option<IsAwaited> {
        match self {
            QueuedCommand::Read(_, _, reply) | QueuedCommand::Slice(_, _, _, reply) => reply.awaited(),
            QueuedCommand::Step(_)
            | QueuedCommand::FlushDeferred(_)
            | QueuedCommand::Open(_)
            | QueuedCommand::Close(_)
            | QueuedCommand::Crash => None,
        }
    }

    /// Whose job this is: a read's sender's, a step's table's. `None`: it is no work.
    fn owner(&self, table: JobOwner) -> Option<JobOwner> {
        match self {
            QueuedCommand::Read(_, _, reply) | QueuedCommand::Slice(_, _, _, reply) => {
                Some(JobOwner::of(reply.asker()))
            }
            QueuedCommand::Step(_) | QueuedCommand::FlushDeferred(_) | QueuedCommand::Crash => Some(table),
            QueuedCommand::Open(_) | QueuedCommand::Close(_) => None,
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
        table: JobOwner,
        context: ReadContext,
        build: Arc<BuildState>,
        metrics: ActorMetrics,
    ) -> Self {
        ViewActor {
            start: Some((plan, snapshot, requester)),
            state: None,
            refusal: None,
            table,
            context,
            pace: Pace::new(tuning::NANOS_PER_CELL),
            build,
            metrics,
        }
    }

    /// Ends work on the view once nobody waits for it.
    fn interrupt(&self) -> Interrupt {
        let build = self.build.clone();
        Interrupt::new(move || build.abandoned.load(Ordering::Acquire))
    }

    /// Handles a batch on a worker; later ones wait for it.
    fn handle_on_worker(
        &mut self,
        commands: Vec<QueuedCommand>,
        work: usize,
        ack: Option<BatchAck>,
        ctx: &mut Context<Self>,
    ) {
        let Some(state) = &mut self.state else { return };
        let (mut state, read_context, interrupt) = (state.lend(), self.context.clone(), self.interrupt());
        let owner = self.owner_of(&commands);
        let handling = self.context.workers.run(owner, move || {
            let watch = Stopwatch::start();
            // Once nobody waits for the view, its half-done state is dropped.
            interrupt.run(move || {
                state.handle(commands, &read_context);
                let grown = state.reserve_growth();
                (state, watch.stop(), grown)
            })
        });
        ctx.wait(handling.into_actor(self).map(move |handled, actor, ctx| match handled {
            Ok(Ok((state, took, grown))) => {
                if let Some(lent) = &mut actor.state {
                    lent.give_back(state);
                }
                actor.pace.observe(work, took);
                actor.handled(grown, ack);
            }
            // Nobody is to be notified.
            Ok(Err(Interrupted)) => {
                if let Some(ack) = ack {
                    ack.complete();
                }
                ctx.stop();
            }
            // It panicked. The acknowledgement that is dropped reports the failure.
            Err(_) => ctx.stop(),
        }));
    }

    /// Acknowledges a batch. A view that could not reserve what it has grown by ends with the reason: its memory is freed, and
    /// its queue passes on the reads that wait, which get the reason.
    fn handled(&mut self, grown: Result<(), ActorError>, ack: Option<BatchAck>) {
        match grown {
            Ok(()) => {
                if let Some(ack) = ack {
                    ack.complete();
                }
            }
            Err(error) => {
                self.free_state();
                if let Some(ack) = ack {
                    ack.fail(error.clone());
                }
                self.refusal = Some(error);
            }
        }
    }

    /// Freeing a large view takes long, so a worker does it.
    fn free_state(&mut self) {
        if let Some(state) = self.state.as_mut().and_then(Lent::take) {
            self.context.workers.start_job(JobOwner::Server, move || drop(state));
        }
        self.state = None;
    }

    /// Whose job a batch is: the reader's if it consists of one client's reads, otherwise the table's.
    fn owner_of(&self, commands: &[QueuedCommand]) -> JobOwner {
        let mut owners = commands.iter().filter_map(|command| command.owner(self.table));
        let first = owners.next().unwrap_or(self.table);
        if owners.all(|owner| owner == first) { first } else { self.table }
    }
}

impl Actor for ViewActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some((plan, snapshot, requester)) = self.start.take() else { return };
        let (interrupt, metrics) = (self.interrupt(), self.metrics.clone());
        let world = engine_context(&requester.memory);
        let building = self.context.workers.run(requester.owner, move || {
            let build = || View::build_within(plan, &snapshot, &world);
            let built = if interrupt.is_due() { Err(Interrupted) } else { interrupt.run(build) };
            built.inspect_err(|_| metrics.build_abandoned())
        });
        ctx.wait(building.into_actor(self).map(|built, actor, ctx| match built {
            Ok(Ok(Ok(view))) => {
                actor.state = Some(Lent::new(ViewState::new(view)));
                actor.build.built.store(true, Ordering::Release);
            }
            // Lives until its queue has passed on the reads that wait, which get the reason.
            Ok(Ok(Err(error))) => actor.refusal = Some(error.into()),
            Ok(Err(Interrupted)) => ctx.stop(),
            // Building panicked. The batch that is dropped with the actor reports the failure.
            Err(_) => ctx.stop(),
        }));
    }
}

impl Drop for ViewActor {
    fn drop(&mut self) {
        self.free_state();
    }
}

impl Message for ViewBatch {
    type Result = ();
}

impl Handler<ViewBatch> for ViewActor {
    type Result = ();

    fn handle(&mut self, ViewBatch { commands, ack }: ViewBatch, ctx: &mut Self::Context) {
        if let Some(error) = &self.refusal {
            commands.into_iter().for_each(|command| command.refuse(error.clone()));
            if let Some(ack) = ack {
                ack.fail(error.clone());
            }
            return;
        }
        let Some(state) = &mut self.state else { return };
        let work = state.work(&commands);
        if work.of_reads > tuning::INLINE_CELLS || !self.pace.is_short(work.of_steps) {
            let work = work.of_steps.saturating_add(work.of_reads);
            return self.handle_on_worker(commands, work, ack, ctx);
        }
        let _timer = self.metrics.step("view", "batch");
        let watch = Stopwatch::start();
        state.handle(commands, &self.context);
        let grown = state.reserve_growth();
        self.pace.observe(work.of_steps.saturating_add(work.of_reads), watch.stop());
        self.handled(grown, ack);
    }
}
