//! The errors of the engine: a user's mistake, by the place where it was detected, with the thing at fault as fields.
//!
//! Invariant: every error is an answer to its user. The texts here are plain sentences; where the published server words a
//! fault in its own way, the protocol's crate renders that from the fields. [`EngineError::code`] is stable: programs may
//! branch on it.

mod config;
mod data;
mod hosting;
mod request;
mod table;

pub use config::{ConfigError, ViewClause, WindowFault};
pub use data::{CellFault, DataError, DataFormat, FlattenBound};
pub use hosting::HostingError;
pub use request::RequestError;
pub use table::{IndexSource, JoinSideName, ReadOnly, TableError};

use crate::memory::MemoryRefused;

/// A user's mistake. Nothing was changed by the request that it answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Bytes that do not conform to their format, or values that do not fit a column.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A request that the table cannot serve (wrong index, read-only, unknown column).
    #[error(transparent)]
    Table(#[from] TableError),
    /// A view config that does not fit its table.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A request that contradicts what the server hosts.
    #[error(transparent)]
    Hosting(#[from] HostingError),
    /// A request whose parts do not make a command.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A request that needs more memory than it may take.
    #[error(transparent)]
    Memory(#[from] MemoryRefused),
    /// A request that this release does not support; the text names it.
    #[error("{0} is not supported yet")]
    Unsupported(String),
}

impl EngineError {
    /// The stable identifier of the kind of error: lower-case words joined by underscores.
    pub fn code(&self) -> &'static str {
        match self {
            EngineError::Data(error) => error.code(),
            EngineError::Table(error) => error.code(),
            EngineError::Config(error) => error.code(),
            EngineError::Hosting(error) => error.code(),
            EngineError::Request(error) => error.code(),
            EngineError::Memory(error) => error.code(),
            EngineError::Unsupported(_) => "unsupported",
        }
    }
}

/// A result whose error is an [`EngineError`] by default.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;
