//! Gives the memory of large tables that ended back to the system.
//!
//! Invariant: runs beside the server's work, never in it, and does not change how fast that is. The system's allocator
//! keeps what is freed, in up to eight arenas per core, so without this a server to which large tables come and go
//! grows until every arena has held one. Allocating with small thresholds all the time would bring the same sizes, but
//! loads and exports would take up to three times as long, for the faults of pages that are wanted again at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::tuning;

/// The bytes that were freed since memory was last given back. Cheap to clone; one per server.
#[derive(Debug, Clone, Default)]
pub struct FreedMemory(Arc<Freed>);

#[derive(Debug, Default)]
struct Freed {
    bytes: AtomicU64,
    is_wanted: AtomicBool,
    enough: Notify,
}

impl FreedMemory {
    /// Adds bytes that were freed, or are about to be.
    pub fn add(&self, bytes: u64) {
        let before = self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before < tuning::FREED_BYTES && before.saturating_add(bytes) >= tuning::FREED_BYTES {
            self.0.enough.notify_one();
        }
    }

    /// Memory is short: what was freed is wanted back, however little.
    pub fn wanted(&self) {
        if self.bytes() > 0 && !self.0.is_wanted.swap(true, Ordering::Relaxed) {
            self.0.enough.notify_one();
        }
    }

    fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    fn is_wanted(&self) -> bool {
        self.0.is_wanted.load(Ordering::Relaxed)
    }

    /// Waits until so much was freed that giving it back is worth its cost.
    async fn enough(&self) {
        while self.bytes() < tuning::FREED_BYTES && !self.is_wanted() {
            self.0.enough.notified().await;
        }
    }

    /// Counts from zero again.
    fn reset(&self) {
        self.0.bytes.store(0, Ordering::Relaxed);
        self.0.is_wanted.store(false, Ordering::Relaxed);
    }
}

/// Runs until it is dropped.
pub async fn run(freed: FreedMemory) {
    loop {
        freed.enough().await;
        until_calm(&freed).await;
        freed.reset();
        if let Err(error) = tokio::task::spawn_blocking(give_back).await {
            tracing::debug!(%error, "memory was not given back");
        }
        // Threads wait meanwhile that allocate.
        tokio::time::sleep(tuning::FREED_PAUSE).await;
    }
}

/// Waits while much is freed, since it is taken again as fast, and views and snapshots end after their table; not for
/// long, and not if memory is short.
async fn until_calm(freed: &FreedMemory) {
    for _ in 0..tuning::FREED_MOST_WAITS {
        let before = freed.bytes();
        tokio::time::sleep(tuning::FREED_CALM).await;
        if freed.is_wanted() || freed.bytes().saturating_sub(before) < tuning::FREED_BYTES {
            return;
        }
    }
}

/// Gives back the pages that are free in the allocator. Takes some tens of milliseconds for gigabytes, in which each
/// arena is locked once. Nothing elsewhere than with glibc, whose allocator is the only one to need it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back() {
    use rustix::process::{Resource, getrlimit};
    // An arena that did not exist reserves address space.
    if getrlimit(Resource::As).current.is_none() {
        glibc::set_option(libc::M_TRIM_THRESHOLD, 128 << 10);
        shorten_arenas();
        // What the allocator itself arrives at on a server that loads and exports much. Once one is set, it adapts
        // neither.
        glibc::set_option(libc::M_TRIM_THRESHOLD, 64 << 20);
        glibc::set_option(libc::M_MMAP_THRESHOLD, 32 << 20);
    }
    glibc::trim();
}

/// Has each arena give its end back, which `malloc_trim` does for the first arena only: the others do it when a large
/// block is freed in them. Threads that run at once get all arenas in turn.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn shorten_arenas() {
    use std::sync::RwLock;
    /// The allocator makes up to this many for each core.
    const ARENAS_PER_CORE: usize = 8;
    /// More than that many arenas are seldom in use; a machine with more cores gives the others back when they are.
    const MAX_ARENAS: usize = 128;
    /// From 64 KiB on a freed block makes an arena look at its end.
    const BLOCK_BYTES: usize = 96 << 10;
    const STACK_BYTES: usize = 64 << 10;

    let num_cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Arenas that no thread uses are given out first, then all in turn, so twice as many threads meet all of them.
    let num_threads = 2 * (ARENAS_PER_CORE * num_cores).min(MAX_ARENAS);
    let gate = RwLock::new(());
    let is_closed = gate.write();
    let meet_an_arena = || {
        let block = std::hint::black_box(Vec::<u8>::with_capacity(BLOCK_BYTES));
        drop(gate.read());
        drop(block);
    };
    std::thread::scope(|scope| {
        for _ in 0..num_threads {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            if let Err(error) = thread.spawn_scoped(scope, meet_an_arena) {
                tracing::debug!(%error, "not every arena gives its end back");
                break;
            }
        }
        drop(is_closed);
    });
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
mod glibc {
    /// Gives back the free pages of all arenas but those at the ends of all arenas but the first.
    pub fn trim() {
        // SAFETY: takes no pointer and may be called at any time from any thread.
        unsafe { libc::malloc_trim(0) };
    }

    /// Sets a parameter of the allocator.
    pub fn set_option(option: libc::c_int, value: libc::c_int) {
        // SAFETY: takes no pointer and may be called at any time from any thread.
        unsafe { libc::mallopt(option, value) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn many_small_pieces_are_enough_together_and_count_once() {
        let freed = FreedMemory::default();
        let is_enough = || freed.enough().now_or_never().is_some();
        let small = tuning::FREED_BYTES / 4;
        for _ in 0..3 {
            freed.add(small);
        }
        assert!(!is_enough());
        freed.add(small);
        assert!(is_enough());
        freed.reset();
        assert!(!is_enough());
    }

    #[test]
    fn little_is_enough_where_memory_is_short() {
        let freed = FreedMemory::default();
        freed.wanted();
        assert!(freed.enough().now_or_never().is_none(), "nothing was freed");
        freed.add(1);
        freed.wanted();
        assert!(freed.enough().now_or_never().is_some());
    }
}
