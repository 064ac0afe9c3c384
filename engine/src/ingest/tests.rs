//! What bytes become: the formats, inference, coercion and flattening, as tables of cases.
//!
//! A batch is shown as the types of its columns and their JSON, missing cells as `?`.

use std::sync::Arc;

use ::arrow::array::{
    Array, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int8Array, Int32Array, Int64Array, LargeStringArray, ListArray, NullArray, RecordBatch, StringArray,
    StructArray, Time32SecondArray, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampSecondArray,
    UInt64Array,
};
use ::arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow_ipc::writer::{FileWriter, StreamWriter};

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
    TableData::Csv(text.into())
}

fn batch_of(named: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(named.into_iter().map(|(name, values)| (name, values, true)))
        .unwrap()
}

fn stream(batches: &[RecordBatch]) -> TableData {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    TableData::Arrow(writer.into_inner().unwrap().into())
}

fn arrow_data(named: Vec<(&str, ArrayRef)>) -> TableData {
    stream(&[batch_of(named)])
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
fn rows_make_columns() {
    let check = |text: &str, expected: &str| check_created(rows(text), expected);
    check(r#"[{"a":1,"b":"x"},{"b":"y","a":2}]"#, r#"a:Int32[1,2] b:Utf8["x","y"]"#);
    check(r#"[{"a":1},{"b":null},{"c":2}]"#, "a:Int32[1,null,null] c:Int32[null,null,2]");
    check(r#"[{"a":1},{"b":null},{"b":"x"}]"#, r#"a:Int32[1,null,null] b:Utf8[null,null,"x"]"#);
    check(r#"[{"a":null,"b":1},{"a":2,"c":3}]"#, "b:Int32[1,null] a:Int32[null,2] c:Int32[null,3]");
    check(r#"[{"z":null,"a":null,"b":1}]"#, "b:Int32[1] a:Utf8[null] z:Utf8[null]");
    check(r#"[{"x":1,"x":2}]"#, "x:Int32[2]");
    check(r#"[{"a":1},{"a":2.5},{"a":"7"}]"#, "a:Float64[1.0,2.5,7.0]");
    check(r#"[{"a":1},{"a":3000000000}]"#, "a:Float64[1.0,3000000000.0]");
    check(r#"[{"a":-3000000000}]"#, "a:Float64[-3000000000.0]");
    check(r#"[{"a":"3000000000"}]"#, "a:Float64[3000000000.0]");
    check(r#"[{"a":1},{"a":"7.5"}]"#, "a:Float64[1.0,7.5]");
    check(r#"[{"a":"7"},{"a":" 1"},{"a":null},{"a":"x"},{"a":true}]"#, r#"a:Utf8["7","1",null,"x","true"]"#);
    check(r#"[{"a":1},{"a":""}]"#, r#"a:Utf8["1",""]"#);
    check(r#"[{"a":1},{"a":true}]"#, "error: Expected int, found 2 in column \"a\" at index 1");
    check(r#"[{"a":1.5},{"a":true}]"#, "error: Expected double, found 2 in column \"a\" at index 1");
    check(r#"[{"a":1.5},{"a":"fish"},{"a":"2"}]"#, "a:Float64[1.5,null,2.0]");
    check(r#"[{"a":"s"},{"a":true},{"a":1.5},{"a":5}]"#, r#"a:Utf8["s","true","1.500000","5"]"#);
    check(r#"[{"a":true},{"a":"false"},{"a":1},{"a":0}]"#, "a:Bool[true,false,true,false]");
    check(r#"[{"a":true},{"a":"fish"}]"#, "error: Expected bool, found 5 in column \"a\" at index 1");
    check(
        r#"[{"a":"2020-01-02"},{"a":"2020-01-02T03:04:05"},{"a":1577934245000}]"#,
        "a:Date32[1577923200000,1577923200000,1577923200000]",
    );
    check(r#"[{"a":"2020-01-02"},{"a":""}]"#, "error: Could not coerce to date in column \"a\" at index 1");
    check(
        r#"[{"a":"2020-01-02T01:00:00"},{"a":1.5},{"a":"2020-01-02"}]"#,
        "a:TimestampMs[1577926800000,1,1577923200000]",
    );
    check(r#"[{"a":"a\u0000b"}]"#, r#"a:Utf8["a\u0000b"]"#);
    check(r#"[{"x":{},"y":1}]"#, "y:Int32[1]");
    check("[]", "");
    check("[{}]", "");
    check("[1,2]", "error: Cannot determine data types without column names!\n");
    check(r#"[{"a":1},null]"#, "error: Cannot determine data types without column names!\n");
    for broken in ["", "null", "{}", "[{\"a\":NaN}]", "[{\"a\":1}", "[] []", "[{\"a\":Infinity}]"] {
        let shown = created(&rows(broken), &TableOptions::default());
        assert!(shown.starts_with("error: Invalid JSON"), "{broken}: {shown}");
    }
}

#[test]
fn deep_nesting_is_an_error() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("[{{\"a\":{}1{}}}]", open.repeat(10_000), close.repeat(10_000));
        let shown = created(&rows(&deep), &TableOptions::default());
        assert!(shown.contains("recursion limit"), "{shown}");
        let shown = created(&columns(&deep[1..]), &TableOptions::default());
        assert!(shown.starts_with("error"), "{shown}");
    }
}

#[test]
fn columns_make_columns() {
    let check = |text: &str, expected: &str| check_created(columns(text), expected);
    check(r#"{"a":[1,2],"b":[1],"c":[null]}"#, "a:Int32[1,2] b:Int32[1,null] c:Utf8[null,null]");
    check(r#"{"c":[null],"a":["x"]}"#, r#"c:Utf8[null] a:Utf8["x"]"#);
    check(r#"{"a":[1],"a":["x","y"]}"#, r#"a:Utf8["x","y"]"#);
    check("{}", "");
    check(r#"{"a":[1],"b":[]}"#, "error: Can't create table from empty columns");
    check(r#"{"a":5}"#, "error: Malformed column");
    check(r#"{"a":{"b":[1]}}"#, "error: Malformed column");
    check("[]", "error: Cannot determine data types without column names!\n");
}

#[test]
fn lines_make_columns() {
    let check = |text: &str, expected: &str| check_created(ndjson(text), expected);
    check("{\"x\":null}\n{\"x\":1}", r#"x:Utf8[null,"1"]"#);
    check(
        "{\"a\":1,\"b\":null}\n\n{\"a\":2}{\"b\":5,\"c\":1.5}\n",
        r#"a:Int32[1,2,null] b:Utf8[null,null,"5"] c:Float64[null,null,1.5]"#,
    );
    check("", "");
    check("5", "error: Received non-object 6");
    check("[1]", "error: Received non-object 4");
    check("{\"a\":1}\n{\"a\":", "error: Invalid JSON: EOF while parsing a value at line 2 column 5");
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
fn arrow_keeps_types() {
    let text = DictionaryArray::<Int32Type>::new(
        Int32Array::from(vec![Some(0), Some(1), None]),
        Arc::new(StringArray::from(vec![Some("a"), None])),
    );
    let decimals = Decimal128Array::from(vec![150, 2, 0]).with_precision_and_scale(5, 2).unwrap();
    let micros = TimestampMicrosecondArray::from(vec![Some(-1500), Some(1500), None]);
    let zoned = TimestampSecondArray::from(vec![1, 2, 3]).with_timezone("America/New_York");
    check_created(
        arrow_data(vec![
            ("i", Arc::new(Int8Array::from(vec![Some(-1), None, Some(2)]))),
            ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1]))),
            ("f", Arc::new(Float32Array::from(vec![0.1, 1.0, f32::NAN]))),
            ("c", Arc::new(decimals)),
            ("b", Arc::new(BooleanArray::from(vec![true, false, true]))),
            ("s", Arc::new(text)),
            ("l", Arc::new(LargeStringArray::from(vec!["x", "", "y"]))),
            ("y", Arc::new(BinaryArray::from(vec![&b"ab"[..], b"", b"c"]))),
            ("n", Arc::new(NullArray::new(3))),
            ("t", Arc::new(micros)),
            ("z", Arc::new(zoned)),
            ("k", Arc::new(Time32SecondArray::from(vec![1, 2, 3]))),
        ]),
        concat!(
            "i:Int8[-1,null,2] u:UInt64[18446744073709551615,0,1] ",
            "f:Float32[0.10000000149011612,1.0,null] c:Float64[1.5,0.02,0.0] b:Bool[true,false,true] ",
            r#"s:Utf8["a","",null] l:Utf8["x","","y"] y:Utf8["ab","","c"] n:Utf8[null,null,null] "#,
            "t:TimestampMs[-1,1,null] z:TimestampMs[1000,2000,3000] k:UInt32[1,2,3]"
        ),
    );
    check_created(
        arrow_data(vec![("t", Arc::new(Time64MicrosecondArray::from(vec![1])))]),
        "error: Could not load Arrow column of type `time64[us]`.\n",
    );
    check_created(
        arrow_data(vec![("t", Arc::new(::arrow::array::LargeBinaryArray::from(vec![&b"a"[..]])))]),
        "error: Could not load arrow column of type `large_binary`\n",
    );
}

#[test]
fn arrow_streams_files_and_batches() {
    let one = batch_of(vec![("x", Arc::new(Int32Array::from(vec![1, 2])))]);
    let two = batch_of(vec![("x", Arc::new(Int32Array::from(vec![3])))]);
    let expected = "x:Int32[1,2,3]";
    check_created(stream(&[one.clone(), two.clone()]), expected);
    let mut writer = FileWriter::try_new(Vec::new(), &one.schema()).unwrap();
    writer.write(&one).unwrap();
    writer.write(&two).unwrap();
    check_created(TableData::Arrow(writer.into_inner().unwrap().into()), expected);
    check_created(TableData::Batches(one.schema(), vec![one.clone(), two]), expected);
    check_created(TableData::Batches(one.schema(), vec![]), "x:Int32[]");
    for garbage in [&b""[..], b"abcdefgh12345678", b"ARROW1", b"ARROW1\0\0abcdefgh"] {
        let shown = created(&TableData::Arrow(garbage.into()), &TableOptions::default());
        assert!(shown.starts_with("error: Failed to open RecordBatchStreamReader: "), "{shown}");
    }
}

#[test]
fn arrow_text_stays_coded() {
    let text: DictionaryArray<Int32Type> = [Some("a"), None, Some("a")].into_iter().collect();
    let data = arrow_data(vec![("s", Arc::new(text.clone()))]);
    let (_, batch) = create(&data, &TableOptions::default()).unwrap();
    assert_eq!(batch.columns[0].values.to_data(), text.to_data());
}

#[test]
fn row_keys_of_arrow_data() {
    let keys = || Arc::new(Int32Array::from(vec![3, 1])) as ArrayRef;
    let ids = || Arc::new(Int32Array::from(vec![7, 8])) as ArrayRef;
    let data = || arrow_data(vec![("__INDEX__", keys()), ("id", ids())]);
    check_created(data(), "id:Int32[7,8] keys[3,1]");
    let table = schema(&[("id", Storage::Utf8), ("x", Storage::Int32)]);
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let update = arrow_data(vec![("__INDEX__", names.clone()), ("x", ids()), ("id", names)]);
    assert_eq!(updated(&table, Some(0), &update), r#"2 x:Int32[7,8] keys["a","b"]"#);
    assert_eq!(updated(&table, None, &data()).split(':').next(), Some("error"));
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
    // Null and missing are the same at creation.
    check(rows(r#"[{"a":1,"b":2},{"a":1,"b":null}]"#), with("a"), "a:Int32[1,1] b:Int32[2,?]");
    check(csv_text("a,b\n1,2\n1,NA\n"), with("a"), "a:Int64[1,1] b:Int64[2,?]");
    let twice = TableData::Schema(vec![("a".into(), ColumnType::Date), ("a".into(), ColumnType::Date)]);
    check(twice, TableOptions::default(), "error: Column \"a\" is in the schema more than once");
}

#[test]
fn cells_into_existing_columns() {
    #[track_caller]
    fn check(cell: &str, expected: &str) {
        let expected = match expected.strip_prefix("error") {
            Some(_) => expected.to_string(),
            None => format!("1 {expected}"),
        };
        check_updated(rows(&format!("[{{{cell}}}]")), &expected);
    }
    check(r#""x":2.9"#, "x:Int32[2]");
    check(r#""x":"3.7""#, "x:Int32[3]");
    check(r#""x":"""#, "x:Int32[null]");
    check(r#""x":null"#, "x:Int32[null]");
    check(
        r#""x":"abc""#,
        "error: Cannot append value of type string to column \"x\" of type integer at index 0\n",
    );
    check(
        r#""x":3000000000"#,
        "error: Cannot append 3000000000 to column \"x\" of type integer at index 0: beyond Int32\n",
    );
    check(r#""x":true"#, "error: Expected int, found 2 in column \"x\" at index 0");
    check(r#""x":{"a":1}"#, "");
    check(r#""f":"abc""#, "f:Float64[null]");
    check(r#""f":7"#, "f:Float64[7.0]");
    check(r#""s":1.5"#, r#"s:Utf8["1.500000"]"#);
    check(r#""s":true"#, r#"s:Utf8["true"]"#);
    check(r#""b":2"#, "b:Bool[true]");
    check(r#""b":"x""#, "error: Expected bool, found 5 in column \"b\" at index 0");
    check(r#""d":"2020-01-02T05:06:07""#, "d:Date32[1577923200000]");
    check(r#""d":-1"#, "d:Date32[-86400000]");
    check(r#""d":1577934245000.5"#, "error: Could not coerce to date in column \"d\" at index 0");
    check(r#""t":"2020-01-02""#, "t:TimestampMs[1577923200000]");
    check(r#""t":true"#, "error: Could not coerce 2 to a time. in column \"t\" at index 0");
    check(r#""q":1"#, "");
}

#[test]
fn null_and_missing_in_updates() {
    check_updated(rows(r#"[{"x":1},{"s":null},{"s":"a","x":2}]"#), r#"3 x:Int32[1,?,2] s:Utf8[?,null,"a"]"#);
    check_updated(columns(r#"{"x":[1,null,3],"s":["a"]}"#), r#"3 x:Int32[1,null,3] s:Utf8["a",?,?]"#);
    check_updated(columns(r#"{"q":[1,2]}"#), "2 ");
    check_updated(ndjson("{\"x\":1}\n{\"f\":2}"), "2 x:Int32[1,?] f:Float64[?,2.0]");
    check_updated(csv_text("x,s,q\nNA,,1\n2,NA,2\n"), r#"2 x:Int32[null,2] s:Utf8["","NA"]"#);
    for nothing in [rows("[]"), columns("{}"), ndjson(""), csv_text("x\n")] {
        assert!(updated(&six(), None, &nothing).starts_with("0 "));
    }
    check_updated(TableData::Schema(vec![]), "error: MakeTableReq malformed");
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

#[test]
fn arrow_into_existing_columns() {
    #[track_caller]
    fn check(name: &str, values: impl Array + 'static, expected: &str) {
        check_updated(arrow_data(vec![(name, Arc::new(values))]), expected);
    }
    check("x", Float64Array::from(vec![2.9, -2.9, f64::NAN]), "3 x:Int32[2,-2,null]");
    check("x", Int64Array::from(vec![Some(7), None]), "2 x:Int32[7,null]");
    check(
        "x",
        Int64Array::from(vec![7, 3_000_000_000]),
        "error: Cannot append 3000000000 to column \"x\" of type integer at index 1: beyond Int32\n",
    );
    check("f", Int32Array::from(vec![1]), "1 f:Float64[1.0]");
    check("x", NullArray::new(1), "1 x:Int32[null]");
    check("q", Int32Array::from(vec![1]), "1 ");
    check("s", StringArray::from(vec!["a"]), r#"1 s:Utf8["a"]"#);
    let fill = |name: &str, wanted: &str, found: &str| {
        format!("error: Could not fill column `{name}` with t_dtype: `{wanted}`, array type: `{found}`\n")
    };
    let iterate = |name: &str| {
        format!("error: Could not fill arrow column `{name}` iteratively due to mismatched types.")
    };
    check("x", BooleanArray::from(vec![true]), &fill("x", "int32", "bool"));
    check("x", StringArray::from(vec!["5"]), &fill("x", "int32", "str"));
    check("s", BooleanArray::from(vec![true]), &fill("s", "str", "bool"));
    check("d", TimestampSecondArray::from(vec![1]), &fill("d", "date", "datetime"));
    check("f", StringArray::from(vec!["5"]), &fill("f", "float64", "str"));
    check("s", Int32Array::from(vec![1]), &iterate("s"));
    check("t", Int64Array::from(vec![1]), &iterate("t"));
    check("b", Int32Array::from(vec![1]), &iterate("b"));
}

#[test]
fn row_keys_in_updates() {
    let table = schema(&[("id", Storage::Utf8), ("x", Storage::Int32)]);
    #[track_caller]
    fn check(table: &Schema, index: Option<usize>, text: &str, expected: &str) {
        assert_eq!(updated(table, index, &rows(text)), expected);
    }
    check(&table, None, r#"[{"__INDEX__":1,"x":20}]"#, "1 x:Int32[20] keys[1]");
    check(&table, None, r#"[{"__INDEX__":"1","x":20}]"#, "1 x:Int32[20] keys[1]");
    check(&table, Some(0), r#"[{"__INDEX__":"a","x":20}]"#, r#"1 x:Int32[20] keys["a"]"#);
    check(&table, Some(0), r#"[{"__INDEX__":"a","id":"z","x":20}]"#, r#"1 x:Int32[20] keys["a"]"#);
    check(
        &table,
        Some(0),
        r#"[{"__INDEX__":"a","x":1},{"id":"q","x":5}]"#,
        r#"2 x:Int32[1,5] keys["a","q"]"#,
    );
    let in_columns = columns(r#"{"__INDEX__":["a",null],"x":[1,2]}"#);
    assert_eq!(updated(&table, Some(0), &in_columns), r#"2 x:Int32[1,2] keys["a",null]"#);
    // At creation from JSON it is an ordinary column.
    check_created(rows(r#"[{"__INDEX__":1,"x":20}]"#), "__INDEX__:Int32[1] x:Int32[20]");
}

#[track_caller]
fn check_flattened(mode: ListFlatten, index: Option<&str>, data: TableData, expected: &str) {
    let options =
        TableOptions { index: index.map(Into::into), list_flatten: mode, ..TableOptions::default() };
    assert_eq!(created(&data, &options), expected);
}

const MISMATCH: &str = "of differing length";

#[test]
fn nested_json() {
    use ListFlatten::{Cartesian, Stringify, Zip};
    #[track_caller]
    fn check(mode: ListFlatten, text: &str, expected: &str) {
        check_flattened(mode, None, rows(text), expected);
    }
    check(Zip, r#"[{"x":{"a":1,"b":{"c":2}}}]"#, "x.a:Int32[1] x.b.c:Int32[2]");
    check(Zip, r#"[{"x":[1,2],"y":"a"},{"x":3,"y":"b"}]"#, r#"x:Int32[1,2,3] y:Utf8["a","a","b"]"#);
    check(Zip, r#"[{"x":[1,2],"y":[],"z":[9]}]"#, "x:Int32[1,2] z:Int32[9,9]");
    check(
        Zip,
        r#"[{"x":[{"a":1,"b":[5,6]},{"a":2}],"y":7}]"#,
        "x.a:Int32[1,1,2] x.b:Int32[5,6,null] y:Int32[7,7,7]",
    );
    check(
        Zip,
        r#"[{"q":{"x":[1,2],"y":[1,2,3]}}]"#,
        &format!(
            "error: Cannot zip `x` (2) and `y` (3) {MISMATCH}; use the `cartesian` list flatten mode.\n"
        ),
    );
    check_flattened(
        Zip,
        None,
        columns(r#"{"x":[[1],[1,2]],"y":[[1],[1,2,3]]}"#),
        &format!(
            "error: Cannot zip `x` (2) and `y` (3) {MISMATCH} in row 1; use the `cartesian` list flatten mode.\n"
        ),
    );
    let nested_columns = || columns(r#"{"x":[[1,2],[3]],"y":[["p","r"],["q"]],"z":[1,2]}"#);
    check_flattened(Zip, None, nested_columns(), r#"x:Int32[1,2,3] y:Utf8["p","r","q"] z:Int32[1,1,2]"#);
    check_flattened(
        Cartesian,
        None,
        nested_columns(),
        r#"x:Int32[1,1,2,2,3] y:Utf8["p","r","p","r","q"] z:Int32[1,1,1,1,2]"#,
    );
    check_flattened(
        Stringify,
        None,
        nested_columns(),
        r#"x:Utf8["[1,2]","[3]"] y:Utf8["[\"p\",\"r\"]","[\"q\"]"] z:Int32[1,2]"#,
    );
    check_flattened(
        Zip,
        None,
        columns(r#"{"a":[null,[1,2]],"b":[{"p":1},{"q":2}],"c":[3,4]}"#),
        "a:Int32[null,1,2] b.p:Int32[1,null,null] c:Int32[3,4,4] b.q:Int32[null,2,2]",
    );
    check(Cartesian, r#"[{"x":[[1,2],[3]],"y":["p","q"]}]"#, {
        r#"x:Int32[1,1,2,2,3,3] y:Utf8["p","q","p","q","p","q"]"#
    });
    check(
        Stringify,
        r#"[{"x":[1,2.0],"y":[{"a":null}],"z":[],"w":{"v":["a","b\""]}}]"#,
        r#"x:Utf8["[1,2.0]"] y:Utf8["[{\"a\":null}]"] z:Utf8["[]"] w.v:Utf8["[\"a\",\"b\\\"\"]"]"#,
    );
    check(Stringify, r#"[{"x":1},{"x":[1]}]"#, "error: Expected int, found 4 in column \"x\" at index 1");
    check(
        Zip,
        r#"[{"x.a":1,"x":{"a":2}}]"#,
        "error: Column `x.a` is both a key and the flattened path of an object\n",
    );
    let huge = format!("[{}]", vec!["1"; 2000].join(","));
    let shown = created(
        &rows(&format!(r#"[{{"x":{huge},"y":{huge},"z":{huge}}}]"#)),
        &TableOptions { list_flatten: Cartesian, ..TableOptions::default() },
    );
    assert!(shown.contains("more than 1000000 rows"), "{shown}");
}

#[test]
fn an_index_is_never_repeated_by_flattening() {
    use ListFlatten::{Cartesian, Zip};
    const REFUSED: &str = "error: Cannot create a Table indexed on `id` from an expanded array.\n";
    for (mode, text, expected) in [
        (Zip, r#"[{"id":1,"x":[1]}]"#, REFUSED),
        (Zip, r#"[{"id":1,"x":[1,2]}]"#, REFUSED),
        (Zip, r#"[{"id":[1,2],"x":5}]"#, "id:Int32[1,2] x:Int32[5,5]"),
        (Zip, r#"[{"id":[1,2],"x":[5,6]}]"#, "id:Int32[1,2] x:Int32[5,6]"),
        (Cartesian, r#"[{"id":[1,2],"x":[5,6]}]"#, REFUSED),
    ] {
        check_flattened(mode, Some("id"), rows(text), expected);
    }
    let of_objects = rows(r#"[{"o":[{"id":1},{"id":2}],"x":5}]"#);
    check_flattened(Zip, Some("o.id"), of_objects, "o.id:Int32[1,2] x:Int32[5,5]");
    let table = schema(&[("id", Storage::Int32), ("x", Storage::Int32)]);
    for (text, expected) in [
        (r#"[{"id":1,"x":[1,2]}]"#, "error: Cannot update a Table indexed on `id` from an expanded array.\n"),
        (r#"[{"id":1,"x":[7]}]"#, "1 id:Int32[1] x:Int32[7]"),
        (r#"[{"id":1,"x":[]}]"#, "1 id:Int32[1] x:Int32[null]"),
        (r#"[{"id":1,"q":[1,2]}]"#, "1 id:Int32[1]"),
    ] {
        assert_eq!(updated(&table, Some(0), &rows(text)), expected);
    }
}

fn list(values: Vec<Option<Vec<Option<i64>>>>) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(values))
}

fn some(values: &[i64]) -> Option<Vec<Option<i64>>> {
    Some(values.iter().copied().map(Some).collect())
}

#[test]
fn nested_arrow() {
    use ListFlatten::{Cartesian, Stringify, Zip};
    let ints = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let inner = StructArray::from(batch_of(vec![("a", ints(vec![1, 2]))]));
    let nulls = ::arrow::buffer::NullBuffer::from(vec![true, false]);
    let (fields, arrays, _) = inner.into_parts();
    let inner: ArrayRef = Arc::new(StructArray::new(fields, arrays, Some(nulls)));
    check_created(arrow_data(vec![("c", inner)]), "c.a:Int64[1,null]");

    let lists = || list(vec![some(&[1, 2]), some(&[]), None, Some(vec![None])]);
    check_flattened(
        Zip,
        None,
        arrow_data(vec![("c", lists()), ("d", ints(vec![1, 2, 3, 4]))]),
        "c:Int64[1,2,null,null,null] d:Int64[1,1,2,3,4]",
    );
    check_flattened(Stringify, None, arrow_data(vec![("c", lists())]), {
        r#"c:Utf8["[1,2]","[]",null,"[null]"]"#
    });
    let two =
        || vec![("id", list(vec![some(&[1, 2]), some(&[3])])), ("c", list(vec![some(&[7, 8]), some(&[9])]))];
    check_flattened(Cartesian, None, arrow_data(two()), "id:Int64[1,1,2,2,3] c:Int64[7,8,7,8,9]");
    check_flattened(Zip, Some("id"), arrow_data(two()), "id:Int64[1,2,3] c:Int64[7,8,9]");
    let shown = created(
        &arrow_data(vec![("id", ints(vec![1])), ("c", list(vec![some(&[1])]))]),
        &TableOptions { index: Some("id".into()), ..TableOptions::default() },
    );
    let start =
        "error: Cannot create a Table indexed on `id` from an expanded list column, as that index repeats";
    assert!(shown.starts_with(start), "{shown}");
    check_created(
        arrow_data(vec![
            ("c", list(vec![some(&[1]), some(&[1, 2])])),
            ("d", list(vec![some(&[1]), some(&[1])])),
        ]),
        &format!(
            "error: Cannot zip list columns `c` (2) and `d` (1) {MISMATCH} in row 1; use the `cartesian` list \
             flatten mode.\n"
        ),
    );
}

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
