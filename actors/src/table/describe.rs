//! Requests about the table itself.

use actix::prelude::*;
use proscenium_engine::Schema;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::describe::{Description, describe};

use super::{Receive, TableActor};
use crate::mailbox::Reply;

/// Returns the columns, in creation order.
#[derive(Debug)]
pub struct GetSchema {
    /// Receives names and storage of all columns.
    pub reply: Reply<Schema>,
}

impl Receive<GetSchema> for TableActor {
    fn receive(&mut self, GetSchema { reply }: GetSchema, _ctx: &mut Context<Self>) {
        reply.send(Ok(self.table.schema().clone()));
    }
}

/// Returns the number of rows.
#[derive(Debug)]
pub struct GetSize {
    /// Receives the number of rows after every batch that precedes the request.
    pub reply: Reply<usize>,
}

impl Receive<GetSize> for TableActor {
    fn receive(&mut self, GetSize { reply }: GetSize, _ctx: &mut Context<Self>) {
        reply.send(Ok(self.table.num_rows()));
    }
}

/// Creates a port for updates.
#[derive(Debug)]
pub struct MakePort {
    /// Receives the new port: 1, 2, 3, …; 0 stands for no port.
    pub reply: Reply<u32>,
}

impl Receive<MakePort> for TableActor {
    fn receive(&mut self, MakePort { reply }: MakePort, _ctx: &mut Context<Self>) {
        reply.send(Ok(self.table.make_port()));
    }
}

/// Describes the view that a configuration would give, without opening it.
#[derive(Debug)]
pub struct Describe {
    /// The configuration to check.
    pub config: ViewConfig,
    /// Errors of the configuration are part of the description.
    pub reply: Reply<Description>,
}

impl Receive<Describe> for TableActor {
    fn receive(&mut self, Describe { config, reply }: Describe, _ctx: &mut Context<Self>) {
        reply.send(Ok(describe(&config, self.table.schema(), self.table.index())));
    }
}
