//! The rows of a table at one version, in a file.
//!
//! Invariant: a file is complete and durable before a manifest names it, and never changes afterwards. Every block has a
//! checksum. Cost: written one block at a time from an immutable snapshot, while the table goes on; read by all cores.
//!
//! Format: the head (magic, format, checksum, length), the table as JSON, then blocks: length, checksum, and an Arrow IPC
//! stream of one batch, compressed with lz4.

use std::io;

use arrow::array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use bytes::Bytes;
use proscenium_engine::table::{Checkpoint, Table, TableState};
use proscenium_engine::{EngineContext, EngineError};
use serde::{Deserialize, Serialize};

use super::manifest::TableEntry;
use crate::log::{Disk, DiskFile, LogError, TableId};

/// The folder of the files.
pub(super) const FOLDER: &str = "tables";
const MAGIC: &[u8; 8] = b"PROSTABL";
const FORMAT: u32 = 1;
const HEAD_BYTES: usize = 24;
const BLOCK_HEAD_BYTES: usize = 16;
/// Rows of a block: some megabytes, enough for good compression, little enough to hold one a core.
const BLOCK_ROWS: usize = 65_536;

#[derive(Debug, Serialize, Deserialize)]
struct TableHead {
    id: u64,
    name: String,
    state: TableState,
}

/// A table that is in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointedTable(pub(super) TableEntry);

fn file_name(id: TableId, version: u64) -> String {
    format!("{FOLDER}/{:020}-{version:020}.table", id.0)
}

/// Writes a table's file, and makes it durable.
pub(super) fn write(
    disk: &dyn Disk,
    id: TableId,
    name: &str,
    checkpoint: &Checkpoint,
) -> Result<TableEntry, LogError> {
    let version = checkpoint.state().version;
    let file_name = file_name(id, version);
    let failed = |error: &io::Error| LogError::io(&file_name, error);
    let mut file = disk.create(&file_name).map_err(|error| failed(&error))?;
    let written = write_to(&mut *file, id, name, checkpoint);
    let bytes = written.and_then(|bytes| file.sync().map(|()| bytes)).map_err(|error| failed(&error))?;
    disk.sync_folder(FOLDER).map_err(|error| LogError::io(FOLDER, &error))?;
    Ok(TableEntry { id: id.0, name: name.to_owned(), version, file: file_name, bytes, is_detached: false })
}

/// The same as bytes: the payload of a record.
///
/// # Errors
///
/// Never in practice: the Arrow writer does not fail in memory.
pub(crate) fn to_bytes(id: TableId, name: &str, checkpoint: &Checkpoint) -> Result<Bytes, LogError> {
    let mut file = BytesFile(Vec::new());
    write_to(&mut file, id, name, checkpoint).map_err(|error| LogError::io("a record", &error))?;
    Ok(file.0.into())
}

/// A file in memory.
#[derive(Debug)]
struct BytesFile(Vec<u8>);

impl DiskFile for BytesFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn cut(&mut self, size: u64) -> io::Result<()> {
        self.0.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let read = begin.checked_add(bytes.len()).and_then(|end| self.0.get(begin..end));
        bytes.copy_from_slice(read.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }
}

fn write_to(file: &mut dyn DiskFile, id: TableId, name: &str, checkpoint: &Checkpoint) -> io::Result<u64> {
    let head = TableHead { id: id.0, name: name.to_owned(), state: checkpoint.state().clone() };
    let json = serde_json::to_vec(&head)?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + json.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&json).to_le_bytes());
    bytes.extend_from_slice(&(json.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&json);
    file.append(&bytes)?;
    let mut size = bytes.len() as u64;
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME));
    let options = options.map_err(io::Error::other)?;
    for batch in checkpoint.batches(BLOCK_ROWS) {
        let mut block = vec![0; BLOCK_HEAD_BYTES];
        let writer = StreamWriter::try_new_with_options(&mut block, &batch.schema(), options.clone());
        let mut writer = writer.map_err(io::Error::other)?;
        writer.write(&batch).map_err(io::Error::other)?;
        writer.finish().map_err(io::Error::other)?;
        drop(writer);
        let length = ((block.len() - BLOCK_HEAD_BYTES) as u64).to_le_bytes();
        block[..8].copy_from_slice(&length);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&length), &block[BLOCK_HEAD_BYTES..]);
        block[8..12].copy_from_slice(&crc.to_le_bytes());
        file.append(&block)?;
        size += block.len() as u64;
    }
    Ok(size)
}

/// Puts a table together from its file.
///
/// # Errors
///
/// The file is damaged, or cannot be read.
pub(super) fn load(disk: &dyn Disk, entry: &TableEntry, context: &EngineContext) -> Result<Table, LogError> {
    let name = &entry.file;
    let file = disk.open(name).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LogError::damaged(name, 0, "it is missing"),
        _ => LogError::io(name, &error),
    })?;
    let size = file.size().map_err(|error| LogError::io(name, &error))?;
    if size != entry.bytes {
        let reason = format!("it has {size} bytes of {}", entry.bytes);
        return Err(LogError::damaged(name, size.min(entry.bytes), reason));
    }
    let is_expected = |head: &TableHead| {
        (head.id, head.state.version, &head.name) == (entry.id, entry.version, &entry.name)
    };
    load_from(&*file, name, size, is_expected, context)
}

/// Puts a table together from the payload of a record, which begins at `place`.
///
/// # Errors
///
/// It is not that of a table of this number.
pub(super) fn from_bytes(
    bytes: &Bytes,
    place: &str,
    id: TableId,
    context: &EngineContext,
) -> Result<Table, LogError> {
    let file = BytesFile(bytes.to_vec());
    load_from(&file, place, bytes.len() as u64, |head| head.id == id.0, context)
}

fn load_from(
    file: &dyn DiskFile,
    name: &str,
    size: u64,
    is_expected: impl FnOnce(&TableHead) -> bool,
    context: &EngineContext,
) -> Result<Table, LogError> {
    let mut reader = BlockReader { file, name, offset: 0, size };
    let head = reader.head()?;
    if !is_expected(&head) {
        return Err(LogError::damaged(name, HEAD_BYTES as u64, "it is of another table or version"));
    }
    let mut failure = None;
    let blocks = Blocks { reader, ready: Vec::new(), threads: context.threads.max(1), failure: &mut failure };
    let restored = Table::restore(&head.state, blocks, context);
    match (failure, restored) {
        (Some(failure), _) => Err(failure),
        (None, Err(error)) => Err(LogError::damaged(name, HEAD_BYTES as u64, error.to_string())),
        (None, Ok(table)) => Ok(table),
    }
}

struct BlockReader<'a> {
    file: &'a dyn DiskFile,
    name: &'a str,
    offset: u64,
    size: u64,
}

/// The bytes of a block, and where it begins.
type Block = (u64, Vec<u8>);

impl BlockReader<'_> {
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, LogError> {
        let room = self.size - self.offset;
        if length > room {
            let reason = "it ends within a block";
            return Err(LogError::damaged(self.name, self.offset, reason));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let read = self.file.read_at(self.offset, &mut bytes);
        read.map_err(|error| LogError::io(self.name, &error))?;
        self.offset += length;
        Ok(bytes)
    }

    fn head(&mut self) -> Result<TableHead, LogError> {
        let damaged = |offset, reason: &str| LogError::damaged(self.name, offset, reason);
        let head = {
            let mut reader = BlockReader { file: self.file, name: self.name, offset: 0, size: self.size };
            reader.bytes(HEAD_BYTES as u64)?
        };
        if &head[..8] != MAGIC {
            return Err(damaged(0, "it is no table"));
        }
        if head[8..12] != FORMAT.to_le_bytes() {
            return Err(damaged(8, "its format is unknown"));
        }
        let length = u64::from_le_bytes(head[16..24].try_into().expect("eight bytes"));
        self.offset = HEAD_BYTES as u64;
        let json = self.bytes(length)?;
        if head[12..16] != crc32c::crc32c(&json).to_le_bytes() {
            return Err(LogError::damaged(self.name, 12, "the checksum of its head is wrong"));
        }
        serde_json::from_slice(&json)
            .map_err(|error| LogError::damaged(self.name, HEAD_BYTES as u64, error.to_string()))
    }

    /// The next block; `None` at the end.
    fn block(&mut self) -> Result<Option<Block>, LogError> {
        if self.offset == self.size {
            return Ok(None);
        }
        let begin = self.offset;
        let head = self.bytes(BLOCK_HEAD_BYTES as u64)?;
        let length = u64::from_le_bytes(head[..8].try_into().expect("eight bytes"));
        let bytes = self.bytes(length).map_err(|error| match error {
            LogError::Damaged { file, reason, .. } => LogError::damaged(&file, begin, reason),
            error => error,
        })?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..8]), &bytes);
        if head[8..12] != crc.to_le_bytes() {
            return Err(LogError::damaged(self.name, begin, "the checksum of a block is wrong"));
        }
        Ok(Some((begin, bytes)))
    }
}

/// The batches of a file, decoded by several threads.
struct Blocks<'a> {
    reader: BlockReader<'a>,
    /// Decoded batches, the next one last.
    ready: Vec<RecordBatch>,
    threads: usize,
    failure: &'a mut Option<LogError>,
}

impl Blocks<'_> {
    fn fill(&mut self) -> Result<(), LogError> {
        let mut blocks = Vec::new();
        while blocks.len() < self.threads {
            match self.reader.block()? {
                Some(block) => blocks.push(block),
                None => break,
            }
        }
        let name = self.reader.name;
        let decoded: Vec<Result<RecordBatch, LogError>> = match &blocks[..] {
            [] => Vec::new(),
            [block] => vec![decode(name, block)],
            blocks => std::thread::scope(|scope| {
                let started: Vec<_> =
                    blocks.iter().map(|block| scope.spawn(|| decode(name, block))).collect();
                let panicked = |offset| LogError::damaged(name, offset, "it cannot be decoded");
                let join = |(thread, block): (std::thread::ScopedJoinHandle<'_, _>, &Block)| {
                    thread.join().unwrap_or_else(|_| Err(panicked(block.0)))
                };
                started.into_iter().zip(blocks).map(join).collect()
            }),
        };
        self.ready = decoded.into_iter().collect::<Result<_, _>>()?;
        self.ready.reverse();
        Ok(())
    }
}

fn decode(name: &str, (offset, bytes): &Block) -> Result<RecordBatch, LogError> {
    let damaged = |reason: &str| LogError::damaged(name, *offset, reason);
    let reader = StreamReader::try_new(&bytes[..], None).map_err(|error| damaged(&error.to_string()))?;
    let mut batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| damaged(&error.to_string()))?;
    match (batches.pop(), batches.pop()) {
        (Some(batch), None) => Ok(batch),
        _ => Err(damaged("a block is not one batch")),
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<RecordBatch, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty()
            && let Err(error) = self.fill()
        {
            let act = "read the checkpoint";
            let reason = error.to_string();
            *self.failure = Some(error);
            return Some(Err(proscenium_engine::error::DataError::Record { act, reason }.into()));
        }
        self.ready.pop().map(Ok)
    }
}
