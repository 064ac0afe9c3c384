//! A disk that is read and never written: changes stay in memory. So a directory is checked by recovering it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::log::{Disk, DiskFile};

type Content = Arc<Mutex<Vec<u8>>>;

/// A disk and the changes to it; `None`: removed.
#[derive(Debug)]
pub(super) struct OverlayDisk {
    below: Arc<dyn Disk>,
    changed: Mutex<BTreeMap<String, Option<Content>>>,
}

impl OverlayDisk {
    pub fn new(below: Arc<dyn Disk>) -> OverlayDisk {
        OverlayDisk { below, changed: Mutex::default() }
    }

    fn changed(&self) -> MutexGuard<'_, BTreeMap<String, Option<Content>>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for OverlayDisk {
    fn create_folder(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let content = Content::default();
        self.changed().insert(name.to_owned(), Some(content.clone()));
        Ok(Box::new(OverlayFile { below: None, content }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        match self.changed().get(name) {
            Some(Some(content)) => Ok(Box::new(OverlayFile { below: None, content: content.clone() })),
            Some(None) => Err(io::Error::from(io::ErrorKind::NotFound)),
            None => {
                let below = Some(self.below.open(name)?);
                Ok(Box::new(OverlayFile { below, content: Content::default() }))
            }
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = match self.below.list(folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        for (name, content) in self.changed().iter() {
            let (of, name) = name.rsplit_once('/').unwrap_or(("", name));
            if of == folder {
                names.retain(|present| present != name);
                if content.is_some() {
                    names.push(name.to_owned());
                }
            }
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let bytes = self.read(from)?;
        let mut changed = self.changed();
        changed.insert(from.to_owned(), None);
        changed.insert(to.to_owned(), Some(Arc::new(Mutex::new(bytes))));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.changed().insert(name.to_owned(), None);
        Ok(())
    }

    fn sync_folder(&self, _folder: &str) -> io::Result<()> {
        Ok(())
    }
}

/// A file below, or one in memory.
#[derive(Debug)]
struct OverlayFile {
    below: Option<Box<dyn DiskFile>>,
    content: Content,
}

impl OverlayFile {
    fn content(&self) -> MutexGuard<'_, Vec<u8>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskFile for OverlayFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.content().extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The torn end of a log is cut only where it is read no further, so nothing needs to be kept of it.
    fn cut(&mut self, size: u64) -> io::Result<()> {
        if self.below.is_none() {
            self.content().truncate(usize::try_from(size).map_err(io::Error::other)?);
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        match &self.below {
            Some(below) => below.size(),
            None => Ok(self.content().len() as u64),
        }
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        if let Some(below) = &self.below {
            return below.read_at(offset, bytes);
        }
        let content = self.content();
        let begin = usize::try_from(offset).map_err(io::Error::other)?;
        let read = content.get(begin..begin.saturating_add(bytes.len()));
        bytes.copy_from_slice(read.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }
}
