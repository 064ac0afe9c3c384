//! All commands of clients, as values.
//!
//! Invariant: a command is complete. It holds no connection and no function, so it can be checked, logged, queued and
//! executed anywhere. Which table or view it is about is stated beside it, by name: see [`Subject`](super::Subject).
//!
//! Cost: a command is moved several times on its way, so its large parts are on the heap.

use std::collections::BTreeMap;

use super::Topic;
use crate::config::ViewConfig;
use crate::data::{TableData, TableOptions, WriteOptions};
use crate::export::{Compression, Naming, TextFormat};
use crate::table::JoinSpec;
use crate::types::ColumnType;
use crate::view::Viewport;

/// A command of a client.
#[derive(Debug, Clone)]
pub enum Command {
    /// About the server.
    Server(ServerCommand),
    /// About the list of tables.
    Catalog(CatalogCommand),
    /// About a table.
    Table(TableCommand),
    /// About a view.
    View(ViewCommand),
}

/// A command about the server, which needs no order among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerCommand {
    /// Returns what the server can do.
    GetFeatures,
    /// Returns the memory and processor time that the process uses.
    GetUsage,
}

/// A command about the list of tables.
#[derive(Debug, Clone)]
pub enum CatalogCommand {
    /// Returns the list.
    ListTables,
    /// Subscribes to changes of the list.
    WatchTables,
    /// Ends such a subscription; an unknown one is ignored.
    UnwatchTables {
        /// The number of the request that subscribed.
        subscription: u32,
    },
    /// Creates the table that is named beside the command.
    CreateTable(TableOrigin),
}

/// What a new table is made of.
#[derive(Debug, Clone)]
pub enum TableOrigin {
    /// Data, or a schema.
    Data {
        /// The first rows, or a schema.
        data: TableData,
        /// Index, limit and treatment of lists.
        options: TableOptions,
    },
    /// A view, which the table follows.
    View {
        /// The id of the view.
        view_id: String,
        /// Names and types of the columns; those that the view does not have are null. `None`: the view's columns.
        columns: Option<Vec<(String, ColumnType)>>,
    },
    /// Two tables, whose join the table follows.
    Join {
        /// The left table's name.
        left: String,
        /// The right table's name.
        right: String,
        /// Kind and columns of the join.
        spec: JoinSpec,
    },
}

/// A command about a table.
#[derive(Debug, Clone)]
pub enum TableCommand {
    /// Returns the columns, in creation order.
    GetSchema,
    /// Returns the number of rows.
    GetSize,
    /// Returns an immutable snapshot of all rows.
    GetSnapshot,
    /// Creates a port for updates.
    MakePort,
    /// Checks expressions, and returns their types and errors.
    ValidateExpressions(BTreeMap<String, String>),
    /// Describes the view that a configuration would give, without opening it.
    DescribeView(Box<ViewConfig>),
    /// Changes rows.
    Write(Write),
    /// Opens a view.
    OpenView {
        /// The id that the client chose, unique among the views of all tables.
        view_id: String,
        /// The configuration, not yet checked against the table.
        config: Box<ViewConfig>,
    },
    /// Subscribes to the deletion of the table.
    WatchDeletion,
    /// Ends such a subscription; an unknown one is ignored.
    UnwatchDeletion {
        /// The number of the request that subscribed.
        subscription: u32,
    },
    /// Deletes the table.
    Delete {
        /// Whether to wait for the last view to close. Otherwise a table with views is not deleted.
        lazy: bool,
    },
}

/// A change of a table's rows.
#[derive(Debug, Clone)]
pub enum Write {
    /// Inserts and updates rows.
    Update {
        /// The rows.
        data: TableData,
        /// The port, which notifications carry. Updates through an unknown port are ignored.
        port_id: u32,
        /// What the sender assumes of the table. The write is refused where it does not hold.
        options: WriteOptions,
    },
    /// Replaces all rows, as one batch.
    Replace {
        /// The rows.
        data: TableData,
        /// What the sender assumes of the table. The write is refused where it does not hold.
        options: WriteOptions,
    },
    /// Removes rows by key.
    Remove {
        /// The keys.
        data: TableData,
    },
}

/// A command about a view.
#[derive(Debug, Clone)]
pub enum ViewCommand {
    /// Closes the view.
    Close,
    /// Returns the columns and their types.
    GetSchema,
    /// Returns the expressions and their types.
    GetExpressionSchema,
    /// Returns the configuration, with all defaults filled in.
    GetConfig,
    /// Starts a subscription.
    Subscribe(Topic),
    /// Ends a subscription.
    Unsubscribe {
        /// The event subscribed to; `rows` of an update is ignored.
        topic: Topic,
        /// The number of the request that subscribed.
        subscription: u32,
    },
    /// Reads something of bounded size, or changes what the handle shows.
    Read(ViewRead),
    /// Reads rows and columns.
    Slice(SliceRequest),
}

/// A read of bounded size through a handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewRead {
    /// The numbers of rows and columns.
    Dimensions,
    /// The names of the columns in a range; one past the last column gives fewer or none.
    ColumnPaths {
        /// First column; `None`: 0.
        start_col: Option<u32>,
        /// Column past the last; `None`: the number of columns.
        end_col: Option<u32>,
    },
    /// The smallest and the largest value of a column.
    MinMax {
        /// The column's name in the view.
        column: String,
    },
    /// Collapses the group of a row.
    Collapse {
        /// The position among the visible rows, from 0.
        row: u32,
    },
    /// Expands the group of a row.
    Expand {
        /// The position among the visible rows, from 0.
        row: u32,
    },
    /// Expands all groups down to a depth. One beyond the last level has no effect.
    SetDepth {
        /// The deepest level that is expanded; 0 is the total.
        depth: u32,
    },
}

/// A read of rows and columns in a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceRequest {
    /// The rows and columns.
    pub viewport: Viewport,
    /// How they are encoded.
    pub format: SliceFormat,
}

/// The encoding of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceFormat {
    /// Text.
    Text(TextFormat),
    /// An Arrow stream of one record batch.
    Arrow {
        /// How key columns and aggregates are named.
        naming: Naming,
        /// The compression of the record batch.
        compression: Compression,
    },
    /// None: the receiver encodes the rows itself, in pieces.
    Unencoded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_cheap_to_move() {
        assert!(size_of::<Command>() <= 192, "{} bytes", size_of::<Command>());
    }
}
