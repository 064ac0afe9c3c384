//! How a table feeds one view actor: one parcel on the way at a time, everything else waits here, in order.
//!
//! Law: the view sees deltas and reads in the table's order. A view that is busy (being built, or slow) costs its table
//! nothing but this queue, in which deltas merge once [`knobs::WAITING_DELTAS`] of them wait: a merged delta is again a
//! delta.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;

use crate::knobs;
use crate::view::{Parcel, Step, ViewActor, Work};

#[derive(Debug)]
pub(super) struct Feed {
    addr: Addr<ViewActor>,
    /// Set by the view once it is built.
    built: Arc<AtomicBool>,
    waiting: VecDeque<Work>,
    waiting_deltas: usize,
    /// A parcel is on the way; set by `parcel`, cleared by `arrived`.
    busy: bool,
}

impl Feed {
    pub fn new(addr: Addr<ViewActor>, built: Arc<AtomicBool>) -> Self {
        Feed { addr, built, waiting: VecDeque::new(), waiting_deltas: 0, busy: false }
    }

    /// Whether the view answers at once. While it is being built nobody should wait for its news.
    pub fn is_built(&self) -> bool {
        self.built.load(Ordering::Acquire)
    }

    /// Work that is not a delta.
    pub fn push(&mut self, work: Work) {
        self.waiting.push_back(work);
    }

    pub fn push_step(&mut self, step: Step) {
        if self.waiting_deltas >= knobs::WAITING_DELTAS
            && let Some(Work::Step(last)) = self.waiting.back_mut()
            // Subscribers are told the port.
            && last.delta.port_id == step.delta.port_id
        {
            return last.merge(step);
        }
        self.waiting_deltas += 1;
        self.waiting.push_back(Work::Step(step));
    }

    /// Everything that waits, if the view is free; [`Feed::arrived`] must follow.
    pub fn parcel(&mut self) -> Option<(Addr<ViewActor>, Parcel)> {
        if self.busy || self.waiting.is_empty() {
            return None;
        }
        self.busy = true;
        self.waiting_deltas = 0;
        Some((self.addr.clone(), Parcel { works: std::mem::take(&mut self.waiting).into() }))
    }

    /// Nobody looks at the view any more: what still waits is sent as it is, and the actor ends once it has answered.
    pub fn finish(self) {
        if self.waiting.is_empty() {
            return;
        }
        // The mailbox has room for a parcel beside the one on the way.
        if self.addr.try_send(Parcel { works: self.waiting.into() }).is_err() {
            tracing::debug!("a view ended before its last reads were answered");
        }
    }

    /// The view has handled its parcel.
    pub fn arrived(&mut self) {
        self.busy = false;
    }
}
