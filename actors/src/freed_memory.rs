//! Counts the memory of tables that ended, for the host, which gives it back to the system.
//!
//! Invariant: an allocator keeps what is freed for later use, so a server that once held large tables would stay as
//! large. Who waits for [`FreedMemory::enough`] is woken once for every [`tuning::FREED_BYTES`] or more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::tuning;

/// The bytes that were freed since they were last given back. Cheap to clone; one per server.
#[derive(Debug, Clone, Default)]
pub struct FreedMemory(Arc<Freed>);

#[derive(Debug, Default)]
struct Freed {
    bytes: AtomicUsize,
    enough: Notify,
}

impl FreedMemory {
    /// Adds bytes that are about to be freed.
    pub(crate) fn add(&self, bytes: usize) {
        if self.0.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) >= tuning::FREED_BYTES {
            self.0.enough.notify_one();
        }
    }

    /// Waits until so much was freed that giving it back is worth its cost, and counts from zero again.
    pub async fn enough(&self) {
        while self.0.bytes.load(Ordering::Relaxed) < tuning::FREED_BYTES {
            self.0.enough.notified().await;
        }
        self.0.bytes.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn many_small_tables_are_enough_together_and_count_once() {
        let freed = FreedMemory::default();
        let small = tuning::FREED_BYTES / 4;
        for _ in 0..3 {
            freed.add(small);
        }
        assert_eq!(freed.enough().now_or_never(), None);
        freed.add(small);
        assert_eq!(freed.enough().now_or_never(), Some(()));
        assert_eq!(freed.enough().now_or_never(), None);
    }
}
