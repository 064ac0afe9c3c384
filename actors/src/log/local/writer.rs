//! The thread that writes the log.
//!
//! Invariant: one group at a time: written, synced, then answered, record by record.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use super::scan::remove;
use super::{
    FOLDER, LocalOptions, Request, SegmentInfo, Shared, lock, segment_name, sync_error, write_error,
};
use crate::log::disk::{Disk, DiskFile};
use crate::log::frame::{self, Frame, HEAD_BYTES, SegmentHead};
use crate::log::memory::is_next;
use crate::log::record::{Position, RecordKind, TableId};
use crate::log::side_file::StoredPayload;
use crate::log::{Acknowledge, LogError};

/// Bytes of records that are written before a sync: more would let the first of them wait for the disk's throughput.
const GROUP_BYTES: usize = 8 << 20;

/// The state of the log's thread.
pub(super) struct Writer {
    pub disk: Arc<dyn Disk>,
    pub options: LocalOptions,
    pub shared: Arc<Shared>,
    pub file: Option<Box<dyn DiskFile>>,
    /// Bytes of the segment that are durable.
    pub size: u64,
    /// The number of the next record.
    pub next: u64,
    pub buffer: Vec<u8>,
    /// The version of the last accepted record of each table.
    pub versions: HashMap<TableId, u64>,
}

/// A record of a group whose result is known once the group is.
type Waiting = (Acknowledge, Position);

impl Writer {
    pub fn run(mut self, queue: &Receiver<Request>) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            let mut bytes = group[0].record.payload.len();
            while bytes < GROUP_BYTES {
                match queue.try_recv() {
                    Ok(request) => {
                        bytes += request.record.payload.len();
                        group.push(request);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.write_group(group);
        }
    }

    /// Writes and syncs a group, then acknowledges or refuses each of its records.
    fn write_group(&mut self, group: Vec<Request>) {
        let mut accepted: Vec<Waiting> = Vec::with_capacity(group.len());
        let mut refused: Vec<(Acknowledge, LogError)> = Vec::new();
        let mut versions: HashMap<TableId, u64> = HashMap::new();
        // Payloads of accepted records, and those that no record names.
        let (mut stored, mut unnamed) = (Vec::new(), Vec::new());
        self.buffer.clear();
        let failure = lock(&self.shared.failure).clone();
        for Request { mut record, stored: payload, acknowledge } in group {
            let last = versions.get(&record.table).or_else(|| self.versions.get(&record.table)).copied();
            let refusal = match &failure {
                Some(failure) => Some(failure.clone()),
                None => (!is_next(&record, last)).then_some(LogError::AfterRefused),
            };
            if let Some(refusal) = refusal {
                refused.push((acknowledge, refusal));
                unnamed.extend(payload);
                continue;
            }
            if record.kind != RecordKind::Barrier {
                versions.insert(record.table, record.version);
            }
            let position = Position { epoch: self.options.epoch, version: record.version };
            if let Some(payload) = payload {
                record.payload = payload.to_bytes();
                stored.push(payload);
            }
            let frame = Frame {
                record,
                is_stored: payload.is_some(),
                number: self.next + accepted.len() as u64,
                group: self.next,
                epoch: self.options.epoch,
            };
            frame::write(&frame, self.options.salt, &mut self.buffer);
            accepted.push((acknowledge, position));
        }
        if !accepted.is_empty() {
            match self.write_buffer(accepted.len()) {
                Ok(()) => self.commit(accepted, versions, stored),
                Err(error) => {
                    unnamed.extend(stored);
                    refused.extend(accepted.into_iter().map(|(acknowledge, _)| (acknowledge, error.clone())));
                }
            }
        }
        for (acknowledge, error) in refused {
            acknowledge(Err(error));
        }
        if lock(&self.shared.failure).is_none() {
            self.discard(unnamed);
        }
    }

    /// Removes the side files of records that were refused. After a failure nothing is removed: such a record may be on the disk.
    fn discard(&self, unnamed: Vec<StoredPayload>) {
        for payload in unnamed {
            if let Err(error) = remove(&*self.disk, &payload.name()) {
                tracing::warn!(%error, "the file of a refused batch is removed at the next start");
            }
        }
    }

    fn commit(
        &mut self,
        accepted: Vec<Waiting>,
        versions: HashMap<TableId, u64>,
        stored: Vec<StoredPayload>,
    ) {
        self.next += accepted.len() as u64;
        self.size += self.buffer.len() as u64;
        self.versions.extend(versions);
        let side_bytes: u64 = stored.iter().map(|stored| stored.length).sum();
        self.shared.written.fetch_add(self.buffer.len() as u64 + side_bytes, Ordering::Relaxed);
        if let Some(segment) = lock(&self.shared.segments).back_mut() {
            segment.bytes = self.size;
            segment.stored.extend(stored);
        }
        self.shared.end.store(self.next, Ordering::Release);
        for (acknowledge, position) in accepted {
            acknowledge(Ok(position));
        }
    }

    /// Writes the buffer to the end of the segment, and syncs it. If the disk takes it not, the segment is as before.
    fn write_buffer(&mut self, records: usize) -> Result<(), LogError> {
        if self.file.is_none() {
            self.begin().map_err(|error| self.failed(error))?;
        }
        if self.size >= self.options.segment_bytes {
            let begun = self.begin_segment().map_err(|error| self.failed(error))?;
            lock(&self.shared.segments).push_back(begun);
        }
        let began = Instant::now();
        let Some(file) = &mut self.file else {
            return Err(LogError::Closed);
        };
        if let Err(error) = file.append(&self.buffer) {
            let refusal = write_error(&error);
            if let Err(error) = file.cut(self.size) {
                return Err(self.failed(LogError::Failed { reason: error.to_string() }));
            }
            return Err(self.failed(refusal));
        }
        if let Err(error) = file.sync() {
            return Err(self.failed(sync_error(&error)));
        }
        if let Some(observer) = &self.options.observer {
            observer.synced(records, self.buffer.len() as u64, began.elapsed());
        }
        Ok(())
    }

    /// Remembers an error that is final.
    fn failed(&self, error: LogError) -> LogError {
        if matches!(error, LogError::Failed { .. }) {
            self.shared.fail(&error);
            if let Some(observer) = &self.options.observer {
                observer.failed(&error);
            }
        }
        error
    }

    /// Begins the log of this start: its first segment, and the note of it, are durable before any record is.
    pub fn begin(&mut self) -> Result<(), LogError> {
        let begun = self.begin_segment()?;
        if let Some(begin) = &self.options.begin
            && let Err(error) = begin.begin()
        {
            // The segment is begun anew.
            self.file = None;
            return Err(match error {
                LogError::Io { file, reason } => LogError::Failed { reason: format!("{file}: {reason}") },
                error => error,
            });
        }
        lock(&self.shared.segments).push_back(begun);
        self.shared.has_begun.store(true, Ordering::Release);
        Ok(())
    }

    /// Begins a segment with the next record: its head and its name are durable before anything is written to it.
    fn begin_segment(&mut self) -> Result<SegmentInfo, LogError> {
        let name = segment_name(self.next);
        let head = SegmentHead { epoch: self.options.epoch, first: self.next, salt: self.options.salt };
        let mut file = self.disk.create(&name).map_err(|error| write_error(&error))?;
        if let Err(error) = file.append(&head.to_bytes()) {
            let _ = self.disk.remove(&name);
            return Err(write_error(&error));
        }
        file.sync().map_err(|error| sync_error(&error))?;
        self.disk.sync_folder(FOLDER).map_err(|error| sync_error(&error))?;
        (self.file, self.size) = (Some(file), HEAD_BYTES as u64);
        Ok(SegmentInfo { first: self.next, bytes: self.size, stored: Vec::new() })
    }
}
