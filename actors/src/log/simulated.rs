//! A disk in memory that loses what was not synced, for tests.
//!
//! Invariant: after a crash, a file has its synced content, and of what was written since each page is there, torn, or lost
//! (zeros, or beyond its end); a name that was made, renamed or removed without a sync of its folder may be as before. Nothing
//! else changes.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proscenium_engine::testing::Random;

use super::disk::{Disk, DiskFile};

const PAGE: usize = 64;

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedDisk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    held: Condvar,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<FileState>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since the last sync of their folder.
    unsynced_names: Vec<NameChange>,
    /// Operations until the power is lost; `None`: never.
    operations_left: Option<u64>,
    /// Syncs until one fails.
    syncs_left: Option<u64>,
    /// Bytes that still fit.
    room: Option<u64>,
    is_off: bool,
    /// Syncs and reads of files with this ending wait while it is set.
    hold: Option<&'static str>,
    num_held: usize,
}

#[derive(Debug, Clone, Default)]
struct FileState {
    name: String,
    content: Vec<u8>,
    durable: Vec<u8>,
    /// The first byte that may differ from what is durable.
    synced_up_to: usize,
}

#[derive(Debug, Clone)]
enum NameChange {
    Set(String, usize),
    Renamed(String, String, usize),
    Removed(String),
}

impl NameChange {
    fn is_in(&self, folder: &str) -> bool {
        let of = |name: &str| name.rsplit_once('/').map_or("", |(folder, _)| folder) == folder;
        match self {
            NameChange::Set(name, _) | NameChange::Removed(name) | NameChange::Renamed(_, name, _) => {
                of(name)
            }
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Set(name, file) => drop(names.insert(name.clone(), *file)),
            NameChange::Renamed(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            NameChange::Removed(name) => drop(names.remove(name)),
        }
    }
}

impl SimulatedDisk {
    pub fn new() -> SimulatedDisk {
        SimulatedDisk(Arc::default())
    }

    fn of(state: State) -> SimulatedDisk {
        SimulatedDisk(Arc::new(Shared { state: Mutex::new(state), held: Condvar::new() }))
    }

    /// Keeps syncs and reads of files whose names end so from returning, until it is called with `None`.
    pub fn hold(&self, ending: Option<&'static str>) {
        self.lock().hold = ending;
        self.0.held.notify_all();
    }

    /// Waits until so many are held; false if that does not happen.
    pub fn wait_for_held(&self, count: usize) -> bool {
        let waited = self
            .0
            .held
            .wait_timeout_while(self.lock(), Duration::from_secs(60), |state| state.num_held < count);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Loses power after so many operations.
    pub fn lose_power_after(&self, operations: u64) {
        self.lock().operations_left = Some(operations);
    }

    /// Fails one sync, after so many that succeed.
    pub fn fail_sync_after(&self, syncs: u64) {
        self.lock().syncs_left = Some(syncs);
    }

    /// Takes only so many bytes more; `None`: any number.
    pub fn set_room(&self, room: Option<u64>) {
        self.lock().room = room;
    }

    /// What a loss of power leaves.
    pub fn after_crash(&self, random: &mut Random) -> SimulatedDisk {
        let state = self.lock();
        let mut names = state.durable_names.clone();
        // A journal keeps the order of names: a prefix of the changes is durable, or, without one, any of them.
        let is_journaled = random.below(2) == 0;
        let kept = random.below(state.unsynced_names.len() + 1);
        for (position, change) in state.unsynced_names.iter().enumerate() {
            if if is_journaled { position < kept } else { random.below(2) == 0 } {
                change.apply(&mut names);
            }
        }
        let files: Vec<FileState> = state.files.iter().map(|file| file.after_crash(random)).collect();
        let state = State { files, names: names.clone(), durable_names: names, ..State::default() };
        SimulatedDisk::of(state)
    }

    /// The whole disk as files.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.lock();
        state.names.iter().map(|(name, file)| (name.clone(), state.files[*file].content.clone())).collect()
    }

    /// A disk with these files, all durable.
    pub fn with_files(files: &BTreeMap<String, Vec<u8>>) -> SimulatedDisk {
        let mut state = State::default();
        for (name, content) in files {
            state.names.insert(name.clone(), state.files.len());
            state.files.push(FileState {
                name: name.clone(),
                content: content.clone(),
                durable: content.clone(),
                synced_up_to: content.len(),
            });
        }
        state.durable_names = state.names.clone();
        SimulatedDisk::of(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation that changes the disk; the power may be lost instead.
    fn operation(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if let Some(left) = &mut state.operations_left {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => state.is_off = true,
            }
        }
        match state.is_off {
            true => Err(io::Error::other("the power is off")),
            false => Ok(state),
        }
    }
}

impl FileState {
    fn after_crash(&self, random: &mut Random) -> FileState {
        let begin = self.synced_up_to.min(self.content.len());
        let mut content = self.durable.clone();
        if content.len() > self.content.len() && random.below(2) == 0 {
            // It was cut since.
            content.truncate(self.content.len());
        }
        if self.content.len() > begin {
            let written = self.content.len() - begin;
            let size = begin + random.below(written + 1);
            content.resize(size.max(content.len().min(begin)), 0);
            for start in (begin - begin % PAGE..content.len()).step_by(PAGE) {
                let (start, end) = (start.max(begin), (start + PAGE).min(content.len()));
                let kept = match random.below(4) {
                    0 => start,
                    1 => start + random.below(end - start + 1),
                    _ => end,
                };
                content[start..kept].copy_from_slice(&self.content[start..kept]);
                content[kept..end].fill(0);
            }
        }
        FileState { name: self.name.clone(), durable: content.clone(), synced_up_to: content.len(), content }
    }
}

impl State {
    fn sync(&mut self) -> io::Result<()> {
        match &mut self.syncs_left {
            Some(0) => {
                self.syncs_left = None;
                Err(io::Error::from_raw_os_error(5))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.operation()?;
        if state.room == Some(0) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let file = state.files.len();
        state.files.push(FileState { name: name.to_owned(), ..FileState::default() });
        state.names.insert(name.to_owned(), file);
        state.unsynced_names.push(NameChange::Set(name.to_owned(), file));
        Ok(Box::new(SimulatedFile { disk: self.clone(), file }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.lock().file(name)?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), file }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.lock();
        let names = state.names.keys().filter_map(|name| match folder {
            "" => (!name.contains('/')).then(|| name.clone()),
            folder => name.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned),
        });
        Ok(names.collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.operation()?;
        let file = state.file(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), file);
        state.unsynced_names.push(NameChange::Renamed(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.operation()?;
        state.file(name)?;
        state.names.remove(name);
        state.unsynced_names.push(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.operation()?;
        state.sync()?;
        let changes = std::mem::take(&mut state.unsynced_names);
        for change in changes {
            match change.is_in(folder) {
                true => change.apply(&mut state.durable_names),
                false => state.unsynced_names.push(change),
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
}

impl SimulatedFile {
    fn wait_while_held(&self) {
        let mut state = self.disk.lock();
        let name = state.files[self.file].name.clone();
        let is_held = |state: &mut State| state.hold.is_some_and(|ending| name.ends_with(ending));
        if is_held(&mut state) {
            state.num_held += 1;
            self.disk.0.held.notify_all();
            let waited = self.disk.0.held.wait_while(state, is_held);
            waited.unwrap_or_else(PoisonError::into_inner).num_held -= 1;
        }
    }
}

impl DiskFile for SimulatedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.operation()?;
        let taken = state.room.map_or(bytes.len(), |room| bytes.len().min(room as usize));
        if let Some(room) = &mut state.room {
            *room -= taken as u64;
        }
        state.files[self.file].content.extend_from_slice(&bytes[..taken]);
        match taken == bytes.len() {
            true => Ok(()),
            false => Err(io::Error::from(io::ErrorKind::StorageFull)),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.wait_while_held();
        let mut state = self.disk.operation()?;
        state.sync()?;
        let file = &mut state.files[self.file];
        file.durable = file.content.clone();
        file.synced_up_to = file.content.len();
        Ok(())
    }

    fn cut(&mut self, size: u64) -> io::Result<()> {
        let mut state = self.disk.operation()?;
        let file = &mut state.files[self.file];
        let freed = file.content.len() as u64 - size;
        file.content.truncate(size as usize);
        file.synced_up_to = file.synced_up_to.min(size as usize);
        if let Some(room) = &mut state.room {
            *room += freed;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[self.file].content.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.wait_while_held();
        let state = self.disk.lock();
        let content = &state.files[self.file].content;
        let read = content.get(offset as usize..offset as usize + bytes.len());
        bytes.copy_from_slice(read.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }
}
