//! The Arrow types that a Parquet file is decoded to.
//!
//! Invariant: the file's own types, except where another type represents the same values better: text that is coded in
//! the file stays coded, INT96 (Spark's timestamps) is read in microseconds, which cover all years, and categories of
//! other values are decoded to these.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::{ConvertedType, Type as PhysicalType};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

pub(super) fn wanted(claimed: &ArrowReaderMetadata) -> SchemaRef {
    let mut leaves = Leaves { metadata: claimed.metadata(), next: 0 };
    let fields: Vec<FieldRef> = claimed.schema().fields().iter().map(|field| leaves.field(field)).collect();
    Arc::new(Schema::new_with_metadata(fields, claimed.schema().metadata().clone()))
}

/// Enumerates the file's columns in order: the leaves of the Arrow types.
struct Leaves<'a> {
    metadata: &'a ParquetMetaData,
    next: usize,
}

impl Leaves<'_> {
    fn field(&mut self, field: &FieldRef) -> FieldRef {
        let data_type = self.data_type(field.data_type());
        Arc::new(Field::clone(field).with_data_type(data_type))
    }

    fn fields(&mut self, fields: &Fields) -> Fields {
        fields.iter().map(|field| self.field(field)).collect()
    }

    fn data_type(&mut self, data_type: &DataType) -> DataType {
        match data_type {
            DataType::Struct(fields) => DataType::Struct(self.fields(fields)),
            DataType::List(item) => DataType::List(self.field(item)),
            DataType::LargeList(item) => DataType::LargeList(self.field(item)),
            DataType::ListView(item) => DataType::ListView(self.field(item)),
            DataType::LargeListView(item) => DataType::LargeListView(self.field(item)),
            DataType::FixedSizeList(item, len) => DataType::FixedSizeList(self.field(item), *len),
            DataType::Map(entries, sorted) => DataType::Map(self.field(entries), *sorted),
            leaf => {
                let column = self.next;
                self.next += 1;
                self.leaf(leaf, column)
            }
        }
    }

    fn leaf(&self, data_type: &DataType, column: usize) -> DataType {
        let data_type = match data_type {
            DataType::Dictionary(_, entries) => entries,
            other => other,
        };
        let columns = self.metadata.file_metadata().schema_descr().columns();
        let Some(described) = columns.get(column) else { return data_type.clone() };
        match (data_type, described.physical_type(), described.converted_type()) {
            (DataType::Timestamp(_, zone), PhysicalType::INT96, _) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            (
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
                PhysicalType::BYTE_ARRAY,
                ConvertedType::UTF8,
            ) => self.text(DataType::Utf8, column),
            (
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView,
                PhysicalType::BYTE_ARRAY,
                ConvertedType::NONE,
            ) => self.text(DataType::Binary, column),
            (other, _, _) => other.clone(),
        }
    }

    /// Coded if every row group has a dictionary, in which case text takes no more bytes than the file's pages.
    fn text(&self, plain: DataType, column: usize) -> DataType {
        let has_dictionary = |group: &RowGroupMetaData| {
            group.columns().get(column).is_some_and(|chunk| chunk.dictionary_page_offset().is_some())
        };
        match self.metadata.row_groups().iter().all(has_dictionary) {
            true => DataType::Dictionary(Box::new(DataType::Int32), Box::new(plain)),
            false => plain,
        }
    }
}
