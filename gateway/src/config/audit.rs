//! The `[audit]` section.

use std::path::PathBuf;

use serde::Deserialize;

/// Where the audit is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// A file that lines are appended to, or `stderr`; absent: none is written.
    pub file: Option<PathBuf>,
}
