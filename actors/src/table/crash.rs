//! For tests: a table or a view that panics in the middle of its work.

use actix::prelude::*;

use super::{Receive, TableActor};
use crate::view::ViewCommand;

/// Makes the table's actor panic, or that of a view. No door sends it; tests do, to show that neighbours are
/// undisturbed.
#[derive(Debug)]
pub struct Crash {
    /// Absent: the table.
    pub view_id: Option<String>,
}

impl Receive<Crash> for TableActor {
    fn receive(&mut self, Crash { view_id }: Crash, ctx: &mut Context<Self>) {
        let Some(view_id) = view_id else { panic!("table \"{}\" was notified to crash", self.name) };
        let found = self.views.find(&view_id).and_then(|id| self.views.handle(id));
        let Some(shared) = found.map(|handle| handle.shared) else { return };
        if let Some(queue) = self.views.queue_mut(shared) {
            queue.push(ViewCommand::Crash);
        }
        self.send_one(shared, ctx);
    }
}
