//! What is on the disk of a local log: every record is checked before the log is used.
//!
//! Invariant: a torn end of the last segment is cut; everything else that is not as it was written is an error that names the
//! file and the byte. Side files that no record names are removed. Cost: O(bytes of the log).

use std::collections::VecDeque;
use std::io;

use super::{FOLDER, LocalOptions, SegmentInfo, segment_name};
use crate::log::LogError;
use crate::log::disk::Disk;
use crate::log::frame::HEAD_BYTES;
use crate::log::segment::Segment;
use crate::log::side_file;

/// Removes a file; one that is gone was removed by an earlier try.
pub(super) fn remove(disk: &dyn Disk, name: &str) -> Result<(), LogError> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io(name, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) struct Scanned {
    pub segments: VecDeque<SegmentInfo>,
    pub end: u64,
    pub cut: Option<(String, u64, u64)>,
    pub last_side_file: u64,
}

/// Checks all segments and side files, cuts a torn end and removes what no record names.
pub(super) fn scan(disk: &dyn Disk, options: &LocalOptions) -> Result<Scanned, LogError> {
    let names = disk.list(FOLDER).map_err(|error| LogError::io(FOLDER, &error))?;
    let mut firsts: Vec<u64> =
        names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect();
    firsts.sort_unstable();
    let mut side_files: Vec<u64> = names.iter().filter_map(|name| side_file::id_of(name)).collect();
    let last_side_file = side_files.iter().copied().max().unwrap_or(0);
    let mut segments = VecDeque::new();
    let (mut end, mut cut) = (options.from, None);
    for (position, first) in firsts.iter().copied().enumerate() {
        let name = segment_name(first);
        let is_last = position + 1 == firsts.len();
        if segments.is_empty() && first > options.from {
            let reason = format!("the log begins with record {first}, and {} is needed", options.from);
            return Err(LogError::damaged(&name, 0, reason));
        }
        if !segments.is_empty() && first != end {
            let reason = format!("it begins with record {first}, and the one before ends with {end}");
            return Err(LogError::damaged(&name, 0, reason));
        }
        let segment = match Segment::load(disk, &name) {
            Ok(segment) => segment,
            // Nothing is written to a segment before its head is durable.
            Err(LogError::Damaged { .. }) if is_last && size_of(disk, &name)? <= HEAD_BYTES as u64 => {
                let size = size_of(disk, &name)?;
                remove(disk, &name)?;
                disk.sync_folder(FOLDER).map_err(|error| LogError::io(FOLDER, &error))?;
                cut = Some((name, 0, size));
                break;
            }
            Err(error) => return Err(error),
        };
        let mut stored = Vec::new();
        let (after, tear) = segment.frames(|frame, offset| {
            if frame.is_stored {
                let payload = segment.stored(&frame.record.payload, offset)?;
                side_files.retain(|id| *id != payload.id);
                stored.push(payload);
            }
            Ok(())
        })?;
        let mut bytes = segment.size();
        if let Some(tear) = tear {
            if !is_last || tear.was_durable {
                return Err(LogError::damaged(&name, tear.offset, tear.reason));
            }
            if options.closed_at.is_some_and(|closed_at| closed_at > after) {
                return Err(LogError::damaged(&name, tear.offset, tear.reason));
            }
            let failed = |error: &io::Error| LogError::io(&name, error);
            let mut file = disk.open(&name).map_err(|error| failed(&error))?;
            file.cut(tear.offset).and_then(|()| file.sync()).map_err(|error| failed(&error))?;
            cut = Some((name.clone(), tear.offset, bytes - tear.offset));
            bytes = tear.offset;
        }
        end = after;
        segments.push_back(SegmentInfo { first, bytes, stored });
    }
    if let Some(closed_at) = options.closed_at.filter(|closed_at| *closed_at > end) {
        let (name, offset) = match segments.back() {
            Some(last) => (segment_name(last.first), last.bytes),
            None => (FOLDER.to_owned(), 0),
        };
        let reason = format!("the log ends before record {end}, and was closed at {closed_at}");
        return Err(LogError::damaged(&name, offset, reason));
    }
    if segments.is_empty() && options.must_exist && cut.is_none() {
        return Err(LogError::damaged(FOLDER, 0, "it has no segment"));
    }
    if end < options.least_end && !segments.is_empty() {
        let last = segments.back().map_or((String::new(), 0), |last| (segment_name(last.first), last.bytes));
        let reason = format!("the log ends before record {end}, and {} is needed", options.least_end);
        return Err(LogError::damaged(&last.0, last.1, reason));
    }
    let end = end.max(options.least_end);
    for id in side_files {
        remove(disk, &format!("{FOLDER}/{id:020}.batch"))?;
    }
    Ok(Scanned { segments, end, cut, last_side_file })
}

/// The segments, in order.
pub(crate) fn segment_names(disk: &dyn Disk) -> Result<Vec<String>, LogError> {
    let names = disk.list(FOLDER).map_err(|error| LogError::io(FOLDER, &error))?;
    Ok(names.iter().filter(|name| name.ends_with(".log")).map(|name| format!("{FOLDER}/{name}")).collect())
}

/// The files of large payloads.
pub(crate) fn side_file_names(disk: &dyn Disk) -> Result<Vec<String>, LogError> {
    let names = disk.list(FOLDER).map_err(|error| LogError::io(FOLDER, &error))?;
    let of = names.iter().filter(|name| side_file::id_of(name).is_some());
    Ok(of.map(|name| format!("{FOLDER}/{name}")).collect())
}

/// The first record of a segment, by its name.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    name.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".log")?.parse().ok()
}

/// The number of the first record that cannot be read, if there is one.
pub(crate) fn scan_until_damage(disk: &dyn Disk) -> Result<Option<u64>, LogError> {
    let mut end = None;
    for name in segment_names(disk)? {
        let first = first_of(&name).unwrap_or_default();
        if end.is_some_and(|end| end != first) {
            return Ok(end);
        }
        let Ok(segment) = Segment::load(disk, &name) else { return Ok(Some(first)) };
        let mut unreadable = None;
        let (after, tear) = segment.frames(|frame, offset| {
            let number = frame.number;
            if unreadable.is_none() && frame.is_stored && segment.place(disk, frame, offset).is_err() {
                unreadable = Some(number);
            }
            Ok(())
        })?;
        if unreadable.is_some() || tear.is_some() {
            return Ok(unreadable.or(Some(after)));
        }
        end = Some(after);
    }
    Ok(None)
}

/// Where a segment is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutAt {
    /// All of its records are kept.
    Whole,
    /// None is.
    Nothing,
    /// Those before this byte are.
    Byte(u64),
}

/// Finds where a segment is to be cut so that it keeps its records below `until`, as far as they can be read.
pub(crate) fn offset_of(disk: &dyn Disk, name: &str, until: u64) -> Result<CutAt, LogError> {
    if first_of(name).is_some_and(|first| first >= until) {
        return Ok(CutAt::Nothing);
    }
    let Ok(segment) = Segment::load(disk, name) else { return Ok(CutAt::Nothing) };
    let mut cut = None;
    let (_, tear) = segment.frames(|frame, offset| {
        if frame.number >= until && cut.is_none() {
            cut = Some(offset);
        }
        Ok(())
    })?;
    Ok(cut.or(tear.map(|tear| tear.offset)).map_or(CutAt::Whole, CutAt::Byte))
}

fn size_of(disk: &dyn Disk, name: &str) -> Result<u64, LogError> {
    disk.open(name).and_then(|file| file.size()).map_err(|error| LogError::io(name, &error))
}
