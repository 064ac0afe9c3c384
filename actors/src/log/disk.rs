//! The files of a data directory, as far as durable tables use them. The simulated disk of the tests implements it, too.
//!
//! Invariant: names are relative to the directory, with `/` between folders. What is not synced may be lost: the content of a
//! file until its [`DiskFile::sync`], its name until the [`Disk::sync_folder`] of its folder.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A data directory.
pub trait Disk: Send + Sync + Debug + 'static {
    /// Creates a folder and those above it, and syncs their names. One that exists is kept.
    ///
    /// # Errors
    ///
    /// The system's.
    fn create_folder(&self, name: &str) -> io::Result<()>;

    /// Creates a file; one of the same name is replaced.
    ///
    /// # Errors
    ///
    /// The system's.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and cutting.
    ///
    /// # Errors
    ///
    /// The system's.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// The names of the files in a folder, sorted, without the folder's.
    ///
    /// # Errors
    ///
    /// The system's.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Renames a file; one of the new name is replaced.
    ///
    /// # Errors
    ///
    /// The system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    ///
    /// The system's; it is then unknown which names are durable.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;

    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.open(name)?;
        let mut bytes = vec![0; usize::try_from(file.size()?).map_err(io::Error::other)?];
        file.read_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

/// An open file.
pub trait DiskFile: Send + Sync + Debug {
    /// Appends bytes. After an error some of them may be in the file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content durable.
    ///
    /// # Errors
    ///
    /// The system's; it is then unknown what is durable, and a later success says nothing about it.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to a length.
    ///
    /// # Errors
    ///
    /// The system's.
    fn cut(&mut self, size: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    ///
    /// The system's.
    fn size(&self) -> io::Result<u64>;

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    ///
    /// The system's, or the file ends before.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
}

/// A directory of the file system.
#[derive(Debug, Clone)]
pub struct FileDisk {
    root: PathBuf,
}

impl FileDisk {
    /// The disk below a directory, which must exist.
    pub fn new(root: impl Into<PathBuf>) -> FileDisk {
        FileDisk { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &str) -> PathBuf {
        match name {
            "" => self.root.clone(),
            name => self.root.join(name),
        }
    }
}

impl Disk for FileDisk {
    fn create_folder(&self, name: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(name))?;
        let mut above = Path::new(name);
        while let Some(folder) = above.parent() {
            self.sync_folder(&folder.to_string_lossy())?;
            above = folder;
        }
        Ok(())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).clone();
        Ok(Box::new(OpenFile { file: options.open(self.path(name))?, size: 0 }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path(name);
        let file = OpenOptions::new().read(true).write(true).open(&path).or_else(|_| File::open(&path))?;
        let size = file.metadata()?.len();
        Ok(Box::new(OpenFile { file, size }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(folder))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        File::open(self.path(folder))?.sync_all()
    }
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    size: u64,
}

impl DiskFile for OpenFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        use std::io::{Seek, SeekFrom};
        self.file.seek(SeekFrom::Start(self.size))?;
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        // fdatasync on Linux, which writes the length, too, where it has changed.
        self.file.sync_data()
    }

    fn cut(&mut self, size: u64) -> io::Result<()> {
        self.file.set_len(size)?;
        self.size = size;
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        read_exactly_at(&self.file, offset, bytes)
    }
}

#[cfg(unix)]
fn read_exactly_at(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_exactly_at(mut file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}
