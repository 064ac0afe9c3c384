//! What the data directory says about itself: its starts and its checkpoints.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::definition::DerivedDefinition;
use super::sealed;
use crate::log::{Disk, LogError};

/// The version of the format of a data directory.
const FORMAT: u32 = 1;

/// The file of the last start.
pub(super) const START: &str = "start.json";

/// The last start of a server on the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub epoch: u64,
    /// The number after the last record, if it ended in order.
    pub closed_at: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StartFile {
    format: u32,
    epoch: u64,
    closed_at: Option<u64>,
}

impl Start {
    pub fn write(self, disk: &dyn Disk) -> Result<(), LogError> {
        let Start { epoch, closed_at } = self;
        sealed::write(disk, START, &StartFile { format: FORMAT, epoch, closed_at })
    }
}

/// Reads the last start; `None` for a new directory.
pub(super) fn last_start(disk: &dyn Disk) -> Result<Option<Start>, LogError> {
    let Some(StartFile { format, epoch, closed_at }) = sealed::read(disk, START)? else { return Ok(None) };
    check_format(START, format)?;
    Ok(Some(Start { epoch, closed_at }))
}

/// A checkpoint: all durable tables, each at a version of its own, and what of the log leads from there to the present.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub format: u32,
    pub number: u64,
    /// The first record that may change a table after its version here.
    pub log_from: u64,
    /// The number of the next new table.
    pub next_table: u64,
    pub tables: Vec<TableEntry>,
    pub derived: Vec<DerivedEntry>,
}

/// A table in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableEntry {
    pub id: u64,
    pub name: String,
    pub version: u64,
    /// Its file, below the directory.
    pub file: String,
    /// The size of the file.
    pub bytes: u64,
    /// Whether it followed others, which are deleted: nobody writes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_detached: bool,
}

/// A table that follows others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DerivedEntry {
    pub id: u64,
    pub definition: DerivedDefinition,
    /// The groups of a table from a pivot, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
}

impl Default for Manifest {
    /// That of a new directory.
    fn default() -> Self {
        let (tables, derived) = (Vec::new(), Vec::new());
        Manifest { format: FORMAT, number: 0, log_from: 0, next_table: 1, tables, derived }
    }
}

impl Manifest {
    pub fn name(number: u64) -> String {
        format!("manifest-{number:010}.json")
    }

    pub fn write(&self, disk: &dyn Disk) -> Result<(), LogError> {
        sealed::write(disk, &Manifest::name(self.number), self)
    }
}

/// The names of all manifests, oldest first.
pub(super) fn names(disk: &dyn Disk) -> Result<Vec<String>, LogError> {
    let mut names = disk.list("").map_err(|error| LogError::io(".", &error))?;
    names.retain(|name| name.starts_with("manifest-") && name.ends_with(".json"));
    Ok(names)
}

/// Reads all manifests, oldest first.
pub(super) fn load_all(disk: &dyn Disk) -> Result<Vec<Arc<Manifest>>, LogError> {
    let mut manifests: Vec<Arc<Manifest>> = Vec::new();
    for name in &names(disk)? {
        let Some(manifest) = sealed::read::<Manifest>(disk, name)? else { continue };
        check_format(name, manifest.format)?;
        if *name != Manifest::name(manifest.number) {
            return Err(LogError::damaged(name, 0, format!("it is manifest {}", manifest.number)));
        }
        manifests.push(Arc::new(manifest));
    }
    manifests.sort_by_key(|manifest| manifest.number);
    Ok(manifests)
}

fn check_format(name: &str, format: u32) -> Result<(), LogError> {
    if format == FORMAT {
        return Ok(());
    }
    let reason = format!("its format is {format}, and this release reads {FORMAT}");
    Err(LogError::damaged(name, 0, reason))
}
