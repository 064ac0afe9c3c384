//! JSON rows: an array of objects, or objects one after the other (NDJSON).
//!
//! Law: rows stream into the columns as they are read; no tree of the whole text is built.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

use super::cell::{Cell, CellSeed, KIND_ARRAY, KIND_OBJECT, KeySeed};
use super::intake::{Intake, RowCells};
use super::json_parts::{self, Between};
use crate::error::{EngineError, Result};
use crate::parallel::Threads;

pub(super) const NO_COLUMN_NAMES: &str = "Cannot determine data types without column names!\n";

pub(super) fn json_error(error: &serde_json::Error) -> EngineError {
    EngineError::data(format!("Invalid JSON: {error}"))
}

/// `fresh` makes the intake; it is asked again when the rows cannot be read in parts.
pub(super) fn read_array<'t>(text: &str, fresh: impl Fn() -> Intake<'t>) -> Result<Intake<'t>> {
    read_array_on(text, fresh, json_parts::threads(text))
}

pub(super) fn read_array_on<'t>(
    text: &str,
    fresh: impl Fn() -> Intake<'t>,
    threads: Threads,
) -> Result<Intake<'t>> {
    let blank = [' ', '\t', '\n', '\r'];
    let rows = text.trim_matches(blank).strip_prefix('[').and_then(|text| text.strip_suffix(']'));
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
    let result = deserializer.deserialize_any(RowsVisitor { intake, failure: &mut failure });
    match (result.and_then(|()| deserializer.end()), failure) {
        (_, Some(failure)) => Err(failure),
        (Err(error), None) => Err(json_error(&error)),
        (Ok(()), None) => Ok(()),
    }
}

pub(super) fn read_lines<'t>(text: &str, fresh: impl Fn() -> Intake<'t>) -> Result<Intake<'t>> {
    read_lines_on(text, fresh, json_parts::threads(text))
}

pub(super) fn read_lines_on<'t>(
    text: &str,
    fresh: impl Fn() -> Intake<'t>,
    threads: Threads,
) -> Result<Intake<'t>> {
    if let Some(intake) = json_parts::read(text, Between::Nothing, fresh(), settle_first, threads) {
        return Ok(intake);
    }
    let mut intake = fresh();
    read_lines_alone(text, &mut intake)?;
    Ok(intake)
}

fn settle_first(intake: &mut Intake<'_>) {
    if !intake.is_update() {
        intake.settle();
    }
}

/// The columns of a new table that its first record leaves null are STRING for good. A record that cannot be read is
/// an error that names its line; nothing is dropped in silence.
fn read_lines_alone(text: &str, intake: &mut Intake<'_>) -> Result<()> {
    let mut is_first = true;
    // Not one deserializer asked again and again for its end: each such question counts lines from the start.
    for record in Deserializer::from_str(text).into_iter::<Record<'_>>() {
        let Record { kind, mut cells } = record.map_err(|error| json_error(&error))?;
        if kind != KIND_OBJECT {
            return Err(EngineError::data(format!("Received non-object {kind}")));
        }
        intake.put_row(&mut cells, None)?;
        if std::mem::take(&mut is_first) {
            settle_first(intake);
        }
    }
    Ok(())
}

/// One NDJSON record: the kind of JSON value, and the cells of an object.
pub(super) struct Record<'de> {
    pub(super) kind: u8,
    pub(super) cells: RowCells<'de>,
}

impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut cells = RowCells::new();
        let kind = RowSeed { cells: &mut cells }.deserialize(deserializer)?;
        Ok(Record { kind, cells })
    }
}

struct RowsVisitor<'a, 't> {
    intake: &'a mut Intake<'t>,
    /// What the rows themselves have wrong; the reader's own errors carry only its text.
    failure: &'a mut Option<EngineError>,
}

impl<'de> Visitor<'de> for RowsVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let mut cells = RowCells::new();
        while let Some(kind) = rows.next_element_seed(RowSeed { cells: &mut cells })? {
            let outcome = if kind == KIND_OBJECT {
                self.intake.put_row(&mut cells, None)
            } else {
                Err(EngineError::data(NO_COLUMN_NAMES))
            };
            if let Err(error) = outcome {
                *self.failure = Some(error);
                return Err(A::Error::custom("a row is at fault"));
            }
        }
        Ok(())
    }
}

/// Reads one row's cells; yields the kind of JSON value that was found.
struct RowSeed<'a, 'de> {
    cells: &'a mut RowCells<'de>,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_, 'de> {
    type Value = u8;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<u8, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, 'de> {
    type Value = u8;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u8, A::Error> {
        self.cells.clear();
        while let Some(key) = members.next_key_seed(KeySeed)? {
            let cell = members.next_value_seed(CellSeed)?;
            self.cells.push((key, cell));
        }
        Ok(KIND_OBJECT)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u8, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(KIND_ARRAY)
    }

    fn visit_unit<E>(self) -> Result<u8, E> {
        Ok(Cell::Null.kind())
    }

    fn visit_bool<E>(self, value: bool) -> Result<u8, E> {
        Ok(Cell::Bool(value).kind())
    }

    fn visit_i64<E>(self, value: i64) -> Result<u8, E> {
        Ok(Cell::Int(value).kind())
    }

    fn visit_u64<E>(self, value: u64) -> Result<u8, E> {
        Ok(Cell::UInt(value).kind())
    }

    fn visit_f64<E>(self, value: f64) -> Result<u8, E> {
        Ok(Cell::Float(value).kind())
    }

    fn visit_str<E>(self, _: &str) -> Result<u8, E> {
        Ok(Cell::Text("".into()).kind())
    }
}
