//! The assignment of actors to threads: arbiters, round robin, separate from the socket threads.

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
    /// Starts the threads. Must be called inside an actix system, with which they end.
    pub fn start(threads: usize) -> Placement {
        let arbiters = (0..threads.max(1)).map(|_| Arbiter::new().handle()).collect();
        Placement { arbiters, next: Arc::default() }
    }

    /// The thread for the next actor.
    pub fn next(&self) -> &ArbiterHandle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.arbiters[turn % self.arbiters.len()]
    }

    /// Stops the threads and every actor on them.
    pub fn stop(&self) {
        for arbiter in self.arbiters.iter() {
            arbiter.stop();
        }
    }
}
