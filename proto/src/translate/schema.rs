//! Converts column types and schemas.

use std::collections::BTreeMap;
use std::sync::Arc;

use proscenium_engine::error::RequestError;
use proscenium_engine::{ColumnType, Result, Schema};

use crate::generated as wire;

/// Converts an engine type.
pub fn type_to_wire(column_type: ColumnType) -> wire::ColumnType {
    match column_type {
        ColumnType::String => wire::ColumnType::String,
        ColumnType::Date => wire::ColumnType::Date,
        ColumnType::Datetime => wire::ColumnType::Datetime,
        ColumnType::Integer => wire::ColumnType::Integer,
        ColumnType::Float => wire::ColumnType::Float,
        ColumnType::Boolean => wire::ColumnType::Boolean,
    }
}

/// Converts a type of the protocol.
pub fn type_from_wire(column_type: wire::ColumnType) -> ColumnType {
    match column_type {
        wire::ColumnType::String => ColumnType::String,
        wire::ColumnType::Date => ColumnType::Date,
        wire::ColumnType::Datetime => ColumnType::Datetime,
        wire::ColumnType::Integer => ColumnType::Integer,
        wire::ColumnType::Float => ColumnType::Float,
        wire::ColumnType::Boolean => ColumnType::Boolean,
    }
}

/// Converts a table's schema, in creation order of the columns.
pub fn to_wire(schema: &Schema) -> wire::Schema {
    let columns = schema.fields().iter();
    wire::Schema {
        schema: columns
            .map(|field| wire::schema::KeyTypePair {
                name: field.name.to_string(),
                r#type: type_to_wire(field.column_type()).into(),
            })
            .collect(),
    }
}

/// Converts a client's schema to names and types, in the client's order.
///
/// # Errors
///
/// A column type is unknown.
pub fn from_wire(schema: wire::Schema) -> Result<Vec<(String, ColumnType)>> {
    let columns = schema.schema.into_iter();
    columns
        .map(|column| match wire::ColumnType::try_from(column.r#type) {
            Ok(known) => Ok((column.name, type_from_wire(known))),
            Err(_) => Err(RequestError::UnknownValue {
                field: format!("type of column \"{}\"", column.name),
                value: column.r#type.to_string(),
            }
            .into()),
        })
        .collect()
}

/// Converts the schema of a view or of expressions, which is a map and has no order.
pub fn map_to_wire<'a>(
    columns: impl IntoIterator<Item = (&'a Arc<str>, &'a ColumnType)>,
) -> BTreeMap<String, i32> {
    columns
        .into_iter()
        .map(|(name, column_type)| (name.to_string(), type_to_wire(*column_type).into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use proscenium_engine::Field;

    use super::*;

    #[test]
    fn the_engine_and_the_wire_number_types_alike() {
        for column_type in ColumnType::ALL {
            assert_eq!(type_to_wire(column_type) as i32, column_type as i32);
            assert_eq!(type_from_wire(type_to_wire(column_type)), column_type);
        }
    }

    #[test]
    fn a_schema_keeps_its_order() {
        let fields = ["b", "a"].map(|name| Field::new(name, ColumnType::Float.default_storage()));
        let columns = from_wire(to_wire(&Schema::new(fields.into()))).unwrap();
        assert_eq!(columns, [("b".into(), ColumnType::Float), ("a".into(), ColumnType::Float)]);
    }

    #[test]
    fn an_unknown_type_is_named() {
        let column = wire::schema::KeyTypePair { name: "x".into(), r#type: 99 };
        let error = from_wire(wire::Schema { schema: vec![column] }).unwrap_err();
        assert_eq!(error.to_string(), "unknown type of column \"x\" 99");
    }
}
