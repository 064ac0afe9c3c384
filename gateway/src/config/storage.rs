//! The section `[storage]` of the configuration: which tables outlive the server, and where they are kept.

use std::path::PathBuf;

use proscenium_actors::data_directory::DurableRules;
use serde::Deserialize;

use super::{MemorySize, check_range};
use crate::load_options::Visible;
use crate::setup_error::SetupError;

/// Where durable tables are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// The data directory; `None`: nothing is kept.
    pub path: Option<PathBuf>,
    /// Patterns of the names of durable tables; `!` before one excludes.
    pub durable: Vec<String>,
    /// When writes are visible.
    pub visible: Visible,
    /// Bytes of the log since the last checkpoint that start the next one.
    pub checkpoint_bytes: MemorySize,
}

impl Default for StorageConfig {
    fn default() -> Self {
        let (durable, checkpoint_bytes) = (vec!["*".to_owned()], MemorySize::Bytes(1 << 30));
        StorageConfig { path: None, durable, visible: Visible::default(), checkpoint_bytes }
    }
}

impl StorageConfig {
    /// Checks the section.
    ///
    /// # Errors
    ///
    /// Names the key that is invalid.
    pub fn check(&self) -> Result<(), SetupError> {
        if self.path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(SetupError::Setting { key: "storage.path", reason: "it is empty".to_owned() });
        }
        if let Some(pattern) = self.durable.iter().find(|pattern| matches!(pattern.as_str(), "" | "!")) {
            let reason = format!("\"{pattern}\" is no pattern of names");
            return Err(SetupError::Setting { key: "storage.durable", reason });
        }
        match self.checkpoint_bytes {
            MemorySize::Percent(_) => Err(SetupError::Setting {
                key: "storage.checkpoint_bytes",
                reason: "it is a size as \"1GiB\", not a percentage".to_owned(),
            }),
            MemorySize::Bytes(bytes) => check_range("storage.checkpoint_bytes", bytes, 1 << 16..=1 << 50),
        }
    }

    /// Bytes of the log that start a checkpoint.
    pub fn checkpoint_bytes(&self) -> u64 {
        match self.checkpoint_bytes {
            MemorySize::Bytes(bytes) => bytes,
            MemorySize::Percent(_) => u64::MAX,
        }
    }

    /// Which tables are durable.
    pub fn rules(&self) -> DurableRules {
        DurableRules::new(self.durable.clone())
    }
}
