//! Faults of a request by itself, before any table is looked at.

/// A request whose parts do not make a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A field has a value that its type does not know, as of a later release.
    #[error("unknown {field} {value}")]
    UnknownValue {
        /// The field, and where it is.
        field: String,
        /// The number or the word that was sent.
        value: String,
    },
    /// A part is missing, or parts exclude each other.
    #[error("{reason}")]
    Malformed {
        /// The part, and what is wrong with it.
        reason: String,
    },
}

impl RequestError {
    /// The stable identifier, see [`crate::EngineError::code`].
    pub fn code(&self) -> &'static str {
        match self {
            RequestError::UnknownValue { .. } => "unknown_value",
            RequestError::Malformed { .. } => "malformed_request",
        }
    }
}
