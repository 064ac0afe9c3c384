//! JSON rows: an array of objects, or consecutive objects (NDJSON).
//!
//! Cost: rows are streamed into the columns; no tree of the whole text is built.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

use super::cell::{CellSeed, JsonCell, KIND_ARRAY, KIND_OBJECT, KeySeed};
use super::intake::{Intake, RowCells};
use super::json_parts::{self, Between};
use crate::error::{DataError, DataFormat, EngineError, Result};
use crate::parallel::Threads;

pub(super) fn json_error(error: &serde_json::Error) -> EngineError {
    DataError::Malformed { format: DataFormat::Json, reason: error.to_string() }.into()
}

/// Reads an array of rows; a single object, or several without brackets, are rows as well. `fresh` creates an intake;
/// it is called again if the rows cannot be read in parts.
pub(super) fn read_array<'t>(
    text: &str,
    threads: Threads,
    fresh: impl Fn() -> Intake<'t>,
) -> Result<Intake<'t>> {
    let text = without_mark(text);
    if text.trim_start_matches(BLANKS).starts_with('{') {
        return read_lines(text, threads, fresh);
    }
    twice(fresh, |fresh, is_spelled| {
        read_array_on(
            text,
            fresh,
            if is_spelled { Threads::ONE } else { json_parts::threads_for(text, threads) },
        )
    })
}

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// Removes the byte order mark.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Reads a text, and again with the spelling of its numbers if a column requires it.
pub(super) fn twice<'t>(
    fresh: impl Fn() -> Intake<'t>,
    read: impl Fn(&dyn Fn() -> Intake<'t>, bool) -> Result<Intake<'t>>,
) -> Result<Intake<'t>> {
    let first = read(&fresh, false)?;
    match first.respellings() {
        None => Ok(first),
        Some(respellings) => {
            drop(first);
            read(&|| fresh().spelled(&respellings), true)
        }
    }
}

pub(super) fn read_array_on<'t>(
    text: &str,
    fresh: impl Fn() -> Intake<'t>,
    threads: Threads,
) -> Result<Intake<'t>> {
    let rows = text.trim_matches(BLANKS).strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    if let Some(intake) =
        rows.and_then(|rows| json_parts::read(rows, Between::Comma, fresh(), |_| (), threads))
    {
        return Ok(intake);
    }
    let mut intake = fresh();
    read_array_alone(text, &mut intake)?;
    Ok(intake)
}

fn read_array_alone(text: &str, intake: &mut Intake<'_>) -> Result<()> {
    let mut deserializer = Deserializer::from_str(text);
    let mut failure = None;
    let result = if intake.is_spelled() {
        deserializer.deserialize_any(RowsVisitor::<true> { intake, failure: &mut failure })
    } else {
        deserializer.deserialize_any(RowsVisitor::<false> { intake, failure: &mut failure })
    };
    match (result.and_then(|()| deserializer.end()), failure) {
        (_, Some(failure)) => Err(failure),
        (Err(error), None) => Err(json_error(&error)),
        (Ok(()), None) => Ok(()),
    }
}

pub(super) fn read_lines<'t>(
    text: &str,
    threads: Threads,
    fresh: impl Fn() -> Intake<'t>,
) -> Result<Intake<'t>> {
    let text = without_mark(text);
    twice(fresh, |fresh, is_spelled| {
        read_lines_on(
            text,
            fresh,
            if is_spelled { Threads::ONE } else { json_parts::threads_for(text, threads) },
        )
    })
}

pub(super) fn read_lines_on<'t>(
    text: &str,
    fresh: impl Fn() -> Intake<'t>,
    threads: Threads,
) -> Result<Intake<'t>> {
    if let Some(intake) = json_parts::read(text, Between::Nothing, fresh(), place_first, threads) {
        return Ok(intake);
    }
    let mut intake = fresh();
    match intake.is_spelled() {
        true => read_lines_alone::<true>(text, &mut intake)?,
        false => read_lines_alone::<false>(text, &mut intake)?,
    }
    Ok(intake)
}

fn place_first(intake: &mut Intake<'_>) {
    if !intake.is_update() {
        intake.place_untyped();
    }
}

/// Reads records on one thread. The columns of the first record keep their order, including those that are null. A
/// record that cannot be read is an error that names its line; nothing is dropped silently.
fn read_lines_alone<const SPELLED: bool>(text: &str, intake: &mut Intake<'_>) -> Result<()> {
    let mut is_first = true;
    // One iterator: checking a deserializer for its end counts lines from the start each time.
    for record in Deserializer::from_str(text).into_iter::<Record<'_, SPELLED>>() {
        let Record { kind, mut cells } = record.map_err(|error| json_error(&error))?;
        if kind != KIND_OBJECT {
            return Err(DataError::NotAnObject { kind }.into());
        }
        intake.put_row(&mut cells, None)?;
        if std::mem::take(&mut is_first) {
            place_first(intake);
        }
    }
    Ok(())
}

/// One NDJSON record: the kind of JSON value, and the cells of an object.
pub(super) struct Record<'de, const SPELLED: bool> {
    pub(super) kind: u8,
    pub(super) cells: RowCells<'de>,
}

impl<'de, const SPELLED: bool> Deserialize<'de> for Record<'de, SPELLED> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut cells = RowCells::new();
        let kind = RowSeed::<SPELLED> { cells: &mut cells }.deserialize(deserializer)?;
        Ok(Record { kind, cells })
    }
}

struct RowsVisitor<'a, 't, const SPELLED: bool> {
    intake: &'a mut Intake<'t>,
    /// The error of the rows themselves; the reader's own errors carry only its text.
    failure: &'a mut Option<EngineError>,
}

impl<'de, const SPELLED: bool> Visitor<'de> for RowsVisitor<'_, '_, SPELLED> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let mut cells = RowCells::new();
        while let Some(kind) = rows.next_element_seed(RowSeed::<SPELLED> { cells: &mut cells })? {
            let outcome = if kind == KIND_OBJECT {
                self.intake.put_row(&mut cells, None)
            } else {
                Err(DataError::NoColumnNames.into())
            };
            if let Err(error) = outcome {
                *self.failure = Some(error);
                return Err(A::Error::custom("a row is at fault"));
            }
        }
        Ok(())
    }
}

/// Reads the cells of one row; returns the kind of JSON value that was found.
struct RowSeed<'a, 'de, const SPELLED: bool> {
    cells: &'a mut RowCells<'de>,
}

impl<'de, const SPELLED: bool> DeserializeSeed<'de> for RowSeed<'_, 'de, SPELLED> {
    type Value = u8;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<u8, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, const SPELLED: bool> Visitor<'de> for RowSeed<'_, 'de, SPELLED> {
    type Value = u8;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u8, A::Error> {
        self.cells.clear();
        while let Some(key) = members.next_key_seed(KeySeed)? {
            let cell = members.next_value_seed(CellSeed::<SPELLED>)?;
            self.cells.push((key, cell));
        }
        Ok(KIND_OBJECT)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u8, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(KIND_ARRAY)
    }

    fn visit_unit<E>(self) -> Result<u8, E> {
        Ok(JsonCell::Null.kind())
    }

    fn visit_bool<E>(self, value: bool) -> Result<u8, E> {
        Ok(JsonCell::Bool(value).kind())
    }

    fn visit_i64<E>(self, value: i64) -> Result<u8, E> {
        Ok(JsonCell::Int(value).kind())
    }

    fn visit_u64<E>(self, value: u64) -> Result<u8, E> {
        Ok(JsonCell::UInt(value).kind())
    }

    fn visit_f64<E>(self, value: f64) -> Result<u8, E> {
        Ok(JsonCell::Float(value).kind())
    }

    fn visit_str<E>(self, _: &str) -> Result<u8, E> {
        Ok(JsonCell::Text("".into()).kind())
    }
}
