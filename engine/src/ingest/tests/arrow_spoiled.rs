//! Arrow bytes on which the reader would panic are rejected before it sees them.

use std::sync::Arc;

use ::arrow::array::{
    Array, BinaryViewArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray,
    Int32Array, MapBuilder, NullArray, RunArray, StringArray, StringBuilder, StringViewArray, StructArray,
};
use ::arrow::datatypes::{DataType, Field, Int32Type};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::arrow::{batch_of, list, some};
use super::arrow_types::union;
use super::*;

#[test]
fn invalid_data_is_rejected_before_the_reader_sees_it() {
    let spoiled: [(&[u8], &str); 3] = [
        (
            include_bytes!("../../../tests/data/spoiled/schema_without_fields.arrow"),
            "the schema has no fields",
        ),
        (include_bytes!("../../../tests/data/spoiled/type_none.arrow"), "has an unknown or invalid type"),
        (
            include_bytes!("../../../tests/data/spoiled/short_bitmap.arrow"),
            "column `x` has a bitmap of nulls that is shorter than its rows",
        ),
    ];
    for (bytes, expected) in spoiled {
        let shown = created(&TableData::Arrow(bytes.into()), &TableOptions::default());
        assert!(shown.contains(expected), "{shown}");
    }
}

/// Returns a column of every buffer layout, each with a null.
pub(super) fn columns_of_all_shapes() -> Vec<(&'static str, ArrayRef)> {
    let coded: DictionaryArray<Int32Type> = [Some("a"), None, Some("b")].into_iter().collect();
    let numbers = Int32Array::from(vec![Some(1), None, Some(3)]);
    let inner = Arc::new(Field::new("i", DataType::Int32, true));
    let pairs = Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5, 6]));
    let nulls = numbers.nulls().cloned();
    let fixed = FixedSizeListArray::new(inner.clone(), 2, pairs, nulls.clone());
    let width = [Some(b"ab"), None, Some(b"cd")].into_iter();
    let width = FixedSizeBinaryArray::try_from_sparse_iter_with_size(width, 2).unwrap();
    let long = "long enough not to lie in the view itself";
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for is_valid in [true, false, true] {
        map.keys().append_value("k");
        map.values().append_null();
        map.append(is_valid).unwrap();
    }
    let runs = RunArray::try_new(&Int32Array::from(vec![1, 3]), &StringArray::from(vec![Some("r"), None]));
    vec![
        ("number", Arc::new(numbers.clone())),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("text", Arc::new(StringArray::from(vec![Some("x"), None, Some("yy")]))),
        ("coded", Arc::new(coded)),
        ("view", Arc::new(StringViewArray::from(vec![Some(long), None, Some("v")]))),
        ("bytes", Arc::new(BinaryViewArray::from(vec![Some(&b"x"[..]), None, None]))),
        ("width", Arc::new(width)),
        ("list", list(vec![some(&[1, 2]), None, some(&[])])),
        ("fixed", Arc::new(fixed)),
        ("struct", Arc::new(StructArray::new(vec![inner].into(), vec![Arc::new(numbers)], nulls))),
        ("map", Arc::new(map.finish())),
        ("runs", Arc::new(runs.unwrap())),
        ("null", Arc::new(NullArray::new(3))),
        ("sparse", Arc::new(union(None))),
        ("dense", Arc::new(union(Some(vec![0, 0, 1].into())))),
    ]
}

/// Every byte, changed in a few ways, never reaches the reader's assertions.
#[test]
fn the_reader_has_nothing_to_assert() {
    let mut samples = Vec::new();
    for (name, column) in columns_of_all_shapes() {
        for codec in [None, Some(CompressionType::LZ4_FRAME)] {
            let batch = batch_of(vec![("c", column.clone())]);
            let options = IpcWriteOptions::default().try_with_compression(codec).unwrap();
            let mut stream =
                StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options.clone()).unwrap();
            stream.write(&batch).unwrap();
            let mut file = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
            file.write(&batch).unwrap();
            samples.push((name, stream.into_inner().unwrap()));
            samples.push((name, file.into_inner().unwrap()));
        }
    }
    for (name, sample) in samples {
        for at in 0..sample.len() {
            for change in [1, 2, 0x10, 0x80, 0xFF] {
                let mut bytes = sample.clone();
                bytes[at] ^= change;
                if let Err(error) = guarded(|| {
                    let bytes = bytes.into();
                    Ok(ipc::check(&bytes).and_then(|checked| ipc::read(&bytes, &checked)).is_ok())
                }) {
                    panic!("{name}: byte {at} ^ {change:#x}: {error}");
                }
            }
        }
    }
}
