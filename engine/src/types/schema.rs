//! Names and types of columns: the six types clients see, and the narrower storage types behind them.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

/// A column's type as clients see it. The discriminants are those of the published protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ColumnType {
    /// UTF-8 text.
    String = 0,
    /// A calendar day, without time or zone.
    Date = 1,
    /// A point in time, with millisecond precision.
    Datetime = 2,
    /// A whole number; the storage determines its width and sign.
    Integer = 3,
    /// A floating-point number of 32 or 64 bits.
    Float = 4,
    /// A truth value, such as the result of a comparison.
    Boolean = 5,
}

impl ColumnType {
    /// All types, in the order of their discriminants.
    pub const ALL: [ColumnType; 6] = [
        ColumnType::String,
        ColumnType::Date,
        ColumnType::Datetime,
        ColumnType::Integer,
        ColumnType::Float,
        ColumnType::Boolean,
    ];

    /// The type's name in schemas and error messages.
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::String => "string",
            ColumnType::Date => "date",
            ColumnType::Datetime => "datetime",
            ColumnType::Integer => "integer",
            ColumnType::Float => "float",
            ColumnType::Boolean => "boolean",
        }
    }

    /// The storage of a column that is created from a schema alone.
    pub fn default_storage(self) -> Storage {
        match self {
            ColumnType::String => Storage::Utf8,
            ColumnType::Date => Storage::Date32,
            ColumnType::Datetime => Storage::TimestampMs,
            ColumnType::Integer => Storage::Integer,
            ColumnType::Float => Storage::Float64,
            ColumnType::Boolean => Storage::Bool,
        }
    }
}

/// How a column is stored; visible in Arrow output (see [`Storage::Integer`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// An integer column without a declared width (from a schema or JSON): 64 bits. Arrow output is `int32` until
    /// the column first holds a value beyond it, and `int64` from then on.
    Integer,
    /// Signed 8-bit integers; `int8` in Arrow.
    Int8,
    /// Signed 16-bit integers; `int16` in Arrow.
    Int16,
    /// Signed 32-bit integers; `int32` in Arrow.
    Int32,
    /// Signed 64-bit integers; `int64` in Arrow.
    Int64,
    /// Unsigned 8-bit integers; `uint8` in Arrow.
    UInt8,
    /// Unsigned 16-bit integers; `uint16` in Arrow.
    UInt16,
    /// Unsigned 32-bit integers; `uint32` in Arrow.
    UInt32,
    /// Unsigned 64-bit integers; `uint64` in Arrow.
    UInt64,
    /// Single-precision floats; `float32` in Arrow.
    Float32,
    /// Double-precision floats: the storage of float columns from a schema; `float64` in Arrow.
    Float64,
    /// Booleans; `bool` in Arrow.
    Bool,
    /// Dictionary-encoded text.
    Utf8,
    /// Days since 1970-01-01.
    Date32,
    /// Milliseconds since 1970-01-01T00:00:00 UTC.
    TimestampMs,
}

impl Storage {
    /// The type that clients see.
    pub fn column_type(self) -> ColumnType {
        match self {
            Storage::Integer
            | Storage::Int8
            | Storage::Int16
            | Storage::Int32
            | Storage::Int64
            | Storage::UInt8
            | Storage::UInt16
            | Storage::UInt32
            | Storage::UInt64 => ColumnType::Integer,
            Storage::Float32 | Storage::Float64 => ColumnType::Float,
            Storage::Bool => ColumnType::Boolean,
            Storage::Utf8 => ColumnType::String,
            Storage::Date32 => ColumnType::Date,
            Storage::TimestampMs => ColumnType::Datetime,
        }
    }

    /// The Arrow type of arrays of this storage that are not dictionary-encoded.
    pub fn arrow(self) -> DataType {
        match self {
            Storage::Int8 => DataType::Int8,
            Storage::Int16 => DataType::Int16,
            Storage::Int32 => DataType::Int32,
            Storage::Integer | Storage::Int64 => DataType::Int64,
            Storage::UInt8 => DataType::UInt8,
            Storage::UInt16 => DataType::UInt16,
            Storage::UInt32 => DataType::UInt32,
            Storage::UInt64 => DataType::UInt64,
            Storage::Float32 => DataType::Float32,
            Storage::Float64 => DataType::Float64,
            Storage::Bool => DataType::Boolean,
            Storage::Utf8 => DataType::Utf8,
            Storage::Date32 => DataType::Date32,
            Storage::TimestampMs => DataType::Timestamp(TimeUnit::Millisecond, None),
        }
    }
}

/// A column's name and storage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The column's name, unique in its schema.
    pub name: Arc<str>,
    /// How the column's values are stored.
    pub storage: Storage,
}

impl Field {
    /// Creates a field.
    pub fn new(name: impl Into<Arc<str>>, storage: Storage) -> Self {
        Field { name: name.into(), storage }
    }

    /// The type that clients see.
    pub fn column_type(&self) -> ColumnType {
        self.storage.column_type()
    }
}

/// The columns of a table, in creation order, with distinct names. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    fields: Arc<[Field]>,
}

impl Schema {
    /// Creates a schema. The caller ensures that the names are distinct.
    pub fn new(fields: Vec<Field>) -> Self {
        Schema { fields: fields.into() }
    }

    /// All fields, in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The number of columns.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no columns.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The field at `index`.
    ///
    /// Panics if `index` is out of range.
    pub fn field(&self, index: usize) -> &Field {
        &self.fields[index]
    }

    /// The position of the column `name`, if any. Cost: O(columns).
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| &*field.name == name)
    }
}
