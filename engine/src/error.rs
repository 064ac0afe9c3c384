//! The engine's one error type. Every message is meant for the user: it names the thing at fault.

/// What a user did wrong, by where it was noticed. The text is what the published server says in the same case
/// wherever a client is known to compare it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Bytes that are not what their format says, or values that do not fit a column.
    #[error("{0}")]
    Data(String),
    /// A table request that its table cannot serve (wrong index, read-only, unknown column).
    #[error("{0}")]
    Table(String),
    /// A view config that does not fit its table.
    #[error("{0}")]
    Config(String),
    /// A request that this release does not serve yet; names it.
    #[error("{0} is not supported yet")]
    Unsupported(String),
}

impl EngineError {
    /// A [`EngineError::Data`] from anything that prints.
    pub fn data(message: impl Into<String>) -> Self {
        EngineError::Data(message.into())
    }

    /// A [`EngineError::Table`] from anything that prints.
    pub fn table(message: impl Into<String>) -> Self {
        EngineError::Table(message.into())
    }

    /// A [`EngineError::Config`] from anything that prints.
    pub fn config(message: impl Into<String>) -> Self {
        EngineError::Config(message.into())
    }
}

pub type Result<T, E = EngineError> = std::result::Result<T, E>;
