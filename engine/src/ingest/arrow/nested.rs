//! Converts nested Arrow values to JSON text: maps, unions, and lists that are not flattened.
//!
//! Invariant: a value is written as it would be in a column of its own: dates and datetimes as text, values that become
//! text in a column (times, UUIDs, base64) as JSON strings. A map is an object with its keys in order; a union is the
//! value of its selected member.
//!
//! Cost: leaves are converted once per column, followed by one pass over the rows.

use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use ::arrow::buffer::NullBuffer;
use ::arrow::datatypes::{DataType, FieldRef};
use ::arrow::error::ArrowError;

use super::types::{is_list, natural};
use super::{text, unpack};
use crate::export::JsonCells;

/// Converts `values` to JSON texts; null rows stay null.
pub(crate) fn json_texts(field: &FieldRef, values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let shape = Shape::of(field, values)?;
    let node = shape.node();
    let mut texts = StringBuilder::with_capacity(values.len(), values.len() * 16);
    let mut out = String::new();
    let mut num_bytes = 0;
    for row in 0..values.len() {
        out.clear();
        if node.write(row, &mut out)? {
            num_bytes += out.len();
            if num_bytes > text::MAX_TEXT_BYTES {
                return Err(text::too_much());
            }
            texts.append_value(&out);
        } else {
            texts.append_null();
        }
    }
    Ok(Arc::new(texts.finish()))
}

/// The range of each list within all items.
pub(crate) struct ItemRanges {
    pub(crate) starts: Vec<i64>,
    pub(crate) ends: Vec<i64>,
}

/// Returns the items of a column of lists, and the range of items of each row.
pub(crate) fn list_ranges(values: &ArrayRef) -> Option<(FieldRef, ArrayRef, ItemRanges)> {
    fn of_offsets<O: Copy + Into<i64>>(offsets: &[O]) -> ItemRanges {
        let all = || offsets.iter().map(|offset| (*offset).into());
        ItemRanges {
            starts: all().take(offsets.len().saturating_sub(1)).collect(),
            ends: all().skip(1).collect(),
        }
    }
    fn of_sizes<O: Copy + Into<i64>>(offsets: &[O], sizes: &[O]) -> ItemRanges {
        let starts: Vec<i64> = offsets.iter().map(|offset| (*offset).into()).collect();
        let ends = starts.iter().zip(sizes).map(|(start, size)| start + (*size).into()).collect();
        ItemRanges { starts, ends }
    }
    let (items, ranges) = match values.data_type() {
        DataType::List(_) => {
            let list = values.as_list::<i32>();
            (list.values().clone(), of_offsets(list.value_offsets()))
        }
        DataType::LargeList(_) => {
            let list = values.as_list::<i64>();
            (list.values().clone(), of_offsets(list.value_offsets()))
        }
        DataType::Map(..) => {
            let map = values.as_map();
            (Arc::new(map.entries().clone()) as ArrayRef, of_offsets(map.value_offsets()))
        }
        DataType::ListView(_) => {
            let list = values.as_list_view::<i32>();
            (list.values().clone(), of_sizes(list.value_offsets(), list.value_sizes()))
        }
        DataType::LargeListView(_) => {
            let list = values.as_list_view::<i64>();
            (list.values().clone(), of_sizes(list.value_offsets(), list.value_sizes()))
        }
        DataType::FixedSizeList(..) => {
            let list = values.as_fixed_size_list();
            let width = i64::from(list.value_length());
            let starts = (0..list.len() as i64).map(|row| row * width).collect();
            let ends = (1..=list.len() as i64).map(|row| row * width).collect();
            (list.values().clone(), ItemRanges { starts, ends })
        }
        _ => return None,
    };
    let field = match values.data_type() {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => field.clone(),
        _ => return None,
    };
    Some((field, items, ranges))
}

/// A nested column decomposed into leaves of storage types.
struct Shape {
    nulls: Option<NullBuffer>,
    kind: Kind,
}

enum Kind {
    Leaf(ArrayRef),
    Struct(Vec<(String, Shape)>),
    List(ItemRanges, Box<Shape>),
    /// Ranges of entries, keys and values.
    Map(ItemRanges, Box<Shape>, Box<Shape>),
    /// For each row its member and the row within it.
    Union(Vec<(usize, usize)>, Vec<Shape>),
}

impl Shape {
    fn of(field: &FieldRef, values: &ArrayRef) -> Result<Shape, ArrowError> {
        if unpack::is_packed(values.data_type()) {
            let (field, values) = unpack::unpacked(field, values)?;
            return Shape::of(&field, &values);
        }
        let nulls = values.nulls().cloned();
        let kind = match values.data_type() {
            DataType::Struct(fields) => {
                let members = fields.iter().zip(values.as_struct().columns());
                let shapes =
                    members.map(|(field, child)| Ok((field.name().clone(), Shape::of(field, child)?)));
                Kind::Struct(shapes.collect::<Result<_, ArrowError>>()?)
            }
            DataType::Map(..) => {
                let (_, _, ranges) = list_ranges(values).ok_or_else(not_nested)?;
                let entries = values.as_map().entries();
                let member = |at: usize| Shape::of(&entries.fields()[at], entries.column(at)).map(Box::new);
                Kind::Map(ranges, member(0)?, member(1)?)
            }
            DataType::Union(fields, _) => {
                let union = values.as_union();
                let ids: Vec<i8> = fields.iter().map(|(id, _)| id).collect();
                let members = fields.iter().map(|(id, field)| Shape::of(field, union.child(id)));
                let place = |row: usize| {
                    let id = union.type_id(row);
                    (ids.iter().position(|known| *known == id).unwrap_or(0), union.value_offset(row))
                };
                let places = (0..union.len()).map(place).collect();
                Kind::Union(places, members.collect::<Result<_, ArrowError>>()?)
            }
            other if is_list(other) => {
                let (item, items, ranges) = list_ranges(values).ok_or_else(not_nested)?;
                Kind::List(ranges, Box::new(Shape::of(&item, &items)?))
            }
            _ => {
                let (_, values) = natural(field, values)?;
                return Ok(Shape { nulls: values.nulls().cloned(), kind: Kind::Leaf(values) });
            }
        };
        Ok(Shape { nulls, kind })
    }

    fn node(&self) -> Node<'_> {
        let kind = match &self.kind {
            Kind::Leaf(values) => NodeKind::Leaf(JsonCells::new(values)),
            Kind::Struct(members) => NodeKind::Struct(
                members.iter().map(|(name, shape)| (json_text(name), shape.node())).collect(),
            ),
            Kind::List(ranges, items) => NodeKind::List(ranges, Box::new(items.node())),
            Kind::Map(ranges, keys, values) => {
                NodeKind::Map(ranges, Box::new(keys.node()), Box::new(values.node()))
            }
            Kind::Union(places, members) => {
                NodeKind::Union(places, members.iter().map(Shape::node).collect())
            }
        };
        Node { nulls: self.nulls.as_ref(), kind }
    }
}

fn not_nested() -> ArrowError {
    ArrowError::InvalidArgumentError("a nested type is expected".into())
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A [`Shape`] prepared for writing.
struct Node<'a> {
    nulls: Option<&'a NullBuffer>,
    kind: NodeKind<'a>,
}

enum NodeKind<'a> {
    Leaf(JsonCells<'a>),
    /// Names are JSON-encoded.
    Struct(Vec<(String, Node<'a>)>),
    List(&'a ItemRanges, Box<Node<'a>>),
    Map(&'a ItemRanges, Box<Node<'a>>, Box<Node<'a>>),
    Union(&'a [(usize, usize)], Vec<Node<'a>>),
}

impl Node<'_> {
    /// Writes a row; false if it is null, in which case `null` is written.
    fn write(&self, row: usize, out: &mut String) -> Result<bool, ArrowError> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.push_str("null");
            return Ok(false);
        }
        if out.len() > text::MAX_TEXT_BYTES {
            return Err(text::too_much());
        }
        match &self.kind {
            NodeKind::Leaf(cells) => {
                let start = out.len();
                cells.write_json(row, true, out);
                return Ok(out[start..] != *"null");
            }
            NodeKind::Struct(members) => {
                out.push('{');
                for (position, (name, member)) in members.iter().enumerate() {
                    separate(position, out);
                    out.push_str(name);
                    out.push(':');
                    member.write(row, out)?;
                }
                out.push('}');
            }
            NodeKind::List(ranges, items) => {
                out.push('[');
                for (position, item) in (ranges.starts[row]..ranges.ends[row]).enumerate() {
                    separate(position, out);
                    items.write(item as usize, out)?;
                }
                out.push(']');
            }
            NodeKind::Map(ranges, keys, values) => {
                out.push('{');
                for (position, item) in (ranges.starts[row]..ranges.ends[row]).enumerate() {
                    separate(position, out);
                    let start = out.len();
                    keys.write(item as usize, out)?;
                    // A key that is not a string becomes the string of its JSON.
                    if !out[start..].starts_with('"') {
                        let key = json_text(&out[start..]);
                        out.truncate(start);
                        out.push_str(&key);
                    }
                    out.push(':');
                    values.write(item as usize, out)?;
                }
                out.push('}');
            }
            NodeKind::Union(places, members) => {
                let (member, row) = places[row];
                return members[member].write(row, out);
            }
        }
        Ok(true)
    }
}

fn separate(position: usize, out: &mut String) {
    if position > 0 {
        out.push(',');
    }
}
