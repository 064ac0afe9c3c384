//! Arrow IPC bytes, stream or file → record batches.
//!
//! Law: the bytes come from strangers, and the reader trusts what they say about sizes and types. So every message is
//! walked first: it must lie within the bytes, its buffers within its body, what it unpacks to within a bound, its
//! schema must be one, and its batches must have what that schema asks for. Columns that lie aligned and unpacked are not copied.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::arrow::array::RecordBatch;
use ::arrow::buffer::Buffer;
use ::arrow::datatypes::SchemaRef;
use ::arrow::error::ArrowError;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::{Buffer as Part, Message, MessageHeader, root_as_message};
use bytes::Bytes;

use super::ipc_batch::Checker;
use super::ipc_schema;
use crate::error::EngineError;

const FILE_MAGIC: &[u8] = b"ARROW1";
/// A file is its magic, padded with zeros to a multiple of this, and then a stream; the footer behind it only repeats
/// where things are.
const FILE_ALIGNMENT: usize = 8;

/// How much all bodies of one payload may unpack to. A few compressed bytes can claim any size and the memory is
/// asked for before they are unpacked, which would end the process; text columns hold no more than this either.
const MAX_UNPACKED_BYTES: i64 = 1 << 31;

const CONTINUATION: u32 = u32::MAX;

pub(super) fn read(bytes: &Bytes) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    let header_len = if bytes.starts_with(FILE_MAGIC) {
        let num_zero_words = bytes
            .chunks(FILE_ALIGNMENT)
            .skip(1)
            .take_while(|word| word.iter().all(|byte| *byte == 0))
            .count();
        (FILE_ALIGNMENT * (1 + num_zero_words)).min(bytes.len())
    } else {
        0
    };
    let stream = bytes.slice(header_len..);
    let stream = stream.slice(..stream_len(&stream)?);
    // The reader asserts where it should answer, for instance on a batch that lacks a buffer. Nothing outlives a panic
    // but the bytes.
    catch_unwind(AssertUnwindSafe(|| decode(stream)))
        .unwrap_or_else(|_| Err(ArrowError::IpcError("the reader gave up on these bytes".into())))
}

fn decode(stream: Bytes) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    let mut decoder = StreamDecoder::new();
    let mut buffer = Buffer::from(stream);
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

/// Walks the messages up to and including the end mark.
fn stream_len(bytes: &[u8]) -> Result<usize, ArrowError> {
    let mut at = 0;
    let mut unpacked = 0;
    let mut messages = Messages::default();
    while at < bytes.len() {
        let mut meta_len = word(bytes, at)?;
        at += 4;
        if meta_len == CONTINUATION {
            meta_len = word(bytes, at)?;
            at += 4;
        }
        if meta_len == 0 {
            return Ok(at);
        }
        let meta = part(bytes, at, i64::from(meta_len))?;
        at += meta.len();
        let message = message(meta)?;
        let body = part(bytes, at, message.bodyLength())?;
        at += body.len();
        messages.check_message(&message, body, &mut unpacked)?;
    }
    Ok(at)
}

// The reader verifies it in an aligned place of its own.
fn message(meta: &[u8]) -> Result<Message<'_>, ArrowError> {
    let message = root_as_message(meta).map_err(|error| ArrowError::IpcError(error.to_string()))?;
    ipc_schema::check(&message)?;
    Ok(message)
}

/// Checks the messages of one stream, one after the other, before Arrow's reader sees them: whoever has a reader of its
/// own (Flight) asks this first.
#[derive(Debug, Default)]
pub struct Messages {
    batches: Checker,
}

impl Messages {
    /// `meta` and `body` as they came. The error says what is wrong.
    pub fn check(&mut self, meta: &[u8], body: &[u8]) -> Result<(), EngineError> {
        let checked = message(meta).and_then(|message| self.check_message(&message, body, &mut 0));
        checked.map_err(|error| EngineError::data(error.to_string()))
    }

    /// `unpacked`: what all messages before unpack to.
    fn check_message(
        &mut self,
        message: &Message<'_>,
        body: &[u8],
        unpacked: &mut i64,
    ) -> Result<(), ArrowError> {
        let batch = match message.header_type() {
            MessageHeader::RecordBatch => message.header_as_record_batch(),
            MessageHeader::DictionaryBatch => {
                message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data())
            }
            _ => None,
        };
        for buffer in batch.and_then(|batch| batch.buffers()).iter().flatten() {
            let packed = part_of(body, buffer)?;
            if batch.is_some_and(|batch| batch.compression().is_some()) && !packed.is_empty() {
                // -1: not packed after all.
                let prefix = packed.first_chunk::<8>().ok_or_else(truncated)?;
                *unpacked += i64::from_le_bytes(*prefix).clamp(-1, MAX_UNPACKED_BYTES).max(0);
            }
            if *unpacked >= MAX_UNPACKED_BYTES {
                return Err(ArrowError::IpcError(format!(
                    "the bytes unpack to {MAX_UNPACKED_BYTES} bytes or more; send them in parts"
                )));
            }
        }
        self.batches.check(message, body)
    }
}

pub(super) fn truncated() -> ArrowError {
    ArrowError::IpcError("a message reaches beyond the bytes given".into())
}

fn word(bytes: &[u8], at: usize) -> Result<u32, ArrowError> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or_else(truncated)?;
    Ok(u32::from_le_bytes(*word))
}

/// One buffer of a body.
pub(super) fn part_of<'a>(body: &'a [u8], buffer: &Part) -> Result<&'a [u8], ArrowError> {
    let start = usize::try_from(buffer.offset()).map_err(|_| truncated())?;
    part(body, start, buffer.length())
}

fn part(bytes: &[u8], start: usize, len: i64) -> Result<&[u8], ArrowError> {
    let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len)).ok_or_else(truncated)?;
    bytes.get(start..end).ok_or_else(truncated)
}
