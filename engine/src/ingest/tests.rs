//! The formats, inference, coercion and flattening, as tables of cases.
//!
//! A batch is shown as the types of its columns and their JSON, missing cells as `?`.

mod arrow;
mod arrow_spoiled;
mod arrow_types;
mod json;
mod memory;

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
    match create(data, options, &EngineContext::default()) {
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

/// Returns one column of each type a schema can request.
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
    match update(
        data,
        UpdateTarget {
            schema,
            index,
            list_flatten: ListFlatten::Zip,
            unknown_columns: UnknownColumns::Ignore,
        },
        &EngineContext::default(),
    ) {
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
    check("x\n7\n9223372036854775808\n", r#"x:Utf8["7","9223372036854775808"]"#);
    check("x\n1\n-99999999999999999999\n\n", r#"x:Utf8["1","-99999999999999999999"]"#);
    check("x\n0.5\n18446744073709551617\n", "x:Float64[0.5,18446744073709552000.0]");
    check("x\n1e20\n3\n", "x:Float64[100000000000000000000.0,3.0]");
    check("x,y\n1,a\n2,\n3,NA\n4,\"\"\n", r#"x:Int64[1,2,3,4] y:Utf8["a",null,"NA",""]"#);
    check("y,x\n,1\n\"\",2\na,\n", r#"y:Utf8[null,"","a"] x:Int64[1,2,null]"#);
    check("x\n007\n-1\n0x10\n 5 \n", "x:Int64[7,-1,16,5]");
    check("x\n1\n0\ntrue\n", "x:Bool[true,false,true]");
    check("x\ntrue\nNA\n", "x:Bool[true,null]");
    check("x\n2020-01-02\nNA\n", "x:Date32[1577923200000,null]");
    check("x\n 2020-01-02 \n", "x:Date32[1577923200000]");
    check("x\n 2020-01-02 03:04\n", r#"x:Utf8[" 2020-01-02 03:04"]"#);
    check("x\n12:00\n01:02:03\n", r#"x:Utf8["12:00","01:02:03"]"#);
    check("x,y\n10:30,1\n,2\n", r#"x:Utf8["10:30",null] y:Int64[1,2]"#);
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
    check("x,y", "x:Utf8[] y:Utf8[]");
    check("", "error: the CSV is empty");
    check("x,y\n1,2\n1\n", "error: Invalid CSV: expected 2 columns, got 1: 1 (line 3)");
    check("x,y\n1,2\n1,2,3\n", "error: Invalid CSV: expected 2 columns, got 3: 1,2,3 (line 3)");
    check("x,y\r\n\"1\n\n2\",2\r\n3\r\n", "error: Invalid CSV: expected 2 columns, got 1: 3 (line 5)");
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
    check(shape(ColumnType::Integer), with("q"), "error: the index `q` is not a column of the table");
    check(shape(ColumnType::Boolean), with("a"), "error: a boolean column cannot be the index");
    check(csv_text("a\n1\n"), with("q"), "error: the index `q` is not a column of the table");
    check(rows(r#"[{"a":1}]"#), with("q"), "error: the index `q` is not a column of the table");
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
        ("t\n2020-02-30\n", "timestamp[ms]", "2020-02-30", 0),
        ("d\n2021-02-29\n", "date64[ms]", "2021-02-29", 0),
    ] {
        let expected = format!("error: column #0 holds '{value}' at index {row}, which is no {type_name}");
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
    check(rows("{}"), int, "error: keys to remove are an array of values");
    check(rows("5"), int, "error: keys to remove are an array of values");
    check(csv_text("id\n1\n"), int, "error: keys to remove are given as JSON or Arrow");
    check(
        rows(r#"["x"]"#),
        int,
        "error: Cannot append value of type string to column \"id\" of type integer at index 0",
    );
    check(rows(r#"[{"id":4}]"#), int, "error: Expected int, found 3 in column \"id\" at index 0");
    check(
        rows(r#"["a",{"id":4}]"#),
        Storage::Utf8,
        "error: Cannot coerce object to string in column \"id\" at index 1",
    );
    let ids = || Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
    check(arrow_data(vec![("id", ids())]), int, "[1,2]");
    check(
        arrow_data(vec![("x", ids())]),
        int,
        "error: the index column `id` is missing from the keys to remove",
    );
}

#[test]
fn filter_operands() {
    for (text, wanted, expected) in [
        ("2020-01-02", ColumnType::Date, Some(18_263)),
        ("2020-01-02T03:04:05", ColumnType::Date, Some(18_263)),
        ("2020-01-02T03:04:05", ColumnType::Datetime, Some(1_577_934_245_000)),
        ("fish", ColumnType::Datetime, None),
        ("2020-02-30", ColumnType::Date, None),
        ("2020-02-30T03:04:05", ColumnType::Datetime, None),
        ("2020-01-02", ColumnType::String, None),
    ] {
        assert_eq!(parse_temporal(text, wanted), expected, "{text}");
    }
}

#[test]
fn an_unclosed_quote_is_an_error_that_names_its_line() {
    let many: String = (0..20_000).map(|row| format!("{row},v{row}\n")).collect();
    for (text, line) in [
        ("a,b\n1,\"2\n3,4\n".to_owned(), 2),
        ("a,b\n\"1\n\n\",x\n2,\"".to_owned(), 5),
        ("a,b\r\n1,x\r\n2,\"y\"\"".to_owned(), 3),
        ("a,\"b\n1,2\n".to_owned(), 1),
        (format!("a,b\n{many}7,\"open\n{many}"), 20_002),
    ] {
        let expected = format!("error: Invalid CSV: the quote opened in line {line} is never closed: ");
        let shown = created(&csv_text(&text), &TableOptions::default());
        assert!(shown.starts_with(&expected), "{}", &shown[..shown.len().min(200)]);
        let table = schema(&[("a", Storage::Utf8), ("b", Storage::Utf8)]);
        assert!(updated(&table, None, &csv_text(&text)).starts_with(&expected));
    }
}

fn delimited(text: &str, options: CsvOptions) -> TableData {
    TableData::Delimited(text.to_owned().into(), options)
}

#[test]
fn csv_of_other_dialects() {
    let check = |text: &str, expected: &str| check_created(csv_text(text), expected);
    check("a;b\n1;2\n", "a:Int64[1] b:Int64[2]");
    check("\u{feff}a\tb\r\n1\tx, y\r\n", r#"a:Int64[1] b:Utf8["x, y"]"#);
    check("a|b\n\"1|2\"|3\n", r#"a:Utf8["1|2"] b:Int64[3]"#);
    check("a;b\n1,5;2\n", r#"a:Utf8["1,5"] b:Int64[2]"#);
    check("a;b\n1;2\n3\n", "error: Invalid CSV: expected 2 columns, got 1: 3 (line 3)");
    let with = |separator, decimal, header| CsvOptions::new(separator, decimal, header).unwrap();
    let comma = with(None, Some(","), None);
    check_created(
        delimited("a;b;c\n1,5;2;1.000,5\n-,25;1e3;x\n", comma),
        r#"a:Float64[1.5,-0.25] b:Float64[2.0,1000.0] c:Utf8["1.000,5","x"]"#,
    );
    check_created(delimited("a;b\n1.5;2\n", comma), r#"a:Utf8["1.5"] b:Int64[2]"#);
    check_created(delimited("a^b\n1^\"x^y\"\n", with(Some("^"), None, None)), r#"a:Int64[1] b:Utf8["x^y"]"#);
    check_created(delimited("a;b\n1;2\n", with(Some(","), None, None)), r#"a;b:Utf8["1;2"]"#);
    check_created(
        delimited("1;x\n2;y", with(None, None, Some(false))),
        r#"column_1:Int64[1,2] column_2:Utf8["x","y"]"#,
    );
    check_updated(
        delimited("7;2,5;s\n", with(None, Some(","), Some(false))),
        r#"1 x:Int32[7] f:Float64[2.5] s:Utf8["s"]"#,
    );
    check_updated(csv_text("x;s\n7;a,b\n"), r#"1 x:Int32[7] s:Utf8["a,b"]"#);
}

#[test]
fn a_csv_rounds_no_keys() {
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let shown = created(&csv_text("id\n9007199254740993\n0.5\n"), &options);
    assert!(shown.starts_with("error: column \"id\" is the index and has both"), "{shown}");
    assert_eq!(
        created(&csv_text("id\n9007199254740992\n0.5\n"), &options),
        "id:Float64[9007199254740992.0,0.5]"
    );
    assert_eq!(
        created(&csv_text("id\n99999999999999999999\n1\n"), &options),
        r#"id:Utf8["99999999999999999999","1"]"#
    );
    let table = schema(&[("id", Storage::Float64)]);
    let shown = updated(&table, Some(0), &csv_text("id\n1\n9007199254740993\n"));
    assert!(shown.contains("holds '9007199254740993' at index 1"), "{shown}");
}

#[test]
fn strict_writes_name_columns_that_the_table_lacks() {
    let table = schema(&[("a", Storage::Int32), ("o.p", Storage::Int32)]);
    let strict = |data: &TableData| {
        let target = UpdateTarget {
            schema: &table,
            index: None,
            list_flatten: ListFlatten::Zip,
            unknown_columns: UnknownColumns::Refuse,
        };
        update(data, target, &EngineContext::default())
            .map(|batch| batch.num_rows)
            .map_err(|error| error.to_string())
    };
    let ones = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    for data in [
        csv_text("a\n1\n"),
        rows(r#"[{"a":1,"o":{"p":2}}]"#),
        columns(r#"{"a":[1],"__INDEX__":[3]}"#),
        ndjson(r#"{"o.p":1}"#),
        arrow_data(vec![("a", ones()), ("__INDEX__", ones())]),
    ] {
        assert_eq!(strict(&data), Ok(1), "{data:?}");
    }
    for (data, name) in [
        (csv_text("a,z\n1,2\n"), "z"),
        (rows(r#"[{"a":1},{"z":null}]"#), "z"),
        (rows(r#"[{"a":1,"z":{"p":2}}]"#), "z"),
        (rows(r#"[{"a":1,"o":{"z":2}}]"#), "o.z"),
        (columns(r#"{"a":[1],"z":[3]}"#), "z"),
        (ndjson(r#"{"a":1}{"z":1}"#), "z"),
        (arrow_data(vec![("a", ones()), ("z", ones())]), "z"),
    ] {
        assert_eq!(strict(&data), Err(format!("the table has no column \"{name}\"")), "{data:?}");
    }
}

#[test]
fn rows_that_no_key_or_column_of_the_table_places_are_refused_in_every_format() {
    let table = schema(&[("id", Storage::Int32), ("a", Storage::Int32)]);
    let written = |index: Option<usize>, data: &TableData| {
        let (list_flatten, unknown_columns) = (ListFlatten::Zip, UnknownColumns::Ignore);
        let target = UpdateTarget { schema: &table, index, list_flatten, unknown_columns };
        update(data, target, &EngineContext::default())
            .map(|batch| batch.num_rows)
            .map_err(|error| (error.code(), error.to_string()))
    };
    let ones = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let none = || Arc::new(Int64Array::from(Vec::<i64>::new())) as ArrayRef;
    let no_key = |rest: &str| {
        Err(("missing_key", format!("the rows have no key: their column `id` is missing{rest}")))
    };
    for data in [
        rows(r#"[{"a":5},{"a":6}]"#),
        columns(r#"{"a":[5]}"#),
        ndjson(r#"{"a":5}"#),
        csv_text("a\n5\n"),
        arrow_data(vec![("a", ones())]),
        rows("[{}]"),
    ] {
        assert_eq!(written(Some(0), &data), no_key(""), "{data:?}");
    }
    let unknown = || {
        [
            rows(r#"[{"y":5},{"z":6}]"#),
            rows(r#"[{"y":{"p":5},"z":[1]}]"#),
            columns(r#"{"y":[5],"z":[6]}"#),
            ndjson("{\"y\":5}\n{\"z\":5}"),
            csv_text("y,z\n5,6\n"),
            arrow_data(vec![("y", ones()), ("z", ones())]),
        ]
    };
    for data in unknown() {
        assert_eq!(written(Some(0), &data), no_key("; the table does not have their `y`, `z`"), "{data:?}");
        let error = "the table has none of the columns of the rows: `y`, `z`".to_owned();
        assert_eq!(written(None, &data), Err(("unknown_column", error)), "{data:?}");
    }
    // What names its rows is written, whatever else it has or lacks, and so is what has no rows.
    for (data, num_rows) in [
        (rows(r#"[{"id":1},{"a":2}]"#), 2),
        (rows(r#"[{"id":null,"a":2}]"#), 1),
        (rows(r#"[{"__INDEX__":1,"a":2}]"#), 1),
        (rows(r#"[{"id":1,"z":2}]"#), 1),
        (rows("[]"), 0),
        (columns(r#"{}"#), 0),
        (csv_text("z\n"), 0),
        (arrow_data(vec![("z", none())]), 0),
    ] {
        assert_eq!(written(Some(0), &data), Ok(num_rows), "{data:?}");
    }
    assert_eq!(written(None, &rows("[{}]")), Ok(1));
    let error = "the table has none of the columns of the rows: `z`".to_owned();
    let placed = rows(r#"[{"__INDEX__":1,"z":2}]"#);
    assert_eq!(written(Some(0), &placed), Err(("unknown_column", error)));
}
