//! Why a request was not served.

use proscenium_engine::EngineError;

/// The one error of the actors. The text is meant for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No view has the requested id (any more).
    #[error("View not found")]
    ViewNotFound,
    /// No table has the requested name (any more).
    #[error("Couldn't find key.")]
    TableNotFound,
    /// The table failed and was removed.
    #[error("table \"{table}\" failed and was removed; create it again to go on")]
    TableFailed { table: String },
    /// Whoever was asked ended before it answered.
    #[error("the request was dropped: its table or view ended before it could answer")]
    Gone,
    /// No answer came in time.
    #[error("no answer within {secs} seconds")]
    Deadline { secs: u64 },
    /// A rule of the catalog or of a table, in the words clients know.
    #[error("{0}")]
    Refused(String),
}

impl ActorError {
    pub fn refused(message: impl Into<String>) -> Self {
        ActorError::Refused(message.into())
    }
}

pub type Result<T, E = ActorError> = std::result::Result<T, E>;
