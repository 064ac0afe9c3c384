//! Which thread an actor runs on: arbiters in turn, one a core, apart from the socket threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::prelude::*;

/// The threads of tables and views. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Placement {
    arbiters: Arc<[ArbiterHandle]>,
    next: Arc<AtomicUsize>,
}

impl Placement {
    /// Must be called inside an actix system, with which the threads end.
    pub fn start(threads: usize) -> Placement {
        let arbiters = (0..threads.max(1)).map(|_| Arbiter::new().handle()).collect();
        Placement { arbiters, next: Arc::default() }
    }

    pub fn next(&self) -> &ArbiterHandle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.arbiters[turn % self.arbiters.len()]
    }

    pub fn stop(&self) {
        for arbiter in self.arbiters.iter() {
            arbiter.stop();
        }
    }
}
