//! Bytes nobody should send: the fuzz targets' checks over a seeded mutator, for a few seconds.

#[path = "../fuzz/src/ingest.rs"]
mod ingest;
#[path = "../fuzz/src/mutate.rs"]
mod mutate;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use arrow::ipc::writer::{FileWriter, StreamWriter};

fn texts(corpus: &[&str]) -> Vec<Vec<u8>> {
    corpus.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn csv() {
    let corpus = texts(&[
        "id,s,f,b,d,t\n1,a,0.5,true,2020-01-02,2020-01-02T03:04:05\n2,\"q\"\"x\",,false,,\n",
        "x\n1\n9223372036854775808\nNaN\n12:00\n",
        "x,x,\n\"a\nb\",2,3\r\n,,\n",
        "d\n01/02/2020, 03:04:05 PM\n2020-01-02 03:04:05.123456789+05:00\n",
    ]);
    mutate::run(&corpus, 500, ingest::csv);
}

#[test]
fn json() {
    let corpus = texts(&[
        r#"[{"id":1,"s":"a","f":0.5,"b":true,"d":"2020-01-02","t":1577836800000},{"id":null,"s":"é\u00e9\n"}]"#,
        r#"{"id":[1,2],"s":["x",null],"f":[1e3,-0.0]}"#,
        "{\"id\":1,\"s\":\"a\"}\n{\"id\":2,\"x\":{\"y\":[1,[2,3]]}}",
        r#"[{"x":[1,2],"y":[{"a":1},{"a":2}],"z":{"w":null}},{"__INDEX__":5,"x":7}]"#,
        "[1,2,\"3\",null]",
    ]);
    mutate::run(&corpus, 300, ingest::json);
}

#[test]
fn arrow() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
        ("s", Arc::new(StringArray::from(vec![Some("a"), Some(""), None]))),
        ("f", Arc::new(Float64Array::from(vec![0.5, f64::NAN, -1.0]))),
        (
            "l",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
                Some(vec![Some(1), None]),
                None,
                Some(vec![]),
            ])),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut stream = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("memory takes all");
    stream.write(&batch).expect("memory takes all");
    let mut file = FileWriter::try_new(Vec::new(), &batch.schema()).expect("memory takes all");
    file.write(&batch).expect("memory takes all");
    let corpus =
        [stream.into_inner().expect("memory takes all"), file.into_inner().expect("memory takes all")];
    mutate::run(&corpus, 500, ingest::arrow);
}
