//! What a log keeps: one change of one table.

use bytes::Bytes;

/// The number of a table, which no other table of the same log has, also none of the same name before or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u64);

impl std::fmt::Display for TableId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A version of a table under one start of its log: it never names two different states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The start of the log.
    pub epoch: u64,
    /// The number of batches applied to the table.
    pub version: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.epoch, self.version)
    }
}

/// What a record does with its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// Creates a table from its first rows; its version is 0.
    Create,
    /// One batch.
    Write,
    /// Deletes the table.
    Drop,
    /// Creates a table that follows others; its rows are not logged.
    Derive,
    /// Keeps the rows of a table that followed others, since they are deleted next: nobody feeds it any more.
    Detach,
    /// Names groups that a table from a pivot has added to its end.
    Order,
    /// Nothing: once it is answered, everything that was appended before is.
    Barrier,
    /// The log was closed in order: what follows, if anything, is another start.
    Close,
}

impl RecordKind {
    const ALL: [RecordKind; 8] = [
        RecordKind::Create,
        RecordKind::Write,
        RecordKind::Drop,
        RecordKind::Derive,
        RecordKind::Detach,
        RecordKind::Order,
        RecordKind::Close,
        RecordKind::Barrier,
    ];

    /// Its number in files.
    pub(super) fn code(self) -> u8 {
        match self {
            RecordKind::Create => 1,
            RecordKind::Write => 2,
            RecordKind::Drop => 3,
            RecordKind::Derive => 4,
            RecordKind::Close => 5,
            RecordKind::Barrier => 6,
            RecordKind::Detach => 7,
            RecordKind::Order => 8,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<RecordKind> {
        RecordKind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// A change of one table, to be appended.
#[derive(Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// The table.
    pub table: TableId,
    /// The version that the table has afterwards.
    pub version: u64,
    /// What it does.
    pub kind: RecordKind,
    /// What it does it with; the log does not look into it.
    pub payload: Bytes,
}

impl std::fmt::Debug for LogRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LogRecord { table, version, kind, payload } = self;
        write!(f, "LogRecord({kind:?} of {table} at {version}, {} bytes)", payload.len())
    }
}

/// A record in its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRecord {
    /// The number of the record among all of the log: each is one more than the one before.
    pub number: u64,
    /// The start of the log that accepted it.
    pub epoch: u64,
    /// The record.
    pub record: LogRecord,
    /// The file and the byte at which it begins, for errors.
    pub place: (std::sync::Arc<str>, u64),
}
