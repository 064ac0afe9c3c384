//! Arrow data: types, streams and files, nested columns, updates, corrupt bytes.

use crate::testing::Random;
use std::sync::Arc;

use ::arrow::array::{
    Array, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int8Array, Int32Array, Int64Array, LargeStringArray, ListArray, NullArray, RecordBatch, StringArray,
    StructArray, Time32SecondArray, TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
};
use ::arrow::datatypes::{Int32Type, Int64Type};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::*;

pub(super) fn batch_of(named: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(named.into_iter().map(|(name, values)| (name, values, true)))
        .unwrap()
}

pub(super) fn stream(batches: &[RecordBatch]) -> TableData {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    TableData::Arrow(writer.into_inner().unwrap().into())
}

pub(super) fn arrow_data(named: Vec<(&str, ArrayRef)>) -> TableData {
    stream(&[batch_of(named)])
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
            r#"s:Utf8["a",null,null] l:Utf8["x","","y"] y:Utf8["ab","","c"] n:Utf8[null,null,null] "#,
            "t:TimestampMs[-1,1,null] z:TimestampMs[1000,2000,3000] ",
            r#"k:Utf8["00:00:01","00:00:02","00:00:03"]"#
        ),
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
        assert!(shown.starts_with("error: Invalid Arrow: "), "{shown}");
    }
}

#[test]
fn batches_in_memory_take_more_types() {
    let views = ::arrow::array::StringViewArray::from(vec![Some("a"), None]);
    let batch = batch_of(vec![
        ("v", Arc::new(views)),
        ("b", Arc::new(::arrow::array::LargeBinaryArray::from(vec![&b"x"[..], b"y"]))),
        ("d", Arc::new(::arrow::array::Decimal256Array::from_iter_values([1.into(), 2.into()]))),
    ]);
    let data = TableData::Batches(batch.schema(), vec![batch]);
    check_created(data, r#"v:Utf8["a",null] b:Utf8["x","y"] d:Float64[1e-10,2e-10]"#);
}

#[test]
fn weightless_rows_are_bounded() {
    let shown =
        created(&arrow_data(vec![("n", Arc::new(NullArray::new(1 << 40)))]), &TableOptions::default());
    assert!(shown.contains("1099511627776 rows in"), "{shown}");
    let one = batch_of(vec![("n", Arc::new(NullArray::new(1 << 40)))]);
    check_created(
        TableData::Batches(one.schema(), vec![one]),
        "error: more than 20000000 rows without any values",
    );
}

/// Arbitrary bytes yield a batch or an error, without a panic and with bounded memory.
#[test]
fn corrupt_bytes_do_not_panic() {
    let text: DictionaryArray<Int32Type> = [Some("a"), None, Some("bcd")].into_iter().collect();
    let batch = batch_of(vec![
        ("coded", Arc::new(text)),
        ("text", Arc::new(StringArray::from(vec![Some("x"), None, Some("yy")]))),
        ("list", list(vec![some(&[1, 2]), None, some(&[])])),
        ("number", Arc::new(Int32Array::from(vec![1, 2, 3]))),
    ]);
    let mut samples = Vec::new();
    for codec in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let options = IpcWriteOptions::default().try_with_compression(codec).unwrap();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        samples.push(writer.into_inner().unwrap());
    }
    let mut generator = Random::new(1);
    let mut random = |below: usize| generator.below(below);
    for round in 0..3000 {
        let mut bytes = samples[round % samples.len()].clone();
        for _ in 0..1 + random(3) {
            let position = random(bytes.len());
            bytes[position] = [0, 1, 127, 128, 255, bytes[position] ^ 1, bytes[position] ^ 8][random(7)];
        }
        if random(10) == 0 {
            bytes.truncate(random(bytes.len()));
        }
        let shown = created(&TableData::Arrow(bytes.into()), &TableOptions::default());
        assert!(shown.starts_with("error: ") || shown.contains('['), "{shown}");
    }
}

#[test]
fn arrow_text_stays_coded() {
    let text: DictionaryArray<Int32Type> = [Some("a"), None, Some("a")].into_iter().collect();
    let data = arrow_data(vec![("s", Arc::new(text.clone()))]);
    let (_, batch) = create(&data, &TableOptions::default(), &EngineContext::default()).unwrap();
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
        "error: Cannot append 3000000000 to column \"x\" of type integer at index 1: beyond Int32",
    );
    check("f", Int32Array::from(vec![1]), "1 f:Float64[1.0]");
    check("x", NullArray::new(1), "1 x:Int32[null]");
    check("q", Int32Array::from(vec![1]), "error: the table has none of the columns of the rows: `q`");
    check("s", StringArray::from(vec!["a"]), r#"1 s:Utf8["a"]"#);
    let fill = |name: &str, wanted: &str, found: &str| {
        format!("error: column `{name}` is {wanted} and cannot be filled from {found}")
    };
    check("x", BooleanArray::from(vec![true]), &fill("x", "integer", "boolean"));
    check("x", StringArray::from(vec!["5"]), &fill("x", "integer", "string"));
    check("s", BooleanArray::from(vec![true]), &fill("s", "string", "boolean"));
    check("d", TimestampSecondArray::from(vec![1]), &fill("d", "date", "datetime"));
    check("f", StringArray::from(vec!["5"]), &fill("f", "float", "string"));
    check("s", Int32Array::from(vec![1]), &fill("s", "string", "integer"));
    check("t", Int64Array::from(vec![1]), &fill("t", "datetime", "integer"));
    check("b", Int32Array::from(vec![1]), &fill("b", "boolean", "integer"));
}

pub(super) fn list(values: Vec<Option<Vec<Option<i64>>>>) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(values))
}

pub(super) fn some(values: &[i64]) -> Option<Vec<Option<i64>>> {
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
    let start = "error: Cannot create a Table indexed on `id` from an expanded list, as the index repeats";
    assert!(shown.starts_with(start), "{shown}");
    check_created(
        arrow_data(vec![
            ("c", list(vec![some(&[1]), some(&[1, 2])])),
            ("d", list(vec![some(&[1]), some(&[1])])),
        ]),
        &format!(
            "error: Cannot zip `c` (2) and `d` (1) {MISMATCH} in row 1; use the `cartesian` list \
             flatten mode"
        ),
    );
}
