//! Writes: update, replace, remove.
//!
//! Invariant: a batch that fails changes nothing and is reported to its sender only. The reply is sent before the
//! notifications that the batch causes.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::{TableData, WriteOptions};

use super::{Receive, TableActor};
use crate::engine_context::engine_context;
use crate::error::ActorError;
use crate::mailbox::Reply;
use crate::outbox::DerivedSlots;

/// Inserts and updates rows.
#[derive(Debug)]
pub struct UpdateRows {
    /// The rows.
    pub data: TableData,
    /// The port, which notifications carry. Updates through an unknown port are ignored.
    pub port_id: u32,
    /// What the sender assumes of the table. The write is refused where it does not hold.
    pub options: WriteOptions,
    /// Sent once the batch is applied. Fails if the data is malformed or the table is read-only.
    pub reply: Reply<()>,
}

impl Receive<UpdateRows> for TableActor {
    fn receive(&mut self, write: UpdateRows, ctx: &mut Context<Self>) {
        let UpdateRows { data, port_id, options, reply } = write;
        let world = engine_context();
        let began = Instant::now();
        if self.is_unobserved() {
            let applied = self.table.update_unobserved(&data, port_id, &options, &world);
            if matches!(applied, Ok(true)) {
                self.meter.applied(began);
            }
            reply.send(applied.map(drop).map_err(ActorError::Engine));
            return self.bound_catch_up_log();
        }
        let applied = self.table.update_with(&data, port_id, &options, &world);
        self.reply_and_notify(applied, began, reply, ctx);
    }
}

/// Replaces all rows, as one batch.
#[derive(Debug)]
pub struct ReplaceRows {
    /// The rows.
    pub data: TableData,
    /// What the sender assumes of the table. The write is refused where it does not hold.
    pub options: WriteOptions,
    /// Sent once the batch is applied. Fails if the data is malformed or the table is read-only.
    pub reply: Reply<()>,
}

impl Receive<ReplaceRows> for TableActor {
    fn receive(&mut self, ReplaceRows { data, options, reply }: ReplaceRows, ctx: &mut Context<Self>) {
        let began = Instant::now();
        let applied = self.table.replace_with(&data, &options, &engine_context()).map(Some);
        self.reply_and_notify(applied, began, reply, ctx);
    }
}

/// Removes rows by key.
#[derive(Debug)]
pub struct RemoveRows {
    /// The keys.
    pub data: TableData,
    /// Sent once the batch is applied. Fails if the data is malformed or the table is read-only.
    pub reply: Reply<()>,
}

impl Receive<RemoveRows> for TableActor {
    fn receive(&mut self, RemoveRows { data, reply }: RemoveRows, ctx: &mut Context<Self>) {
        let began = Instant::now();
        let applied = self.table.remove_with(&data, &engine_context());
        self.reply_and_notify(applied, began, reply, ctx);
    }
}

impl TableActor {
    /// Whether there are no views and no followers: then no delta is needed.
    fn is_unobserved(&mut self) -> bool {
        self.views.is_empty() && self.views.queues().next().is_none() && self.live_followings().is_empty()
    }

    fn reply_and_notify(
        &mut self,
        applied: proscenium_engine::Result<Option<TableDelta>>,
        began: Instant,
        reply: Reply<()>,
        ctx: &mut Context<Self>,
    ) {
        match applied {
            Ok(Some(delta)) => {
                self.meter.applied(began);
                let delta = Arc::new(delta);
                let scopes = self.push_to_followers(&delta, &DerivedSlots::default());
                reply.send(Ok(()));
                self.notify(&delta, &DerivedSlots::default(), ctx);
                drop(scopes);
                self.wake_followers();
                self.bound_catch_up_log();
            }
            Ok(None) => reply.send(Ok(())),
            Err(error) => reply.send(Err(ActorError::Engine(error))),
        }
    }
}
