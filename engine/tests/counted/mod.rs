//! Memory as the allocator counts it, beside memory as it is reserved: for tests with a process of their own.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proscenium_engine::memory::{MemoryLimits, MemoryProbe};
use proscenium_engine::{EngineContext, MemoryAccount};

/// Counts the bytes that are allocated, and the most that ever were.
struct Counting;

pub static NOW: AtomicUsize = AtomicUsize::new(0);
pub static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[derive(Debug)]
pub struct Endless;

impl MemoryProbe for Endless {
    fn room(&self, _asked: u64) -> u64 {
        u64::MAX
    }
}

/// Reserved and allocated bytes, at their peaks and at the end.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub reserved_peak: usize,
    pub real_peak: usize,
    pub reserved: usize,
    pub real: usize,
}

/// Runs `work` with an account of its own. What it returns is alive when the end is measured.
pub fn measure<T>(threads: usize, work: impl FnOnce(&EngineContext) -> T) -> Taken {
    let limits = MemoryLimits { server: u64::MAX, per_session: u64::MAX, per_request: u64::MAX };
    let memory = MemoryAccount::server(limits, Arc::new(Endless));
    let context = EngineContext { threads, memory: memory.clone(), ..EngineContext::default() };
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let made = work(&context);
    let (now, peak) = (NOW.load(Ordering::Relaxed), PEAK.load(Ordering::Relaxed));
    let usage = memory.usage().unwrap();
    drop(made);
    assert_eq!(memory.usage().unwrap().reserved_bytes, 0, "everything is given back");
    Taken {
        reserved_peak: usage.peak_bytes as usize,
        real_peak: peak.saturating_sub(before),
        reserved: usage.reserved_bytes as usize,
        real: now.saturating_sub(before),
    }
}

/// Whether an estimate is within a factor of two, or the difference does not matter.
pub fn is_close(reserved: usize, real: usize) -> bool {
    const SMALL: usize = 512 << 10;
    reserved.abs_diff(real) < SMALL || (reserved <= 2 * real && real <= 2 * reserved)
}
