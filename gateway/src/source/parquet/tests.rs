//! Parquet files as tables: types that only Parquet has, text that stays coded, damage. (The bounds on claims are
//! tested in `integration-tests/python/test_arrow_types.py`, since such files take long to write here.)

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::data_type::{Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proscenium_engine::export::{self, JsonOptions};
use proscenium_engine::table::Table;
use proscenium_engine::view::{Plan, SliceOptions, View};
use proscenium_engine::{Result, TableData, TableOptions};

use super::open;

fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn table(bytes: Vec<u8>) -> Result<Table> {
    Table::create(&open(bytes.into())?, TableOptions::default())
}

fn json(table: &Table) -> String {
    let plan = Plan::new(&Default::default(), table.schema()).unwrap();
    let mut view = View::build(Arc::new(plan), &table.snapshot());
    let mut handle = view.handle(None);
    export::json_columns(&view.slice(&mut handle, SliceOptions::default()).gather(), JsonOptions::default())
}

/// Spark's timestamps: nanoseconds of a day and a Julian day.
#[test]
fn int96_reaches_all_years() {
    let schema = Arc::new(parse_message_type("message m { required int96 t; }").unwrap());
    let days = [0_i64, -719_162, 2_932_896];
    let moments: Vec<Int96> = days
        .iter()
        .map(|day| {
            let mut moment = Int96::new();
            moment.set_data(1_500_000, 0, (day + 2_440_588) as u32);
            moment
        })
        .collect();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, WriterProperties::new().into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int96Type>().write_batch(&moments, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    // 1.5 ms after midnight; before 1970 truncation is toward 1970.
    assert_eq!(json(&table(bytes).unwrap()), r#"{"t":[1,-62135596799998,253402214400001]}"#);
}

#[test]
fn text_stays_coded_where_the_file_has_a_dictionary() {
    let texts: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..5_000).map(|row| format!("{}", row % 3))));
    let bytes = file(vec![("x", texts)]);
    let TableData::Stream(source) = open(bytes.into()).unwrap() else {
        panic!("a file is read as it is used")
    };
    let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert_eq!(*source.schema().field(0).data_type(), coded);
    let rows: usize = source.batches().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 5_000);
    assert_eq!(source.batches().unwrap().count(), 1, "and can be read again");
}

fn two_columns() -> Vec<u8> {
    let items =
        ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    file(vec![("n", Arc::new(Int64Array::from(vec![1, 2, 3]))), ("l", Arc::new(items))])
}

#[test]
fn a_column_that_cannot_be_read_is_named() {
    let good = two_columns();
    assert_eq!(json(&table(good.clone()).unwrap()), r#"{"n":[1,1,2,3],"l":[1,null,null,null]}"#);
    // The pages come first in the file; those of the second column start somewhere in the middle.
    let mut named = [false; 2];
    for at in 4..good.len() - 8 {
        let mut bytes = good.clone();
        bytes[at] ^= 0xFF;
        if let Err(error) = table(bytes) {
            let error = error.to_string();
            named[0] |= error.contains("column `n`: ");
            named[1] |= error.contains("column `l");
        }
    }
    assert_eq!(named, [true, true]);
}

/// Arbitrary damage results in a table or an error.
#[test]
fn damaged_files_do_not_panic() {
    let good = two_columns();
    for len in 0..good.len() {
        assert!(table(good[..len].to_vec()).is_err(), "cut at {len}");
    }
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= [1, 0x10, 0x80][at % 3];
        let _ = table(bytes);
    }
}
