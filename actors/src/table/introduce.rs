//! The table learns its own address.

use actix::prelude::*;

use super::{Receive, TableActor};
use crate::directory::TableRef;

/// The first message of every table, sent by the catalog.
#[derive(Debug)]
pub struct Introduce {
    pub table: TableRef,
}

impl Receive<Introduce> for TableActor {
    fn receive(&mut self, Introduce { table }: Introduce, _ctx: &mut Context<Self>) {
        self.myself = Some(table);
    }
}
