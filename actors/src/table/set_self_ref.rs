//! The table learns its own address.

use actix::prelude::*;

use super::TableRef;
use super::{Receive, TableActor};

/// The first message of every table, sent by the catalog.
#[derive(Debug)]
pub struct SetSelfRef {
    pub table: TableRef,
}

impl Receive<SetSelfRef> for TableActor {
    fn receive(&mut self, SetSelfRef { table }: SetSelfRef, _ctx: &mut Context<Self>) {
        self.self_ref = Some(table);
    }
}
