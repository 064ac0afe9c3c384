//! Checks that a record batch has everything the reader assumes.
//!
//! Invariant: as in [`super::ipc_schema`], everything rejected here would make the reader panic: a negative number of
//! rows, a null bitmap shorter than its rows, a buffer that ends within a number, a wrong number of buffers. Nodes and
//! buffers are visited in the reader's order. Properties that the reader checks itself (lengths of values, offsets,
//! codes) are left to it.

use std::sync::Arc;

use ::arrow::datatypes::{DataType, Field, Schema, UnionFields, UnionMode};
use ::arrow::error::ArrowError;
use arrow_ipc::{Buffer, DictionaryBatch, FieldNode, Message, MessageHeader, MetadataVersion, RecordBatch};

/// Checks batches against the schema of the stream.
#[derive(Debug, Default)]
pub(super) struct Checker {
    schema: Option<Schema>,
}

impl Checker {
    pub(super) fn set_schema(&mut self, schema: Schema) {
        self.schema = Some(schema);
    }

    pub(super) fn num_columns(&self) -> usize {
        self.schema.as_ref().map_or(0, |schema| schema.fields().len())
    }

    pub(super) fn has_dense_unions(&self) -> bool {
        let has = |field: &Arc<Field>| has_dense_unions(field.data_type());
        self.schema.as_ref().is_some_and(|schema| schema.fields().iter().any(has))
    }

    /// Checks a message that has passed [`super::ipc_schema::check`] and whose buffers lie within `body`.
    pub(super) fn check(&mut self, message: &Message<'_>, body: &[u8]) -> Result<(), ArrowError> {
        match (message.header_type(), &self.schema) {
            (MessageHeader::Schema, None) => {
                self.schema = message.header_as_schema().map(arrow_ipc::convert::fb_to_schema);
                Ok(())
            }
            (MessageHeader::RecordBatch, Some(schema)) => {
                let batch = message.header_as_record_batch().ok_or_else(|| bad("", "is missing"))?;
                let fields: Vec<&Field> = schema.fields().iter().map(Arc::as_ref).collect();
                check_batch(batch, message.version(), body, &fields)
            }
            (MessageHeader::DictionaryBatch, Some(schema)) => {
                let dictionary = message.header_as_dictionary_batch().ok_or_else(|| bad("", "is missing"))?;
                check_dictionary(dictionary, message.version(), body, schema)
            }
            // A second schema, or anything before the first, is refused by the reader.
            _ => Ok(()),
        }
    }
}

fn has_dense_unions(data_type: &DataType) -> bool {
    match data_type {
        DataType::Union(_, UnionMode::Dense) => true,
        DataType::Union(fields, UnionMode::Sparse) => {
            fields.iter().any(|(_, field)| has_dense_unions(field.data_type()))
        }
        DataType::List(child) | DataType::LargeList(child) | DataType::FixedSizeList(child, _) => {
            has_dense_unions(child.data_type())
        }
        DataType::ListView(child) | DataType::LargeListView(child) | DataType::Map(child, _) => {
            has_dense_unions(child.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|field| has_dense_unions(field.data_type())),
        DataType::Dictionary(_, entries) => has_dense_unions(entries),
        DataType::RunEndEncoded(_, values) => has_dense_unions(values.data_type()),
        _ => false,
    }
}

fn check_dictionary(
    dictionary: DictionaryBatch<'_>,
    version: MetadataVersion,
    body: &[u8],
    schema: &Schema,
) -> Result<(), ArrowError> {
    let data = dictionary.data().ok_or_else(|| bad("", "of a dictionary has no values"))?;
    #[expect(deprecated, reason = "the reader finds the type of a dictionary's values by this")]
    let users = schema.fields_with_dict_id(dictionary.id());
    match users.first().map(|field| (field.name(), field.data_type())) {
        Some((name, DataType::Dictionary(_, values))) => {
            let field = Field::new(name, values.as_ref().clone(), true);
            check_batch(data, version, body, &[&field])
        }
        // The reader reports that the dictionary is not used.
        _ => Ok(()),
    }
}

fn check_batch(
    batch: RecordBatch<'_>,
    version: MetadataVersion,
    body: &[u8],
    fields: &[&Field],
) -> Result<(), ArrowError> {
    num_rows(batch.length()).ok_or_else(|| bad("", "has a number of rows that cannot be"))?;
    let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else {
        return Err(bad("", "has no nodes or no buffers"));
    };
    let mut walk = BufferWalk {
        nodes: nodes.iter(),
        buffers: buffers.iter(),
        num_view_buffers: batch.variadicBufferCounts().into_iter().flatten().collect::<Vec<_>>().into_iter(),
        is_packed: batch.compression().is_some(),
        version,
        body,
    };
    fields.iter().try_for_each(|field| walk.array(field))?;
    match walk.num_view_buffers.next() {
        None => Ok(()),
        Some(_) => Err(bad("", "counts buffers of views that no column has")),
    }
}

/// Visits nodes and buffers, each once and in order.
struct BufferWalk<'a, N, B, C> {
    nodes: N,
    buffers: B,
    num_view_buffers: C,
    is_packed: bool,
    version: MetadataVersion,
    body: &'a [u8],
}

impl<'a, N, B, C> BufferWalk<'a, N, B, C>
where
    N: Iterator<Item = &'a FieldNode>,
    B: Iterator<Item = &'a Buffer>,
    C: Iterator<Item = i64>,
{
    fn array(&mut self, field: &Field) -> Result<(), ArrowError> {
        let node = self.nodes.next().ok_or_else(|| short(field))?;
        let len = num_rows(node.length()).ok_or_else(|| bad(field.name(), "has a length that cannot be"))?;
        if let DataType::Union(members, mode) = field.data_type() {
            return self.union(field, len, members, *mode);
        }
        let num_buffers = match field.data_type() {
            DataType::Null | DataType::RunEndEncoded(..) => 0,
            DataType::Struct(_) | DataType::FixedSizeList(..) => 1,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 3,
            DataType::ListView(_) | DataType::LargeListView(_) => 3,
            DataType::Utf8View | DataType::BinaryView => {
                let count = self.num_view_buffers.next().and_then(num_rows).ok_or_else(|| short(field))?;
                count.saturating_add(2)
            }
            _ => 2,
        };
        let has_nulls = match field.data_type() {
            // For structs, the reader interprets a negative count as a large one.
            DataType::Struct(_) => node.null_count() != 0,
            _ => node.null_count() > 0,
        };
        for number in 0..num_buffers {
            let buffer = self.buffers.next().ok_or_else(|| short(field))?;
            match number {
                0 if has_nulls && self.unpacked_len(buffer)? < len.div_ceil(8) => {
                    return Err(bad(field.name(), "has a bitmap of nulls that is shorter than its rows"));
                }
                // The sizes of a list view follow its offsets.
                1 | 2 if !self.unpacked_len(buffer)?.is_multiple_of(width(field.data_type(), number)) => {
                    return Err(bad(field.name(), "has a buffer that ends in the middle of a value"));
                }
                _ => {}
            }
        }
        match field.data_type() {
            DataType::List(child) | DataType::LargeList(child) | DataType::FixedSizeList(child, _) => {
                self.array(child)
            }
            DataType::ListView(child) | DataType::LargeListView(child) => self.array(child),
            DataType::Map(entries, _) => self.array(entries),
            DataType::Struct(children) => children.iter().try_for_each(|child| self.array(child)),
            DataType::RunEndEncoded(ends, values) => {
                self.array(ends)?;
                self.array(values)
            }
            _ => Ok(()),
        }
    }

    /// Checks a union, which had a null bitmap before metadata V5.
    fn union(
        &mut self,
        field: &Field,
        len: usize,
        members: &UnionFields,
        mode: UnionMode,
    ) -> Result<(), ArrowError> {
        if self.version < MetadataVersion::V5 {
            self.buffers.next().ok_or_else(|| short(field))?;
        }
        let widths = if mode == UnionMode::Dense { &[1, 4][..] } else { &[1] };
        for width in widths {
            let buffer = self.buffers.next().ok_or_else(|| short(field))?;
            let unpacked = self.unpacked_len(buffer)?;
            if len.checked_mul(*width).is_none_or(|needed| unpacked < needed) {
                return Err(bad(field.name(), "has a buffer that is shorter than its rows"));
            }
            if !usize::try_from(buffer.offset()).is_ok_and(|offset| offset.is_multiple_of(*width)) {
                return Err(bad(field.name(), "has a buffer that begins in the middle of a value"));
            }
        }
        members.iter().try_for_each(|(_, member)| self.array(member))
    }

    /// Returns the uncompressed size of a buffer; a compressed one has it in its first eight bytes, or -1 if it is not
    /// compressed.
    fn unpacked_len(&self, buffer: &Buffer) -> Result<usize, ArrowError> {
        let packed = super::ipc::part_of(self.body, buffer)?;
        if !self.is_packed || packed.is_empty() {
            return Ok(packed.len());
        }
        let (prefix, rest) = packed.split_first_chunk::<8>().ok_or_else(super::ipc::truncated)?;
        Ok(usize::try_from(i64::from_le_bytes(*prefix)).unwrap_or(rest.len()))
    }
}

/// Returns the size in bytes of the numbers in a buffer that the reader reinterprets as numbers; 1 for all others.
fn width(data_type: &DataType, number: usize) -> usize {
    match (data_type, number) {
        (DataType::Dictionary(codes, _), 1) => codes.primitive_width().unwrap_or(1),
        (DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(..), 1) => 4,
        (DataType::LargeUtf8 | DataType::LargeBinary | DataType::LargeList(_), 1) => 8,
        (DataType::ListView(_), _) => 4,
        (DataType::LargeListView(_), _) => 8,
        (DataType::Utf8View | DataType::BinaryView, 1) => 16,
        // Includes the ends of runs.
        (data_type, 1) if data_type.is_integer() => data_type.primitive_width().unwrap_or(1),
        _ => 1,
    }
}

fn num_rows(claimed: i64) -> Option<usize> {
    usize::try_from(claimed).ok()
}

fn short(field: &Field) -> ArrowError {
    bad(field.name(), "has fewer nodes or buffers than its type needs")
}

/// Returns an error about the column `name`, or about the batch if it is empty.
fn bad(name: &str, is: &str) -> ArrowError {
    ArrowError::IpcError(match name {
        "" => format!("a record batch {is}"),
        name => format!("column `{name}` {is}"),
    })
}
