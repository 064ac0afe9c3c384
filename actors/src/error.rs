//! The error type of the actors.

use proscenium_engine::EngineError;
use proscenium_engine::error::HostingError;

use crate::log::{LogError, Position};

/// The reason a request failed. Its text is meant for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    /// The engine rejected the data, the configuration or the name.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No view has the requested id.
    #[error("View not found")]
    ViewNotFound,
    /// No table has the requested name.
    #[error("Couldn't find key.")]
    TableNotFound,
    /// The table's actor failed, and the table was removed.
    #[error("table \"{table}\" failed and was removed ({reason}); create it again to continue")]
    TableFailed {
        /// The name of the removed table.
        table: String,
        /// Why it failed.
        reason: String,
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
    /// The connection has as many subscriptions as it may have.
    #[error("a connection may have {limit} subscriptions: end some first")]
    TooManySubscriptions {
        /// The limit.
        limit: usize,
    },
    /// A subscription by a caller that has no connection to be notified on.
    #[error("a subscription needs a connection that receives it")]
    NoConnection,
    /// The write could not be made durable, and changed nothing.
    #[error("not written: {0}")]
    NotDurable(#[from] LogError),
    /// A record of the table cannot be applied, a fault of the server: the table stays as it was before.
    #[error(
        "table \"{table}\" is read-only: its record at {position} cannot be applied, a fault of the server"
    )]
    RecordFailed {
        /// The name of the table.
        table: String,
        /// The record's position.
        position: Position,
    },
    /// The sender has not the right to do this.
    #[error("not authorized to {right}{}", of_table(table))]
    NotAuthorized {
        /// What the sender wants to do, as `read`.
        right: &'static str,
        /// The table, if it is about one.
        table: Option<String>,
    },
    /// The rights by which a view was opened, or a command was sent, have changed.
    #[error("your rights to the table have changed: open the view again")]
    RightsChanged,
    /// A filtered writer's write to rows beyond his rights.
    #[error("not authorized to {act} the row with key {key}")]
    RowNotAuthorized {
        /// What the write would do: `change`, `remove` or `create`.
        act: &'static str,
        /// The row's key.
        key: String,
    },
    /// The policy does not fit the table: nobody with a part of it is served.
    #[error("the rights to table \"{table}\" cannot be applied; the operator's log says why")]
    PolicyUnfit {
        /// The table.
        table: String,
    },
    /// A part of a load that does not come next.
    #[error("batch {expected} of the load comes next: repeat it from there")]
    LoadGap {
        /// The number of the part that does.
        expected: u64,
    },
    /// The key of a request that was used for another one.
    #[error("this key was used for another request: take a new one")]
    KeyReused,
    /// The server is starting, and its tables are not recovered yet.
    #[error("the server is recovering its tables")]
    Recovering,
    /// An answer arrived that belongs to another command: a fault of the server.
    #[error("the server has mixed up two answers")]
    WrongAnswer,
}

impl ActorError {
    /// The stable identifier of the kind of error: lower-case words joined by underscores.
    pub fn code(&self) -> &'static str {
        match self {
            ActorError::Engine(error) => error.code(),
            ActorError::ViewNotFound => "view_not_found",
            ActorError::TableNotFound => "table_not_found",
            ActorError::TableFailed { .. } => "table_failed",
            ActorError::Gone => "gone",
            ActorError::Deadline { .. } => "deadline",
            ActorError::TooManySubscriptions { .. } => "limit_reached",
            ActorError::NoConnection => "no_connection",
            ActorError::NotDurable(error) if error.is_refusal() => "disk_full",
            ActorError::NotDurable(_) => "not_durable",
            ActorError::RecordFailed { .. } => "record_failed",
            ActorError::NotAuthorized { .. } | ActorError::RowNotAuthorized { .. } => "not_authorized",
            ActorError::RightsChanged => "rights_changed",
            ActorError::PolicyUnfit { .. } => "policy_unfit",
            ActorError::LoadGap { .. } => "load_gap",
            ActorError::KeyReused => "key_reused",
            ActorError::Recovering => "recovering",
            ActorError::WrongAnswer => "internal",
        }
    }
}

fn of_table(table: &Option<String>) -> String {
    table.as_ref().map_or_else(String::new, |table| format!(" table \"{table}\""))
}

impl From<HostingError> for ActorError {
    fn from(error: HostingError) -> Self {
        ActorError::Engine(error.into())
    }
}

/// A result whose error is an [`ActorError`] by default.
pub type Result<T, E = ActorError> = std::result::Result<T, E>;
