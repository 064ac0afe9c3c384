//! A JSON value before it is stored in a column, and how it is read.
//!
//! Invariant: a number is read as a number; only where a column turns out to require the original spelling of its
//! numbers is the text read a second time with spellings (see [`CellSeed`]). The reader's limit on nesting (128)
//! applies to every value, so recursion over a cell is bounded too.

use std::borrow::Cow;
use std::fmt;

use ahash::AHashMap;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

#[derive(Debug, Clone)]
pub(super) enum JsonCell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Beyond `i64::MAX`.
    UInt(u64),
    Float(f64),
    /// A number with its original text: a float, or an integer beyond 64 bits. Only if spellings are read.
    Spelled {
        value: f64,
        text: Cow<'a, str>,
        is_integer: bool,
    },
    Text(Cow<'a, str>),
    /// To be flattened.
    Array(Vec<JsonCell<'a>>),
    /// To be flattened. Keys are distinct.
    Object(Vec<(Cow<'a, str>, JsonCell<'a>)>),
    /// The JSON text of an array that is not flattened.
    Stringified(String),
}

/// The numbers of JSON kinds in error messages.
pub(super) const KIND_OBJECT: u8 = 3;
pub(super) const KIND_ARRAY: u8 = 4;

impl JsonCell<'_> {
    pub(super) fn kind(&self) -> u8 {
        match self {
            JsonCell::Null => 0,
            JsonCell::Bool(false) => 1,
            JsonCell::Bool(true) => 2,
            JsonCell::Object(_) => KIND_OBJECT,
            JsonCell::Array(_) | JsonCell::Stringified(_) => KIND_ARRAY,
            JsonCell::Text(_) => 5,
            JsonCell::Int(_) | JsonCell::UInt(_) | JsonCell::Float(_) | JsonCell::Spelled { .. } => 6,
        }
    }

    /// Returns whether the value is to be flattened.
    pub(super) fn is_nested(&self) -> bool {
        matches!(self, JsonCell::Array(_) | JsonCell::Object(_))
    }

    /// Returns whether this may be an integer beyond 64 bits: a float of that size may have been written without a
    /// fraction.
    pub(super) fn may_be_huge(&self) -> bool {
        const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
        match self {
            JsonCell::UInt(_) => true,
            JsonCell::Float(value) => value.abs() >= TWO_TO_63,
            JsonCell::Spelled { is_integer, .. } => *is_integer,
            _ => false,
        }
    }
}

/// Serialises as compact JSON.
impl Serialize for JsonCell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            JsonCell::Null => serializer.serialize_unit(),
            JsonCell::Bool(value) => serializer.serialize_bool(*value),
            JsonCell::Int(value) => serializer.serialize_i64(*value),
            JsonCell::UInt(value) => serializer.serialize_u64(*value),
            JsonCell::Float(value) | JsonCell::Spelled { value, is_integer: false, .. } => {
                serializer.serialize_f64(*value)
            }
            JsonCell::Spelled { text, .. } => {
                let digits: Box<RawValue> =
                    RawValue::from_string(text.to_string()).map_err(serde::ser::Error::custom)?;
                digits.serialize(serializer)
            }
            JsonCell::Text(text) => serializer.serialize_str(text),
            JsonCell::Stringified(text) => serializer.serialize_str(text),
            JsonCell::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            JsonCell::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(&**key, value)?;
                }
                map.end()
            }
        }
    }
}

/// Reads any JSON value as a [`JsonCell`]. With `SPELLED`, floats and huge integers keep their spelling, which requires
/// the text in memory and takes about twice the time.
#[derive(Clone, Copy)]
pub(super) struct CellSeed<const SPELLED: bool>;

impl<'de, const SPELLED: bool> DeserializeSeed<'de> for CellSeed<SPELLED> {
    type Value = JsonCell<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<JsonCell<'de>, D::Error> {
        if SPELLED {
            let raw = serde::Deserialize::deserialize(deserializer)?;
            return spelled(raw).map_err(D::Error::custom);
        }
        deserializer.deserialize_any(self)
    }
}

fn spelled(raw: &RawValue) -> serde_json::Result<JsonCell<'_>> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Ok(spelled_number(text)),
        Some(b'"') if !text.contains('\\') => Ok(JsonCell::Text(Cow::Borrowed(&text[1..text.len() - 1]))),
        _ => {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            deserializer.deserialize_any(CellSeed::<SPELLED>)
        }
    }
}

/// Nested values are read with spellings, too.
const SPELLED: bool = true;

/// Parses `text`, which is a number by JSON's grammar.
fn spelled_number(text: &str) -> JsonCell<'_> {
    let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && text != "-0";
    match text.parse::<i64>() {
        Ok(value) if is_integer => return JsonCell::Int(value),
        _ => {}
    }
    match text.parse::<u64>() {
        Ok(value) if is_integer => JsonCell::UInt(value),
        _ => JsonCell::Spelled {
            value: text.parse().unwrap_or(f64::NAN),
            text: Cow::Borrowed(text),
            is_integer,
        },
    }
}

impl<'de, const SPELLED: bool> Visitor<'de> for CellSeed<SPELLED> {
    type Value = JsonCell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<JsonCell<'de>, E> {
        Ok(i64::try_from(value).map_or(JsonCell::UInt(value), JsonCell::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<JsonCell<'de>, A::Error> {
        let mut cells = Vec::new();
        while let Some(cell) = items.next_element_seed(self)? {
            cells.push(cell);
        }
        Ok(JsonCell::Array(cells))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<JsonCell<'de>, A::Error> {
        let mut cells = Vec::new();
        while let Some(key) = members.next_key_seed(KeySeed)? {
            cells.push((key, members.next_value_seed(self)?));
        }
        Ok(JsonCell::Object(distinct(cells)))
    }
}

/// Removes repeated keys: the last value of each, at the position of the first.
pub(super) fn distinct<'a>(members: Vec<(Cow<'a, str>, JsonCell<'a>)>) -> Vec<(Cow<'a, str>, JsonCell<'a>)> {
    let mut places: AHashMap<Cow<'a, str>, usize> = AHashMap::with_capacity(members.len());
    let mut kept: Vec<(Cow<'a, str>, JsonCell<'a>)> = Vec::with_capacity(members.len());
    for (key, cell) in members {
        match places.get(&key) {
            Some(&place) => kept[place].1 = cell,
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, cell));
            }
        }
    }
    kept
}

/// Reads an object's key, borrowed if it has no escapes.
pub(super) struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
