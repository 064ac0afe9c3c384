//! Decodes Arrow IPC bytes, a stream or a file, to record batches.
//!
//! Invariant: the bytes are untrusted, but the arrow crate's reader trusts the sizes and types in them. So every
//! message is validated first: it must lie within the bytes, its buffers within its body, its uncompressed size within
//! a limit, its schema must be valid, and its batches must match that schema.
//!
//! Cost: one walk over the metadata; aligned, uncompressed columns are not copied.

use ::arrow::array::RecordBatch;
use ::arrow::buffer::Buffer;
use ::arrow::datatypes::SchemaRef;
use ::arrow::error::ArrowError;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::{Buffer as Part, Message, MessageHeader, MetadataVersion, root_as_message};
use bytes::Bytes;

use super::ipc_batch::Checker;
use super::{MAX_CLAIMED_ROWS, ipc_file, ipc_schema};
use crate::error::{DataError, DataFormat, EngineError};

/// The first and last bytes of a file.
pub(super) const FILE_MAGIC: &[u8] = b"ARROW1";
/// The first bytes of a file of Feather version 1, a different format.
const FEATHER_MAGIC: &[u8] = b"FEA1";

/// Maximum uncompressed size of all bodies of a payload. A few compressed bytes can claim any size, and memory is
/// allocated before decompression, which could abort the process; text columns are limited to this size anyway.
const MAX_UNPACKED_BYTES: i64 = 1 << 31;

/// Maximum number of cells of a payload, unless it has more bits than that: columns of runs and of nulls take no bytes.
const MAX_CLAIMED_CELLS: usize = 10 * MAX_CLAIMED_ROWS;

pub(super) const CONTINUATION: u32 = u32::MAX;

/// A payload whose messages are valid.
pub(super) enum Checked {
    /// A stream: its length, and its messages.
    Stream(usize, Messages),
    File(Box<ipc_file::CheckedFile>),
}

impl Checked {
    /// The bytes that decoding allocates: what compressed buffers become, and cells that take no bytes in the payload.
    pub(super) fn decoded_bytes(&self) -> usize {
        match self {
            Checked::Stream(_, messages) => messages.decoded_bytes(),
            Checked::File(file) => file.messages.decoded_bytes(),
        }
    }
}

/// Validates a payload.
pub(super) fn check(bytes: &Bytes) -> Result<Checked, ArrowError> {
    if bytes.starts_with(FILE_MAGIC) {
        return Ok(Checked::File(Box::new(ipc_file::check(bytes)?)));
    }
    if bytes.starts_with(FEATHER_MAGIC) {
        let text = "this is Feather version 1, which is no Arrow; write it as version 2";
        return Err(ArrowError::IpcError(text.into()));
    }
    let (len, messages) = walk(bytes)?;
    Ok(Checked::Stream(len, messages))
}

/// Decodes a payload that is valid.
pub(super) fn read(bytes: &Bytes, checked: &Checked) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    match checked {
        Checked::Stream(len, messages) => decode(messages.aligned(bytes.slice(..*len))),
        Checked::File(file) => ipc_file::read(bytes, file),
    }
}

fn decode(mut buffer: Buffer) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while let Some(batch) = decoder.decode(&mut buffer)? {
        batches.push(batch);
    }
    decoder.finish()?;
    match decoder.schema() {
        Some(schema) => Ok((schema, batches)),
        None => Err(ArrowError::IpcError("there is no schema".into())),
    }
}

/// Validates the messages up to and including the end marker, and returns their length. Before Arrow 0.15 messages had
/// no continuation marker; the reader accepts both.
fn walk(bytes: &[u8]) -> Result<(usize, Messages), ArrowError> {
    let mut at = 0;
    let mut messages = Messages::of_payload(bytes.len());
    while at < bytes.len() {
        let mut meta_len = word(bytes, at)?;
        at += 4;
        if meta_len == CONTINUATION {
            meta_len = word(bytes, at)?;
            at += 4;
        }
        if meta_len == 0 {
            return Ok((at, messages));
        }
        let meta = part(bytes, at, i64::from(meta_len))?;
        at += meta.len();
        let message = message(meta)?;
        let body = part(bytes, at, message.bodyLength())?;
        messages.check_place(at)?;
        at += body.len();
        messages.check_message(&message, body)?;
    }
    Ok((at, messages))
}

// The flatbuffers verifier handles alignment on its own.
pub(super) fn message(meta: &[u8]) -> Result<Message<'_>, ArrowError> {
    let message = root_as_message(meta).map_err(|error| ArrowError::IpcError(error.to_string()))?;
    if message.version() < MetadataVersion::V4 {
        let text = "messages of metadata before version 4 (Arrow 0.8) are not read; write the data anew";
        return Err(ArrowError::IpcError(text.into()));
    }
    ipc_schema::check(&message)?;
    Ok(message)
}

/// Validates the messages of one stream in order, before Arrow's reader decodes them. Callers with a reader of their
/// own (Flight) must check each message first.
#[derive(Debug, Default)]
pub struct Messages {
    batches: Checker,
    /// Total length of the messages, if they form one payload.
    payload_len: Option<usize>,
    /// Uncompressed size of all messages so far.
    unpacked: i64,
    num_cells: usize,
    num_rows: usize,
}

impl Messages {
    /// Validates messages that form one payload of this length, which limits them together.
    pub(super) fn of_payload(len: usize) -> Messages {
        Messages { payload_len: Some(len), ..Messages::default() }
    }

    /// Validates a message as received.
    ///
    /// # Errors
    ///
    /// What is wrong with the message.
    pub fn check(&mut self, meta: &[u8], body: &[u8]) -> Result<(), EngineError> {
        if self.payload_len.is_none() {
            // Each message is limited by itself.
            (self.unpacked, self.num_cells, self.num_rows) = (0, 0, 0);
        }
        let checked = message(meta).and_then(|message| self.check_message(&message, body));
        checked.map_err(|error| {
            DataError::Malformed { format: DataFormat::Arrow, reason: error.to_string() }.into()
        })
    }

    /// The bytes that decoding allocates.
    fn decoded_bytes(&self) -> usize {
        let aligned = if self.needs_alignment() { self.payload_len.unwrap_or(0) } else { 0 };
        usize::try_from(self.unpacked).unwrap_or(usize::MAX).saturating_add(aligned)
    }

    /// Returns whether the reader requires bodies at addresses that are multiples of eight.
    pub fn needs_alignment(&self) -> bool {
        self.batches.has_dense_unions()
    }

    pub(super) fn set_schema(&mut self, schema: ::arrow::datatypes::Schema) {
        self.batches.set_schema(schema);
    }

    /// Returns the bytes for the reader, copied only if it requires alignment.
    pub(super) fn aligned(&self, bytes: Bytes) -> Buffer {
        match self.needs_alignment() {
            true => Buffer::from_slice_ref(&bytes),
            false => Buffer::from(bytes),
        }
    }

    /// Checks the alignment of a body that starts at `body_at` in the payload.
    pub(super) fn check_place(&self, body_at: usize) -> Result<(), ArrowError> {
        match self.needs_alignment() && !body_at.is_multiple_of(8) {
            false => Ok(()),
            true => Err(ArrowError::IpcError("a body does not begin at a multiple of eight".into())),
        }
    }

    pub(super) fn check_message(&mut self, message: &Message<'_>, body: &[u8]) -> Result<(), ArrowError> {
        let (batch, is_rows) = match message.header_type() {
            MessageHeader::RecordBatch => (message.header_as_record_batch(), true),
            MessageHeader::DictionaryBatch => {
                (message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()), false)
            }
            _ => (None, false),
        };
        for buffer in batch.and_then(|batch| batch.buffers()).iter().flatten() {
            let packed = part_of(body, buffer)?;
            if batch.is_some_and(|batch| batch.compression().is_some()) && !packed.is_empty() {
                // -1 marks an uncompressed buffer.
                let prefix = packed.first_chunk::<8>().ok_or_else(truncated)?;
                self.unpacked += i64::from_le_bytes(*prefix).clamp(-1, MAX_UNPACKED_BYTES).max(0);
            }
            if self.unpacked >= MAX_UNPACKED_BYTES {
                return Err(ArrowError::IpcError(format!(
                    "the bytes unpack to {MAX_UNPACKED_BYTES} bytes or more; send them in parts"
                )));
            }
        }
        if let Some(batch) = batch.filter(|_| is_rows) {
            self.check_claims(usize::try_from(batch.length()).unwrap_or(0), body.len())?;
        }
        self.batches.check(message, body)
    }

    /// Limits rows and cells, which cost memory later, to the number of bits given, beyond a number that fits into
    /// memory anyway.
    fn check_claims(&mut self, num_rows: usize, body_len: usize) -> Result<(), ArrowError> {
        let num_bits = self.payload_len.unwrap_or(body_len).saturating_mul(8);
        self.num_rows = self.num_rows.saturating_add(num_rows);
        self.num_cells = self.num_cells.saturating_add(num_rows.saturating_mul(self.batches.num_columns()));
        if self.num_rows > MAX_CLAIMED_ROWS.max(num_bits) {
            return Err(ArrowError::IpcError(format!(
                "{} rows in {} bytes; more than {MAX_CLAIMED_ROWS} need a bit each",
                self.num_rows,
                num_bits / 8
            )));
        }
        if self.num_cells > MAX_CLAIMED_CELLS.max(num_bits) {
            return Err(ArrowError::IpcError(format!(
                "{} cells in {} bytes; more than {MAX_CLAIMED_CELLS} need a bit each",
                self.num_cells,
                num_bits / 8
            )));
        }
        Ok(())
    }
}

pub(super) fn truncated() -> ArrowError {
    ArrowError::IpcError("a message reaches beyond the bytes given".into())
}

pub(super) fn word(bytes: &[u8], at: usize) -> Result<u32, ArrowError> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or_else(truncated)?;
    Ok(u32::from_le_bytes(*word))
}

/// Returns one buffer of a body.
pub(super) fn part_of<'a>(body: &'a [u8], buffer: &Part) -> Result<&'a [u8], ArrowError> {
    let start = usize::try_from(buffer.offset()).map_err(|_| truncated())?;
    part(body, start, buffer.length())
}

pub(super) fn part(bytes: &[u8], start: usize, len: i64) -> Result<&[u8], ArrowError> {
    let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len)).ok_or_else(truncated)?;
    bytes.get(start..end).ok_or_else(truncated)
}
