//! Writes: update, replace, remove.
//!
//! Invariant: a batch that fails changes nothing and is reported to its sender only. The reply is sent before the
//! notifications that the batch causes.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::hosting::{Answer, Write};

use super::TableActor;
use crate::caller::Caller;
use crate::engine_context::engine_context;
use crate::error::ActorError;
use crate::mailbox::Reply;
use crate::outbox::DerivedSlots;

impl TableActor {
    /// Applies a write. The answer is sent once the batch is applied; it is an error if the data is malformed or the
    /// table is read-only.
    pub(super) fn write(
        &mut self,
        write: Write,
        caller: &Caller,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        let world = engine_context(&caller.memory);
        let began = Instant::now();
        match write {
            Write::Update { data, port_id, options } => {
                if self.is_unobserved() {
                    let applied = self.table.update_unobserved(&data, port_id, &options, &world);
                    if matches!(applied, Ok(true)) {
                        self.meter.applied(began);
                    }
                    reply.send(applied.map(|_| Answer::Updated).map_err(ActorError::Engine));
                    return self.bound_catch_up_log();
                }
                let applied = self.table.update_with(&data, port_id, &options, &world);
                self.reply_and_notify(applied, Answer::Updated, began, reply, ctx);
            }
            Write::Replace { data, options } => {
                let replaced = self.table.memory();
                let applied = self.table.replace_with(&data, &options, &world).map(Some);
                if applied.is_ok() {
                    self.context.memory.note_freed(replaced as u64);
                }
                self.reply_and_notify(applied, Answer::Replaced, began, reply, ctx);
            }
            Write::Remove { data } => {
                let applied = self.table.remove_with(&data, &world);
                self.reply_and_notify(applied, Answer::Removed, began, reply, ctx);
            }
        }
    }

    /// Whether there are no views and no followers: then no delta is needed.
    fn is_unobserved(&mut self) -> bool {
        self.retain_live_followers();
        self.host.views.is_empty()
            && self.host.views.all_shared().next().is_none()
            && self.host.followers.is_empty()
    }

    fn reply_and_notify(
        &mut self,
        applied: proscenium_engine::Result<Option<TableDelta>>,
        answer: Answer,
        began: Instant,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        match applied {
            Ok(Some(delta)) => {
                self.meter.applied(began);
                let delta = Arc::new(delta);
                let scopes = self.push_to_followers(&delta, &DerivedSlots::default());
                reply.send(Ok(answer));
                self.notify(&delta, &DerivedSlots::default(), ctx);
                drop(scopes);
                self.wake_followers();
                self.bound_catch_up_log();
            }
            Ok(None) => reply.send(Ok(answer)),
            Err(error) => reply.send(Err(ActorError::Engine(error))),
        }
    }
}
