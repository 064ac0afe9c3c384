//! Reading a segment of a local log.
//!
//! Invariant: a segment is read up to its first damage. Whether that is the torn end of what was being written when the
//! server ended, or the loss of what was durable, is decided by what follows it.

use std::sync::Arc;

use bytes::Bytes;

use super::disk::Disk;
use super::frame::{self, Frame, HEAD_BYTES, SegmentHead};
use super::record::PlacedRecord;
use super::side_file::StoredPayload;
use super::{LogError, local};

/// A segment in memory.
#[derive(Debug)]
pub(super) struct Segment {
    pub name: Arc<str>,
    pub head: SegmentHead,
    bytes: Bytes,
}

/// What ends the records of a segment before its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tear {
    /// Where the last whole record ends.
    pub offset: u64,
    pub reason: &'static str,
    /// Whether a later record shows that what is damaged had been durable.
    pub was_durable: bool,
}

impl Segment {
    /// Reads a file.
    pub fn load(disk: &dyn Disk, name: &str) -> Result<Segment, LogError> {
        let bytes = Bytes::from(disk.read(name).map_err(|error| LogError::io(name, &error))?);
        let head = SegmentHead::read(&bytes);
        let head = head.map_err(|(offset, reason)| LogError::damaged(name, offset, reason))?;
        if name != local::segment_name(head.first) {
            return Err(LogError::damaged(name, 24, format!("it is the segment from record {}", head.first)));
        }
        Ok(Segment { name: name.into(), head, bytes })
    }

    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Passes each record in order with its offset, and returns the number after the last, and the tear if there is one.
    pub fn frames(
        &self,
        mut receive: impl FnMut(Frame, u64) -> Result<(), LogError>,
    ) -> Result<(u64, Option<Tear>), LogError> {
        let SegmentHead { salt, first, epoch } = self.head;
        let (mut offset, mut next) = (HEAD_BYTES, first);
        while offset < self.bytes.len() {
            let reason = match frame::read(&self.bytes, offset, salt) {
                Ok((frame, after)) if frame.number == next && frame.epoch == epoch => {
                    receive(frame, offset as u64)?;
                    (offset, next) = (after, next + 1);
                    continue;
                }
                Ok(_) => "a record is not the next one",
                Err(reason) => reason,
            };
            let was_durable = frame::durable_after(&self.bytes, offset, salt, next);
            return Ok((next, Some(Tear { offset: offset as u64, reason, was_durable })));
        }
        Ok((next, None))
    }

    /// The record of a frame, with its payload loaded.
    pub fn place(&self, disk: &dyn Disk, frame: Frame, offset: u64) -> Result<PlacedRecord, LogError> {
        let mut record = frame.record;
        if frame.is_stored {
            record.payload = self.stored(&record.payload, offset)?.load(disk)?;
        }
        let place = (self.name.clone(), offset);
        Ok(PlacedRecord { number: frame.number, epoch: frame.epoch, record, place })
    }

    /// The side file that a payload names.
    pub fn stored(&self, payload: &[u8], offset: u64) -> Result<StoredPayload, LogError> {
        StoredPayload::read(payload)
            .ok_or_else(|| LogError::damaged(&self.name, offset, "a record names no side file"))
    }
}
