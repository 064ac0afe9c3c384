//! Decodes an Arrow IPC file to record batches, by its footer.
//!
//! Invariant: the footer locates the batches; the stream between the magics is ignored (some writers leave none that is
//! usable). Each block must lie within the file and pass the checks of a stream's message, and all blocks together must
//! not exceed the file, so that listing one block many times multiplies nothing.

use std::sync::Arc;

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use ::arrow::error::ArrowError;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::{Block, Footer, MessageHeader, MetadataVersion, root_as_footer};
use bytes::Bytes;

use super::ipc::{CONTINUATION, FILE_MAGIC, Messages, message, part, word};
use super::ipc_schema;

/// A file whose footer and messages are valid.
pub(super) struct CheckedFile {
    pub(super) messages: Messages,
    schema: SchemaRef,
    version: MetadataVersion,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
}

pub(super) fn check(bytes: &Bytes) -> Result<CheckedFile, ArrowError> {
    let footer = footer(bytes)?;
    let wire_schema = footer.schema().ok_or_else(|| bad("has no schema"))?;
    ipc_schema::check_schema(wire_schema)?;
    let schema = Arc::new(arrow_ipc::convert::fb_to_schema(wire_schema));
    let mut messages = Messages::of_payload(bytes.len());
    messages.set_schema(schema.as_ref().clone());
    let dictionaries: Vec<Block> = footer.dictionaries().iter().flatten().copied().collect();
    let batches: Vec<Block> = footer.recordBatches().iter().flatten().copied().collect();
    let mut left = bytes.len();
    let mut versions = Vec::new();
    for (blocks, kind) in
        [(&dictionaries, MessageHeader::DictionaryBatch), (&batches, MessageHeader::RecordBatch)]
    {
        for block in blocks {
            versions.push(check_block(bytes, block, kind, &mut messages, &mut left)?);
        }
    }
    // The footer of old files has no version, and where it has one, it may differ from that of the messages.
    let version = versions.first().copied().unwrap_or(MetadataVersion::V5);
    Ok(CheckedFile { messages, schema, version, dictionaries, batches })
}

pub(super) fn read(bytes: &Bytes, file: &CheckedFile) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    let CheckedFile { messages, schema, version, dictionaries, batches } = file;
    let buffer = messages.aligned(bytes.clone());
    let data = |block: &Block| {
        let len = block.bodyLength() as usize + block.metaDataLength() as usize;
        buffer.slice_with_length(block.offset() as usize, len)
    };
    let mut decoder = FileDecoder::new(schema.clone(), *version);
    for block in dictionaries {
        decoder.read_dictionary(block, &data(block))?;
    }
    let mut read = Vec::with_capacity(batches.len());
    for block in batches {
        read.extend(decoder.read_record_batch(block, &data(block))?);
    }
    Ok((schema.clone(), read))
}

/// Locates the footer, which precedes its length and the second magic.
fn footer(bytes: &[u8]) -> Result<Footer<'_>, ArrowError> {
    let rest = bytes
        .strip_suffix(FILE_MAGIC)
        .filter(|rest| rest.len() > FILE_MAGIC.len())
        .ok_or_else(|| bad("has no end: it is cut off, or was not closed by its writer"))?;
    let (rest, len) = rest.split_last_chunk::<4>().ok_or_else(|| bad("has no footer"))?;
    let len =
        usize::try_from(i32::from_le_bytes(*len)).map_err(|_| bad("has a footer of negative length"))?;
    let start = rest.len().checked_sub(len).ok_or_else(|| bad("is shorter than its footer"))?;
    root_as_footer(&rest[start..]).map_err(|error| ArrowError::IpcError(error.to_string()))
}

/// Checks one block. `left` is the number of bytes of the file not yet claimed by other blocks.
fn check_block(
    bytes: &[u8],
    block: &Block,
    kind: MessageHeader,
    messages: &mut Messages,
    left: &mut usize,
) -> Result<MetadataVersion, ArrowError> {
    let start = usize::try_from(block.offset()).map_err(|_| bad("has a block before its begin"))?;
    let head = part(bytes, start, i64::from(block.metaDataLength()))?;
    let body = part(bytes, start + head.len(), block.bodyLength())?;
    messages.check_place(start + head.len())?;
    *left = left
        .checked_sub(head.len() + body.len())
        .ok_or_else(|| bad("has blocks that are longer than itself"))?;
    let prefix = if word(head, 0)? == CONTINUATION { 8 } else { 4 };
    let meta = head.get(prefix..).ok_or_else(|| bad("has a block without a message"))?;
    let message = message(meta)?;
    if message.header_type() != kind {
        return Err(bad("has a block that is not what its footer says"));
    }
    messages.check_message(&message, body)?;
    Ok(message.version())
}

fn bad(is: &str) -> ArrowError {
    ArrowError::IpcError(format!("the file {is}"))
}
