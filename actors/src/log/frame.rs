//! The bytes of a record and of the head of a segment.
//!
//! Invariant: a checksum (CRC32C) covers everything, the head included, and starts from the salt of the segment, so that
//! neither bytes that a client chose nor bytes of another segment pass as a record. Records begin at multiples of 8, so that
//! the Arrow buffers in them are read without a copy.
//!
//! All numbers are little endian.

use bytes::Bytes;

use super::record::{LogRecord, RecordKind, TableId};

/// The version of the format of segments.
pub const FORMAT: u32 = 1;
/// Bytes of the head of a segment, and of a record.
pub const HEAD_BYTES: usize = 64;
const SEGMENT_MAGIC: &[u8; 8] = b"PROSCLOG";
const RECORD_MAGIC: &[u8; 4] = b"PLR1";

/// The head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHead {
    /// The start of the log that made it.
    pub epoch: u64,
    /// The number of its first record.
    pub first: u64,
    /// Where its checksums start from.
    pub salt: u64,
}

impl SegmentHead {
    /// The head as bytes.
    pub fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a head.
    ///
    /// # Errors
    ///
    /// The byte that is at fault, and why.
    pub fn read(bytes: &[u8]) -> Result<SegmentHead, (u64, String)> {
        let Some(head) = bytes.get(..HEAD_BYTES) else {
            return Err((bytes.len() as u64, "it ends within its head".to_owned()));
        };
        if &head[..8] != SEGMENT_MAGIC {
            return Err((0, "it is no segment of a log".to_owned()));
        }
        let mut unchecked = [0; HEAD_BYTES];
        unchecked.copy_from_slice(head);
        unchecked[12..16].fill(0);
        if crc32c::crc32c(&unchecked) != u32_at(head, 12) {
            return Err((12, "the checksum of its head is wrong".to_owned()));
        }
        match u32_at(head, 8) {
            FORMAT => {}
            other => return Err((8, format!("its format is {other}, not {FORMAT}"))),
        }
        Ok(SegmentHead { epoch: u64_at(head, 16), first: u64_at(head, 24), salt: u64_at(head, 32) })
    }
}

/// A record as it is in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The record; its payload names a side file if `is_stored`.
    pub record: LogRecord,
    /// Whether the payload is in a side file.
    pub is_stored: bool,
    /// The number of the record.
    pub number: u64,
    /// The number of the first record that was written together with this one: all before are durable.
    pub group: u64,
    /// The start of the log.
    pub epoch: u64,
}

/// Appends a record to a buffer. The payload has fewer than 4 GiB: longer ones are in side files.
pub fn write(frame: &Frame, salt: u64, buffer: &mut Vec<u8>) {
    let Frame { record, is_stored, number, group, epoch } = frame;
    let start = buffer.len();
    let length = u32::try_from(record.payload.len()).expect("long payloads are in side files");
    buffer.extend_from_slice(RECORD_MAGIC);
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&[record.kind.code(), u8::from(*is_stored), 0, 0]);
    for field in [*number, *group, *epoch, record.table.0, record.version, 0] {
        buffer.extend_from_slice(&field.to_le_bytes());
    }
    buffer.extend_from_slice(&record.payload);
    buffer.resize(start + padded(HEAD_BYTES + record.payload.len()), 0);
    let crc = checksum(&buffer[start + 8..], salt);
    buffer[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the record that begins at `offset`, and the offset after it. The payload shares `bytes`.
///
/// # Errors
///
/// Why it is no record.
pub fn read(bytes: &Bytes, offset: usize, salt: u64) -> Result<(Frame, usize), &'static str> {
    let rest = &bytes[offset.min(bytes.len())..];
    let Some(head) = rest.get(..HEAD_BYTES) else { return Err("it ends within the head of a record") };
    if &head[..4] != RECORD_MAGIC {
        return Err("it has no record there");
    }
    let length = u32_at(head, 8) as usize;
    let end = padded(HEAD_BYTES + length);
    let Some(whole) = rest.get(..end) else { return Err("it ends within a record") };
    if checksum(&whole[8..], salt) != u32_at(head, 4) {
        return Err("the checksum of a record is wrong");
    }
    let kind = RecordKind::from_code(head[12]).ok_or("a record is of an unknown kind")?;
    let is_stored = match head[13] {
        0 => false,
        1 => true,
        _ => return Err("a record has unknown flags"),
    };
    let begin = offset + HEAD_BYTES;
    let record = LogRecord {
        table: TableId(u64_at(head, 40)),
        version: u64_at(head, 48),
        kind,
        payload: bytes.slice(begin..begin + length),
    };
    let (number, group, epoch) = (u64_at(head, 16), u64_at(head, 24), u64_at(head, 32));
    Ok((Frame { record, is_stored, number, group, epoch }, offset + end))
}

/// Finds a later record which shows that the one expected at `offset` was durable: it was written after record `number`
/// had been synced. Cost: O(bytes).
pub fn durable_after(bytes: &Bytes, offset: usize, salt: u64, number: u64) -> bool {
    let mut at = padded(offset);
    while at + HEAD_BYTES <= bytes.len() {
        if &bytes[at..at + 4] == RECORD_MAGIC
            && let Ok((frame, _)) = read(bytes, at, salt)
            && frame.group > number
        {
            return true;
        }
        at += 8;
    }
    false
}

fn checksum(bytes: &[u8], salt: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), bytes)
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(8)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
