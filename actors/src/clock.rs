//! The current time, for expressions that read it: the engine has no clock of its own.

use std::time::{SystemTime, UNIX_EPOCH};

/// Sets the engine's clock to the current time. Must be called before expressions are computed.
pub fn set_engine_clock() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    proscenium_engine::expr::set_clock(since.as_millis() as u64);
}
