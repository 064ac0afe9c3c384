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
    /// The reply would be longer than one may be.
    #[error("the reply would be longer than this server's limit of {limit_bytes} bytes: request fewer rows")]
    ReplyTooLong {
        /// The limit.
        limit_bytes: usize,
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
            RequestError::ReplyTooLong { .. } => "reply_too_long",
            RequestError::Malformed { .. } => "malformed_request",
        }
    }
}
