//! A log in files: segments that one thread appends to, with one sync for all who wait.
//!
//! Invariant: a record is acknowledged after the sync that follows its bytes. A write that the disk refuses leaves the segment
//! as it was; a sync that fails ends the log, since nothing is known of the bytes before it (it is never tried again). Each
//! start has an epoch of its own, and begins a segment of its own.
//!
//! Cost: an append is a message to the thread; the thread copies the payload once.

mod scan;
mod writer;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;

use super::disk::Disk;
use super::record::{LogRecord, RecordKind, TableId};
use super::segment::Segment;
use super::side_file::{self, SideFiles, StoredPayload};
use super::{Acknowledge, Log, LogError, ReplaySink};

pub(crate) use scan::{CutAt, first_of, offset_of, scan_until_damage, segment_names, side_file_names};
use scan::{Scanned, remove, scan};
use writer::Writer;

/// The folder of the segments.
pub const FOLDER: &str = "log";

/// Bytes after which a segment is followed by another: recovery reads one at a time, and whole segments are removed.
const SEGMENT_BYTES: u64 = 64 << 20;

/// Observes what a log does.
pub trait LogObserver: Send + Sync + std::fmt::Debug {
    /// A group of records was synced.
    fn synced(&self, records: usize, bytes: u64, took: std::time::Duration);

    /// The log failed for good.
    fn failed(&self, error: &LogError);
}

/// What a start does before its first record.
pub trait BeginLog: Send + Sync + std::fmt::Debug {
    /// Makes the start durable. Called again after a refusal.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed.
    fn begin(&self) -> Result<(), LogError>;
}

/// Where and how a log is opened.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// Bytes after which a new segment begins.
    pub segment_bytes: u64,
    /// The number of this start.
    pub epoch: u64,
    /// The first record that must be there; those below may be gone.
    pub from: u64,
    /// The log must not end before this record: a checkpoint has what is before it.
    pub least_end: u64,
    /// There was a start before, so there is a segment.
    pub must_exist: bool,
    /// The number after the last record, if the last start ended in order.
    pub closed_at: Option<u64>,
    /// Unpredictable, so that no client can forge a record within a payload.
    pub salt: u64,
    /// Notified of syncs and of failure.
    pub observer: Option<Arc<dyn LogObserver>>,
    /// Called once before the first record, when the log is opened if the disk is not full then.
    pub begin: Option<Arc<dyn BeginLog>>,
}

impl LocalOptions {
    /// The options of a start.
    pub fn new(epoch: u64) -> LocalOptions {
        let (segment_bytes, from, least_end, closed_at) = (SEGMENT_BYTES, 0, 0, None);
        let must_exist = false;
        LocalOptions {
            segment_bytes,
            epoch,
            from,
            least_end,
            must_exist,
            closed_at,
            salt: epoch,
            observer: None,
            begin: None,
        }
    }
}

/// A log in files.
#[derive(Debug)]
pub struct LocalLog {
    disk: Arc<dyn Disk>,
    epoch: u64,
    requests: Mutex<Option<Sender<Request>>>,
    shared: Arc<Shared>,
    side_files: SideFiles,
    observer: Option<Arc<dyn LogObserver>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the log's thread and its callers share.
#[derive(Debug, Default)]
struct Shared {
    end: AtomicU64,
    written: AtomicU64,
    has_begun: AtomicBool,
    segments: Mutex<VecDeque<SegmentInfo>>,
    failure: Mutex<Option<LogError>>,
}

#[derive(Debug, Clone)]
struct SegmentInfo {
    first: u64,
    bytes: u64,
    stored: Vec<StoredPayload>,
}

impl SegmentInfo {
    /// Bytes of the segment and of its side files.
    fn num_bytes(&self) -> u64 {
        self.bytes + self.stored.iter().map(|stored| stored.length).sum::<u64>()
    }
}

struct Request {
    record: LogRecord,
    stored: Option<StoredPayload>,
    acknowledge: Acknowledge,
}

/// The name of the segment that begins with a record.
pub(super) fn segment_name(first: u64) -> String {
    format!("{FOLDER}/{first:020}.log")
}

/// What an error of a write means: a full disk refuses, anything else is final.
pub(crate) fn write_error(error: &io::Error) -> LogError {
    let reason = error.to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            LogError::Refused { reason }
        }
        _ => LogError::Failed { reason },
    }
}

/// What an error of a sync means: it is final.
pub(super) fn sync_error(error: &io::Error) -> LogError {
    LogError::Failed { reason: format!("a sync failed: {error}") }
}

/// What opening a log has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The file, the byte and the number of bytes of a torn end that was cut.
    pub cut: Option<(String, u64, u64)>,
}

impl LocalLog {
    /// Opens the log: checks every record that is kept, cuts a torn end, and begins a segment for this start. If the disk is full,
    /// the segment is begun with the first record for which there is room.
    ///
    /// # Errors
    ///
    /// Damage, with file and byte; files that cannot be read or written.
    pub fn open(disk: Arc<dyn Disk>, options: &LocalOptions) -> Result<(LocalLog, Opened), LogError> {
        disk.create_folder(FOLDER).map_err(|error| LogError::io(FOLDER, &error))?;
        let Scanned { mut segments, end, cut, last_side_file } = scan(&*disk, options)?;
        let mut writer = Writer {
            disk: disk.clone(),
            options: options.clone(),
            shared: Arc::default(),
            file: None,
            size: 0,
            next: end,
            buffer: Vec::new(),
            versions: HashMap::new(),
        };
        // One without records is replaced.
        segments.retain(|segment| segment.first != end);
        let written: u64 = segments.iter().map(SegmentInfo::num_bytes).sum();
        writer.shared = Arc::new(Shared {
            end: end.into(),
            written: written.into(),
            segments: segments.into(),
            ..Shared::default()
        });
        match writer.begin() {
            Err(refused @ LogError::Refused { .. }) => {
                tracing::error!(error = %refused, "the disk is full: tables are read-only until there is room");
            }
            begun => begun?,
        }
        let shared = writer.shared.clone();
        let (requests, queue) = channel();
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&queue));
        let thread = thread.map_err(|error| LogError::io(FOLDER, &error))?;
        let log = LocalLog {
            disk,
            epoch: options.epoch,
            requests: Mutex::new(Some(requests)),
            shared,
            side_files: SideFiles::from(last_side_file + 1),
            observer: options.observer.clone(),
            thread: Mutex::new(Some(thread)),
        };
        Ok((log, Opened { cut }))
    }

    /// Writes a large payload to a file of its own, and makes it durable: [`LocalLog::append_stored`] then costs little.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed.
    pub fn store(&self, payload: &Bytes) -> Result<StoredPayload, LogError> {
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        let stored = self.side_files.store(&*self.disk, payload);
        if let Err(error @ LogError::Failed { .. }) = &stored {
            self.shared.fail(error);
            if let Some(observer) = &self.observer {
                observer.failed(error);
            }
        }
        stored
    }

    fn send(&self, record: LogRecord, stored: Option<StoredPayload>, acknowledge: Acknowledge) {
        let request = Request { record, stored, acknowledge };
        let refused = match &*lock(&self.requests) {
            Some(requests) => requests.send(request).err().map(|unsent| unsent.0),
            None => Some(request),
        };
        if let Some(request) = refused {
            (request.acknowledge)(Err(self.failure().unwrap_or(LogError::Closed)));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log for LocalLog {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn append(&self, record: LogRecord, acknowledge: Acknowledge) {
        self.send(record, None, acknowledge);
    }

    fn store(&self, payload: &Bytes) -> Result<Option<StoredPayload>, LogError> {
        if payload.len() < side_file::LEAST_BYTES {
            return Ok(None);
        }
        LocalLog::store(self, payload).map(Some)
    }

    fn append_stored(&self, record: LogRecord, stored: StoredPayload, acknowledge: Acknowledge) {
        self.send(record, Some(stored), acknowledge);
    }

    fn discard(&self, stored: StoredPayload) {
        if let Err(error) = remove(&*self.disk, &stored.name()) {
            tracing::warn!(%error, "the file of a refused batch is removed at the next start");
        }
    }

    fn end(&self) -> u64 {
        self.shared.end.load(Ordering::Acquire)
    }

    fn replay(&self, from: u64, receive: ReplaySink<'_>) -> Result<u64, LogError> {
        let (segments, end) = (lock(&self.shared.segments).clone(), self.end());
        for (position, info) in segments.iter().enumerate() {
            let after = segments.get(position + 1).map_or(end, |next| next.first);
            if after <= from || info.first >= end {
                continue;
            }
            let segment = Segment::load(&*self.disk, &segment_name(info.first))?;
            let mut result = Ok(());
            segment.frames(|frame, offset| {
                if result.is_ok() && frame.number >= from && frame.number < end {
                    result = segment.place(&*self.disk, frame, offset).and_then(&mut *receive);
                }
                Ok(())
            })?;
            result?;
        }
        Ok(end)
    }

    fn truncate(&self, below: u64) -> Result<(), LogError> {
        loop {
            let removed = {
                let segments = lock(&self.shared.segments);
                match (segments.front(), segments.get(1)) {
                    (Some(first), Some(second)) if second.first <= below => first.clone(),
                    _ => return Ok(()),
                }
            };
            for stored in &removed.stored {
                remove(&*self.disk, &stored.name())?;
            }
            remove(&*self.disk, &segment_name(removed.first))?;
            self.disk.sync_folder(FOLDER).map_err(|error| LogError::io(FOLDER, &error))?;
            lock(&self.shared.segments).pop_front();
        }
    }

    fn num_bytes(&self) -> u64 {
        lock(&self.shared.segments).iter().map(SegmentInfo::num_bytes).sum()
    }

    fn num_written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    fn failure(&self) -> Option<LogError> {
        lock(&self.shared.failure).clone()
    }

    fn has_begun(&self) -> bool {
        self.shared.has_begun.load(Ordering::Acquire)
    }

    fn close(&self) {
        let record =
            LogRecord { table: TableId(0), version: 0, kind: RecordKind::Close, payload: Bytes::new() };
        self.append(record, Box::new(|_| {}));
        lock(&self.requests).take();
        if let Some(thread) = lock(&self.thread).take()
            && thread.join().is_err()
        {
            tracing::error!("the log's thread panicked");
        }
    }
}

impl Drop for LocalLog {
    fn drop(&mut self) {
        lock(&self.requests).take();
        if let Some(thread) = lock(&self.thread).take() {
            // It reports what it fails with itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn fail(&self, error: &LogError) {
        lock(&self.failure).get_or_insert_with(|| error.clone());
    }
}
