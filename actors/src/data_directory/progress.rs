//! How far a recovery has come.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a start does before it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecoveryPhase {
    /// The log is checked.
    #[default]
    CheckingLog,
    /// The tables of the newest checkpoint are read.
    ReadingCheckpoint,
    /// The records of the log after it are applied.
    ApplyingLog,
    /// Tables are hosted, and those that follow others are made from them.
    HostingTables,
    /// Configured files are loaded.
    LoadingFiles,
    /// The start is over.
    Done,
}

impl RecoveryPhase {
    /// What is done, for people.
    pub fn text(self) -> &'static str {
        match self {
            RecoveryPhase::CheckingLog => "checking the log",
            RecoveryPhase::ReadingCheckpoint => "reading the checkpoint",
            RecoveryPhase::ApplyingLog => "applying the log",
            RecoveryPhase::HostingTables => "hosting the tables",
            RecoveryPhase::LoadingFiles => "loading files",
            RecoveryPhase::Done => "done",
        }
    }
}

/// A reading of the progress. The tables and the bytes are those of the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecoveryState {
    /// What is done.
    pub phase: RecoveryPhase,
    /// Tables that are done.
    pub tables: usize,
    /// All tables of the phase; 0 if they are not known.
    pub tables_total: usize,
    /// Bytes that are done.
    pub bytes: u64,
    /// All bytes of the phase; 0 if they are not known.
    pub bytes_total: u64,
    /// Rows of the tables that are recovered so far.
    pub rows: usize,
}

impl std::fmt::Display for RecoveryState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let RecoveryState { phase, tables, tables_total, bytes, bytes_total, rows } = self;
        f.write_str(phase.text())?;
        if *tables_total > 0 {
            write!(f, ", {tables} of {tables_total} tables")?;
        }
        if *bytes_total > 0 {
            write!(f, ", {bytes} of {bytes_total} bytes")?;
        }
        write!(f, ", {rows} rows so far")
    }
}

/// The progress of a start, written by the recovery and read by those who wait for it.
///
/// Cost: a lock a table or a record.
#[derive(Debug, Default)]
pub struct RecoveryProgress(Mutex<RecoveryState>);

impl RecoveryProgress {
    /// The progress now.
    pub fn read(&self) -> RecoveryState {
        *self.state()
    }

    /// Begins a phase of so many tables and bytes.
    pub fn begin(&self, phase: RecoveryPhase, tables_total: usize, bytes_total: u64) {
        let mut state = self.state();
        *state =
            RecoveryState { phase, tables_total, bytes_total, rows: state.rows, ..RecoveryState::default() };
    }

    /// A table of the phase is done.
    pub fn table_done(&self, rows: usize) {
        let mut state = self.state();
        state.tables += 1;
        state.rows += rows;
    }

    /// So many rows are recovered so far.
    pub fn rows_are(&self, rows: usize) {
        self.state().rows = rows;
    }

    /// Bytes of the phase are done.
    pub fn bytes_done(&self, bytes: u64) {
        self.state().bytes += bytes;
    }

    fn state(&self) -> MutexGuard<'_, RecoveryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
