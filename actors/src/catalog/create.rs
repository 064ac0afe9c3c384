//! The command to create a table, whatever it is made of.

use actix::prelude::*;
use proscenium_engine::hosting::{Answer, TableOrigin};

use super::CatalogActor;
use crate::caller::Caller;
use crate::mailbox::{Posted, Reply};
use crate::workers::JobOwner;

/// Creates a table.
#[derive(Debug)]
pub struct CreateTable {
    /// The sender.
    pub caller: Caller,
    /// The new table's name.
    pub name: String,
    /// What it is made of.
    pub origin: TableOrigin,
    /// Receives the answer once the table is listed.
    pub reply: Reply<Answer>,
}

impl Handler<Posted<CreateTable>> for CatalogActor {
    type Result = ();

    fn handle(&mut self, posted: Posted<CreateTable>, ctx: &mut Self::Context) {
        let CreateTable { caller, name, origin, reply } = posted.open();
        let owner = JobOwner::of(reply.asker());
        match origin {
            TableOrigin::Data { data, options } => {
                let made = self.load(name.clone(), data, options, owner, caller);
                self.make(&name, made, Answer::TableCreated(None), reply, ctx);
            }
            TableOrigin::View { view_id, columns } => {
                let made = self.derive(name.clone(), view_id, columns, owner, caller);
                self.make(&name, made, Answer::TableCreated(None), reply, ctx);
            }
            TableOrigin::Join { left, right, spec } => {
                let made = self.join(name.clone(), [left, right], spec, owner, caller);
                self.make(&name, made, Answer::JoinCreated, reply, ctx);
            }
        }
    }
}
