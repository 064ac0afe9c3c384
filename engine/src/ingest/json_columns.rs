//! JSON columns: an object of arrays.
//!
//! Cost: flat columns are streamed member by member; nested ones are parsed to a tree and read row by row, because an
//! array inside a cell makes rows.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

use super::cell::{CellSeed, JsonCell, KeySeed};
use super::intake::{Intake, RowCells};
use super::json_rows::{json_error, twice, without_mark};
use crate::error::{DataError, EngineError, Result};

/// Reads JSON columns. `fresh` creates an intake; it is called again if the columns turn out to be nested.
pub(super) fn read<'t>(text: &str, fresh: impl Fn() -> Intake<'t>) -> Result<Intake<'t>> {
    let text = without_mark(text);
    twice(fresh, |fresh, is_spelled| match is_spelled {
        true => read_once::<true>(text, fresh),
        false => read_once::<false>(text, fresh),
    })
}

fn read_once<'t, const SPELLED: bool>(text: &str, fresh: &dyn Fn() -> Intake<'t>) -> Result<Intake<'t>> {
    let mut intake = fresh();
    let mut deserializer = Deserializer::from_str(text);
    let mut stop = None;
    let visitor = ColumnsVisitor::<SPELLED> { intake: &mut intake, stop: &mut stop };
    let result = deserializer.deserialize_any(visitor);
    match (result.and_then(|()| deserializer.end()), stop) {
        (_, Some(ReadStop::Nested)) => read_nested::<SPELLED>(text, fresh()),
        (_, Some(ReadStop::Failure(failure))) => Err(failure),
        (Err(error), None) if error.is_data() => Err(DataError::NoColumnNames.into()),
        (Err(error), None) => Err(json_error(&error)),
        (Ok(()), None) => Ok(intake),
    }
}

fn read_nested<'t, const SPELLED: bool>(text: &str, mut intake: Intake<'t>) -> Result<Intake<'t>> {
    let mut deserializer = Deserializer::from_str(text);
    let members = CellSeed::<SPELLED>
        .deserialize(&mut deserializer)
        .and_then(|members| deserializer.end().map(|()| members))
        .map_err(|error| json_error(&error))?;
    let JsonCell::Object(members) = members else { return Err(DataError::NoColumnNames.into()) };
    let mut columns = Vec::with_capacity(members.len());
    for (name, value) in members {
        let JsonCell::Array(items) = value else { return Err(DataError::MalformedColumn.into()) };
        if items.is_empty() {
            return Err(DataError::EmptyColumns.into());
        }
        intake.reserve(&name, &items);
        columns.push((name, items.into_iter()));
    }
    for row in 0.. {
        let mut cells: RowCells<'_> = Vec::with_capacity(columns.len());
        for (name, items) in &mut columns {
            if let Some(item) = items.next() {
                cells.push((name.clone(), item));
            }
        }
        if cells.is_empty() {
            break;
        }
        intake.put_row(&mut cells, Some(row))?;
    }
    Ok(intake)
}

/// Why reading stopped, even if the text is valid JSON.
enum ReadStop {
    Nested,
    Failure(EngineError),
}

struct ColumnsVisitor<'a, 't, const SPELLED: bool> {
    intake: &'a mut Intake<'t>,
    stop: &'a mut Option<ReadStop>,
}

impl<'de, const SPELLED: bool> Visitor<'de> for ColumnsVisitor<'_, '_, SPELLED> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of arrays")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key_seed(KeySeed)? {
            let column = self.intake.open_column(&name);
            members.next_value_seed(ColumnSeed::<SPELLED> {
                column,
                intake: self.intake,
                stop: self.stop,
            })?;
        }
        Ok(())
    }
}

struct ColumnSeed<'a, 't, const SPELLED: bool> {
    column: Option<usize>,
    intake: &'a mut Intake<'t>,
    stop: &'a mut Option<ReadStop>,
}

impl<const SPELLED: bool> ColumnSeed<'_, '_, SPELLED> {
    fn fail<E: serde::de::Error>(self, stop: ReadStop) -> E {
        *self.stop = Some(stop);
        E::custom("a column is at fault")
    }

    fn malformed<T, E: serde::de::Error>(self) -> Result<T, E> {
        Err(self.fail(ReadStop::Failure(DataError::MalformedColumn.into())))
    }
}

impl<'de, const SPELLED: bool> DeserializeSeed<'de> for ColumnSeed<'_, '_, SPELLED> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, const SPELLED: bool> Visitor<'de> for ColumnSeed<'_, '_, SPELLED> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut num_rows = 0;
        while let Some(cell) = items.next_element_seed(CellSeed::<SPELLED>)? {
            if cell.is_nested() {
                return Err(self.fail(ReadStop::Nested));
            }
            num_rows += 1;
            if let Some(column) = self.column
                && let Err(error) = self.intake.put_cell(column, &cell)
            {
                return Err(self.fail(ReadStop::Failure(error)));
            }
        }
        if num_rows == 0 {
            return Err(self.fail(ReadStop::Failure(DataError::EmptyColumns.into())));
        }
        match self.intake.grow_to(num_rows) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(ReadStop::Failure(error))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.malformed()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.malformed()
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.malformed()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.malformed()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.malformed()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.malformed()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.malformed()
    }
}
