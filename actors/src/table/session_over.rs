//! A connection is over: what it made here ends, except the table.

use actix::prelude::*;

use super::{Receive, TableActor};
use crate::fanout::SessionId;

/// Closes the connection's views, without telling anybody, and drops its subscriptions. A deletion that waited for the
/// last of those views is carried out.
#[derive(Debug)]
pub struct SessionOver {
    pub session: SessionId,
}

impl Receive<SessionOver> for TableActor {
    fn receive(&mut self, SessionOver { session }: SessionOver, ctx: &mut Context<Self>) {
        for id in self.views.handles_of(session) {
            self.drop_handle(id, false);
        }
        self.views.forget_subscriber(session);
        self.mourners.retain(|subscriber| subscriber.outlet.session() != session);
        self.delete_if_due(ctx);
    }
}
