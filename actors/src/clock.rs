//! The time, for expressions that ask for it: the engine has no clock of its own.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the engine what time it is; called before anything that computes expressions.
pub fn set_engine_clock() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    proscenium_engine::expr::set_clock(since.as_millis() as u64);
}
