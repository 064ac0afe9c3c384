//! Faults of names: of tables, of views, and of what is made of them.

/// A request that contradicts what the server hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostingError {
    /// The name of a new table is taken.
    #[error("Table \"{name}\" already exists")]
    TableExists {
        /// The name.
        name: String,
    },
    /// The id of a new view is taken.
    #[error("View \"{view_id}\" already exists")]
    ViewExists {
        /// The id.
        view_id: String,
    },
    /// The server has as many tables as it may have.
    #[error("this server holds {limit} tables: delete some first")]
    TooManyTables {
        /// The limit.
        limit: usize,
    },
    /// The client has as many views as it may have.
    #[error("a connection may have {limit} views: delete some first")]
    TooManyViews {
        /// The limit.
        limit: usize,
    },
    /// A table is deleted while it has views.
    #[error("Cannot delete table with views")]
    TableHasViews,
    /// A view is closed while a table is made of it.
    #[error("Cannot delete view: it is the source for a derived table")]
    ViewIsSource,
    /// A table is deleted while a join is made of it.
    #[error("Cannot delete table: it is a source for join table \"{join}\"")]
    TableIsSource {
        /// The join.
        join: String,
    },
    /// The view that a table is made of does not exist.
    #[error("View \"{view_id}\" does not exist")]
    NoSourceView {
        /// The id.
        view_id: String,
    },
    /// A table that a join is made of does not exist.
    #[error("Table \"{name}\" not found")]
    NoSourceTable {
        /// The name.
        name: String,
    },
}

impl HostingError {
    /// The stable identifier, see [`crate::EngineError::code`].
    pub fn code(&self) -> &'static str {
        match self {
            HostingError::TableExists { .. } => "table_exists",
            HostingError::ViewExists { .. } => "view_exists",
            HostingError::TooManyTables { .. } | HostingError::TooManyViews { .. } => "limit_reached",
            HostingError::TableHasViews | HostingError::ViewIsSource | HostingError::TableIsSource { .. } => {
                "in_use"
            }
            HostingError::NoSourceView { .. } => "view_not_found",
            HostingError::NoSourceTable { .. } => "table_not_found",
        }
    }
}
