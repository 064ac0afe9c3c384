//! What a view's actor owns, and the execution of commands on it, on whichever thread.
//!
//! Invariant: commands are executed in order, each completely.

use std::collections::HashMap;

use proscenium_engine::export::ExportBudget;
use proscenium_engine::hosting::HandleId;
use proscenium_engine::view::{Handle, View};

use super::lagging::LaggingSubscribers;
use super::{Opening, QueuedCommand, read};
use crate::error::{ActorError, Result};
use crate::workers::Workers;

/// A view, its handles, and the subscribers that lag behind it.
#[derive(Debug)]
pub(super) struct ViewState {
    view: View,
    handles: HashMap<HandleId, Held>,
    /// Changes that slow connections have not received yet.
    lagging: LaggingSubscribers,
}

/// One client's handle, with its expansion of the view.
#[derive(Debug)]
pub(super) struct Held {
    pub handle: Handle,
    /// The depth. Handles of equal depth show the same rows unless single groups were expanded or collapsed, which sets
    /// this to `None`.
    pub same_rows_as: Option<Option<u32>>,
}

/// What reads need beside the view.
#[derive(Debug, Clone)]
pub(crate) struct ReadContext {
    /// Encode large replies.
    pub workers: Workers,
    /// Bound on the bytes of one reply.
    pub export_bytes: usize,
}

/// The estimated work of a batch, in cells.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BatchWork {
    /// Of steps, whose pace is much the same from one to the next.
    pub of_steps: usize,
    /// Of reads: each may be the first that computes a value.
    pub of_reads: usize,
}

impl ViewState {
    pub fn new(view: View) -> ViewState {
        ViewState { view, handles: HashMap::new(), lagging: LaggingSubscribers::default() }
    }

    /// Reserves what commands have added to what the view keeps.
    ///
    /// # Errors
    ///
    /// There is no memory for it: the view is to be dropped.
    pub fn reserve_growth(&mut self) -> Result<()> {
        Ok(self.view.reserve_growth()?)
    }

    /// Estimates the work of a batch. Cost: O(commands).
    pub fn work(&self, commands: &[QueuedCommand]) -> BatchWork {
        let mut work = BatchWork::default();
        for command in commands {
            let of_read = match command {
                QueuedCommand::Step(step) => {
                    let writes_rows = !step.wanted.is_empty();
                    let of_step = self.view.step_work(&step.delta, writes_rows);
                    work.of_steps = work.of_steps.saturating_add(of_step);
                    0
                }
                QueuedCommand::FlushDeferred(_) => self.lagging.num_rows(),
                QueuedCommand::Read(handle, read, _) => match self.handles.get(handle) {
                    Some(held) => read.work(&self.view, &held.handle),
                    None => 0,
                },
                QueuedCommand::Slice(handle, slice, ..) => match self.handles.get(handle) {
                    Some(held) => slice.work(&self.view, &held.handle),
                    // Opened by the same batch: it shows what any other does, or less.
                    None => slice.work(&self.view, &self.view.handle(None)),
                },
                QueuedCommand::Open(_) | QueuedCommand::Close(_) | QueuedCommand::Crash => 0,
            };
            work.of_reads = work.of_reads.saturating_add(of_read);
        }
        work
    }

    /// Executes the commands of a batch.
    pub fn handle(&mut self, commands: Vec<QueuedCommand>, context: &ReadContext) {
        let ViewState { view, handles, lagging } = self;
        for command in commands {
            match command {
                QueuedCommand::Step(step) => step.apply(view, handles, lagging),
                QueuedCommand::FlushDeferred(wanted) => lagging.flush(wanted, view, handles),
                QueuedCommand::Open(Opening { handle, group_by_depth }) => {
                    let same_rows_as = Some(group_by_depth);
                    handles.insert(handle, Held { handle: view.handle(group_by_depth), same_rows_as });
                }
                QueuedCommand::Crash => panic!("a view received a crash command"),
                QueuedCommand::Close(handle) => {
                    handles.remove(&handle);
                    lagging.forget(handle);
                }
                QueuedCommand::Read(handle, read, reply) => match handles.get_mut(&handle) {
                    Some(held) => read::answer(&read, reply, view, held),
                    None => reply.send(Err(ActorError::ViewNotFound)),
                },
                QueuedCommand::Slice(handle, slice, memory, reply) => match handles.get_mut(&handle) {
                    Some(held) => {
                        let budget = ExportBudget::new(memory, context.export_bytes);
                        read::slice(slice, reply, view, held, context, budget);
                    }
                    None => reply.send(Err(ActorError::ViewNotFound)),
                },
            }
        }
    }
}
