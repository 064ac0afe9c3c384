//! The ordered log that durable tables are written to before they are applied.
//!
//! Invariant: a record is acknowledged only after it, and every record before it, would survive a loss of power. The records
//! of one table are accepted in the order of their versions, without gaps: after a refusal the later versions that were on
//! their way are refused, too. A log never returns a record that differs from what was appended, and never omits one between
//! two others; what it finds damaged is an error that names the place.
//!
//! Reading order: the trait ([`Log`]) and its records ([`record`]); the implementations [`memory`] and [`local`], the latter
//! over files of a [`disk`], framed by [`frame`]. Every implementation passes the suite in `conformance`.

pub mod disk;
pub mod frame;
pub mod local;
pub mod memory;
pub mod record;
pub mod segment;
pub mod side_file;

#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod crash_tests;
#[cfg(test)]
pub(crate) mod simulated;

use std::fmt::Debug;

use bytes::Bytes;

pub use disk::{Disk, DiskFile, FileDisk};
pub use local::{LocalLog, LocalOptions};
pub use memory::MemoryLog;
pub use record::{LogRecord, PlacedRecord, Position, RecordKind, TableId};
pub use side_file::StoredPayload;

/// Receives the position of a record once it is durable, or the reason for which it is not. Called exactly once, on the
/// log's thread: it should only pass the result on.
pub type Acknowledge = Box<dyn FnOnce(Result<Position, LogError>) + Send>;

/// Receives records that are replayed, in order. An error ends the replay.
pub type ReplaySink<'a> = &'a mut dyn FnMut(PlacedRecord) -> Result<(), LogError>;

/// An ordered log of the records of many tables.
pub trait Log: Send + Sync + Debug {
    /// The number of this start of the log, which no other start has.
    fn epoch(&self) -> u64;

    /// Appends a record after all that were appended before. Returns at once.
    fn append(&self, record: LogRecord, acknowledge: Acknowledge);

    /// Stores a large payload ahead of its record, which is then appended with [`Log::append_stored`]; `None` if the payload is
    /// not large. Blocks until the payload is durable.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed.
    fn store(&self, _payload: &Bytes) -> Result<Option<StoredPayload>, LogError> {
        Ok(None)
    }

    /// Appends a record whose payload was stored; its own payload is ignored.
    fn append_stored(&self, record: LogRecord, stored: StoredPayload, acknowledge: Acknowledge);

    /// Removes a stored payload whose record is not appended. What cannot be removed now is at the next start.
    fn discard(&self, _stored: StoredPayload) {}

    /// The number of the first record that is not durable yet: every record below it is.
    fn end(&self) -> u64;

    /// Whether this start has written to its log. A full disk keeps it from that.
    fn has_begun(&self) -> bool {
        true
    }

    /// Replays the durable records from number `from` on (or from the first that is kept, if that is later), and returns the
    /// number after the last.
    ///
    /// # Errors
    ///
    /// A record is damaged, or `receive` fails.
    fn replay(&self, from: u64, receive: ReplaySink<'_>) -> Result<u64, LogError>;

    /// Forgets records below number `below`. Some of them may be kept, as whole files are removed.
    ///
    /// # Errors
    ///
    /// A file cannot be removed; it is tried again with the next call.
    fn truncate(&self, below: u64) -> Result<(), LogError>;

    /// Bytes of the records that are kept.
    fn num_bytes(&self) -> u64;

    /// Bytes that were written so far, those that this start found included.
    fn num_written(&self) -> u64;

    /// Why nothing is acknowledged any more, if so.
    fn failure(&self) -> Option<LogError>;

    /// Ends the log once everything that was appended is acknowledged. Later records are refused.
    fn close(&self);
}

/// Why a record is not durable, or why a log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The disk took nothing of the record: it is full, or over a quota. Later records are tried again.
    #[error("the data directory does not take the write: {reason}")]
    Refused {
        /// What the system says.
        reason: String,
    },
    /// A record of the same table before this one was refused.
    #[error("a write before this one was refused")]
    AfterRefused,
    /// The system does not know whether what was written is on the disk. Nothing is acknowledged any more.
    #[error("the data directory failed: {reason}")]
    Failed {
        /// What the system says.
        reason: String,
    },
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
    /// A file is not what was written.
    #[error("{file} is damaged at byte {offset}: {reason}")]
    Damaged {
        /// The file, relative to the data directory.
        file: String,
        /// Where in it.
        offset: u64,
        /// What was found.
        reason: String,
    },
    /// A file cannot be read or removed.
    #[error("{file}: {reason}")]
    Io {
        /// The file or directory, relative to the data directory.
        file: String,
        /// What the system says.
        reason: String,
    },
}

impl LogError {
    /// Whether the disk takes nothing now, and may take it later.
    pub fn is_refusal(&self) -> bool {
        matches!(self, LogError::Refused { .. } | LogError::AfterRefused)
    }

    /// An error of the system about a file.
    pub fn io(file: &str, error: &std::io::Error) -> LogError {
        LogError::Io { file: file.to_owned(), reason: error.to_string() }
    }

    /// Damage in a file.
    pub fn damaged(file: &str, offset: u64, reason: impl Into<String>) -> LogError {
        LogError::Damaged { file: file.to_owned(), offset, reason: reason.into() }
    }
}
