//! A log in memory: for tests, and for hosts that need the order but no files.
//!
//! Invariant: as every log, except that nothing survives the process. Cost: a record is kept until it is truncated.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::{LogRecord, PlacedRecord, Position, RecordKind, TableId};
use super::side_file::StoredPayload;
use super::{Acknowledge, Log, LogError, ReplaySink};

/// A log in memory.
#[derive(Debug, Default)]
pub struct MemoryLog {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<LogRecord>,
    /// The number of the first kept record.
    first: u64,
    written: u64,
    is_closed: bool,
    /// Test hook: refuse records while set.
    refusal: Option<LogError>,
    versions: HashMap<TableId, u64>,
}

impl MemoryLog {
    /// Refuses all records from now on with this error, or none.
    pub fn refuse(&self, refusal: Option<LogError>) {
        self.lock().refusal = refusal;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a record is the next one of its table. `last`: the version of the last accepted one, if any is known.
pub(super) fn is_next(record: &LogRecord, last: Option<u64>) -> bool {
    match record.kind {
        RecordKind::Write => last.is_none_or(|last| record.version == last + 1),
        RecordKind::Create
        | RecordKind::Drop
        | RecordKind::Derive
        | RecordKind::Detach
        | RecordKind::Order
        | RecordKind::Close
        | RecordKind::Barrier => true,
    }
}

impl Log for MemoryLog {
    fn epoch(&self) -> u64 {
        1
    }

    fn append(&self, record: LogRecord, acknowledge: Acknowledge) {
        let mut state = self.lock();
        let last = state.versions.get(&record.table).copied();
        let result = if state.is_closed {
            Err(LogError::Closed)
        } else if let Some(refusal) = &state.refusal {
            Err(refusal.clone())
        } else if is_next(&record, last) {
            let position = Position { epoch: 1, version: record.version };
            if record.kind != RecordKind::Barrier {
                state.versions.insert(record.table, record.version);
            }
            state.written += record.payload.len() as u64;
            state.records.push_back(record);
            Ok(position)
        } else {
            Err(LogError::AfterRefused)
        };
        drop(state);
        acknowledge(result);
    }

    fn append_stored(&self, record: LogRecord, _stored: StoredPayload, acknowledge: Acknowledge) {
        self.append(record, acknowledge);
    }

    fn end(&self) -> u64 {
        let state = self.lock();
        state.first + state.records.len() as u64
    }

    fn replay(&self, from: u64, receive: ReplaySink<'_>) -> Result<u64, LogError> {
        let (first, records) = {
            let state = self.lock();
            (state.first, state.records.clone())
        };
        let mut next = first;
        for record in records {
            if next >= from {
                let place = (Arc::from("memory"), next);
                receive(PlacedRecord { number: next, epoch: 1, record, place })?;
            }
            next += 1;
        }
        Ok(next)
    }

    fn truncate(&self, below: u64) -> Result<(), LogError> {
        let mut state = self.lock();
        while state.first < below && state.records.pop_front().is_some() {
            state.first += 1;
        }
        Ok(())
    }

    fn num_bytes(&self) -> u64 {
        self.lock().records.iter().map(|record| record.payload.len() as u64).sum()
    }

    fn num_written(&self) -> u64 {
        self.lock().written
    }

    fn failure(&self) -> Option<LogError> {
        None
    }

    fn close(&self) {
        self.lock().is_closed = true;
    }
}
