//! For tests: a table or a view that panics in the middle of its work.

use actix::prelude::*;

use super::{Receive, TableActor};
use crate::view::QueuedCommand;

/// Makes the actor of the table, or of one of its views, panic. Sent by tests only, which check that other tables and
/// views are not affected.
#[derive(Debug)]
pub struct Crash {
    /// `None`: the table itself.
    pub view_id: Option<String>,
}

impl Receive<Crash> for TableActor {
    fn step(_message: &Crash) -> &'static str {
        "crash"
    }

    fn receive(&mut self, Crash { view_id }: Crash, ctx: &mut Context<Self>) {
        let Some(view_id) = view_id else { panic!("table \"{}\" received a crash command", self.name) };
        let found = self.host.views.find(&view_id).and_then(|id| self.host.views.handle(id));
        let Some(shared) = found.map(|handle| handle.shared) else { return };
        if let Some(queue) = self.host.views.shared_mut(shared) {
            queue.push(QueuedCommand::Crash);
        }
        self.send_one(shared, ctx);
    }
}

/// Ends a table that is made again, since its source was. It was removed from the directory before.
#[derive(Debug)]
pub(crate) struct EndTable;

impl Receive<EndTable> for TableActor {
    fn step(_message: &EndTable) -> &'static str {
        "end"
    }

    fn receive(&mut self, EndTable: EndTable, ctx: &mut Context<Self>) {
        self.delete_subscribers.notify(&self.self_ref);
        self.sources.clear();
        ctx.stop();
    }
}
