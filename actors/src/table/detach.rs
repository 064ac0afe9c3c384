//! Keeps the rows of a table from a view whose source is deleted.
//!
//! Invariant: the rows are durable before the deletion of the source is, and have all that the source has applied.

use actix::prelude::*;
use futures::FutureExt;

use super::{Receive, TableActor};
use crate::data_directory::table_file;
use crate::error::Result;
use crate::log::RecordKind;
use crate::mailbox::Reply;
use crate::workers::JobOwner;

/// Logs the rows of the table, which follows nothing from now on. Sent by its source, which applies nothing any more.
#[derive(Debug)]
pub(super) struct Detach {
    /// Receives when they are durable.
    pub reply: Reply<()>,
}

impl Receive<Detach> for TableActor {
    fn step(_message: &Detach) -> &'static str {
        "detach"
    }

    fn receive(&mut self, Detach { reply }: Detach, ctx: &mut Context<Self>) {
        let Some(log) = self.log.clone() else { return reply.send(Ok(())) };
        let (checkpoint, name, version) = (self.table.detached(), self.name.clone(), self.table.version());
        let workers = self.context.workers.clone();
        let encode = {
            let log = log.clone();
            move || -> Result<_> {
                let payload = table_file::to_bytes(log.id, &name, &checkpoint)?;
                let stored = log.data.log().store(&payload)?;
                Ok((payload, stored))
            }
        };
        let logged = async move {
            let (payload, stored) = workers.run(JobOwner::Log, encode).await??;
            log.append_and_wait(version, RecordKind::Detach, payload, stored).await?;
            log.data.detach(log.id);
            Ok(())
        };
        let answered = logged.map(|result: Result<()>| reply.send(result));
        ctx.spawn(answered.into_actor(self));
    }
}
