//! JSON rows, columns and lines: inference, coercion, null and missing, row keys, nested values.

use super::*;

#[test]
fn rows_make_columns() {
    let check = |text: &str, expected: &str| check_created(rows(text), expected);
    check(r#"[{"a":1,"b":"x"},{"b":"y","a":2}]"#, r#"a:Integer[1,2] b:Utf8["x","y"]"#);
    check(r#"[{"a":1},{"b":null},{"c":2}]"#, "a:Integer[1,null,null] c:Integer[null,null,2]");
    check(r#"[{"a":1},{"b":null},{"b":"x"}]"#, r#"a:Integer[1,null,null] b:Utf8[null,null,"x"]"#);
    check(r#"[{"a":null,"b":1},{"a":2,"c":3}]"#, "b:Integer[1,null] a:Integer[null,2] c:Integer[null,3]");
    check(r#"[{"z":null,"a":null,"b":1}]"#, "b:Integer[1] a:Utf8[null] z:Utf8[null]");
    check(r#"[{"x":1,"x":2}]"#, "x:Integer[2]");
    check(r#"[{"a":1},{"a":2.5}]"#, "a:Float64[1.0,2.5]");
    check(r#"[{"a":1},{"a":3000000000}]"#, "a:Integer[1,3000000000]");
    check(r#"[{"a":-3000000000}]"#, "a:Integer[-3000000000]");
    check(r#"[{"a":"7"},{"a":" 1"},{"a":null},{"a":"x"},{"a":true}]"#, r#"a:Utf8["7"," 1",null,"x","true"]"#);
    check(r#"[{"a":1},{"a":""}]"#, r#"a:Utf8["1",""]"#);
    check(r#"[{"a":1},{"a":true}]"#, "error: Expected int, found 2 in column \"a\" at index 1");
    check(r#"[{"a":1.5},{"a":true}]"#, "error: Expected double, found 2 in column \"a\" at index 1");
    check(r#"[{"a":true},{"a":1},{"a":0}]"#, "a:Bool[true,true,false]");
    check(r#"[{"a":true},{"a":"fish"}]"#, r#"a:Utf8["true","fish"]"#);
    check(
        r#"[{"a":"2020-01-02T01:00:00"},{"a":1.5},{"a":"2020-01-02"}]"#,
        "a:TimestampMs[1577926800000,1,1577923200000]",
    );
    check(r#"[{"a":"a\u0000b"}]"#, r#"a:Utf8["a\u0000b"]"#);
    check(r#"[{"x":{},"y":1}]"#, "y:Integer[1]");
    let check_columns = |text: &str, expected: &str| check_created(columns(text), expected);
    check_columns(r#"{"a":[1,2],"b":[{},{}]}"#, "a:Integer[1,2]");
    check_columns(r#"{"a":[1],"b":[{"c":{}}],"d":[[]],"e":[[{}]]}"#, "a:Integer[1]");
    check_columns(r#"{"a":[1,2],"b":[{},{"c":3}]}"#, "a:Integer[1,2] b.c:Integer[null,3]");
    check_columns(r#"{"a":[1],"b":[null]}"#, "a:Integer[1] b:Utf8[null]");
    check("[]", "");
    check("[{}]", "");
    check("{}", "");
    check(r#" {"a":1,"b":"x"} "#, r#"a:Integer[1] b:Utf8["x"]"#);
    check("[1,2]", "error: the data has no column names");
    check(r#"[{"a":1},null]"#, "error: the data has no column names");
    for broken in ["", "null", "[{\"a\":NaN}]", "[{\"a\":1}", "[] []", "[{\"a\":Infinity}]"] {
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
    check(r#"{"a":[1,2],"b":[1],"c":[null]}"#, "a:Integer[1,2] b:Integer[1,null] c:Utf8[null,null]");
    check(r#"{"c":[null],"a":["x"]}"#, r#"c:Utf8[null] a:Utf8["x"]"#);
    check(r#"{"a":[1],"a":["x","y"]}"#, r#"a:Utf8["x","y"]"#);
    check("{}", "");
    check(
        r#"{"a":[1],"b":[]}"#,
        "error: a table cannot be created from empty columns; give a schema instead",
    );
    check(r#"{"a":5}"#, "error: a column is not an array of values, or is shorter than the others");
    check(r#"{"a":{"b":[1]}}"#, "error: a column is not an array of values, or is shorter than the others");
    check("[]", "error: the data has no column names");
}

#[test]
fn lines_make_columns() {
    let check = |text: &str, expected: &str| check_created(ndjson(text), expected);
    check("{\"x\":null}\n{\"x\":0.5}", "x:Float64[null,0.5]");
    check(
        "{\"z\":null,\"a\":null,\"n\":1}\n{\"z\":1}",
        "n:Integer[1,null] a:Utf8[null,null] z:Integer[null,1]",
    );
    check(
        "{\"a\":1,\"b\":null}\n\n{\"a\":2}{\"b\":5,\"c\":1.5}\n",
        "a:Integer[1,2,null] b:Integer[null,null,5] c:Float64[null,null,1.5]",
    );
    check("", "");
    check("5", "error: a row is not an object (kind 6)");
    check("[1]", "error: a row is not an object (kind 4)");
    check("{\"a\":1}\n{\"a\":", "error: Invalid JSON: EOF while parsing a value at line 2 column 5");
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
        "error: Cannot append value of type string to column \"x\" of type integer at index 0",
    );
    check(
        r#""x":3000000000"#,
        "error: Cannot append 3000000000 to column \"x\" of type integer at index 0: beyond Int32",
    );
    check(r#""x":true"#, "error: Expected int, found 2 in column \"x\" at index 0");
    check(r#""x":{"a":1}"#, "error: the table has none of the columns of the rows: `x.a`");
    check(r#""f":"abc""#, "f:Float64[null]");
    check(r#""f":7"#, "f:Float64[7.0]");
    check(r#""s":1.50"#, r#"s:Utf8["1.50"]"#);
    check(r#""s":true"#, r#"s:Utf8["true"]"#);
    check(r#""b":2"#, "b:Bool[true]");
    check(r#""b":"x""#, "error: Expected bool, found 5 in column \"b\" at index 0");
    check(r#""d":"2020-01-02T05:06:07""#, "d:Date32[1577923200000]");
    check(r#""d":-1"#, "d:Date32[-86400000]");
    check(r#""d":1577934245000.5"#, "error: Could not coerce to date in column \"d\" at index 0");
    check(r#""t":"2020-01-02""#, "t:TimestampMs[1577923200000]");
    check(r#""t":true"#, "error: Could not coerce 2 to a time. in column \"t\" at index 0");
    check(r#""q":1"#, "error: the table has none of the columns of the rows: `q`");
}

#[test]
fn null_and_missing_in_updates() {
    check_updated(rows(r#"[{"x":1},{"s":null},{"s":"a","x":2}]"#), r#"3 x:Int32[1,?,2] s:Utf8[?,null,"a"]"#);
    check_updated(columns(r#"{"x":[1,null,3],"s":["a"]}"#), r#"3 x:Int32[1,null,3] s:Utf8["a",?,?]"#);
    check_updated(columns(r#"{"q":[1,2]}"#), "error: the table has none of the columns of the rows: `q`");
    check_updated(ndjson("{\"x\":1}\n{\"f\":2}"), "2 x:Int32[1,?] f:Float64[?,2.0]");
    check_updated(csv_text("x,s,q\nNA,,1\n2,NA,2\n"), r#"2 x:Int32[null,2] s:Utf8[null,"NA"]"#);
    for nothing in [rows("[]"), columns("{}"), ndjson(""), csv_text("x\n")] {
        assert!(updated(&six(), None, &nothing).starts_with("0 "));
    }
    check_updated(TableData::Schema(vec![]), "error: a schema is not data: it only creates a table");
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
    // When a table is created from JSON it is an ordinary column.
    check_created(rows(r#"[{"__INDEX__":1,"x":20}]"#), "__INDEX__:Integer[1] x:Integer[20]");
}

#[test]
fn nested_json() {
    use ListFlatten::{Cartesian, Stringify, Zip};
    #[track_caller]
    fn check(mode: ListFlatten, text: &str, expected: &str) {
        check_flattened(mode, None, rows(text), expected);
    }
    check(Zip, r#"[{"x":{"a":1,"b":{"c":2}}}]"#, "x.a:Integer[1] x.b.c:Integer[2]");
    check(Zip, r#"[{"x":[1,2],"y":"a"},{"x":3,"y":"b"}]"#, r#"x:Integer[1,2,3] y:Utf8["a","a","b"]"#);
    check(Zip, r#"[{"x":[1,2],"y":[],"z":[9]}]"#, "x:Integer[1,2] z:Integer[9,9]");
    check(
        Zip,
        r#"[{"x":[{"a":1,"b":[5,6]},{"a":2}],"y":7}]"#,
        "x.a:Integer[1,1,2] x.b:Integer[5,6,null] y:Integer[7,7,7]",
    );
    check(
        Zip,
        r#"[{"q":{"x":[1,2],"y":[1,2,3]}}]"#,
        &format!("error: Cannot zip `x` (2) and `y` (3) {MISMATCH}; use the `cartesian` list flatten mode"),
    );
    check_flattened(
        Zip,
        None,
        columns(r#"{"x":[[1],[1,2]],"y":[[1],[1,2,3]]}"#),
        &format!(
            "error: Cannot zip `x` (2) and `y` (3) {MISMATCH} in row 1; use the `cartesian` list flatten mode"
        ),
    );
    let nested_columns = || columns(r#"{"x":[[1,2],[3]],"y":[["p","r"],["q"]],"z":[1,2]}"#);
    check_flattened(Zip, None, nested_columns(), r#"x:Integer[1,2,3] y:Utf8["p","r","q"] z:Integer[1,1,2]"#);
    check_flattened(
        Cartesian,
        None,
        nested_columns(),
        r#"x:Integer[1,1,2,2,3] y:Utf8["p","r","p","r","q"] z:Integer[1,1,1,1,2]"#,
    );
    check_flattened(
        Stringify,
        None,
        nested_columns(),
        r#"x:Utf8["[1,2]","[3]"] y:Utf8["[\"p\",\"r\"]","[\"q\"]"] z:Integer[1,2]"#,
    );
    check_flattened(
        Zip,
        None,
        columns(r#"{"a":[null,[1,2]],"b":[{"p":1},{"q":2}],"c":[3,4]}"#),
        "a:Integer[null,1,2] b.p:Integer[1,null,null] c:Integer[3,4,4] b.q:Integer[null,2,2]",
    );
    check(Cartesian, r#"[{"x":[[1,2],[3]],"y":["p","q"]}]"#, {
        r#"x:Integer[1,1,2,2,3,3] y:Utf8["p","q","p","q","p","q"]"#
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
        "error: Column `x.a` is both a key and the flattened path of an object",
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
    const REFUSED: &str = "error: Cannot create a Table indexed on `id` from an expanded list, as the index repeats across the rows of an expansion; index on a column of the list itself, or use the `stringify` list flatten mode";
    for (mode, text, expected) in [
        (Zip, r#"[{"id":1,"x":[1]}]"#, REFUSED),
        (Zip, r#"[{"id":1,"x":[1,2]}]"#, REFUSED),
        (Zip, r#"[{"id":[1,2],"x":5}]"#, "id:Integer[1,2] x:Integer[5,5]"),
        (Zip, r#"[{"id":[1,2],"x":[5,6]}]"#, "id:Integer[1,2] x:Integer[5,6]"),
        (Cartesian, r#"[{"id":[1,2],"x":[5,6]}]"#, REFUSED),
    ] {
        check_flattened(mode, Some("id"), rows(text), expected);
    }
    let of_objects = rows(r#"[{"o":[{"id":1},{"id":2}],"x":5}]"#);
    check_flattened(Zip, Some("o.id"), of_objects, "o.id:Integer[1,2] x:Integer[5,5]");
    let table = schema(&[("id", Storage::Int32), ("x", Storage::Int32)]);
    for (text, expected) in [
        (
            r#"[{"id":1,"x":[1,2]}]"#,
            "error: Cannot update a Table indexed on `id` from an expanded list, as the index repeats across the rows of an expansion; index on a column of the list itself, or use the `stringify` list flatten mode",
        ),
        (r#"[{"id":1,"x":[7]}]"#, "1 id:Int32[1] x:Int32[7]"),
        (r#"[{"id":1,"x":[]}]"#, "1 id:Int32[1] x:Int32[null]"),
        (r#"[{"id":1,"q":[1,2]}]"#, "1 id:Int32[1]"),
    ] {
        assert_eq!(updated(&table, Some(0), &rows(text)), expected);
    }
}

#[test]
fn flattening_repeats_no_mountains_of_text() {
    let long = "x".repeat(1 << 20);
    let many = vec!["1"; 1000].join(",");
    let shown = created(&rows(&format!(r#"[{{"a":"{long}","b":[{many}]}}]"#)), &TableOptions::default());
    assert!(shown.starts_with("error: flattening around `a` repeats more than"), "{}", &shown[..80]);
}

#[test]
fn flattening_makes_no_more_than_its_input_allows() {
    let options = TableOptions { list_flatten: ListFlatten::Cartesian, ..TableOptions::default() };
    let limit = "makes more than 64 cells of each value given (and 1048576 beside)";
    // Products of rows that are small each.
    let row = format!(r#"{{"a":[{ones}],"b":[{ones}],"c":[{ones}]}}"#, ones = vec!["1"; 60].join(","));
    let shown = created(&rows(&format!("[{}]", vec![row; 10].join(","))), &options);
    assert!(shown.starts_with("error: flattening around `c` ") && shown.contains(limit), "{}", &shown[..80]);
    // Many single values beside a long array.
    let singles = (0..3000).map(|key| format!(r#""k{key}":1"#)).collect::<Vec<_>>().join(",");
    let text = format!(r#"{{"long":[{}],{singles}}}"#, vec!["1"; 3000].join(","));
    let shown = created(&rows(&format!("[{text}]")), &TableOptions::default());
    assert!(shown.contains(limit), "{}", &shown[..80]);
    // Plausible input passes: a long array beside some single values, a product of two short ones.
    let few = (0..30).map(|key| format!(r#""k{key}":"text""#)).collect::<Vec<_>>().join(",");
    let text = format!(r#"[{{"long":[{}],{few}}}]"#, vec!["1"; 20_000].join(","));
    let (_, batch) = create(&rows(&text), &TableOptions::default(), &EngineContext::default()).unwrap();
    assert_eq!((batch.num_rows, batch.columns.len()), (20_000, 31));
    let text = format!(r#"[{{"a":[{ones}],"b":[{ones}]}}]"#, ones = vec!["1"; 300].join(","));
    assert_eq!(create(&rows(&text), &options, &EngineContext::default()).unwrap().1.num_rows, 90_000);
}

#[test]
fn ever_new_keys_make_no_square() {
    let keys =
        |first: usize| (first..5000).map(|key| format!(r#"{{"k{key}":1}}"#)).collect::<Vec<_>>().join(",");
    let shown = created(&rows(&format!("[{}]", keys(0))), &TableOptions::default());
    assert!(shown.starts_with("error: 4097 rows of 4097 columns hold only 4097 cells"), "{}", &shown[..80]);
    let (schema, batch) =
        create(&rows(&format!("[{}]", keys(4000))), &TableOptions::default(), &EngineContext::default())
            .unwrap();
    assert_eq!((schema.len(), batch.num_rows), (1000, 1000));
    let short = (0..5000).map(|key| format!(r#""k{key}":[1]"#)).collect::<Vec<_>>().join(",");
    let long = vec!["1"; 5000].join(",");
    let shown = created(&columns(&format!(r#"{{"long":[{long}],{short}}}"#)), &TableOptions::default());
    assert!(shown.starts_with("error: 5000 rows of "), "{}", &shown[..80]);
}

/// The same values as rows, as a column and as lines; `values` are JSON.
#[track_caller]
fn check_column(values: &[&str], expected: &str) {
    let objects: Vec<String> = values.iter().map(|value| format!("{{\"a\":{value}}}")).collect();
    let forms = [
        rows(&format!("[{}]", objects.join(","))),
        rows(&format!("\u{feff} [{}]", objects.join(" ,\n"))),
        columns(&format!("{{\"a\":[{}]}}", values.join(", "))),
        columns(&format!("\u{feff}{{\"a\":[{}]}}", values.join(","))),
        ndjson(&objects.join("\n")),
        ndjson(&format!("\u{feff}{}", objects.concat())),
    ];
    for form in forms {
        check_created(form, expected);
    }
}

#[test]
fn integers_keep_every_digit() {
    check_column(&["9007199254740993", "1", "null"], "a:Integer[9007199254740993,1,null]");
    check_column(
        &["9223372036854775807", "-9223372036854775808"],
        "a:Integer[9223372036854775807,-9223372036854775808]",
    );
    // Integers beyond 64 bits, signed or unsigned, make texts of all values, including earlier ones.
    check_column(&["7", "9223372036854775808"], r#"a:Utf8["7","9223372036854775808"]"#);
    check_column(&["18446744073709551617", "null", "5"], r#"a:Utf8["18446744073709551617",null,"5"]"#);
    check_column(&["-99999999999999999999", "0"], r#"a:Utf8["-99999999999999999999","0"]"#);
    // Beside fractions and exponents they are floats.
    check_column(&["18446744073709551617", "0.5"], "a:Float64[18446744073709552000.0,0.5]");
    check_column(
        &["1e20", "100000000000000000000", "3"],
        "a:Float64[100000000000000000000.0,100000000000000000000.0,3.0]",
    );
    check_column(&["1e20", "2.5e21"], "a:Float64[100000000000000000000.0,2.5e21]");
    check_column(&["1", "2.5"], "a:Float64[1.0,2.5]");
}

#[test]
fn keys_are_never_rounded() {
    let options = || TableOptions { index: Some("id".into()), ..TableOptions::default() };
    for text in [
        r#"[{"id":9007199254740993},{"id":0.5}]"#,
        r#"[{"id":0.5},{"id":9007199254740993}]"#,
        r#"[{"id":0.5},{"id":18446744073709551617}]"#,
    ] {
        let shown = created(&rows(text), &options());
        assert!(shown.starts_with("error: column \"id\" is the index and has both"), "{text}: {shown}");
    }
    assert_eq!(
        created(&rows(r#"[{"id":0.5},{"id":1e20}]"#), &options()),
        "id:Float64[0.5,100000000000000000000.0]"
    );
    let table = schema(&[("id", Storage::Float64), ("v", Storage::Float64)]);
    for number in ["9007199254740993", "18446744073709551617"] {
        let shown = updated(&table, Some(0), &rows(&format!("[{{\"id\":{number}}}]")));
        assert_eq!(
            shown,
            format!("error: {number} is no exact FLOAT, so it cannot be a key in column \"id\" at index 0")
        );
        let shown = updated(&table, Some(0), &rows(&format!("[{{\"id\":1,\"v\":{number}}}]")));
        assert!(shown.starts_with("1 id:Float64[1.0] v:Float64["), "{shown}");
    }
    assert_eq!(
        updated(&table, Some(0), &rows(r#"[{"id":9007199254740992}]"#)),
        "1 id:Float64[9007199254740992.0]"
    );
    let removed = remove_keys(&rows("[9007199254740993, 2]"), "id", Storage::Float64).unwrap();
    assert_eq!(show_column(&removed, None), "[2.0]", "a row that it would be rounded to stays");
}

#[test]
fn quoted_values_stay_text() {
    for texts in [
        ["02134", "10001"],
        ["1e5", "2E3"],
        ["True", "false"],
        ["037833100", "1"],
        ["20200102", "20200103"],
        ["nan", "inf"],
        ["0x10", " 1"],
        ["10:30", "11:00:05.250"],
        ["", "5"],
        ["2020-02-30", "2020-01-01"],
    ] {
        let quoted = texts.map(|text| format!("{text:?}"));
        let expected = format!("a:Utf8[{},{}]", quoted[0], quoted[1]);
        check_column(&[&quoted[0], &quoted[1]], &expected);
    }
}

#[test]
fn a_text_turns_earlier_values_into_texts_as_spelled() {
    check_column(&["1.10", "\"1.2.3\""], r#"a:Utf8["1.10","1.2.3"]"#);
    check_column(&["1e5", "-0", "7", "null", "\"x\"", "2.50"], r#"a:Utf8["1e5","-0","7",null,"x","2.50"]"#);
    check_column(&["\"n/a\"", "0.00002853", "1E+2"], r#"a:Utf8["n/a","0.00002853","1E+2"]"#);
    check_column(&["12", "\"\"", "3.0"], r#"a:Utf8["12","","3.0"]"#);
    check_column(&["false", "\"maybe\"", "true"], r#"a:Utf8["false","maybe","true"]"#);
    check_column(
        &["\"2020-01-02\"", "\"unknown\"", "\"1/2/2020\""],
        r#"a:Utf8["2020-01-02","unknown","1/2/2020"]"#,
    );
    check_column(&["\"2020-01-02 03:04\"", "\"\""], r#"a:Utf8["2020-01-02 03:04",""]"#);
    check_column(&["5", "\"2020-01-02\""], r#"a:Utf8["5","2020-01-02"]"#);
    // Also in lists and objects, for each column separately.
    check_created(
        rows(r#"[{"o":{"p":1.50,"q":2.50},"l":[1.10,"é\n"]},{"o":{"p":"x","q":3.00},"l":[]}]"#),
        r#"o.p:Utf8["1.50","1.50","x"] o.q:Float64[2.5,2.5,3.0] l:Utf8["1.10","é\n",null]"#,
    );
    check_updated(
        rows(r#"[{"s":1.10},{"s":"x"},{"s":12345678901234567890123}]"#),
        r#"3 s:Utf8["1.10","x","12345678901234567890123"]"#,
    );
    check_updated(columns(r#"{"s":[1e5,2]}"#), r#"2 s:Utf8["1e5","2"]"#);
}

#[test]
fn a_day_and_then_a_time_make_datetimes() {
    let expected = "a:TimestampMs[1577923200000,1577934245000,null]";
    for midnight in ["\"2020-01-02\"", "\"2020-01-02T00:00:00.000Z\"", "\"1/2/2020\"", "\"2020-01-02 00:00\""]
    {
        check_column(&[midnight, "\"2020-01-02T03:04:05Z\"", "null"], expected);
        check_column(&[midnight, "\"2020-01-02T05:04:05+02:00\"", "null"], expected);
        check_column(&[midnight, "1577934245000", "null"], expected);
    }
    check_column(&["\"2020-01-02T00:00:00Z\"", "\"2020-01-03\""], "a:Date32[1577923200000,1578009600000]");
    check_column(&["\"2020-01-02\"", "1578009600000"], "a:Date32[1577923200000,1578009600000]");
}

#[test]
fn integers_of_any_size_into_columns_of_integers() {
    let table = schema(&[("x", Storage::Integer), ("n", Storage::Int32)]);
    let check = |cell: &str, expected: &str| {
        assert_eq!(updated(&table, None, &rows(&format!("[{{{cell}}}]"))), expected);
    };
    check(r#""x":3000000000"#, "1 x:Integer[3000000000]");
    check(r#""x":-9223372036854775808"#, "1 x:Integer[-9223372036854775808]");
    check(r#""x":"9007199254740993""#, "1 x:Integer[9007199254740993]");
    check(r#""x":"9007199254740993.7""#, "1 x:Integer[9007199254740993]");
    check(
        r#""x":9223372036854775808"#,
        "error: Cannot append 9223372036854775808 to column \"x\" of type integer at index 0: beyond Int64",
    );
    check(
        r#""n":3000000000"#,
        "error: Cannot append 3000000000 to column \"n\" of type integer at index 0: beyond Int32",
    );
}
