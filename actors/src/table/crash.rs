//! For tests: a table that panics in the middle of an order.

use actix::prelude::*;

use super::{Receive, TableActor};

/// Makes the table's actor panic. No door sends it; tests do, to show that neighbours are undisturbed.
#[derive(Debug)]
pub struct Crash;

impl Receive<Crash> for TableActor {
    fn receive(&mut self, Crash: Crash, _ctx: &mut Context<Self>) {
        panic!("table \"{}\" was told to crash", self.name);
    }
}
