//! The error type of the engine. Every message is meant for the user and names the thing at fault.

/// A user's mistake, by the place where it was detected.
///
/// The text is that of the published server wherever clients are known to compare it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Bytes that do not conform to their format, or values that do not fit a column.
    #[error("{0}")]
    Data(String),
    /// A request that the table cannot serve (wrong index, read-only, unknown column).
    #[error("{0}")]
    Table(String),
    /// A view config that does not fit its table.
    #[error("{0}")]
    Config(String),
    /// A request that this release does not support; the text names it.
    #[error("{0} is not supported yet")]
    Unsupported(String),
}

impl EngineError {
    /// Creates an [`EngineError::Data`].
    pub fn data(message: impl Into<String>) -> Self {
        EngineError::Data(message.into())
    }

    /// Creates an [`EngineError::Table`].
    pub fn table(message: impl Into<String>) -> Self {
        EngineError::Table(message.into())
    }

    /// Creates an [`EngineError::Config`].
    pub fn config(message: impl Into<String>) -> Self {
        EngineError::Config(message.into())
    }
}

/// A result whose error is an [`EngineError`] by default.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;
