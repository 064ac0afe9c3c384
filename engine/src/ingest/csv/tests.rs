//! CSV text to columns, independent of the division into parts.

use crate::testing::Random;
use std::fmt::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;

use super::*;
use crate::data::{ListFlatten, UnknownColumns};

/// Arbitrary text.
fn commas() -> CsvOptions {
    CsvOptions::new(Some(","), None, None).unwrap()
}

/// Texts composed pseudo-randomly of pieces that are significant to a CSV reader.
fn random_texts(count: usize) -> impl Iterator<Item = String> {
    const PIECES: [&str; 24] = [
        ",",
        ",",
        ",",
        "\n",
        "\n",
        "\r\n",
        "\r",
        "\"",
        "\"",
        "\"\"",
        "a",
        "bc",
        "12",
        "3.5",
        "",
        "é",
        " ",
        "x\"y",
        "\"q\"",
        "\"a,b\"",
        "\"c\nd\"",
        "\"e\"\"f\"",
        "NA",
        "2020-01-02",
    ];
    let mut generator = Random::new(1);
    let mut random = move |below: usize| generator.below(below);
    (0..count).map(move |_| (0..random(60)).map(|_| PIECES[random(PIECES.len())]).collect())
}

fn records_of_crate(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn records_are_those_of_the_csv_crate() {
    for text in random_texts(20_000) {
        let mut splitter = Splitter::new(&text, b',', 0, text.len());
        let mut records = Vec::new();
        let mut block = Block::default();
        let is_closed = loop {
            if block.fill_one(&mut splitter).is_err() {
                break false;
            }
            if block.num_rows() == 0 {
                break true;
            }
            let record = (0..block.width()).map(|column| block.get(&text, 0, column).to_owned());
            records.push(record.collect::<Vec<_>>());
        };
        let expected = records_of_crate(&text);
        if is_closed {
            assert_eq!(records, expected, "{text:?}");
        } else {
            // The `csv` crate takes the rest of the text for the last field.
            assert_eq!(records, expected[..expected.len() - 1], "{text:?}");
        }
    }
}

/// Texts of many rows of `width` fields, most of them on the fast path, with an occasional exception.
fn tables(count: usize, width: usize) -> impl Iterator<Item = String> {
    const FIELDS: [&str; 10] = [
        "1",
        "\"q\"",
        "",
        "\"\"",
        "\"a,b\"",
        "\"c\nd\r\n\"",
        "é",
        "longer than others",
        "2.25",
        "\"thirty bytes of text in quotes\"",
    ];
    let oddities: Vec<String> = random_texts(count * 8).collect();
    (0..count).map(move |number| {
        let mut generator = Random::new(number as u64 + 1);
        let mut random = move |below: usize| generator.below(below);
        let line_end = ["\n", "\n", "\r\n", "\r"][number % 4];
        let mut text = String::new();
        for _ in 0..random(60) {
            for column in 0..width {
                text.push_str(FIELDS[random(FIELDS.len())]);
                text.push_str(if column + 1 < width { "," } else { line_end });
            }
            match random(40) {
                0 => text.push_str(&oddities[random(oddities.len())]),
                1 => text.push_str(line_end),
                2 if width == 2 => text.push_str("\"e\"\"f\",x\"y\n"),
                _ => {}
            }
        }
        text
    })
}

#[test]
fn blocks_of_one_width_are_those_of_the_csv_crate() {
    for width in [1, 2, 3, 70] {
        for text in tables(600, width) {
            let mut splitter = Splitter::new(&text, b',', 0, text.len());
            let (mut block, mut found) = (Block::default(), Vec::new());
            let is_error = loop {
                if block.fill(&mut splitter, width).is_err() {
                    break true;
                }
                if block.num_rows() == 0 {
                    break false;
                }
                for row in 0..block.num_rows() {
                    let fields = (0..width).map(|column| block.get(&text, row, column).to_owned());
                    found.push(fields.collect::<Vec<_>>());
                }
            };
            let expected = records_of_crate(&text);
            let num_good = expected.iter().take_while(|record| record.len() == width).count();
            let is_unclosed = is_error && num_good == expected.len();
            let num_good = num_good - usize::from(is_unclosed);
            assert!(is_error || num_good == expected.len(), "{text:?}");
            // A block that ends with an error yields none of its rows.
            let num_found = if is_error { found.len() } else { num_good };
            assert_eq!(found, expected[..num_found], "{text:?}");
        }
    }
}

#[test]
fn a_cell_begins_with_its_head_and_nothing_else() {
    let text = "head,é,12345678,123456789,,x";
    let mut splitter = Splitter::new(text, b',', 0, text.len());
    let mut block = Block::default();
    block.fill_one(&mut splitter).unwrap();
    for column in 0..block.width() {
        let cell = block.column(text, column).next().unwrap();
        let mut bytes = cell.text().as_bytes().to_vec();
        bytes.resize(8.max(bytes.len()), 0);
        assert_eq!(cell.head.to_le_bytes(), bytes[..8], "{:?}", cell.text());
    }
}

fn shown(result: Result<(Schema, Batch)>) -> String {
    let (schema, batch) = match result {
        Ok(found) => found,
        Err(error) => return error.to_string(),
    };
    let mut out = format!("{} rows", batch.num_rows);
    for (field, column) in schema.fields().iter().zip(&batch.columns) {
        let values = match column.values.data_type() {
            DataType::Dictionary(..) => arrow::compute::cast(&column.values, &DataType::Utf8).unwrap(),
            _ => column.values.clone(),
        };
        write!(out, "\n{} {:?} {values:?}", field.name, field.storage).unwrap();
    }
    out
}

#[test]
fn how_a_text_is_cut_does_not_show() {
    for (number, text) in random_texts(3000).enumerate() {
        // A header that matches some of the rows.
        let text = format!("{}\n{text}", ["x", "x,y", "x,y,z"][number % 3]);
        let whole = shown(create_on(&text, commas(), None, Threads::ONE));
        for threads in [2, 3, 7] {
            assert_eq!(
                shown(create_on(&text, commas(), None, Threads::new(threads))),
                whole,
                "{threads} threads: {text:?}"
            );
        }
    }
}

#[test]
fn rows_of_one_width_are_the_same_in_parts() {
    let values = [
        "1",
        "2.5",
        "",
        "NA",
        "true",
        "2020-01-02",
        "12:30",
        "\"a\nb\"",
        "\"c,\"\"d\"",
        "2020-01-02 03:04:05",
    ];
    for first in 0..values.len() {
        for second in 0..values.len() {
            let mut text = String::from("a,b,c\n");
            for row in 0..40 {
                // The last value occurs late and refutes the type found by other parts.
                let late = if row == 33 { second } else { first };
                let _ = writeln!(text, "{row},{},{}", values[late], values[(first + row) % 2 + second / 2]);
            }
            let whole = shown(create_on(&text, commas(), None, Threads::ONE));
            for threads in [2, 3, 5] {
                assert_eq!(
                    shown(create_on(&text, commas(), None, Threads::new(threads))),
                    whole,
                    "{threads} threads: {text:?}"
                );
            }
        }
    }
}

#[test]
fn a_value_far_behind_the_first_block_changes_the_type() {
    let mut text = String::from("n,t\n");
    for row in 0..20_000 {
        let _ = writeln!(text, "{row},{}", if row == 19_000 { "x" } else { "7" });
    }
    text.push_str("0.5,8\n");
    for threads in [1, 2, 3] {
        let (schema, batch) = create_on(&text, commas(), None, Threads::new(threads)).unwrap();
        let storages: Vec<Storage> = schema.fields().iter().map(|field| field.storage).collect();
        assert_eq!(storages, [Storage::Float64, Storage::Utf8]);
        assert_eq!(batch.num_rows, 20_001);
        assert_eq!(
            batch.columns[0].values.as_primitive::<arrow::datatypes::Float64Type>().value(20_000),
            0.5
        );
    }
}

#[test]
fn many_different_texts_are_not_coded() {
    let mut text = String::from("many,few\n");
    for row in 0..20_000 {
        let _ = writeln!(text, "row {row},\"{}\"", row % 3);
    }
    for threads in [1, 3] {
        let (_, batch) = create_on(&text, commas(), None, Threads::new(threads)).unwrap();
        assert_eq!(batch.columns[0].values.as_string::<i32>().value(19_999), "row 19999");
        let few = &batch.columns[1].values;
        assert_eq!(*few.data_type(), DataType::Int64, "digits in quotes are numbers");
    }
}

#[test]
fn texts_with_long_cycles_are_coded() {
    let number = |row: usize| row * row / 7 % 5003;
    let mut text = String::from("t\n");
    for row in 0..40_000 {
        let _ = writeln!(text, "text {}", number(row));
    }
    for threads in [1, 2] {
        let (_, batch) = create_on(&text, commas(), None, Threads::new(threads)).unwrap();
        let values = batch.columns[0].values.as_dictionary::<arrow::datatypes::Int32Type>();
        assert!(values.values().len() <= 5003);
        let entry = values.keys().value(39_999) as usize;
        let expected = format!("text {}", number(39_999));
        assert_eq!(values.values().as_string::<i32>().value(entry), expected);
    }
}

#[test]
fn an_update_error_names_the_row_of_the_whole_text() {
    let schema = Schema::new(vec![Field::new("a", Storage::Int32), Field::new("s", Storage::Utf8)]);
    let mut text = String::from("s,a\n");
    for row in 0..100 {
        let _ = writeln!(text, "\"q\n{row}\",{}", if row >= 77 { "bad" } else { "1" });
    }
    let target = UpdateTarget {
        schema: &schema,
        index: None,
        list_flatten: ListFlatten::Zip,
        unknown_columns: UnknownColumns::Ignore,
    };
    for threads in [1, 2, 5] {
        let error = update_on(&text, commas(), target, Threads::new(threads)).unwrap_err().to_string();
        let expected = "column #1 holds 'bad' at index 77, which is no int32";
        assert_eq!(error, expected, "{threads} threads");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_an_error_with_a_position() {
    let error = text(b"x\n\xff\n").unwrap_err().to_string();
    assert_eq!(error, "the text is not UTF-8: invalid utf-8 sequence of 1 bytes from index 2");
    assert_eq!(text("é\n1\n".as_bytes()).unwrap(), "é\n1\n");
}

#[test]
fn a_field_without_anything_is_null_among_texts() {
    let mut text = String::from("t,u,n\n");
    for row in 0..30_000 {
        let cell = ["", "\"\"", "a"][row % 3];
        let _ = writeln!(
            text,
            "{cell},{},{row}",
            if row % 3 == 0 { String::new() } else { format!("text {row}") }
        );
    }
    for threads in [1, 3] {
        let (_, batch) = create_on(&text, commas(), None, Threads::new(threads)).unwrap();
        for column in 0..2 {
            let values = arrow::compute::cast(&batch.columns[column].values, &DataType::Utf8).unwrap();
            let values = values.as_string::<i32>();
            assert_eq!(values.null_count(), 10_000);
            assert!(values.is_null(29_997) && values.is_valid(29_998));
        }
        let values = arrow::compute::cast(&batch.columns[0].values, &DataType::Utf8).unwrap();
        assert_eq!(values.as_string::<i32>().value(1), "");
    }
}
