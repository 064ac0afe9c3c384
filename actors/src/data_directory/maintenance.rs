//! What an operator does with a data directory: check it, repair it, back it up.
//!
//! Invariant: checking writes nothing. Repairing removes nothing: what it takes out of the directory is in its folder
//! `removed`. A backup is a directory that a server starts on, with everything that was acknowledged before it began.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::{self, Manifest};
use super::overlay::OverlayDisk;
use super::{DataDirectory, DataError, DataOptions, DurableRules, Visibility, lock_directory, table_file};
use crate::log::local::{self, scan_until_damage};
use crate::log::{Disk, FileDisk, LogError};

/// Where a repair puts what it takes out.
const REMOVED: &str = "removed";

/// Times that a backup begins anew because the server made a checkpoint meanwhile.
const BACKUP_TRIES: usize = 20;

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The tables with rows: name, version, number of rows.
    pub tables: Vec<(String, u64, usize)>,
    /// The tables that follow others.
    pub derived: Vec<String>,
    /// The number of the last start.
    pub epoch: u64,
    /// A torn end of the log, which the next start cuts: file, byte, number of bytes.
    pub cut: Option<(String, u64, u64)>,
}

/// What a damaged directory still has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The first damage that was found.
    pub error: LogError,
    /// The checkpoint before the newest one is whole, and so is the log after it: nothing is lost without the newest.
    pub has_older_checkpoint: bool,
    /// The first record of the log that cannot be read, if there is one.
    pub log_until: Option<u64>,
}

fn options() -> DataOptions {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    DataOptions {
        rules: DurableRules::default(),
        visible: Visibility::default(),
        checkpoint_bytes: u64::MAX,
        threads,
        observer: None,
        progress: Arc::default(),
    }
}

/// Recovers a directory without writing to it. The inner error says what can be repaired.
///
/// # Errors
///
/// A server has the directory, or it cannot be read.
pub fn check(path: &Path) -> Result<Result<CheckReport, Damage>, DataError> {
    let _lock = lock_directory(path)?;
    check_unlocked(path)
}

fn check_unlocked(path: &Path) -> Result<Result<CheckReport, Damage>, DataError> {
    let disk: Arc<dyn Disk> = Arc::new(FileDisk::new(path));
    match recover(&disk) {
        Ok(report) => Ok(Ok(report)),
        Err(DataError::Log(error @ LogError::Damaged { .. })) => {
            let has_older_checkpoint = match without_newest(&disk) {
                Some(older) => recover(&older).is_ok(),
                None => false,
            };
            let log_until = scan_until_damage(&*disk)?;
            Ok(Err(Damage { error, has_older_checkpoint, log_until }))
        }
        Err(error) => Err(error),
    }
}

fn recover(disk: &Arc<dyn Disk>) -> Result<CheckReport, DataError> {
    let overlay = Arc::new(OverlayDisk::new(disk.clone()));
    let (data, recovered) = DataDirectory::open_on(overlay, 0, None, options())?;
    let tables = recovered.tables.into_iter();
    Ok(CheckReport {
        tables: tables.map(|table| (table.name, table.table.version(), table.table.num_rows())).collect(),
        derived: recovered.derived.into_iter().map(|follower| follower.definition.name).collect(),
        epoch: data.epoch() - 1,
        cut: recovered.report.cut,
    })
}

/// The disk without its newest manifest, if there is an older one.
fn without_newest(disk: &Arc<dyn Disk>) -> Option<Arc<dyn Disk>> {
    let names = manifest::names(&**disk).ok()?;
    let [.., _, newest] = &names[..] else { return None };
    let overlay = OverlayDisk::new(disk.clone());
    overlay.remove(newest).ok()?;
    Some(Arc::new(overlay))
}

/// Repairs what can be repaired: drops a damaged newest checkpoint if the one before is whole, and, if `until` is given, all
/// records of the log from that number on. Returns what was done.
///
/// # Errors
///
/// A server has the directory, or a file cannot be moved.
pub fn repair(path: &Path, until: Option<u64>) -> Result<Vec<String>, DataError> {
    let _lock = lock_directory(path)?;
    let mut done = Vec::new();
    let disk: Arc<dyn Disk> = Arc::new(FileDisk::new(path));
    if let Err(damage) = check_unlocked(path)?
        && damage.has_older_checkpoint
        && let Some(newest) = manifest::names(&*disk)?.last()
    {
        take_out(path, newest)?;
        done.push(format!("{newest} is dropped; the checkpoint before it and the log have the same"));
    }
    if let Some(until) = until {
        cut_log(path, &*disk, until, &mut done)?;
    }
    Ok(done)
}

fn cut_log(path: &Path, disk: &dyn Disk, until: u64, done: &mut Vec<String>) -> Result<(), DataError> {
    let copied = |name: &str| -> Result<(), DataError> {
        let removed = path.join(REMOVED).join(name);
        let made = removed.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::copy(path.join(name), removed)).map_err(|error| LogError::io(name, &error))?;
        Ok(())
    };
    let needed = manifest::load_all(disk)?.last().map_or(0, |newest| newest.log_from);
    // The newest checkpoint has more than the log would have: then it needs none of it, and no older one can be used.
    let until = if until < needed { 0 } else { until };
    if until == 0 {
        let names = manifest::names(disk)?;
        for name in &names[..names.len().saturating_sub(1)] {
            take_out(path, name)?;
            done.push(format!("{name} is dropped"));
        }
    }
    for name in local::segment_names(disk)? {
        match local::offset_of(disk, &name, until)? {
            local::CutAt::Whole => {}
            local::CutAt::Nothing => {
                take_out(path, &name)?;
                done.push(format!("{name} is dropped"));
            }
            local::CutAt::Byte(offset) => {
                copied(&name)?;
                let failed = |error: &std::io::Error| LogError::io(&name, error);
                let mut file = disk.open(&name).map_err(|error| failed(&error))?;
                file.cut(offset).and_then(|()| file.sync()).map_err(|error| failed(&error))?;
                done.push(format!("{name} is cut at byte {offset}"));
            }
        }
    }
    // The log may end before what was noted at the last end.
    if let Some(start) = manifest::last_start(disk)? {
        let closed_at = local::segment_names(disk)?.is_empty().then_some(needed);
        manifest::Start { closed_at, ..start }.write(disk)?;
    }
    Ok(())
}

/// Moves a file to the folder of what was taken out.
fn take_out(path: &Path, name: &str) -> Result<(), DataError> {
    let to = path.join(REMOVED).join(name);
    let moved =
        to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::rename(path.join(name), &to));
    let synced = moved.and_then(|()| {
        let folder = path.join(name);
        fs::File::open(folder.parent().unwrap_or(path))?.sync_all()
    });
    synced.map_err(|error| DataError::Log(LogError::io(name, &error)))
}

/// Copies the state of a directory, also while a server uses it, to a new directory, and checks the copy.
///
/// # Errors
///
/// The target has files, something cannot be read or written, or what was copied is damaged.
pub fn backup(path: &Path, target: &Path) -> Result<CheckReport, DataError> {
    let unusable =
        |path: PathBuf| move |error: std::io::Error| DataError::Unusable { path, reason: error.to_string() };
    fs::create_dir_all(target).map_err(unusable(target.to_owned()))?;
    let mut present = fs::read_dir(target).map_err(unusable(target.to_owned()))?;
    if present.next().is_some() {
        let reason = "a backup needs a new or empty directory".to_owned();
        return Err(DataError::Unusable { path: target.to_owned(), reason });
    }
    let disk = FileDisk::new(path);
    for attempt in 1.. {
        match copy(&disk, target) {
            Ok(()) => break,
            // A checkpoint has removed what the copy was about to read.
            Err(LogError::Io { .. }) if attempt < BACKUP_TRIES && is_there(&disk) => {
                for name in ["log", table_file::FOLDER] {
                    let _ = fs::remove_dir_all(target.join(name));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    check(target)?.map_err(|damage| DataError::Log(damage.error))
}

fn is_there(disk: &FileDisk) -> bool {
    manifest::last_start(disk).is_ok_and(|start| start.is_some())
}

fn copy(disk: &FileDisk, target: &Path) -> Result<(), LogError> {
    let to = FileDisk::new(target);
    let io = |name: &str| {
        let name = name.to_owned();
        move |error: std::io::Error| LogError::io(&name, &error)
    };
    for folder in [local::FOLDER, table_file::FOLDER] {
        to.create_folder(folder).map_err(io(folder))?;
    }
    // The manifest first: what it names may be gone when it is copied, and then all begins anew.
    let manifests = manifest::load_all(disk)?;
    let newest = manifests.last();
    let from = newest.map_or(0, |newest| newest.log_from);
    let copied = |name: &str| -> Result<(), LogError> {
        fs::copy(disk.root().join(name), target.join(name)).map_err(io(name))?;
        let file = fs::File::open(target.join(name)).map_err(io(name))?;
        file.sync_all().map_err(io(name))
    };
    for entry in newest.iter().flat_map(|newest| &newest.tables) {
        copied(&entry.file)?;
    }
    // Segments that begin later have nothing that was acknowledged before now.
    let segments = local::segment_names(disk)?;
    let needed = segments.iter().enumerate().filter(|(position, _)| {
        let after = segments.get(position + 1).and_then(|name| local::first_of(name));
        after.is_none_or(|after| after > from)
    });
    for (_, name) in needed {
        copied(name)?;
    }
    for name in local::side_file_names(disk)? {
        copied(&name)?;
    }
    let start = manifest::last_start(disk)?.unwrap_or_default();
    if let Some(newest) = newest {
        Manifest::write(newest, &to)?;
    }
    // It was not ended in order, and need not end where the log of the server did.
    manifest::Start { closed_at: None, ..start }.write(&to)?;
    for folder in [local::FOLDER, table_file::FOLDER] {
        to.sync_folder(folder).map_err(io(folder))?;
    }
    Ok(())
}
