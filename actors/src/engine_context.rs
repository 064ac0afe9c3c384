//! What the engine needs of the world, made in this one place: it has no clock, counts no cores and draws no chance.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use proscenium_engine::{EngineContext, MemoryAccount};

use crate::tuning;

/// The world at this moment: the time, all cores, the seed of this process, and this account of memory.
///
/// Cost: one reading of the clock.
pub(crate) fn engine_context(memory: &MemoryAccount) -> EngineContext {
    static SEED: OnceLock<u64> = OnceLock::new();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EngineContext {
        now_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        threads: tuning::build_threads(),
        seed: *SEED.get_or_init(|| RandomState::new().hash_one(0)),
        memory: memory.clone(),
    }
}
