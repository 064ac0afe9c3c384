//! The start of the server that something belongs to.

use std::sync::Arc;
use std::time::SystemTime;

/// The number of one start of the server: positions of different starts differ.
#[derive(Debug, Clone)]
pub struct Epoch(Arc<str>);

impl Default for Epoch {
    fn default() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Epoch(format!("{:x}-{:x}", since.as_nanos(), std::process::id()).into())
    }
}

impl Epoch {
    /// The name of this start of the server.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
