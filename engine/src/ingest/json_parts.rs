//! Reads JSON rows on several threads.
//!
//! Invariant: the result is that of a single reader. The first rows are read on one thread and determine the columns;
//! the rest is divided between rows, and each part must parse cleanly to its end, into the same columns of the same
//! types. Otherwise, and on any error, there is no result here, and a single reader reads everything from the start and
//! reports the error.

use serde_json::Deserializer;

use super::cell::KIND_OBJECT;
use super::intake::Intake;
use super::json_rows::Record;
use crate::parallel::Threads;

/// Minimum size of a part that is worth a thread of its own.
const PART_BYTES: usize = 1 << 20;

/// Number of rows that determine the columns.
const HEAD_ROWS: usize = 1024;

/// The separator between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    Comma,
    Nothing,
}

/// As many of the threads as have enough text.
pub(super) fn threads_for(text: &str, threads: Threads) -> Threads {
    threads.for_bytes(text.len(), PART_BYTES)
}

/// Reads rows from `rows`, the text without its enclosing brackets. `after_first` is called after the first row.
pub(super) fn read<'t>(
    rows: &str,
    between: Between,
    mut intake: Intake<'t>,
    after_first: impl FnOnce(&mut Intake<'t>),
    threads: Threads,
) -> Option<Intake<'t>> {
    // A part ends with the comma before the next one; at the very end there must be none.
    if threads.count() < 2
        || intake.is_spelled()
        || between == Between::Comma && rows.trim_end_matches(is_blank).ends_with(',')
    {
        return None;
    }
    let first_key = first_key(rows)?;
    let mut text = rows;
    read_row(&mut text, between, &mut intake)?;
    after_first(&mut intake);
    for _ in 1..HEAD_ROWS {
        if text.is_empty() {
            return Some(intake);
        }
        read_row(&mut text, between, &mut intake)?;
    }
    let forks: Vec<Intake<'t>> = (0..threads.count()).map(|_| intake.fork()).collect();
    let mut borders = vec![0];
    for part in 1..threads.count() {
        let from = text.len() / threads.count() * part;
        borders.extend(row_start(text, from, first_key, between));
    }
    borders.push(text.len());
    borders.dedup();
    let parts: Vec<&str> = borders.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
    let parts = parts.into_iter().zip(forks).collect();
    let read = threads.each(parts, |(mut text, mut intake): (&str, Intake<'t>)| {
        while !text.is_empty() {
            read_row(&mut text, between, &mut intake)?;
        }
        Some(intake)
    });
    let read: Vec<Intake<'t>> = read.into_iter().collect::<Option<_>>()?;
    if read.iter().any(|part| !part.is_like(&intake)) {
        return None;
    }
    for part in read {
        intake.absorb(part).ok()?;
    }
    Some(intake)
}

/// Reads a row and the separator after it from the start of the text.
fn read_row(text: &mut &str, between: Between, intake: &mut Intake<'_>) -> Option<()> {
    let mut records = Deserializer::from_str(text).into_iter::<Record<'_, false>>();
    let Record { kind, mut cells } = records.next()?.ok()?;
    let len = records.byte_offset();
    if kind != KIND_OBJECT {
        return None;
    }
    intake.put_row(&mut cells, None).ok()?;
    let rest = text[len..].trim_start_matches(is_blank);
    *text = match between {
        Between::Comma if !rest.is_empty() => rest.strip_prefix(',')?.trim_start_matches(is_blank),
        Between::Comma | Between::Nothing => rest,
    };
    Some(())
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// Returns the first row's first key with its quotes, as spelled; `None` if [`row_start`] could confuse it with other
/// text.
fn first_key(rows: &str) -> Option<&str> {
    let key = rows.trim_start_matches(is_blank).strip_prefix('{')?.trim_start_matches(is_blank);
    let len = key.strip_prefix('"')?.find('"')?;
    let is_plain = key[1..=len].starts_with(char::is_alphanumeric) && !key[..=len].contains('\\');
    is_plain.then(|| &key[..len + 2])
}

/// Returns the first row start after `from`. Within a string, the quote of a key cannot occur unless it ends the
/// string, and then no letter follows it; so a match is the start of a row, or of an object within a row, in which case
/// the part before it does not parse cleanly.
fn row_start(text: &str, from: usize, first_key: &str, between: Between) -> Option<usize> {
    let mut from = (from..text.len()).find(|at| text.is_char_boundary(*at))?;
    loop {
        let key = from + text[from..].find(first_key)?;
        let before = text[..key].trim_end_matches(is_blank);
        if let Some(before) = before.strip_suffix('{') {
            let start = before.len();
            let before = before.trim_end_matches(is_blank);
            let before = match between {
                Between::Comma => before.strip_suffix(',').map(|before| before.trim_end_matches(is_blank)),
                Between::Nothing => Some(before),
            };
            if before.is_some_and(|before| before.ends_with('}')) {
                return Some(start);
            }
        }
        from = key + 1;
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use arrow::array::ArrayRef;

    use super::*;
    use crate::data::{BatchColumn, ListFlatten, TableData, TableOptions, UnknownColumns};
    use crate::error::Result;
    use crate::ingest::json_rows::{read_array_on, read_lines_on};
    use crate::types::schema::Field;

    /// Returns the columns that were read, or the error.
    fn shown(intake: Result<Intake<'_>>) -> std::result::Result<(usize, Vec<(String, ArrayRef)>), String> {
        let (schema, batch) = intake.and_then(Intake::finish_create).map_err(|error| error.to_string())?;
        let named = |(field, column): (&Field, BatchColumn)| {
            (format!("{} {:?}", field.name, field.storage), column.values)
        };
        Ok((batch.num_rows, schema.fields().iter().zip(batch.columns).map(named).collect()))
    }

    /// Compares reading in parts with reading on one thread, and checks whether parts were read at all.
    #[track_caller]
    fn check(rows: &[String], is_in_parts: bool) {
        let fresh = || Intake::create(None, ListFlatten::Zip);
        for separator in [",", " ,\n "] {
            let text = format!(" [ {} ] ", rows.join(separator));
            let alone = shown(read_array_on(&text, fresh, Threads::ONE));
            assert_eq!(shown(read_array_on(&text, fresh, Threads::new(3))), alone);
            let inner = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap();
            let parts = read(inner, Between::Comma, fresh(), |_| (), Threads::new(3));
            assert_eq!(parts.is_some(), is_in_parts);
            let comma = format!("[{inner},]");
            let alone = shown(read_array_on(&comma, fresh, Threads::ONE));
            assert_eq!(shown(read_array_on(&comma, fresh, Threads::new(3))), alone);
        }
        let text = rows.join("\n");
        let alone = shown(read_lines_on(&text, fresh, Threads::ONE));
        assert_eq!(shown(read_lines_on(&text, fresh, Threads::new(4))), alone);
    }

    fn rows(write: impl Fn(usize, &mut String)) -> Vec<String> {
        let mut rows = Vec::new();
        for number in 0..HEAD_ROWS * 4 {
            let mut row = String::new();
            write(number, &mut row);
            rows.push(row);
        }
        rows
    }

    #[test]
    fn rows_in_parts_are_those_of_one_reader() {
        let plain = |number: usize, row: &mut String| {
            let text = ["a", "},{\\\"id\\\":1", "{", "é", ""][number % 5];
            let _ = write!(row, r#"{{"id":{number},"s":"{text}","x":{}.5,"n":null}}"#, number % 7);
        };
        check(&rows(plain), true);
        // A value that promotes a column, a new key, an error: a single reader decides.
        for late in
            [r#"{"id":0.5}"#, r#"{"id":1,"new":2}"#, r#"{"id":true}"#, "7", r#"{"id":1"#, r#"{"id":1},"#]
        {
            let mut rows = rows(plain);
            rows[HEAD_ROWS * 3 + 5] = late.to_owned();
            check(&rows, false);
        }
        // A row without some keys, and nested rows whose inner objects look like rows.
        let mut some = rows(plain);
        some[HEAD_ROWS * 3] = r#"{"s":"late"}"#.to_owned();
        check(&some, true);
        let nested = rows(|number, row| {
            let _ = write!(row, r#"{{"id":{number},"in":[{{"id":1}},{{"id":2}},{{"id":3}}]}}"#);
        });
        let fresh = || Intake::create(None, ListFlatten::Zip);
        let text = format!("[{}]", nested.join(","));
        let alone = shown(read_array_on(&text, fresh, Threads::ONE));
        assert_eq!(shown(read_array_on(&text, fresh, Threads::new(2))), alone);
    }

    #[test]
    fn large_updates_keep_missing_cells() {
        let rows = rows(|number, row| {
            let _ = match number % 3 {
                0 => write!(row, r#"{{"id":{number},"s":null}}"#),
                1 => write!(row, r#"{{"id":{number},"s":"new","other":1}}"#),
                _ => write!(row, r#"{{"id":{number}}}"#),
            };
        });
        let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
        let first = TableData::Rows(r#"[{"id":2,"s":"old"},{"id":5,"s":"old"}]"#.into());
        let (schema, _) = crate::ingest::create(&first, &options, &Default::default()).unwrap();
        let target = crate::ingest::UpdateTarget {
            schema: &schema,
            index: Some(0),
            list_flatten: ListFlatten::Zip,
            unknown_columns: UnknownColumns::Ignore,
        };
        let text = format!("[{}]", rows.join(","));
        let read = |threads| {
            let intake = read_array_on(&text, || Intake::update(target), threads).unwrap();
            let columns = intake.finish_update().unwrap().columns.into_iter();
            columns.map(|column| (column.column, column.values, column.missing)).collect::<Vec<_>>()
        };
        assert_eq!(read(Threads::new(3)), read(Threads::ONE));
    }
}
