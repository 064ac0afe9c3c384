//! Small files of JSON that are replaced as a whole.
//!
//! Invariant: a file is the old one or the new one, whole, and durable once [`write`] returns: it is written beside, synced,
//! renamed, and the folder is synced. A checksum finds damage.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::log::local::write_error;
use crate::log::{Disk, LogError};

/// Writes a file of the data directory.
///
/// # Errors
///
/// The disk is full: the old file is there. Otherwise the system's: the old file may still be there, or the new one.
pub(super) fn write(disk: &dyn Disk, name: &str, content: &impl Serialize) -> Result<(), LogError> {
    let failed = |error: &std::io::Error| match write_error(error) {
        refused @ LogError::Refused { .. } => refused,
        _ => LogError::io(name, error),
    };
    let json = serde_json::to_string(content).map_err(|error| failed(&error.into()))?;
    let text = format!("crc32c {:08x}\n{json}\n", crc32c::crc32c(json.as_bytes()));
    let beside = format!("{name}.new");
    let mut file = disk.create(&beside).map_err(|error| failed(&error))?;
    if let Err(error) = file.append(text.as_bytes()).and_then(|()| file.sync()) {
        let _ = disk.remove(&beside);
        return Err(failed(&error));
    }
    disk.rename(&beside, name).map_err(|error| failed(&error))?;
    disk.sync_folder("").map_err(|error| failed(&error))
}

/// Reads a file; `None` if there is none.
///
/// # Errors
///
/// It is damaged, or cannot be read.
pub(super) fn read<T: DeserializeOwned>(disk: &dyn Disk, name: &str) -> Result<Option<T>, LogError> {
    let bytes = match disk.read(name) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io(name, &error)),
    };
    let damaged = |offset: usize, reason: &str| LogError::damaged(name, offset as u64, reason);
    let text = std::str::from_utf8(&bytes).map_err(|error| damaged(error.valid_up_to(), "it is no text"))?;
    let (head, json) = text.split_once('\n').ok_or_else(|| damaged(0, "it has no checksum"))?;
    let json = json.strip_suffix('\n').ok_or_else(|| damaged(bytes.len(), "it ends early"))?;
    let crc = head.strip_prefix("crc32c ").and_then(|hex| u32::from_str_radix(hex, 16).ok());
    if crc != Some(crc32c::crc32c(json.as_bytes())) {
        return Err(damaged(0, "its checksum is wrong"));
    }
    serde_json::from_str(json).map(Some).map_err(|error| damaged(head.len() + 1, &error.to_string()))
}
