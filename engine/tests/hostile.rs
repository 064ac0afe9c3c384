//! Malformed input: the fuzz targets' checks over a seeded mutator, for a few seconds.

#[path = "../fuzz/src/expression.rs"]
mod expression;
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
    let mut stream = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("writes to memory succeed");
    stream.write(&batch).expect("writes to memory succeed");
    let mut file = FileWriter::try_new(Vec::new(), &batch.schema()).expect("writes to memory succeed");
    file.write(&batch).expect("writes to memory succeed");
    let corpus = [
        stream.into_inner().expect("writes to memory succeed"),
        file.into_inner().expect("writes to memory succeed"),
    ];
    mutate::run(&corpus, 500, ingest::arrow);
}

/// Runs on a stack of the size that a browser's worker has; in debug builds on one of the default size.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let bytes = if cfg!(debug_assertions) { 2 << 20 } else { 1 << 20 };
    let thread = std::thread::Builder::new().stack_size(bytes).spawn(run).expect("the system has threads");
    if let Err(failure) = thread.join() {
        std::panic::resume_unwind(failure);
    }
}

#[test]
fn expressions() {
    let corpus = texts(&[
        "if(\"a\" > 1) { var x := \"b\"; x += 2; x * 3 } else { null }",
        "concat(upper(\"s\"), '-', replace_all(\"s\", '([a-z])', '\\\\1x'), string(bucket(\"t\", '5m')))",
        "var v[3] := {1, \"b\"}; for (var i := 0; i < 3; i += 1) { v[i] := i ^ 2 }; sum(v) + v[]",
        "switch { case \"f\": 'a'; default: substring(\"s\", 1); } // c 'q' \"a\"",
        "[*] { case \"a\" <= 3 and not(\"f\"): min(\"a\", \"b\", 1e3); case true: -\"a\"; }",
        "while (x < 3) { break[1] }; ~{ var y := 1; y <=> y }; $f73(1,2,3,4) & 1",
        "var w[2]; indexof(\"s\", '(b)', w); w[0] ? date(2020, 2, 30) : today()",
    ]);
    on_a_small_stack(move || mutate::run(&corpus, 1500, expression::expression));
}

/// Inputs for which libFuzzer once found a failure.
#[test]
fn expressions_that_once_failed() {
    let texts = ["$b\u{fffd}\u{753}\u{fffd}\u{753}"];
    on_a_small_stack(move || texts.iter().for_each(|text| expression::expression(text.as_bytes())));
}

/// Expressions that are deep, long, or grow when evaluated.
#[test]
fn expressions_beyond_the_limits() {
    let many = |text: &str, count: usize| text.repeat(count);
    let nested = |open: &str, inner: &str, close: &str, count: usize| {
        format!("{}{inner}{}", open.repeat(count), close.repeat(count))
    };
    let mut texts = Vec::new();
    for count in [150, 199, 999, 20_000] {
        for op in ["+", "-", "*", "/", "^", " and ", " or ", " < ", "^-", "--", "+ -", " == 1 == "] {
            texts.push(format!("{}\"a\"", many(&format!("\"a\"{op}"), count)));
            texts.push(format!("{}1", many(&format!("1{op}"), count)));
        }
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{", "}"),
            ("-(", ")"),
            ("abs(", ")"),
            ("upper(", ")"),
            ("min(1,", ")"),
            ("~{", "}"),
            ("if(1<\"a\",", ",2)"),
            ("if(\"a\"){", "}"),
            ("swap(", ",1)"),
            ("(1+\"a\"*(\"b\"-", "))"),
            ("switch{case \"a\": ", ";}"),
            ("while(\"a\"){", "}"),
            ("var x := (", ")"),
            ("\"a\" ? ", ": 1"),
        ] {
            texts.push(nested(open, "\"a\"", close, count));
            texts.push(nested(open, "", "", count));
        }
        for part in [
            "if(\"a\">1){1} else ",
            "x := ",
            "\"a\";",
            "\"a\" ? 1 : ",
            "var x := 1;",
            "+",
            "- ",
            "'",
            "\"",
            "\\'",
            "'\\",
            "match(",
            "match('a',",
            "[*]",
            "< = > ",
            "/*",
            "# \n",
            "9",
            "null ",
        ] {
            texts.push(format!("{}\"a\"", many(part, count)));
            texts.push(format!("'{}\"a\"", many(part, count)));
        }
        texts.push(format!("concat({}\"s\")", many("\"s\",", count)));
        texts.push(format!("switch {{ {} default: 3; }}", many("case \"a\" > 1: 1;", count)));
        texts.push(format!("0.{}1", many("0", count)));
    }
    texts.extend(
        [
            "var v[1e9]; v[0]",
            "var v[10000]; for (var i := 0; i < 1000000; i += 1) { v := v + 1 }; v[0]",
            "var v[10000]; var i := \"b\"; while (i != i + 1) { v := v * 2; i := i + 1 }; v[0]",
            "var n := 0; while (n < 2000000) { n += 1 }",
            "var n := \"b\"; while (n != -1) { n := abs(n) }; n",
            "var s := \"s\"; for (var i := 0; i < 100; i += 1) { s := concat(s, s) }; s",
            "var s := \"s\"; for (var i := 0; i < 100; i += 1) { s := replace_all(s, '.', 'xxxxxxxxxx') }; s",
            "var s := \"s\"; for (var i := 0; i < 100; i += 1) { s := replace_all(s, 'x*', s) }; length(s)",
            "match(\"s\", '(a*)*(a*)*(a*)*b')",
            "match(\"s\", '((a{1000}){1000}){1000}')",
            "match(\"s\", '(((((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}){9}){9})')",
            "1e308 * 10 ^ 1e308",
            "1e999",
        ]
        .map(String::from),
    );
    let mut vectors = String::new();
    for number in 0..3000 {
        vectors.push_str(&format!("var v{number}[10000];"));
    }
    texts.push(vectors + "1");
    let patterns: Vec<String> =
        (0..2000).map(|number| format!("match(\"s\",'\\\\w{{900}}{number}')")).collect();
    texts.push(patterns.join(" and "));
    on_a_small_stack(move || {
        for text in texts {
            expression::expression(text.as_bytes());
        }
    });
}
