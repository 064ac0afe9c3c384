//! Recovery: the tables of the newest checkpoint, led to the present by the log.
//!
//! Invariant: a table has every acknowledged batch, each once, in order. What is missing between two records of a table is
//! damage, not a gap to be skipped. Cost: checkpoints are read, and the records of different tables applied, by all cores;
//! the log is read in chunks, of which one is held.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proscenium_engine::table::Table;
use proscenium_engine::{EngineContext, MemoryAccount};

use super::definition::{DerivedDefinition, read_creation};
use super::manifest::{Manifest, TableEntry};
use super::registry::{DurableTable, Registry};
use super::{DataOptions, RecoveryPhase, RecoveryProgress, fault, rebuild, table_file};
use crate::log::frame::HEAD_BYTES;
use crate::log::local::Opened;
use crate::log::{Disk, Log, LogError, PlacedRecord, RecordKind, TableId};

/// Bytes of records that are held and then applied.
const CHUNK_BYTES: usize = 64 << 20;

/// Bytes that a record is counted as beside its payload.
const RECORD_BYTES: usize = 256;

/// Time between two lines about the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// What a start has recovered.
#[derive(Debug)]
pub struct Recovered {
    /// Tables with their rows.
    pub tables: Vec<RecoveredTable>,
    /// Tables that follow others, in the order in which they were created.
    pub derived: Vec<RecoveredFollower>,
    /// What it took.
    pub report: RecoveryReport,
}

/// A table that follows others.
#[derive(Debug, Clone)]
pub struct RecoveredFollower {
    /// Its number.
    pub id: TableId,
    /// How it follows them.
    pub definition: DerivedDefinition,
    /// The groups of a table from a pivot, in order.
    pub order: Vec<String>,
}

/// A table with its rows.
#[derive(Debug)]
pub struct RecoveredTable {
    /// Its number.
    pub id: TableId,
    /// Its name.
    pub name: String,
    /// The table.
    pub table: Table,
    /// The version whose record could not be applied: a fault of the server. The table is at the one before, and stays so.
    pub failed_at: Option<u64>,
}

/// What a recovery took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Rows of the recovered tables.
    pub num_rows: usize,
    /// Records of the log that were applied.
    pub num_records: usize,
    /// The time.
    pub took: Duration,
    /// The file, the byte and the number of bytes of a torn end of the log that was cut.
    pub cut: Option<(String, u64, u64)>,
}

/// The state of one table during recovery.
#[derive(Debug)]
pub(super) enum Recovering {
    Written {
        name: String,
        table: Box<Table>,
    },
    /// Applying the record of this version panicked, and left the table in an unknown state.
    Failed {
        name: String,
        version: u64,
    },
    Derived(DerivedDefinition, Vec<String>),
    /// The groups of a table whose creation, which follows, was not found yet.
    Announced(Vec<String>),
    /// It followed others, which are deleted.
    Detached {
        name: String,
        table: Box<Table>,
    },
    /// It has records and no creation: it must turn out to be dropped.
    Unknown {
        first: (Arc<str>, u64),
    },
    Dropped,
}

pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    log: &dyn Log,
    manifest: &Manifest,
    Opened { cut }: Opened,
    options: &DataOptions,
) -> Result<(Recovered, Registry), LogError> {
    let (threads, shown) = (options.threads, &*options.progress);
    let began = Instant::now();
    let mut tables: BTreeMap<TableId, Recovering> = load_checkpoint(disk, manifest, threads, shown)?;
    shown.begin(RecoveryPhase::ApplyingLog, 0, log.num_bytes());
    let mut chunk = Chunk::default();
    let mut progress = Progress { last: Instant::now(), num_records: 0 };
    let mut logged: HashMap<TableId, u64> = HashMap::new();
    log.replay(manifest.log_from, &mut |placed| {
        *logged.entry(placed.record.table).or_default() += placed.record.payload.len() as u64;
        shown.bytes_done((placed.record.payload.len() + HEAD_BYTES) as u64);
        chunk.push(placed);
        if chunk.bytes >= CHUNK_BYTES {
            progress.note(&chunk);
            apply_chunk(&mut tables, &mut chunk, threads)?;
            shown.rows_are(num_rows(&tables));
        }
        Ok(())
    })?;
    progress.note(&chunk);
    apply_chunk(&mut tables, &mut chunk, threads)?;
    shown.rows_are(num_rows(&tables));
    let mut next = manifest.next_table;
    let mut registry = BTreeMap::new();
    let mut recovered = Vec::new();
    let mut derived = Vec::new();
    for (id, table) in tables {
        next = next.max(id.0 + 1);
        let mut is_detached = false;
        let (name, definition) = match table {
            Recovering::Dropped | Recovering::Announced(_) => continue,
            Recovering::Unknown { first: (file, offset) } => {
                let reason = format!("it has a record of table {id}, whose creation is missing");
                return Err(LogError::damaged(&file, offset, reason));
            }
            Recovering::Written { name, table } => {
                let table = RecoveredTable { id, name: name.clone(), table: *table, failed_at: None };
                recovered.push(table);
                (name, None)
            }
            Recovering::Detached { name, table } => {
                recovered.push(detached(id, name.clone(), *table, &context(threads))?);
                is_detached = true;
                (name, None)
            }
            Recovering::Failed { name, version } => {
                recovered.push(rebuild::rebuild_until(disk, log, manifest, id, version, threads)?);
                (name, None)
            }
            Recovering::Derived(definition, order) => {
                derived.push(RecoveredFollower { id, definition: definition.clone(), order });
                (definition.name.clone(), Some(definition))
            }
        };
        let (name, since, is_created) = (name.into(), manifest.log_from, true);
        let logged_bytes = Arc::new(logged.get(&id).copied().unwrap_or_default().into());
        registry.insert(
            id,
            DurableTable {
                id,
                name,
                since,
                is_created,
                is_failed: false,
                is_detached,
                logged_bytes,
                definition,
            },
        );
    }
    let report = RecoveryReport {
        num_rows: recovered.iter().map(|table| table.table.num_rows()).sum(),
        num_records: progress.num_records,
        took: began.elapsed(),
        cut,
    };
    Ok((Recovered { tables: recovered, derived, report }, Registry { tables: registry, next }))
}

fn num_rows(tables: &BTreeMap<TableId, Recovering>) -> usize {
    let rows = |table: &Recovering| match table {
        Recovering::Written { table, .. } | Recovering::Detached { table, .. } => table.num_rows(),
        Recovering::Failed { .. }
        | Recovering::Derived(..)
        | Recovering::Announced(_)
        | Recovering::Unknown { .. }
        | Recovering::Dropped => 0,
    };
    tables.values().map(rows).sum()
}

/// Reads the tables of a checkpoint: several at a time, each by several threads.
fn load_checkpoint(
    disk: &Arc<dyn Disk>,
    manifest: &Manifest,
    threads: usize,
    shown: &RecoveryProgress,
) -> Result<BTreeMap<TableId, Recovering>, LogError> {
    let bytes = manifest.tables.iter().map(|entry| entry.bytes).sum();
    shown.begin(RecoveryPhase::ReadingCheckpoint, manifest.tables.len(), bytes);
    let mut tables = BTreeMap::new();
    for entry in &manifest.derived {
        tables.insert(TableId(entry.id), Recovering::Derived(entry.definition.clone(), entry.order.clone()));
    }
    let mut entries: Vec<&TableEntry> = manifest.tables.iter().collect();
    // The largest first, so that none is left for the end.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.bytes));
    let at_once = threads.clamp(1, entries.len().max(1));
    let context = context(threads.div_ceil(at_once));
    let loaded = in_parallel(&entries, at_once, |entry| {
        let table = table_file::load(&**disk, entry, &context)?;
        shown.table_done(table.num_rows());
        shown.bytes_done(entry.bytes);
        Ok(table)
    })?;
    for (entry, table) in entries.into_iter().zip(loaded) {
        let recovering = loaded_table(entry, table);
        tables.insert(TableId(entry.id), recovering);
    }
    Ok(tables)
}

pub(super) fn loaded_table(entry: &TableEntry, table: Table) -> Recovering {
    let (name, table) = (entry.name.clone(), Box::new(table));
    match entry.is_detached {
        true => Recovering::Detached { name, table },
        false => Recovering::Written { name, table },
    }
}

/// A table that nobody writes.
pub(super) fn detached(
    id: TableId,
    name: String,
    table: Table,
    context: &EngineContext,
) -> Result<RecoveredTable, LogError> {
    let table = table.into_read_only(context);
    let table = table.map_err(|error| LogError::damaged(&format!("table {name}"), 0, error.to_string()))?;
    Ok(RecoveredTable { id, name, table, failed_at: None })
}

pub(super) fn context(threads: usize) -> EngineContext {
    // What a table holds depends on neither time nor chance.
    EngineContext { threads, memory: MemoryAccount::unlimited(), ..EngineContext::default() }
}

/// Runs `work` on each item, `at_once` at a time; the first error ends it.
fn in_parallel<I: Sync, T: Send>(
    items: &[I],
    at_once: usize,
    work: impl Fn(&I) -> Result<T, LogError> + Sync,
) -> Result<Vec<T>, LogError> {
    if at_once <= 1 || items.len() <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<T, LogError>>>> =
        Mutex::new(std::iter::repeat_with(|| None).take(items.len()).collect());
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let position = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(position) else { return };
                    let result = work(item);
                    results.lock().unwrap_or_else(PoisonError::into_inner)[position] = Some(result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().map(|result| result.expect("every item was worked on")).collect()
}

/// Records that are applied together, by table.
#[derive(Debug, Default)]
struct Chunk {
    records: HashMap<TableId, Vec<PlacedRecord>>,
    bytes: usize,
    len: usize,
}

impl Chunk {
    fn push(&mut self, placed: PlacedRecord) {
        if matches!(placed.record.kind, RecordKind::Close | RecordKind::Barrier) {
            return;
        }
        self.bytes += placed.record.payload.len() + RECORD_BYTES;
        self.len += 1;
        self.records.entry(placed.record.table).or_default().push(placed);
    }
}

#[derive(Debug)]
struct Progress {
    last: Instant,
    num_records: usize,
}

impl Progress {
    fn note(&mut self, chunk: &Chunk) {
        self.num_records += chunk.len;
        if self.last.elapsed() >= PROGRESS_INTERVAL {
            self.last = Instant::now();
            tracing::info!(records = self.num_records, "recovering tables from the log");
        }
    }
}

fn apply_chunk(
    tables: &mut BTreeMap<TableId, Recovering>,
    chunk: &mut Chunk,
    threads: usize,
) -> Result<(), LogError> {
    let Chunk { records, .. } = std::mem::take(chunk);
    let mut work: Vec<_> = records
        .into_iter()
        .map(|(id, records)| {
            let bytes: usize = records.iter().map(|placed| placed.record.payload.len()).sum();
            (bytes, Mutex::new(Some((id, tables.remove(&id), records))))
        })
        .collect();
    work.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    let at_once = threads.clamp(1, work.len().max(1));
    let context = context(threads.div_ceil(at_once));
    let applied = in_parallel(&work, at_once, |(_, work)| {
        let taken = work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (id, mut table, records) = taken.expect("each is taken once");
        for placed in records {
            table = Some(apply(table, placed, &context)?);
        }
        Ok((id, table))
    })?;
    tables.extend(applied.into_iter().filter_map(|(id, table)| Some((id, table?))));
    Ok(())
}

/// Applies one record to what is known of its table.
pub(super) fn apply(
    table: Option<Recovering>,
    placed: PlacedRecord,
    context: &EngineContext,
) -> Result<Recovering, LogError> {
    let PlacedRecord { record, place: (file, offset), .. } = placed;
    let damaged = |reason: String| LogError::damaged(&file, offset, reason);
    let unreadable = |error: proscenium_engine::EngineError| damaged(error.to_string());
    match (record.kind, table) {
        (RecordKind::Close | RecordKind::Barrier, table) => Ok(table.unwrap_or(Recovering::Dropped)),
        (_, Some(Recovering::Dropped)) => Ok(Recovering::Dropped),
        (RecordKind::Drop, _) => Ok(Recovering::Dropped),
        (RecordKind::Derive, Some(Recovering::Announced(order))) => {
            let definition = DerivedDefinition::read(&record.payload).map_err(unreadable)?;
            Ok(Recovering::Derived(definition, order))
        }
        // The checkpoint has it.
        (RecordKind::Create | RecordKind::Derive, Some(table)) => Ok(table),
        (RecordKind::Create, None) => {
            let (name, staged) = read_creation(&record.payload).map_err(unreadable)?;
            let staged = Table::creation_from_ipc(&staged).map_err(unreadable)?;
            Ok(Recovering::Written { name, table: Box::new(Table::build(&staged, context)) })
        }
        (RecordKind::Order, Some(Recovering::Derived(definition, mut order))) => {
            let added: Vec<String> =
                serde_json::from_slice(&record.payload).map_err(|error| damaged(error.to_string()))?;
            order.extend(added);
            Ok(Recovering::Derived(definition, order))
        }
        (RecordKind::Order, None) => {
            let order =
                serde_json::from_slice(&record.payload).map_err(|error| damaged(error.to_string()))?;
            Ok(Recovering::Announced(order))
        }
        // It was detached since.
        (RecordKind::Order, Some(table)) => Ok(table),
        (RecordKind::Detach, Some(Recovering::Derived(DerivedDefinition { name, .. }, _))) => {
            let table = table_file::from_bytes(&record.payload, &file, record.table, context);
            let table = table.map_err(|error| damaged(error.to_string()))?;
            Ok(Recovering::Detached { name, table: Box::new(table) })
        }
        // The checkpoint has it.
        (RecordKind::Detach, Some(table)) => Ok(table),
        (RecordKind::Detach, None) => Ok(Recovering::Unknown { first: (file, offset) }),
        (RecordKind::Derive, None) => {
            let definition = DerivedDefinition::read(&record.payload).map_err(unreadable)?;
            Ok(Recovering::Derived(definition, Vec::new()))
        }
        (RecordKind::Write, Some(Recovering::Written { name, mut table })) => {
            let next = table.version() + 1;
            if record.version > next {
                let reason =
                    format!("version {} of table \"{name}\" follows version {}", record.version, next - 1);
                return Err(damaged(reason));
            }
            if record.version < next {
                return Ok(Recovering::Written { name, table });
            }
            let staged = table.staged_from_ipc(&record.payload).map_err(unreadable)?;
            let applied = catch_unwind(AssertUnwindSafe(|| {
                assert!(!fault::is_faulty(&name, next), "a faulty record");
                table.apply_unobserved(&staged, next, context);
            }));
            match applied {
                Ok(()) => Ok(Recovering::Written { name, table }),
                Err(_) => {
                    tracing::error!(table = name, version = next, "applying a record failed");
                    Ok(Recovering::Failed { name, version: next })
                }
            }
        }
        (RecordKind::Write, Some(failed @ Recovering::Failed { .. })) => Ok(failed),
        (RecordKind::Write, Some(Recovering::Derived(definition, _))) => {
            Err(damaged(format!("it has a write to \"{}\", which follows others", definition.name)))
        }
        (RecordKind::Write, Some(Recovering::Detached { name, .. })) => {
            Err(damaged(format!("it has a write to \"{name}\", which nobody writes")))
        }
        (RecordKind::Write, Some(unknown @ (Recovering::Unknown { .. } | Recovering::Announced(_)))) => {
            Ok(unknown)
        }
        (RecordKind::Write, None) => Ok(Recovering::Unknown { first: (file, offset) }),
    }
}
