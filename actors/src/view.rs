//! A view's actor: one shared [`View`], stepped by its table's deltas and read by its handles.
//!
//! Law: parcels are handled whole and in order, so the view stands at the version its table had when it sent a read.
//! Building happens on a worker thread while parcels wait in the table's feed; large answers are written there too,
//! from an immutable cut. The actor knows no subscriber beyond the places it is given to fill.

mod batch_ack;
mod ids;
mod lagging;
mod read;
mod step;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;
use proscenium_engine::table::Snapshot;
use proscenium_engine::view::{Handle, Plan, View};

pub use batch_ack::{BatchAck, BatchHandled};
pub use ids::{HandleId, SharedId};
pub use read::{ColumnPaths, Read, TextFormat};
pub use step::{Delivery, Receiver, Step, Wanted};

use lagging::LaggingSubscribers;

use crate::workers::Workers;

#[derive(Debug)]
pub struct ViewActor {
    /// What to build from; taken when the building begins.
    start: Option<(Arc<Plan>, Snapshot)>,
    /// `None` until it is built; no message is looked at before.
    view: Option<View>,
    handles: HashMap<HandleId, Held>,
    /// What slow connections have not heard yet.
    lagging: LaggingSubscribers,
    workers: Workers,
    /// The bound on one answer.
    export_bytes: usize,
    built: Arc<AtomicBool>,
}

/// One client's expansion of the view.
#[derive(Debug)]
struct Held {
    handle: Handle,
    /// Handles of equal depth that nobody expanded or collapsed by hand show the same rows. `None`: somebody did.
    same_rows_as: Option<Option<u32>>,
}

/// Something for the view to do.
#[derive(Debug)]
pub enum ViewCommand {
    Step(Step),
    /// These subscribers have room for what was kept back for them.
    FlushDeferred(Wanted),
    Open(Opening),
    Close(HandleId),
    Read(HandleId, Read),
    /// For tests.
    Crash,
}

/// A new client's handle.
#[derive(Debug)]
pub struct Opening {
    pub handle: HandleId,
    pub group_by_depth: Option<u32>,
}

/// What waited for the view since the last parcel, in order.
#[derive(Debug)]
pub struct ViewBatch {
    pub commands: Vec<ViewCommand>,
    /// Absent: nobody waits for it.
    pub ack: Option<BatchAck>,
}

impl ViewActor {
    pub(crate) fn new(
        plan: Arc<Plan>,
        snapshot: Snapshot,
        workers: Workers,
        export_bytes: usize,
        built: Arc<AtomicBool>,
    ) -> Self {
        let (handles, lagging) = (HashMap::new(), LaggingSubscribers::default());
        ViewActor {
            start: Some((plan, snapshot)),
            view: None,
            handles,
            lagging,
            workers,
            export_bytes,
            built,
        }
    }
}

impl Actor for ViewActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some((plan, snapshot)) = self.start.take() else { return };
        let building =
            self.workers.run(move || View::build_on(plan, &snapshot, crate::tuning::build_threads()));
        ctx.wait(building.into_actor(self).map(|built, actor, ctx| match built {
            Ok(view) => {
                actor.view = Some(view);
                actor.built.store(true, Ordering::Release);
            }
            // The building panicked. Whoever waits hears that the view is gone.
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
        let Some(view) = &mut self.view else { return };
        for command in commands {
            match command {
                ViewCommand::Step(step) => step.carry_out(view, &mut self.handles, &mut self.lagging),
                ViewCommand::FlushDeferred(wanted) => self.lagging.flush(wanted, view, &mut self.handles),
                ViewCommand::Open(Opening { handle, group_by_depth }) => {
                    let same_rows_as = Some(group_by_depth);
                    self.handles.insert(handle, Held { handle: view.handle(group_by_depth), same_rows_as });
                }
                ViewCommand::Crash => panic!("a view was told to crash"),
                ViewCommand::Close(handle) => {
                    self.handles.remove(&handle);
                    self.lagging.forget(handle);
                }
                ViewCommand::Read(handle, read) => match self.handles.get_mut(&handle) {
                    Some(held) => read.answer(view, held, &self.workers, self.export_bytes),
                    None => read.refuse(crate::error::ActorError::ViewNotFound),
                },
            }
        }
        if let Some(ack) = ack {
            ack.complete();
        }
    }
}
