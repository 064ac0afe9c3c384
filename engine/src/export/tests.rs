//! Whole slices in every format.

use ::arrow::array::{
    Array, AsArray, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMillisecondArray,
};
use ::arrow::datatypes::{DataType, Int32Type};
use arrow_ipc::reader::StreamReader;

use super::*;

fn column(name: &str, values: ArrayRef) -> SliceColumn {
    SliceColumn { name: name.into(), readable_name: name.into(), values }
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<DictionaryArray<Int32Type>>())
}

fn ints(values: &[Option<i32>]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn flat(columns: Vec<SliceColumn>, num_rows: usize) -> RowSlice {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..num_rows as i64));
    RowSlice {
        kind: WindowKind::Flat,
        num_rows,
        columns,
        row_paths: None,
        keys: Some(keys),
        member_keys: None,
    }
}

/// One column of every type.
fn cheat_sheet() -> RowSlice {
    let dates = vec![Some(18262), Some(18293), None, Some(-1)];
    let times = vec![Some(1_577_840_523_456), None, Some(-31_536_000_000), Some(1_577_836_800_000)];
    flat(
        vec![
            column("a", ints(&[Some(1), Some(2), Some(3), None])),
            column("f", Arc::new(Float64Array::from(vec![Some(1.0), Some(1.5), Some(f64::NAN), None]))),
            column("s", text(&[Some("x"), Some("y"), None, Some("x")])),
            column("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]))),
            column("d", Arc::new(Date32Array::from(dates))),
            column("t", Arc::new(TimestampMillisecondArray::from(times))),
        ],
        4,
    )
}

/// `group_by [g]` over groups null and "x", columns [g (count), v].
fn grouped() -> RowSlice {
    let mut count = column("g", ints(&[Some(5), Some(1), Some(2)]));
    count.readable_name = "g (count)".into();
    let members = [vec![2, 1, 0], vec![2], vec![1, 0]];
    RowSlice {
        kind: WindowKind::Grouped,
        num_rows: 3,
        columns: vec![count, column("v", ints(&[Some(7), Some(2), None]))],
        row_paths: Some(RowPaths {
            depths: vec![0, 1, 1],
            levels: vec![("g".into(), text(&[None, None, Some("x")]))],
        }),
        keys: None,
        member_keys: Some(members.map(|keys| Arc::new(Int64Array::from(keys)) as ArrayRef).into()),
    }
}

const PLAIN: JsonOptions = JsonOptions { id: false, index: false, formatted: false };
const BOTH: JsonOptions = JsonOptions { id: true, index: true, formatted: false };

#[track_caller]
fn check_json(slice: &RowSlice, options: JsonOptions, columns: &str, rows: &[&str]) {
    assert_eq!(json_columns(slice, options), columns);
    assert_eq!(json_rows(slice, options), format!("[{}]", rows.join(",")));
    assert_eq!(ndjson(slice, options), rows.join("\n"));
}

#[test]
fn one_column_of_every_type() {
    let slice = cheat_sheet();
    assert_eq!(
        json_columns(&slice, PLAIN),
        concat!(
            r#"{"a":[1,2,3,null],"f":[1.0,1.5,null,null],"s":["x","y",null,"x"],"b":[true,false,null,true],"#,
            r#""d":[1577836800000,1580515200000,null,-86400000],"#,
            r#""t":[1577840523456,null,-31536000000,1577836800000]}"#
        )
    );
    let formatted = json_columns(&slice, JsonOptions { formatted: true, ..PLAIN });
    assert!(
        formatted.ends_with(concat!(
            r#""d":["2020-01-01","2020-02-01",null,"1969-12-31"],"t":["2020-01-01 01:02:03.456",null,"#,
            r#""1969-01-01 00:00:00.000","2020-01-01 00:00:00.000"]}"#
        )),
        "{formatted}"
    );
    assert_eq!(
        csv(&slice, Naming::Readable),
        concat!(
            "\"a\",\"f\",\"s\",\"b\",\"d\",\"t\"\n",
            "1,1,\"x\",true,2020-01-01,2020-01-01 01:02:03.456\n",
            "2,1.5,\"y\",false,2020-02-01,\n",
            "3,nan,,,,1969-01-01 00:00:00.000\n",
            ",,\"x\",true,1969-12-31,2020-01-01 00:00:00.000\n",
        )
    );
}

#[test]
fn key_order_in_json() {
    let two = flat(vec![column("a", ints(&[Some(1), Some(2)]))], 2);
    check_json(
        &two,
        BOTH,
        r#"{"a":[1,2],"__INDEX__":[[0],[1]],"__ID__":[[0],[1]]}"#,
        &[r#"{"__ID__":[0],"__INDEX__":[0],"a":1}"#, r#"{"__ID__":[1],"__INDEX__":[1],"a":2}"#],
    );
    check_json(
        &grouped(),
        BOTH,
        concat!(
            r#"{"__ROW_PATH__":[[],[null],["x"]],"__ID__":[[],[null],["x"]],"g":[5,1,2],"v":[7,2,null],"#,
            r#""__INDEX__":[[2,1,0],[2],[1,0]]}"#
        ),
        &[
            r#"{"__ROW_PATH__":[],"__ID__":[],"__INDEX__":[2,1,0],"g":5,"v":7}"#,
            r#"{"__ROW_PATH__":[null],"__ID__":[null],"__INDEX__":[2],"g":1,"v":2}"#,
            r#"{"__ROW_PATH__":["x"],"__ID__":["x"],"__INDEX__":[1,0],"g":2,"v":null}"#,
        ],
    );
    let column_only = RowSlice { kind: WindowKind::ColumnOnly, ..two.clone() };
    check_json(
        &column_only,
        BOTH,
        r#"{"__ID__":[[0],[1]],"a":[1,2],"__INDEX__":[[0],[1]]}"#,
        &[r#"{"__ID__":[0],"__INDEX__":[0],"a":1}"#, r#"{"__ID__":[1],"__INDEX__":[1],"a":2}"#],
    );
    let total = RowSlice {
        kind: WindowKind::Total { split: false },
        num_rows: 1,
        columns: vec![column("a", ints(&[Some(3)]))],
        row_paths: None,
        keys: None,
        member_keys: None,
    };
    check_json(
        &total,
        BOTH,
        r#"{"__ID__":[[]],"a":[3],"__INDEX__":[[]]}"#,
        &[r#"{"__ROW_PATH__":[],"__ID__":[],"__INDEX__":[],"a":3}"#],
    );
    let split_total = RowSlice { kind: WindowKind::Total { split: true }, ..total };
    check_json(&split_total, PLAIN, r#"{"a":[3]}"#, &[r#"{"a":3}"#]);
}

#[test]
fn slices_without_columns_or_rows() {
    let bare = flat(vec![], 2);
    check_json(&bare, PLAIN, "{}", &[]);
    assert_eq!(csv(&bare, Naming::Readable), "");
    let id = JsonOptions { id: true, ..PLAIN };
    check_json(&bare, id, r#"{"__ID__":[[0],[1]]}"#, &[r#"{"__ID__":[0]}"#, r#"{"__ID__":[1]}"#]);
    check_json(&RowSlice { kind: WindowKind::ColumnOnly, ..bare }, PLAIN, "{}", &["{}", "{}"]);
    let keys_only = RowSlice { columns: vec![], ..grouped() };
    check_json(
        &keys_only,
        PLAIN,
        r#"{"__ROW_PATH__":[[],[null],["x"]]}"#,
        &[r#"{"__ROW_PATH__":[]}"#, r#"{"__ROW_PATH__":[null]}"#, r#"{"__ROW_PATH__":["x"]}"#],
    );
    assert_eq!(csv(&keys_only, Naming::Readable), "\"g\"\n\n\n\"x\"\n");
    let no_rows = flat(vec![column("a", ints(&[])), column("b", text(&[]))], 0);
    check_json(&no_rows, PLAIN, r#"{"a":[],"b":[]}"#, &[]);
    assert_eq!(csv(&no_rows, Naming::Readable), "\"a\",\"b\"\n");
}

#[test]
fn csv_writes_group_keys_first_and_readable_names() {
    assert_eq!(csv(&grouped(), Naming::Readable), "\"g\",\"g (count)\",\"v\"\n,5,7\n,1,2\n\"x\",2,\n");
}

fn read_back(slice: &RowSlice, naming: Naming, compression: Compression) -> RecordBatch {
    let bytes = arrow(slice, naming, compression).unwrap();
    assert_eq!(bytes[bytes.len() - 8..], [255, 255, 255, 255, 0, 0, 0, 0], "the end mark");
    let batches: Vec<_> = StreamReader::try_new(&bytes[..], None).unwrap().map(Result::unwrap).collect();
    let [batch] = &batches[..] else { panic!("{} record batches", batches.len()) };
    batch.clone()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn arrow_round_trips_under_every_codec() {
    let slice = cheat_sheet();
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let batch = read_back(&slice, Naming::Readable, compression);
        assert_eq!(names(&batch), ["a", "f", "s", "b", "d", "t"]);
        assert!(batch.schema().fields().iter().all(|field| field.is_nullable()));
        for (read, written) in batch.columns().iter().zip(&slice.columns) {
            if written.values.data_type() != &DataType::Float64 {
                assert_eq!(read, &written.values);
            }
        }
        assert!(batch.column(1).as_primitive::<::arrow::datatypes::Float64Type>().value(2).is_nan());
    }
}

#[test]
fn arrow_names() {
    let slice = grouped();
    assert_eq!(names(&read_back(&slice, Naming::Readable, Compression::None)), ["g", "g (count)", "v"]);
    assert_eq!(names(&read_back(&slice, Naming::Machine, Compression::None)), ["__ROW_PATH_0__", "g", "v"]);
}

#[test]
fn arrow_without_rows_or_columns() {
    let no_rows = read_back(&flat(vec![column("b", text(&[]))], 0), Naming::Readable, Compression::Lz4);
    assert_eq!((no_rows.num_rows(), names(&no_rows)), (0, vec!["b".to_string()]));
    assert_eq!(read_back(&flat(vec![], 0), Naming::Readable, Compression::None).num_columns(), 0);
}

#[test]
fn arrow_text_is_dictionary_encoded_in_order_of_appearance() {
    #[track_caller]
    fn check(values: ArrayRef, codes: &[Option<i32>], entries: &[&str]) {
        let slice = flat(vec![column("s", values.clone())], values.len());
        let batch = read_back(&slice, Naming::Readable, Compression::None);
        let dictionary = batch.column(0).as_dictionary::<Int32Type>();
        assert_eq!(dictionary.keys().iter().collect::<Vec<_>>(), codes);
        assert_eq!(dictionary.values().as_string::<i32>(), &StringArray::from(entries.to_vec()));
    }
    let plain = StringArray::from(vec![Some("b"), None, Some(""), Some("b")]);
    check(Arc::new(plain), &[Some(0), None, Some(1), Some(0)], &["b", ""]);
    let unordered = DictionaryArray::<Int32Type>::new(
        Int32Array::from(vec![Some(2), None, Some(1), Some(2)]),
        Arc::new(StringArray::from(vec!["unused", "a", "b"])),
    );
    check(Arc::new(unordered), &[Some(0), None, Some(1), Some(0)], &["b", "a"]);
}

#[test]
fn compression_names() {
    assert_eq!(Compression::parse(None), Ok(Compression::None));
    assert_eq!(Compression::parse(Some("")), Ok(Compression::None));
    assert_eq!(Compression::parse(Some("lz4")), Ok(Compression::Lz4));
    assert_eq!(Compression::parse(Some("zstd")), Ok(Compression::Zstd));
    let error = Compression::parse(Some("LZ4")).unwrap_err().to_string();
    assert_eq!(error, r#"Unknown `compression` "LZ4", expected "lz4" or "zstd""#);
}
