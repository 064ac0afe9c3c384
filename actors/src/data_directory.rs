//! The data directory: the log, the checkpoints, and which tables are in them.
//!
//! Invariant: every acknowledged write is in the newest checkpoint or in the log after it. One server at a time has the
//! directory. Each start has an epoch of its own.
//!
//! ```text
//! lock                     held while a server runs
//! start.json               the number of the last start, and whether it ended in order
//! manifest-N.json          checkpoint N: its tables, and the first record of the log that it needs; two are kept
//! tables/ID-VERSION.table  the rows of a table at one version
//! log/FIRST.log            records from number FIRST on
//! log/ID.batch             a large batch, named by a record
//! ```
//!
//! Reading order: which tables are durable ([`rules`]), what the files contain ([`definition`], [`sealed`], [`manifest`],
//! [`table_file`]), opening and recovering ([`recovery`]), the directory in use ([`DataDirectory`]).

mod checkpoint;
#[cfg(test)]
mod crash_tests;
pub mod definition;
mod epoch;
pub mod fault;
pub mod maintenance;
mod manifest;
mod overlay;
pub mod progress;
mod rebuild;
mod recovery;
mod registry;
pub mod rules;
mod sealed;
pub(crate) mod table_file;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use checkpoint::CheckpointRun;
pub use definition::DerivedDefinition;
pub use progress::{RecoveryPhase, RecoveryProgress, RecoveryState};
pub use recovery::{Recovered, RecoveredFollower, RecoveredTable, RecoveryReport};
pub use registry::DurableTable;
pub use rules::DurableRules;
pub use table_file::CheckpointedTable;

use crate::log::local::{BeginLog, LogObserver};
use crate::log::{Disk, FileDisk, LocalLog, LocalOptions, Log, LogError, TableId};
use definition::DerivedOrigin;
use manifest::{Manifest, Start};
use registry::Registry;

/// How a data directory is used.
#[derive(Debug, Clone)]
pub struct DataOptions {
    /// Which tables are durable.
    pub rules: DurableRules,
    /// When writes are visible.
    pub visible: Visibility,
    /// Bytes of the log since the last checkpoint that start the next one.
    pub checkpoint_bytes: u64,
    /// Threads for recovery.
    pub threads: usize,
    /// Notified of syncs and of failure.
    pub observer: Option<Arc<dyn LogObserver>>,
    /// Notes how far the recovery has come.
    pub progress: Arc<RecoveryProgress>,
}

/// When writes are applied and published: once they are durable, or at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Visibility {
    /// Whether they are at once, where nothing else is said.
    pub at_once: bool,
    /// Tables for which something else is said.
    pub of_tables: BTreeMap<String, bool>,
}

/// A data directory in use.
#[derive(Debug)]
pub struct DataDirectory {
    disk: Arc<dyn Disk>,
    log: Arc<dyn Log>,
    options: DataOptions,
    start: Start,
    registry: Mutex<Registry>,
    /// Kept manifests, oldest first.
    manifests: Mutex<Vec<Arc<Manifest>>>,
    /// Bytes that were written to the log when the last checkpoint began.
    checkpointed_bytes: AtomicU64,
    /// Held while a checkpoint is made.
    checkpointing: tokio::sync::Mutex<()>,
    /// Held by everything that writes files, except the log. `None` once the directory is closed.
    open: Mutex<Option<OpenLock>>,
}

/// Keeps other processes out; nothing on a simulated disk.
#[derive(Debug)]
struct OpenLock {
    _lock: Option<File>,
}

/// Why a data directory cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Another server has it.
    #[error("{} is used by another server", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// It cannot be made or locked.
    #[error("{}: {reason}", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The log or another file is damaged, or cannot be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Notes a start once the log has room for it.
#[derive(Debug)]
struct NoteStart {
    disk: Arc<dyn Disk>,
    start: Start,
}

impl BeginLog for NoteStart {
    fn begin(&self) -> Result<(), LogError> {
        self.start.write(&*self.disk)
    }
}

impl DataDirectory {
    /// Opens a directory of the file system, which is made if it does not exist, and recovers its tables.
    ///
    /// # Errors
    ///
    /// Another server has it, it is damaged (with file and byte), or it cannot be read or written.
    pub fn open(path: &Path, options: DataOptions) -> Result<(Arc<DataDirectory>, Recovered), DataError> {
        let unusable =
            |error: &std::io::Error| DataError::Unusable { path: path.to_owned(), reason: error.to_string() };
        create_durably(path).map_err(|error| unusable(&error))?;
        let lock = lock_directory(path)?;
        let salt = RandomState::new().hash_one(std::process::id());
        DataDirectory::open_on(Arc::new(FileDisk::new(path)), salt, Some(lock), options)
    }

    /// As [`DataDirectory::open`], on any disk. `salt` is unpredictable to clients.
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        salt: u64,
        lock: Option<File>,
        options: DataOptions,
    ) -> Result<(Arc<DataDirectory>, Recovered), DataError> {
        disk.create_folder(table_file::FOLDER).map_err(|error| LogError::io(table_file::FOLDER, &error))?;
        let manifests = manifest::load_all(&*disk)?;
        let newest = manifests.last().cloned().unwrap_or_default();
        let last_start = manifest::last_start(&*disk)?;
        let is_new = last_start.is_none();
        if is_new && newest.number > 0 {
            return Err(LogError::damaged(manifest::START, 0, "it is missing").into());
        }
        let last_start = last_start.unwrap_or_default();
        // The older of the kept checkpoints decides what the log still holds; a start without checkpoint is the first one's.
        let from = match &manifests[..] {
            [] => 0,
            [only] => only.log_from,
            [.., oldest, _] => oldest.log_from,
        };
        let start = Start { epoch: epoch::next(last_start.epoch, salt), closed_at: None };
        let log_options = LocalOptions {
            from,
            least_end: newest.log_from,
            must_exist: last_start.epoch > 0 && last_start.closed_at.is_none(),
            closed_at: last_start.closed_at,
            salt,
            observer: options.observer.clone(),
            begin: Some(Arc::new(NoteStart { disk: disk.clone(), start })),
            ..LocalOptions::new(start.epoch)
        };
        let (log, opened) = LocalLog::open(disk.clone(), &log_options)?;
        let log: Arc<dyn Log> = Arc::new(log);
        let (recovered, registry) = recovery::recover(&disk, &*log, &newest, opened, &options)?;
        let directory = DataDirectory {
            checkpointed_bytes: AtomicU64::new(0),
            checkpointing: tokio::sync::Mutex::new(()),
            disk,
            log,
            options,
            start,
            registry: Mutex::new(registry),
            manifests: Mutex::new(manifests),
            open: Mutex::new(Some(OpenLock { _lock: lock })),
        };
        Ok((Arc::new(directory), recovered))
    }

    /// The log.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// How far the recovery has come.
    pub fn progress(&self) -> &Arc<RecoveryProgress> {
        &self.options.progress
    }

    /// The number of this start.
    pub fn epoch(&self) -> u64 {
        self.start.epoch
    }

    /// Whether a table of this name, written by clients, is durable.
    pub fn is_durable(&self, name: &str) -> bool {
        self.options.rules.is_durable(name)
    }

    /// Whether writes to a table of this name are visible before they are durable.
    pub fn is_visible_at_once(&self, name: &str) -> bool {
        let Visibility { at_once, of_tables } = &self.options.visible;
        of_tables.get(name).copied().unwrap_or(*at_once)
    }

    /// Registers a table that is about to be created, and returns its number. It is part of checkpoints from its
    /// [`DataDirectory::created`] on; until it is either that or [`DataDirectory::forget`]-gotten, the log keeps its creation.
    pub fn register(&self, name: &str) -> TableId {
        self.registry().register(name, self.log.end())
    }

    /// Notes how a registered table follows others, if it does.
    pub fn define(&self, id: TableId, definition: Option<DerivedDefinition>) {
        if let Some(table) = self.registry().tables.get_mut(&id) {
            table.definition = definition;
        }
    }

    /// A table that followed others has its rows in the log, and follows nothing any more.
    pub(crate) fn detach(&self, id: TableId) {
        if let Some(table) = self.registry().tables.get_mut(&id) {
            (table.definition, table.is_detached) = (None, true);
        }
    }

    /// The names of the tables that are made from views of a table.
    pub(crate) fn made_from_views_of(&self, id: TableId) -> Vec<Arc<str>> {
        let registry = self.registry();
        let is_made = |definition: &DerivedDefinition| match &definition.origin {
            DerivedOrigin::View { source, .. } => *source == id.0,
            // A table cannot be deleted while it is joined.
            DerivedOrigin::Join { .. } => false,
        };
        let made = registry.tables.values().filter(|table| table.definition.as_ref().is_some_and(is_made));
        made.map(|table| table.name.clone()).collect()
    }

    /// A registered table is hosted now.
    pub fn created(&self, id: TableId) {
        if let Some(table) = self.registry().tables.get_mut(&id) {
            table.is_created = true;
        }
    }

    /// Forgets a table that is deleted, or was not created.
    pub fn forget(&self, id: TableId) {
        self.registry().tables.remove(&id);
    }

    /// The tables that are registered.
    pub fn tables(&self) -> Vec<DurableTable> {
        self.registry().tables.values().cloned().collect()
    }

    /// Puts a table together again whose actor has failed: from the last checkpoint, and the log after it. Blocks.
    ///
    /// # Errors
    ///
    /// A file is damaged or cannot be read, or the table is not in the directory any more.
    pub fn rebuild(&self, id: TableId) -> Result<RecoveredTable, LogError> {
        let newest = self.manifests().last().cloned().unwrap_or_default();
        rebuild::rebuild(&self.disk, &*self.log, &newest, id, self.options.threads)
    }

    /// The groups of a table from a pivot, in order, as far as the log knows them. Blocks.
    ///
    /// # Errors
    ///
    /// A file is damaged or cannot be read.
    pub fn group_order(&self, id: TableId) -> Result<Vec<String>, LogError> {
        let newest = self.manifests().last().cloned().unwrap_or_default();
        rebuild::group_order(&self.disk, &*self.log, &newest, id)
    }

    /// Notes bytes of a record of a table.
    pub(crate) fn note_logged(&self, id: TableId, bytes: u64) {
        if let Some(table) = self.registry().tables.get(&id) {
            table.logged_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Bytes that a table takes in the directory: of its last checkpoint, and of its records after that.
    pub fn table_bytes(&self, id: TableId) -> u64 {
        let newest = self.manifests().last().cloned();
        let entry = newest.and_then(|newest| newest.tables.iter().find(|entry| entry.id == id.0).cloned());
        let logged = self.registry().tables.get(&id).map(|table| table.logged_bytes.load(Ordering::Relaxed));
        entry.map_or(0, |entry| entry.bytes) + logged.unwrap_or_default()
    }

    /// Notes that a record of a table cannot be applied: it stays in the log.
    pub fn note_failed(&self, id: TableId) {
        if let Some(table) = self.registry().tables.get_mut(&id) {
            table.is_failed = true;
        }
    }

    /// Held by the one who makes a checkpoint.
    pub(crate) fn checkpointing(&self) -> &tokio::sync::Mutex<()> {
        &self.checkpointing
    }

    /// Ends the log in order, once everything that was appended is acknowledged. The next start finds that nothing is missing.
    ///
    /// # Errors
    ///
    /// The note of it cannot be written; the next start recovers as after a crash.
    pub fn close(&self) -> Result<(), LogError> {
        self.log.close();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = self.log.failure() {
            open.take();
            return Err(failure);
        }
        // A start that has written nothing leaves the note of the one before, which still holds.
        let closed = match self.log.has_begun() {
            true => Start { closed_at: Some(self.log.end()), ..self.start }.write(&*self.disk),
            false => Ok(()),
        };
        // Another server may have it from now on.
        open.take();
        closed
    }

    /// Keeps the directory open while files are written.
    ///
    /// # Errors
    ///
    /// It is closed.
    fn keep_open(&self) -> Result<MutexGuard<'_, Option<OpenLock>>, LogError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() { Ok(open) } else { Err(LogError::Closed) }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn manifests(&self) -> MutexGuard<'_, Vec<Arc<Manifest>>> {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates a directory and those above it, whose names are durable afterwards.
fn create_durably(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_durably(above)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    File::open(above)?.sync_all()
}

/// Locks a directory for this process.
///
/// # Errors
///
/// Another process has locked it.
pub fn lock_directory(path: &Path) -> Result<File, DataError> {
    let unusable =
        |error: &std::io::Error| DataError::Unusable { path: path.to_owned(), reason: error.to_string() };
    let options = File::options().create(true).truncate(false).write(true).read(true).clone();
    let lock = options.open(path.join("lock")).map_err(|error| unusable(&error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DataError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(unusable(&error)),
    }
}
