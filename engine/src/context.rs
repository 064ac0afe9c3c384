//! What the engine needs of the world: the time, the number of threads, a seed, and an account of memory.
//!
//! Invariant: the engine reads no clock, counts no cores and draws no chance: all three are arguments. The content of a
//! table depends on none of them; only expressions of views read the time (`now()`, `today()`) and chance (`random()`),
//! and threads only make a pass faster.

use crate::memory::MemoryAccount;
use crate::parallel::Threads;

/// The world of one call into the engine, made by the host.
///
/// The default is a world for work that depends on none of it: time 0, one thread, seed 0, unlimited memory.
#[derive(Debug, Clone)]
pub struct EngineContext {
    /// The time that expressions read, in milliseconds since 1970-01-01T00:00:00 UTC.
    pub now_ms: i64,
    /// The number of threads that one pass may use; 0 counts as 1, and in the browser it is always 1.
    pub threads: usize,
    /// Where `random()` starts. Columns that are computed in one context with different counters differ.
    pub seed: u64,
    /// The account of the request that the call is for: where its memory is reserved.
    pub memory: MemoryAccount,
}

impl Default for EngineContext {
    fn default() -> Self {
        EngineContext { now_ms: 0, threads: 1, seed: 0, memory: MemoryAccount::unlimited() }
    }
}

impl EngineContext {
    pub(crate) fn threads(&self) -> Threads {
        Threads::new(self.threads)
    }

    /// A state of `random()` for the `counter`-th column or batch: uncorrelated for neighbouring counters and seeds
    /// (the output function of splitmix64).
    pub(crate) fn random_state(&self, counter: u64) -> u64 {
        let mut state = self.seed.wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (state ^ (state >> 31)) | 1
    }
}
