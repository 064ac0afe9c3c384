//! The mapping of Arrow types to columns, and of many batches to one.

use std::collections::HashMap;
use std::sync::Arc;

use ::arrow::array::{
    Array, BinaryViewArray, BooleanArray, Decimal128Array, DictionaryArray, DurationMicrosecondArray,
    DurationSecondArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Int8Array, Int32Array,
    Int64Array, IntervalMonthDayNanoArray, LargeBinaryArray, ListViewArray, MapBuilder, RecordBatch,
    RunArray, StringArray, StringBuilder, StringViewArray, StructArray, Time32MillisecondArray,
    Time64NanosecondArray, TimestampMicrosecondArray, TimestampSecondArray, UInt8Array, UInt64Array,
    UnionArray,
};
use ::arrow::datatypes::{
    DataType, Field as ArrowField, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano,
    UInt8Type, UnionFields,
};
use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::arrow::{batch_of, list, some};
use super::*;

/// Reads one column in every way: as a stream, as a file, in the old form of both, as a batch in memory.
#[track_caller]
fn check(values: impl Array + 'static, expected: &str) {
    let batch = batch_of(vec![("x", Arc::new(values))]);
    for data in all_forms(&batch) {
        check_created(data, expected);
    }
}

fn all_forms(batch: &RecordBatch) -> Vec<TableData> {
    let schema = batch.schema();
    let old = || IpcWriteOptions::try_new(8, true, MetadataVersion::V4).unwrap();
    let mut forms = vec![TableData::Batches(schema.clone(), vec![batch.clone()])];
    for options in [IpcWriteOptions::default(), old()] {
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options.clone()).unwrap();
        writer.write(batch).unwrap();
        forms.push(TableData::Arrow(writer.into_inner().unwrap().into()));
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
        writer.write(batch).unwrap();
        forms.push(TableData::Arrow(writer.into_inner().unwrap().into()));
    }
    forms
}

#[test]
fn numbers_and_moments() {
    check(Float16Array::from(vec![half(1.5), half(-0.25)]), "x:Float32[1.5,-0.25]");
    check(UInt64Array::from(vec![u64::MAX]), "x:UInt64[18446744073709551615]");
    let decimals = Decimal128Array::from(vec![674_912_810_000_000_000_000_000, -1]);
    let decimals = decimals.with_precision_and_scale(38, 18).unwrap();
    check(decimals, "x:Float64[674912.81,-1e-18]");
    // The first second of year 1 and the last of 9999; fractions of a millisecond are truncated toward zero.
    check(
        TimestampSecondArray::from(vec![-62_135_596_800, 253_402_300_799]),
        "x:TimestampMs[-62135596800000,253402300799000]",
    );
    check(TimestampMicrosecondArray::from(vec![-1_500, -999, 1_999]), "x:TimestampMs[-1,0,1]");
    check(DurationSecondArray::from(vec![Some(3), None]), "x:Int64[3000,null]");
    check(DurationMicrosecondArray::from(vec![-1_500, 3_999]), "x:Int64[-1,3]");
    check(
        DurationSecondArray::from(vec![i64::MAX]),
        "error: cannot read column `x` of type duration(s): Compute error: 9223372036854775807 s is beyond \
         milliseconds of 64 bits",
    );
}

fn half(value: f32) -> <::arrow::datatypes::Float16Type as ::arrow::datatypes::ArrowPrimitiveType>::Native {
    let float = ::arrow::array::Float32Array::from(vec![value]);
    let cast = ::arrow::compute::cast(&float, &DataType::Float16).unwrap();
    cast.as_any().downcast_ref::<Float16Array>().unwrap().value(0)
}

#[test]
fn types_that_become_text() {
    let long = "a text that is longer than a view";
    check(StringViewArray::from(vec![Some(long), None]), &format!(r#"x:Utf8["{long}",null]"#));
    let bytes = vec![Some(&b"ab"[..]), Some(b"\xff\xfe"), None];
    check(BinaryViewArray::from(bytes.clone()), r#"x:Utf8["ab","//4=",null]"#);
    check(LargeBinaryArray::from(bytes.clone()), r#"x:Utf8["ab","//4=",null]"#);
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes.into_iter(), 2).unwrap();
    check(fixed, r#"x:Utf8["ab","//4=",null]"#);
    check(
        Time32MillisecondArray::from(vec![Some(37_800_000), None, Some(1)]),
        r#"x:Utf8["10:30:00",null,"00:00:00.001"]"#,
    );
    check(Time64NanosecondArray::from(vec![1]), r#"x:Utf8["00:00:00.000000001"]"#);
    let span = IntervalMonthDayNano::new(1, 2, 3_000_000_000);
    check(IntervalMonthDayNanoArray::from(vec![span]), r#"x:Utf8["P1M2DT3S"]"#);
    let mut map = MapBuilder::new(None, StringBuilder::new(), ::arrow::array::Int64Builder::new());
    map.keys().append_value("k\"");
    map.values().append_value(1);
    map.append(true).unwrap();
    map.append(false).unwrap();
    check(map.finish(), r#"x:Utf8["{\"k\\\"\":1}",null]"#);
    for offsets in [None, Some(vec![0, 0, 1].into())] {
        check(union(offsets), r#"x:Utf8["7","\"a\"",null]"#);
    }
}

/// 7, "a", null; sparse without `offsets`.
pub(super) fn union(offsets: Option<::arrow::buffer::ScalarBuffer<i32>>) -> UnionArray {
    let fields =
        [(3, ArrowField::new("n", DataType::Int64, true)), (5, ArrowField::new("s", DataType::Utf8, true))];
    let fields: UnionFields = fields.into_iter().map(|(id, field)| (id, Arc::new(field))).collect();
    let is_dense = offsets.is_some();
    let numbers = if is_dense { vec![Some(7), None] } else { vec![Some(7), None, None] };
    let texts = if is_dense { vec![Some("a")] } else { vec![None, Some("a"), None] };
    let children: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(numbers)), Arc::new(StringArray::from(texts))];
    UnionArray::try_new(fields, vec![3_i8, 5, 3].into(), offsets, children).unwrap()
}

#[test]
fn coded_columns_equal_their_values() {
    let keys = || Int8Array::from(vec![Some(0), None, Some(1), Some(0)]);
    let coded = |values: ArrayRef| DictionaryArray::<Int8Type>::try_new(keys(), values).unwrap();
    check(coded(Arc::new(Int64Array::from(vec![5, 6]))), "x:Int64[5,null,6,5]");
    check(coded(Arc::new(BooleanArray::from(vec![true, false]))), "x:Bool[true,null,false,true]");
    check(coded(Arc::new(TimestampSecondArray::from(vec![1, 2]))), "x:TimestampMs[1000,null,2000,1000]");
    check(coded(Arc::new(StringArray::from(vec![Some("a"), None]))), r#"x:Utf8["a",null,null,"a"]"#);
    check(coded(Arc::new(StringViewArray::from(vec![None, Some("b")]))), r#"x:Utf8[null,null,"b",null]"#);
    check(
        coded(Arc::new(LargeBinaryArray::from(vec![&b"a"[..], b"\xff"]))),
        r#"x:Utf8["a",null,"/w==","a"]"#,
    );
    check(coded(list(vec![some(&[1, 2]), None])), "x:Int64[1,2,null,null,1,2]");
    let runs = |values: &dyn Array| {
        RunArray::<Int16Type>::try_new(&::arrow::array::Int16Array::from(vec![2, 3]), values).unwrap()
    };
    let batch = |values: ArrayRef| {
        let batch = batch_of(vec![("x", values)]);
        TableData::Batches(batch.schema(), vec![batch])
    };
    let ints = Int32Array::from(vec![Some(7), None]);
    check_created(batch(Arc::new(runs(&ints))), "x:Int32[7,7,null]");
    let texts = DictionaryArray::<UInt8Type>::new(
        UInt8Array::from(vec![0, 0]),
        Arc::new(StringArray::from(vec!["a"])),
    );
    check_created(batch(Arc::new(runs(&texts))), r#"x:Utf8["a","a","a"]"#);
    check_created(batch(Arc::new(runs(&ints).slice(1, 2))), "x:Int32[7,null]");
}

#[test]
fn lists_of_every_kind_are_rows() {
    let item = Arc::new(ArrowField::new("item", DataType::Int64, true));
    let items = || Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let fixed = FixedSizeListArray::new(item.clone(), 2, items(), None);
    check(fixed, "x:Int64[1,2,3,4]");
    let view = ListViewArray::new(item, vec![2, 0, 0].into(), vec![2, 3, 0].into(), items(), None);
    check(view, "x:Int64[3,4,1,2,3,null]");
}

#[test]
fn lists_of_anything_can_stay_whole() {
    let days = ::arrow::array::Date32Array::from(vec![-1, 0]);
    let texts = StringArray::from(vec!["a", "b\""]);
    let inner = StructArray::from(batch_of(vec![("d", Arc::new(days) as ArrayRef), ("t", Arc::new(texts))]));
    let item = Arc::new(ArrowField::new("item", inner.data_type().clone(), true));
    let fixed = FixedSizeListArray::new(item, 2, Arc::new(inner), None);
    let batch = batch_of(vec![("x", Arc::new(fixed))]);
    for data in all_forms(&batch) {
        let expected =
            r#"x:Utf8["[{\"d\":\"1969-12-31\",\"t\":\"a\"},{\"d\":\"1970-01-01\",\"t\":\"b\\\"\"}]"]"#;
        check_flattened(ListFlatten::Stringify, None, data, expected);
    }
}

#[test]
fn extension_types_are_known_by_name() {
    let named = |name: &str, values: ArrayRef| {
        let metadata = HashMap::from([("ARROW:extension:name".to_string(), name.to_string())]);
        let field = ArrowField::new("x", values.data_type().clone(), true).with_metadata(metadata);
        let schema = Arc::new(::arrow::datatypes::Schema::new(vec![field]));
        RecordBatch::try_new(schema, vec![values]).unwrap()
    };
    let id = [0_u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
    let ids = FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some(id), None].into_iter(), 16).unwrap();
    let keys = Int32Array::from(vec![0, 1]);
    let coded = DictionaryArray::<Int32Type>::new(keys, Arc::new(ids.clone()));
    for values in [Arc::new(ids) as ArrayRef, Arc::new(coded)] {
        for data in all_forms(&named("arrow.uuid", values)) {
            check_created(data, r#"x:Utf8["00010203-0405-0607-0809-0a0b0c0d0eff",null]"#);
        }
    }
    for data in all_forms(&named("arrow.bool8", Arc::new(Int8Array::from(vec![Some(2), None, Some(0)])))) {
        check_created(data, "x:Bool[true,null,false]");
    }
    for data in all_forms(&named("somebody.elses", Arc::new(Int8Array::from(vec![2])))) {
        check_created(data, "x:Int8[2]");
    }
}

#[test]
fn updates_accept_values_that_fit_the_column() {
    let keys = Int8Array::from(vec![Some(0), None]);
    let coded = |values: ArrayRef| DictionaryArray::<Int8Type>::try_new(keys.clone(), values).unwrap();
    let update = |name: &str, values: ArrayRef, expected: &str| {
        for data in all_forms(&batch_of(vec![(name, values)])) {
            check_updated(data, expected);
        }
    };
    update("x", Arc::new(coded(Arc::new(Int64Array::from(vec![5])))), "2 x:Int32[5,null]");
    update("s", Arc::new(StringViewArray::from(vec!["a"])), r#"1 s:Utf8["a"]"#);
    update("s", Arc::new(Time64NanosecondArray::from(vec![0])), r#"1 s:Utf8["00:00:00"]"#);
    update("f", Arc::new(DurationSecondArray::from(vec![1])), "1 f:Float64[1000.0]");
    let decimals = Decimal128Array::from(vec![30]).with_precision_and_scale(9, 2).unwrap();
    update("f", Arc::new(decimals.clone()), "1 f:Float64[0.3]");
    update("x", Arc::new(decimals), "1 x:Int32[0]");
    let long = Decimal128Array::from(vec![9_007_199_254_740_993]).with_precision_and_scale(20, 0).unwrap();
    let wide = schema(&[("x", Storage::Int64)]);
    let data = arrow_data(vec![("x", Arc::new(long))]);
    assert_eq!(updated(&wide, None, &data), "1 x:Int64[9007199254740993]");
}

#[test]
fn a_fault_in_a_later_batch_names_its_row() {
    let good = batch_of(vec![("x", Arc::new(Int64Array::from(vec![1, 2])))]);
    let bad = batch_of(vec![("x", Arc::new(Int64Array::from(vec![3, 1 << 40])))]);
    check_updated(
        TableData::Batches(good.schema(), vec![good.clone(), bad]),
        "error: Cannot append 1099511627776 to column \"x\" of type integer at index 3: beyond Int32",
    );
    let lists = |columns: [&[i64]; 2]| {
        let column = |values: &[i64]| list(vec![some(values)]);
        batch_of(vec![("a", column(columns[0])), ("b", column(columns[1]))])
    };
    let good = lists([&[1, 2], &[3, 4]]);
    check_created(
        TableData::Batches(good.schema(), vec![good.clone(), lists([&[1], &[2, 3]])]),
        "error: Cannot zip `a` (1) and `b` (2) of differing length in row 2; use the `cartesian` list \
         flatten mode",
    );
}

/// Batches that are read one at a time.
#[derive(Debug)]
struct Parts(RecordBatch, usize);

impl crate::BatchSource for Parts {
    fn schema(&self) -> ::arrow::datatypes::SchemaRef {
        self.0.schema()
    }

    fn batches(&self) -> Result<crate::BatchIter<'_>> {
        Ok(Box::new((0..=self.1).map(|part| match part == self.1 {
            true => panic!("the reader broke"),
            false => Ok(self.0.clone()),
        })))
    }
}

#[test]
fn a_panic_while_reading_is_an_error() {
    let broken =
        TableData::Stream(Arc::new(Parts(batch_of(vec![("x", Arc::new(Int32Array::from(vec![1])))]), 2)));
    let expected = "error: cannot read column `x`: the bytes are damaged or inconsistent: the reader broke";
    check_created(broken.clone(), expected);
    check_updated(broken, expected);
}

/// Repetitive runs, lists and codes cost as much as their encoding, not as much as they claim.
#[test]
fn small_claims_of_many_rows_are_bounded() {
    let ends = Int32Array::from(vec![i32::MAX]);
    let runs = RunArray::<Int32Type>::try_new(&ends, &Int64Array::from(vec![1])).unwrap();
    let batch = batch_of(vec![("x", Arc::new(runs))]);
    let shown = created(&TableData::Batches(batch.schema(), vec![batch]), &TableOptions::default());
    assert_eq!(
        shown,
        "error: cannot read column `x` of type runendencoded(\"run_ends\": non-null int32, \"values\": int64): \
         Invalid argument error: more than 20000000 rows in runs"
    );
    // A text of a megabyte shared by a hundred thousand rows.
    let long = "x".repeat(1 << 20);
    let keys = Int32Array::from(vec![0; 100_000]);
    let text =
        DictionaryArray::<Int32Type>::new(keys.clone(), Arc::new(StringArray::from(vec![long.as_str()])));
    let inner = StructArray::from(batch_of(vec![(
        "t",
        Arc::new(StringArray::from(vec![long.as_str()])) as ArrayRef,
    )]));
    let nested = DictionaryArray::<Int32Type>::new(keys, Arc::new(inner));
    let batch = batch_of(vec![("x", Arc::new(text)), ("y", Arc::new(nested))]);
    let (_, made) = create(
        &TableData::Batches(batch.schema(), vec![batch]),
        &TableOptions::default(),
        &EngineContext::default(),
    )
    .unwrap();
    let bytes: usize = made.columns.iter().map(|column| column.values.get_array_memory_size()).sum();
    assert!(bytes < 16 << 20, "{bytes}");
    assert_eq!(made.num_rows, 100_000);
}

/// All lists of views may refer to one long text.
#[test]
fn shared_items_are_not_repeated() {
    let long = "x".repeat(1 << 20);
    let texts = ::arrow::array::LargeStringArray::from(vec![long.as_str(), ""]);
    let inner = StructArray::from(batch_of(vec![("t", Arc::new(texts) as ArrayRef)]));
    let item = Arc::new(ArrowField::new("item", inner.data_type().clone(), true));
    let num_rows = 100_000;
    let (starts, lens) = (vec![0; num_rows].into(), vec![1; num_rows].into());
    let views = ListViewArray::new(item, starts, lens, Arc::new(inner), None);
    let batch = batch_of(vec![("x", Arc::new(views))]);
    let (_, made) = create(
        &TableData::Batches(batch.schema(), vec![batch]),
        &TableOptions::default(),
        &EngineContext::default(),
    )
    .unwrap();
    let bytes: usize = made.columns.iter().map(|column| column.values.get_array_memory_size()).sum();
    assert!(bytes < 8 << 20, "{bytes}");
    assert_eq!(made.num_rows, num_rows);
}

/// Data without rows have the same types as with rows.
#[test]
fn types_are_known_without_rows() {
    let batch = batch_of(super::arrow_spoiled::columns_of_all_shapes());
    let types = |batches: Vec<RecordBatch>| {
        let data = TableData::Batches(batch.schema(), batches);
        create(
            &data,
            &TableOptions { list_flatten: ListFlatten::Stringify, ..TableOptions::default() },
            &EngineContext::default(),
        )
        .unwrap()
        .0
    };
    assert_eq!(types(vec![]), types(vec![batch.clone()]));
    assert_eq!(types(vec![batch.slice(0, 0)]), types(vec![batch.clone(), batch.clone()]));
}

/// A block that the footer lists twice is rejected.
#[test]
fn a_footer_cannot_multiply_rows() {
    let batch =
        batch_of(vec![("x", Arc::new(::arrow::array::PrimitiveArray::<Int64Type>::from(vec![1; 1000])))]);
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch).unwrap();
    let mut bytes = writer.into_inner().unwrap();
    let footer_len = i32::from_le_bytes(bytes[bytes.len() - 10..][..4].try_into().unwrap()) as usize;
    let footer = bytes.len() - 10 - footer_len;
    let blocks: Vec<arrow_ipc::Block> = {
        let footer = arrow_ipc::root_as_footer(&bytes[footer..bytes.len() - 10]).unwrap();
        footer.recordBatches().unwrap().iter().copied().collect()
    };
    // The second block overlaps the first one.
    let second = bytes[footer..].windows(24).position(|window| window == blocks[1].0).unwrap();
    bytes.splice(footer + second..footer + second + 24, blocks[0].0);
    let shown = created(&TableData::Arrow(bytes.clone().into()), &TableOptions::default());
    assert!(shown.starts_with("x:Int64["), "two blocks fit into the file: {shown}");
    let short = footer - 4_000;
    bytes.drain(short - 8_000..short);
    let shown = created(&TableData::Arrow(bytes.into()), &TableOptions::default());
    assert!(shown.starts_with("error: "), "{shown}");
}
