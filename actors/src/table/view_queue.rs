//! The queue of commands to one view actor, with a single batch in flight.
//!
//! Invariant: the view receives deltas and reads in the table's order, one batch at a time. A view that is busy (being
//! built, or slow) costs its table nothing but this queue, in which deltas are merged once [`tuning::WAITING_DELTAS`]
//! of them wait; a merged delta is again a delta. The queue is sent while messages are handled too: a table that is
//! never idle starves no view.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;
use proscenium_engine::access::{Restricted, RestrictionId};
use proscenium_engine::hosting::{HandleId, SharedId};
use proscenium_engine::table::{InstalledColumns, Snapshot};
use proscenium_engine::view::Plan;

use super::TableActor;
use crate::caller::Requester;
use crate::delta_queue::merges;
use crate::error::ActorError;
use crate::mailbox::IsAwaited;
use crate::tuning;
use crate::view::{BatchAck, BatchHandled, BuildState, QueuedCommand, Step, ViewActor, ViewBatch};

pub(super) struct ViewQueue {
    view: Stage,
    /// The part of the table that the view is of.
    restriction: Option<RestrictionId>,
    /// Whose work building it is.
    requester: Requester,
    build: Arc<BuildState>,
    waiting: VecDeque<QueuedCommand>,
    waiting_deltas: usize,
    /// A batch is on the way; set by `batch`, cleared by the batch's ack.
    busy: Arc<AtomicBool>,
    /// The reads in the last batch that was sent, unless their clients have left: their handles, and whether they are
    /// awaited.
    reads_sent: Vec<(HandleId, Option<IsAwaited>)>,
    /// Whether the last batch that was sent has deltas, of which subscribers are to be notified.
    deltas_sent: bool,
    /// The last client of the view has left: nobody is notified.
    is_deserted: bool,
}

impl std::fmt::Debug for ViewQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ViewQueue({} waiting)", self.waiting.len())
    }
}

/// The stage of a view.
enum Stage {
    /// Columns of its plan are being computed; it will be built from the table's state when it was opened.
    Waits(Arc<Plan>, Snapshot),
    Started(Addr<ViewActor>),
}

impl ViewQueue {
    /// Creates the queue of a view that is not started: [`ViewQueue::start`] must follow, after any
    /// [`ViewQueue::amend`].
    pub fn waiting(plan: Arc<Plan>, snapshot: Snapshot, requester: Requester) -> Self {
        ViewQueue {
            restriction: plan.restriction().map(Restricted::id),
            view: Stage::Waits(plan, snapshot),
            requester,
            build: Arc::default(),
            waiting: VecDeque::new(),
            waiting_deltas: 0,
            busy: Arc::default(),
            reads_sent: Vec::new(),
            deltas_sent: false,
            is_deserted: false,
        }
    }

    /// The part of the table that the view is of; `None`: the whole.
    pub fn restriction(&self) -> Option<RestrictionId> {
        self.restriction
    }

    /// The plan of a view that is not started.
    pub fn plan_not_started(&self) -> Option<&Arc<Plan>> {
        match &self.view {
            Stage::Waits(plan, _) => Some(plan),
            Stage::Started(_) => None,
        }
    }

    pub fn has_reads(&self) -> bool {
        self.waiting.iter().any(|command| command.reader().is_some())
    }

    /// Adds computed columns to the snapshot and the deltas that wait for the view.
    pub fn amend(&mut self, installed: &InstalledColumns) {
        let Stage::Waits(_, snapshot) = &mut self.view else { return };
        *snapshot = installed.amend(snapshot);
        for command in &mut self.waiting {
            if let QueuedCommand::Step(step) = command {
                step.delta = Arc::new(installed.amend_delta(&step.delta));
            }
        }
    }

    /// The versions of the snapshot and deltas that wait for a view that is not started.
    pub fn versions_waiting(&self) -> Vec<u64> {
        let Stage::Waits(_, snapshot) = &self.view else { return Vec::new() };
        let steps = self.waiting.iter().filter_map(|command| match command {
            QueuedCommand::Step(step) => Some([step.delta.from(), step.delta.to()]),
            _ => None,
        });
        [snapshot.version()].into_iter().chain(steps.flatten()).collect()
    }

    /// Starts the view unless it is started.
    pub fn start(
        &mut self,
        start: impl FnOnce(Arc<Plan>, Snapshot, Requester, Arc<BuildState>) -> Addr<ViewActor>,
    ) {
        if let Stage::Waits(plan, snapshot) = &self.view {
            let (plan, snapshot) = (plan.clone(), snapshot.clone());
            self.view = Stage::Started(start(plan, snapshot, self.requester.clone(), self.build.clone()));
        }
    }

    /// Whether the view is built. Until then its notifications are unordered, so that no stream waits for the build.
    pub fn is_built(&self) -> bool {
        self.build.built.load(Ordering::Acquire)
    }

    /// Appends a command that is not a delta.
    pub fn push(&mut self, command: QueuedCommand) {
        self.waiting.push_back(command);
    }

    /// Appends a delta. If many wait, consecutive ones of similar size are merged.
    ///
    /// Cost: amortised, O(log n) for each changed row, where n rows wait.
    pub fn push_step(&mut self, step: Step) {
        self.waiting_deltas += 1;
        self.waiting.push_back(QueuedCommand::Step(step));
        while self.waiting_deltas > tuning::WAITING_DELTAS && self.merge_last() {
            self.waiting_deltas -= 1;
        }
    }

    /// Merges the last two commands if they are deltas of which the first is not much larger.
    fn merge_last(&mut self) -> bool {
        let Some(QueuedCommand::Step(last)) = self.waiting.pop_back() else { return false };
        match self.waiting.back_mut() {
            Some(QueuedCommand::Step(before))
                if merges(&before.delta, &last.delta)
                    // Notifications carry the port, so deltas of different ports are not merged.
                    && before.delta.port_id == last.delta.port_id =>
            {
                last.meter.metrics().delta_merged();
                before.merge(last);
                true
            }
            _ => {
                self.waiting.push_back(QueuedCommand::Step(last));
                false
            }
        }
    }

    /// Sends all pending commands as one batch if the view is idle. The batch's ack reports when it is idle again.
    pub fn send(&mut self, view: SharedId, table: Addr<TableActor>) {
        let Stage::Started(addr) = &self.view else { return };
        if self.waiting.is_empty() || self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let ack = BatchAck::new(table.recipient(), view, self.busy.clone());
        let read = |command: &QueuedCommand| Some((command.reader()?, command.is_awaited()));
        self.reads_sent = self.waiting.iter().filter_map(read).collect();
        self.deltas_sent = self.waiting_deltas > 0;
        self.waiting_deltas = 0;
        let commands = std::mem::take(&mut self.waiting).into();
        // The mailbox has room: this is the only sender, with one batch in flight. A batch that a stopped view does not
        // accept is dropped, which its ack reports.
        let _ = addr.try_send(ViewBatch { commands, ack: Some(ack) });
    }

    /// Drops the reads of a handle whose client has left. `is_last`: it is the view's last handle.
    pub fn leave(&mut self, gone: HandleId, is_last: bool) {
        self.is_deserted = is_last;
        self.waiting.retain(|command| command.reader() != Some(gone));
        self.reads_sent.retain(|(reader, _)| *reader != gone);
    }

    /// Replies to the pending reads of a view that was not started and will not be.
    pub fn refuse_reads(&mut self, error: &ActorError) {
        for command in self.waiting.drain(..) {
            command.refuse(error.clone());
        }
    }

    /// Sends the pending commands of a view without handles; its actor stops once it has replied. What nobody waits for
    /// is not done: a view is not built, and work on it ends.
    pub fn finish(self) {
        let holds = |is_awaited: Option<&IsAwaited>| is_awaited.is_none_or(|is_awaited| is_awaited());
        let has_deltas = |is_there: bool| is_there && !self.is_deserted;
        let is_awaited = self.busy.load(Ordering::Acquire)
            && (self.reads_sent.iter().any(|(_, is_awaited)| holds(is_awaited.as_ref()))
                || has_deltas(self.deltas_sent));
        let has_reads = self
            .waiting
            .iter()
            .any(|command| command.reader().is_some() && holds(command.is_awaited().as_ref()));
        if !has_reads && !has_deltas(self.waiting_deltas > 0) && !is_awaited {
            return self.build.abandoned.store(true, Ordering::Release);
        }
        let addr = match self.view {
            Stage::Started(addr) if !self.waiting.is_empty() => addr,
            _ => return,
        };
        // The mailbox has room for a second batch.
        if addr.try_send(ViewBatch { commands: self.waiting.into(), ack: None }).is_err() {
            tracing::debug!("a view stopped before it replied to its last reads");
        }
    }
}

impl Handler<BatchHandled> for TableActor {
    type Result = ();

    fn handle(&mut self, BatchHandled { view, failed, reason }: BatchHandled, ctx: &mut Self::Context) {
        match failed {
            false => self.send_one(view, ctx),
            true => self.view_failed(view, reason, ctx),
        }
    }
}
