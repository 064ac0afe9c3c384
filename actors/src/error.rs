//! The error type of the actors.

use proscenium_engine::EngineError;

/// The reason a request failed. Its text is meant for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    /// The engine rejected the data or the configuration.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No view has the requested id.
    #[error("View not found")]
    ViewNotFound,
    /// No table has the requested name.
    #[error("Couldn't find key.")]
    TableNotFound,
    /// The table's actor panicked, and the table was removed.
    #[error("table \"{table}\" failed and was removed; create it again to continue")]
    TableFailed {
        /// The name of the removed table.
        table: String,
    },
    /// The receiving actor stopped before it replied.
    #[error("the request was dropped: its table or view ended before it replied")]
    Gone,
    /// No reply arrived before the deadline.
    #[error("no reply within {secs} seconds")]
    Deadline {
        /// The deadline in whole seconds, rounded down.
        secs: u64,
    },
    /// A rule of the catalog or of a table was violated; the text is the one that published clients expect.
    #[error("{0}")]
    Refused(String),
}

impl ActorError {
    /// Creates an [`ActorError::Refused`].
    pub fn refused(message: impl Into<String>) -> Self {
        ActorError::Refused(message.into())
    }
}

/// A result whose error is an [`ActorError`] by default.
pub type Result<T, E = ActorError> = std::result::Result<T, E>;
