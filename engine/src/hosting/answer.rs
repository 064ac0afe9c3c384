//! The answers to commands.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{SliceFormat, Topic};
use crate::describe::Description;
use crate::storage::Snapshot;
use crate::types::{Scalar, Schema};
use crate::view::{Dimensions, Plan, ViewSlice};

/// The answer to a command; each command has its own. Errors are reported beside it.
#[derive(Debug)]
pub enum Answer {
    /// What the server can do is a constant of the program.
    Features,
    /// What the process uses.
    Usage(ProcessUsage),
    /// The list of tables.
    Tables(Vec<HostedTable>),
    /// The subscription to the list of tables has ended.
    TablesUnwatched,
    /// The table is created, from data or from a view.
    TableCreated(Option<WritePosition>),
    /// The table is created, from two others.
    JoinCreated,
    /// The table has the write: it was sent before.
    Replayed {
        /// Where the table was after it.
        position: Option<WritePosition>,
        /// Whether it made the table.
        is_created: bool,
    },
    /// A table's columns.
    TableSchema(Schema),
    /// A table's number of rows, after every batch before the command.
    TableSize(usize),
    /// A table's rows, after every batch before the command.
    Snapshot(Snapshot),
    /// The new port: 1, 2, 3, …; 0 stands for no port.
    Port(u32),
    /// The types and errors of expressions.
    ValidatedExpressions {
        /// The expressions, as they were sent.
        expressions: BTreeMap<String, String>,
        /// Their types and errors.
        description: Box<Description>,
    },
    /// The view that a configuration describes.
    Description(Box<Description>),
    /// The rows are inserted and updated.
    Updated(Option<WritePosition>),
    /// The rows are replaced.
    Replaced(Option<WritePosition>),
    /// The rows are removed.
    Removed(Option<WritePosition>),
    /// The view is open.
    ViewOpened {
        /// The id that the client chose.
        view_id: Arc<str>,
    },
    /// The subscription to the deletion of a table has ended.
    DeletionUnwatched,
    /// The table is deleted.
    TableDeleted,
    /// The view is closed.
    ViewClosed,
    /// The plan, for the view's columns.
    ViewSchema(Arc<Plan>),
    /// The plan, for the view's expressions.
    ExpressionSchema(Arc<Plan>),
    /// The plan, for the view's configuration.
    ViewConfig(Arc<Plan>),
    /// The subscription is started: its notifications follow. Clients receive no reply.
    Subscribed,
    /// The subscription has ended.
    Unsubscribed(Topic),
    /// A view's numbers of rows and columns.
    Dimensions(Dimensions),
    /// The names of columns.
    ColumnPaths(ColumnPaths),
    /// The smallest and the largest value of a column.
    MinMax(Scalar, Scalar),
    /// Number of rows that collapsing removed; 0 if nothing was collapsed.
    Collapsed(u32),
    /// Number of rows that expanding added; 0 if nothing was expanded.
    Expanded(u32),
    /// The depth is set.
    DepthSet,
    /// An encoded slice, in consecutive pieces.
    Encoded(SliceFormat, Vec<Bytes>),
    /// A slice that is not encoded.
    Slice(Box<ViewSlice>),
}

#[allow(clippy::wildcard_enum_match_arm, reason = "only the answers to writes have a position")]
impl Answer {
    /// Where a durable table is after the write that this answers; `None` for other answers and tables.
    pub fn position(&self) -> Option<WritePosition> {
        match self {
            Answer::TableCreated(position)
            | Answer::Updated(position)
            | Answer::Replaced(position)
            | Answer::Removed(position)
            | Answer::Replayed { position, .. } => *position,
            _ => None,
        }
    }

    /// The answer with a position, if it is one to a write.
    #[must_use]
    pub fn at(self, position: WritePosition) -> Answer {
        match self {
            Answer::TableCreated(_) => Answer::TableCreated(Some(position)),
            Answer::Updated(_) => Answer::Updated(Some(position)),
            Answer::Replaced(_) => Answer::Replaced(Some(position)),
            Answer::Removed(_) => Answer::Removed(Some(position)),
            answer => answer,
        }
    }
}

/// Where a durable table is after a write. It never names two different states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WritePosition {
    /// The start of the log that has the write.
    pub epoch: u64,
    /// The version of the table.
    pub version: u64,
}

/// An entry of the list of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedTable {
    /// The table's name.
    pub name: Arc<str>,
    /// The key column, if the table has one.
    pub index: Option<String>,
    /// The maximum number of rows, if the table has one.
    pub limit: Option<u32>,
}

/// The names of columns: joined into one string, and level by level.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnPaths {
    /// One name per visible column.
    pub names: Vec<Arc<str>>,
    /// One list per split level, then the column names; each has one entry per visible column.
    pub levels: Vec<Vec<Scalar>>,
}

/// The resources that a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Resident memory of the process.
    pub resident_bytes: u64,
    /// The part of it that is not shared with files and other processes.
    pub own_bytes: u64,
    /// Processor time of all threads since the previous reading, in milliseconds.
    pub busy_ms: u64,
    /// Time since the previous reading, in milliseconds.
    pub passed_ms: u64,
}
