//! A log in files: segments that one thread appends to, with one sync for all who wait.
//!
//! Invariant: a record is acknowledged after the sync that follows its bytes. A write that the disk refuses leaves the segment
//! as it was; a sync that fails ends the log, since nothing is known of the bytes before it (it is never tried again). Each
//! start has an epoch of its own, and begins a segment of its own.
//!
//! Cost: an append is a message to the thread; the thread copies the payload once.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;

use super::disk::{Disk, DiskFile};
use super::frame::{self, Frame, HEAD_BYTES, SegmentHead};
use super::memory::is_next;
use super::record::{LogRecord, Position, RecordKind, TableId};
use super::segment::Segment;
use super::side_file::{self, SideFiles, StoredPayload};
use super::{Acknowledge, Log, LogError, ReplaySink};

/// The folder of the segments.
pub const FOLDER: &str = "log";

/// Bytes after which a segment is followed by another: recovery reads one at a time, and whole segments are removed.
const SEGMENT_BYTES: u64 = 64 << 20;

/// Bytes of records that are written before a sync: more would let the first of them wait for the disk's throughput.
const GROUP_BYTES: usize = 8 << 20;

/// Observes what a log does.
pub trait LogObserver: Send + Sync + std::fmt::Debug {
    /// A group of records was synced.
    fn synced(&self, records: usize, bytes: u64, took: std::time::Duration);

    /// The log failed for good.
    fn failed(&self, error: &LogError);
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
    /// The number after the last record, if the last start ended in order.
    pub closed_at: Option<u64>,
    /// Unpredictable, so that no client can forge a record within a payload.
    pub salt: u64,
    /// Notified of syncs and of failure.
    pub observer: Option<Arc<dyn LogObserver>>,
}

impl LocalOptions {
    /// The options of a start.
    pub fn new(epoch: u64) -> LocalOptions {
        let (segment_bytes, from, closed_at) = (SEGMENT_BYTES, 0, None);
        LocalOptions { segment_bytes, epoch, from, closed_at, salt: epoch, observer: None }
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
pub(super) fn write_error(error: &io::Error) -> LogError {
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
    /// Opens the log: checks every record that is kept, cuts a torn end, and begins a segment for this start.
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
        let begun = writer.begin_segment()?;
        segments.retain(|segment| segment.first != begun.first);
        segments.push_back(begun);
        let written: u64 = segments.iter().map(SegmentInfo::num_bytes).sum();
        writer.shared = Arc::new(Shared {
            end: end.into(),
            written: written.into(),
            segments: segments.into(),
            failure: Mutex::default(),
        });
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

/// Removes a file; one that is gone was removed by an earlier try.
fn remove(disk: &dyn Disk, name: &str) -> Result<(), LogError> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io(name, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Shared {
    fn fail(&self, error: &LogError) {
        lock(&self.failure).get_or_insert_with(|| error.clone());
    }
}

struct Scanned {
    segments: VecDeque<SegmentInfo>,
    end: u64,
    cut: Option<(String, u64, u64)>,
    last_side_file: u64,
}

/// Checks all segments and side files, cuts a torn end and removes what no record names.
fn scan(disk: &dyn Disk, options: &LocalOptions) -> Result<Scanned, LogError> {
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
    for id in side_files {
        remove(disk, &format!("{FOLDER}/{id:020}.batch"))?;
    }
    Ok(Scanned { segments, end, cut, last_side_file })
}

fn size_of(disk: &dyn Disk, name: &str) -> Result<u64, LogError> {
    disk.open(name).and_then(|file| file.size()).map_err(|error| LogError::io(name, &error))
}

/// The state of the log's thread.
struct Writer {
    disk: Arc<dyn Disk>,
    options: LocalOptions,
    shared: Arc<Shared>,
    file: Option<Box<dyn DiskFile>>,
    /// Bytes of the segment that are durable.
    size: u64,
    /// The number of the next record.
    next: u64,
    buffer: Vec<u8>,
    /// The version of the last accepted record of each table.
    versions: HashMap<TableId, u64>,
}

/// A record of a group whose result is known once the group is.
type Waiting = (Acknowledge, Position);

impl Writer {
    fn run(mut self, queue: &Receiver<Request>) {
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
        let mut stored = Vec::new();
        self.buffer.clear();
        let failure = lock(&self.shared.failure).clone();
        for Request { mut record, stored: payload, acknowledge } in group {
            let last = versions.get(&record.table).or_else(|| self.versions.get(&record.table)).copied();
            if let Some(failure) = &failure {
                refused.push((acknowledge, failure.clone()));
                continue;
            }
            if !is_next(&record, last) {
                refused.push((acknowledge, LogError::AfterRefused));
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
                    refused.extend(accepted.into_iter().map(|(acknowledge, _)| (acknowledge, error.clone())));
                }
            }
        }
        for (acknowledge, error) in refused {
            acknowledge(Err(error));
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
