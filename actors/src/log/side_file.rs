//! Payloads that are too large for a segment, each in a file of its own.
//!
//! Invariant: the file and its name are durable before a record names it, and it is removed only after that record. A file
//! that no record names was left by a crash, and is removed at the next start.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::disk::Disk;
use super::frame::{u32_at, u64_at};
use super::{LogError, local};

/// Bytes of a payload from which it is stored in a side file: smaller ones of other writers do not wait for it, and a
/// sync of its own costs little beside its bytes.
pub const LEAST_BYTES: usize = 1 << 20;

/// A payload that is in a side file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPayload {
    pub(super) id: u64,
    pub(super) length: u64,
    pub(super) crc: u32,
}

impl StoredPayload {
    /// Bytes of the payload.
    pub fn num_bytes(self) -> u64 {
        self.length
    }

    /// The payload of the record that names the file.
    pub(super) fn to_bytes(self) -> Bytes {
        let mut bytes = Vec::with_capacity(20);
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.length.to_le_bytes());
        bytes.extend_from_slice(&self.crc.to_le_bytes());
        bytes.into()
    }

    pub(super) fn read(bytes: &[u8]) -> Option<StoredPayload> {
        (bytes.len() == 20).then(|| StoredPayload {
            id: u64_at(bytes, 0),
            length: u64_at(bytes, 8),
            crc: u32_at(bytes, 16),
        })
    }

    pub(super) fn name(self) -> String {
        name(self.id)
    }

    /// Reads the payload.
    pub(super) fn load(self, disk: &dyn Disk) -> Result<Bytes, LogError> {
        let name = self.name();
        let bytes = disk.read(&name).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => LogError::damaged(&name, 0, "it is missing"),
            _ => LogError::io(&name, &error),
        })?;
        if bytes.len() as u64 != self.length {
            let reason = format!("it has {} bytes of {}", bytes.len(), self.length);
            return Err(LogError::damaged(&name, self.length.min(bytes.len() as u64), reason));
        }
        if crc32c::crc32c(&bytes) != self.crc {
            return Err(LogError::damaged(&name, 0, "its checksum is wrong"));
        }
        Ok(bytes.into())
    }
}

fn name(id: u64) -> String {
    format!("{}/{id:020}.batch", local::FOLDER)
}

/// The id of a side file, by its name without the folder.
pub(super) fn id_of(name: &str) -> Option<u64> {
    name.strip_suffix(".batch")?.parse().ok()
}

/// Writes side files, from any thread.
#[derive(Debug)]
pub(super) struct SideFiles {
    next: AtomicU64,
}

impl SideFiles {
    /// Files are numbered from `next` on.
    pub fn from(next: u64) -> SideFiles {
        SideFiles { next: AtomicU64::new(next) }
    }

    /// Writes a payload, and makes it durable.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed.
    pub fn store(&self, disk: &dyn Disk, payload: &[u8]) -> Result<StoredPayload, LogError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let stored = StoredPayload { id, length: payload.len() as u64, crc: crc32c::crc32c(payload) };
        let name = stored.name();
        let mut file = disk.create(&name).map_err(|error| local::write_error(&error))?;
        if let Err(error) = file.append(payload) {
            // What is left of it is removed at the next start, if not now.
            let _ = disk.remove(&name);
            return Err(local::write_error(&error));
        }
        file.sync().map_err(|error| local::sync_error(&error))?;
        disk.sync_folder(local::FOLDER).map_err(|error| local::sync_error(&error))?;
        Ok(stored)
    }
}
