//! What bytes become: the formats, inference, coercion and flattening, as tables of cases.
//!
//! A batch is shown as the types of its columns and their JSON, missing cells as `?`.

mod arrow;
mod arrow_spoiled;
mod arrow_types;
mod json;

use std::sync::Arc;

use ::arrow::array::{Array, Int64Array};
use ::arrow::datatypes::DataType;

use self::arrow::arrow_data;
use super::*;
use crate::export::JsonCells;

fn show_column(values: &ArrayRef, missing: Option<&BooleanBuffer>) -> String {
    let cells = JsonCells::new(values);
    let mut out = String::from("[");
    for row in 0..values.len() {
        if row > 0 {
            out.push(',');
        }
        match missing {
            Some(missing) if missing.value(row) => out.push('?'),
            _ => cells.write_json(row, false, &mut out),
        }
    }
    out + "]"
}

fn show(schema: &Schema, batch: &Batch) -> String {
    let mut parts = Vec::new();
    for column in &batch.columns {
        let field = schema.field(column.column);
        let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let is_coded_text = field.storage == Storage::Utf8 && *column.values.data_type() == coded;
        assert!(*column.values.data_type() == field.storage.arrow() || is_coded_text, "{}", field.name);
        assert_eq!(column.values.len(), batch.num_rows, "{}", field.name);
        let cells = show_column(&column.values, column.missing.as_ref());
        parts.push(format!("{}:{:?}{cells}", field.name, field.storage));
    }
    if let Some(keys) = &batch.keys {
        parts.push(format!("keys{}", show_column(keys, None)));
    }
    parts.join(" ")
}

fn created(data: &TableData, options: &TableOptions) -> String {
    match create(data, options) {
        Ok((schema, batch)) => show(&schema, &batch),
        Err(error) => format!("error: {error}"),
    }
}

#[track_caller]
fn check_created(data: TableData, expected: &str) {
    assert_eq!(created(&data, &TableOptions::default()), expected);
}

fn rows(text: &str) -> TableData {
    TableData::Rows(text.into())
}

fn columns(text: &str) -> TableData {
    TableData::Columns(text.into())
}

fn ndjson(text: &str) -> TableData {
    TableData::Ndjson(text.into())
}

fn csv_text(text: &str) -> TableData {
    TableData::Csv(text.to_owned().into())
}

fn schema(fields: &[(&str, Storage)]) -> Schema {
    Schema::new(fields.iter().map(|(name, storage)| Field::new(*name, *storage)).collect())
}

/// One column of each type a schema can ask for.
fn six() -> Schema {
    schema(&[
        ("x", Storage::Int32),
        ("f", Storage::Float64),
        ("s", Storage::Utf8),
        ("b", Storage::Bool),
        ("d", Storage::Date32),
        ("t", Storage::TimestampMs),
    ])
}

fn updated(schema: &Schema, index: Option<usize>, data: &TableData) -> String {
    match update(data, UpdateTarget { schema, index, list_flatten: ListFlatten::Zip }) {
        Ok(batch) => format!("{} {}", batch.num_rows, show(schema, &batch)),
        Err(error) => format!("error: {error}"),
    }
}

#[track_caller]
fn check_updated(data: TableData, expected: &str) {
    assert_eq!(updated(&six(), None, &data), expected);
}

#[test]
fn csv_makes_columns() {
    let check = |text: &str, expected: &str| check_created(csv_text(text), expected);
    check("x\n1\nabc\n", r#"x:Utf8["1","abc"]"#);
    check("x\n3000000000\n1\n", "x:Int64[3000000000,1]");
    check("x\n9223372036854775808\n", "x:Float64[9223372036854776000.0]");
    check("x,y\n1,a\n2,\n3,NA\n", r#"x:Int64[1,2,3] y:Utf8["a","","NA"]"#);
    check("x\n007\n-1\n0x10\n 5 \n", "x:Int64[7,-1,16,5]");
    check("x\n1\n0\ntrue\n", "x:Bool[true,false,true]");
    check("x\ntrue\nNA\n", "x:Bool[true,null]");
    check("x\n2020-01-02\nNA\n", "x:Date32[1577923200000,null]");
    check("x\n 2020-01-02 \n", "x:Date32[1577923200000]");
    check("x\n 2020-01-02 03:04\n", r#"x:Utf8[" 2020-01-02 03:04"]"#);
    check("x\n12:00\n01:02:03\n", "x:UInt32[43200,3723]");
    check("x\n2020-01-02 03:04:05\n2020-01-02\n", "x:TimestampMs[1577934245000,1577923200000]");
    check("x\n2020-01-02\n01/03/2020\n", "x:TimestampMs[1577923200000,1578009600000]");
    check("x\n1.\n.5\n1e3\n+2\ninf\nnan\n", "x:Float64[1.0,0.5,1000.0,2.0,null,null]");
    check("x\n2020-1-2\n", r#"x:Utf8["2020-1-2"]"#);
    check("x\n1_000\n", r#"x:Utf8["1_000"]"#);
    check("x\n2020-01-02\n12:00\n", r#"x:Utf8["2020-01-02","12:00"]"#);
    check("x,y\nNA,\n,null\n", "x:Utf8[null,null] y:Utf8[null,null]");
    check("x,y\n\"NA\",1\n\"\",2\n3,4\n", "x:Int64[null,null,3] y:Int64[1,2,4]");
    check("x\n\"a\"\"b\"\n\"c\nd\"\na\"b\n", r#"x:Utf8["a\"b","c\nd","a\"b"]"#);
    check("x,x,x\n1,2,3\n", "x:Int64[1] x*:Int64[2] x**:Int64[3]");
    check("\u{feff}x,y\r\n1,2\r\n\r\n3,4", "x:Int64[1,3] y:Int64[2,4]");
    check(",y\n1,2\n", ":Int64[1] y:Int64[2]");
    check("x,y\n", "x:Utf8[] y:Utf8[]");
    check("x,y", "error: Invalid: CSV parse error: Empty CSV file or block: cannot infer number of columns");
    check("", "error: Invalid: Empty CSV file");
    check("x,y\n1,2\n1\n", "error: Invalid: CSV parse error: Expected 2 columns, got 1: 1");
    check("x,y\n1,2\n1,2,3\n", "error: Invalid: CSV parse error: Expected 2 columns, got 3: 1,2,3");
}

#[test]
fn index_of_a_new_table() {
    let with = |index: &str| TableOptions { index: Some(index.into()), ..TableOptions::default() };
    #[track_caller]
    fn check(data: TableData, options: TableOptions, expected: &str) {
        assert_eq!(created(&data, &options), expected);
    }
    let shape = |kind| TableData::Schema(vec![("a".into(), kind)]);
    check(shape(ColumnType::Integer), with("a"), "");
    check(shape(ColumnType::Integer), with(""), "");
    check(
        shape(ColumnType::Integer),
        with("q"),
        "error: Specified index `q` does not appear in the Table.\n",
    );
    check(shape(ColumnType::Boolean), with("a"), "error: Unsupported type `bool` for `index`.\n");
    check(
        csv_text("a\n1\n"),
        with("q"),
        "error: Specified index `q` is invalid as it does not appear in the Table.\n",
    );
    check(rows(r#"[{"a":1}]"#), with("q"), "error: Specified index `q` does not exist in dataset.");
    let twice = TableData::Schema(vec![("a".into(), ColumnType::Date), ("a".into(), ColumnType::Date)]);
    check(twice, TableOptions::default(), "error: Column \"a\" is in the schema more than once");
}

#[test]
fn csv_into_existing_columns() {
    check_updated(
        csv_text("x,f,s,b,d,t\n1,2,3,1,2020-01-02,2020-01-02T03:04\n"),
        concat!(
            r#"1 x:Int32[1] f:Float64[2.0] s:Utf8["3"] b:Bool[true] d:Date32[1577923200000] "#,
            "t:TimestampMs[1577934240000]"
        ),
    );
    check_updated(csv_text("t\n1577934245000\n01/02/2020\n"), "2 t:TimestampMs[1577934245000,1577923200000]");
    for (text, type_name, value, row) in [
        ("x\n1\n2.5\n", "int32", "2.5", 1),
        ("x\n3000000000\n", "int32", "3000000000", 0),
        ("b\nyes\n", "bool", "yes", 0),
        ("f\nabc\n", "double", "abc", 0),
        ("d\n2020-01-02 03:04\n", "date64[ms]", "2020-01-02 03:04", 0),
        ("t\n2020-1-2\n", "timestamp[ms]", "2020-1-2", 0),
    ] {
        let expected = format!(
            "error: Invalid: In CSV column #0: CSV conversion error to {type_name}: invalid value '{value}' at index {row}"
        );
        check_updated(csv_text(text), &expected);
    }
}

#[track_caller]
fn check_flattened(mode: ListFlatten, index: Option<&str>, data: TableData, expected: &str) {
    let options =
        TableOptions { index: index.map(Into::into), list_flatten: mode, ..TableOptions::default() };
    assert_eq!(created(&data, &options), expected);
}

const MISMATCH: &str = "of differing length";

#[test]
fn keys_to_remove() {
    #[track_caller]
    fn check(data: TableData, storage: Storage, expected: &str) {
        let shown = match remove_keys(&data, "id", storage) {
            Ok(keys) => show_column(&keys, None),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(shown, expected);
    }
    let int = Storage::Int32;
    check(rows(r#"[1,"2",null]"#), int, "[1,2,null]");
    check(rows("[1,3000000000]"), int, "[1]");
    check(columns("[5]"), int, "[5]");
    check(rows(r#"["a"]"#), Storage::Utf8, r#"["a"]"#);
    check(rows(r#"["2020-01-02"]"#), Storage::Date32, "[1577923200000]");
    check(rows("{}"), int, "error: Cannot remove fish!\n");
    check(rows("5"), int, "error: Cannot remove fish!\n");
    check(csv_text("id\n1\n"), int, "error: remove malformed");
    check(
        rows(r#"["x"]"#),
        int,
        "error: Cannot append value of type string to column \"id\" of type integer at index 0\n",
    );
    check(rows(r#"[{"id":4}]"#), int, "error: Expected int, found 3 in column \"id\" at index 0");
    check(
        rows(r#"["a",{"id":4}]"#),
        Storage::Utf8,
        "error: Cannot coerce object to string in column \"id\" at index 1",
    );
    let ids = || Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
    check(arrow_data(vec![("id", ids())]), int, "[1,2]");
    check(arrow_data(vec![("x", ids())]), int, "error: Cannot remove: Arrow is missing index column `id`\n");
}

#[test]
fn filter_operands() {
    for (text, wanted, expected) in [
        ("2020-01-02", ColumnType::Date, Some(18_263)),
        ("2020-01-02T03:04:05", ColumnType::Date, Some(18_263)),
        ("2020-01-02T03:04:05", ColumnType::Datetime, Some(1_577_934_245_000)),
        ("fish", ColumnType::Datetime, None),
        ("2020-01-02", ColumnType::String, None),
    ] {
        assert_eq!(parse_temporal(text, wanted), expected, "{text}");
    }
}
