//! Dates and times over columns.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each file evaluates the functions of its own family; `Function` lists all"
)]

use super::super::function::{self, DAYS, Function, MONTHS};
use super::super::value::{INT64, Payload, Value, ValueKind, days_of, to_integer, unpack};
use super::VectorEvaluator;
use super::vector::{NONE, NULL, POISON, Ref, Statuses, VALID, Vector, VectorCells, VectorData, statuses};
use crate::types::calendar::civil_from_days;
use crate::types::scalar::MS_PER_DAY;

/// Packs year, month from 0 and day into one number, the language's representation of dates; a day beyond the calendar
/// is null.
pub(super) fn packed(days: Vec<i32>, known: Statuses) -> (VectorData, Statuses) {
    // Adjacent rows often have the same day.
    let mut last = (0, pack_days(0));
    let packed: Vec<Option<i32>> = days
        .iter()
        .map(|&day| {
            if day != last.0 {
                last = (day, pack_days(day));
            }
            last.1
        })
        .collect();
    let known = match packed.iter().all(Option::is_some) {
        true => known,
        false => statuses(days.len(), |row| match known.as_ref().map_or(VALID, |known| known[row]) {
            VALID if packed[row].is_none() => NULL,
            status => status,
        }),
    };
    let cells = packed.into_iter().map(|packed| i64::from(packed.unwrap_or(0))).collect();
    (VectorData::Int(VectorCells::Each(cells)), known)
}

/// Packs a day, if it is within the calendar of the row-wise evaluator.
fn pack_days(days: i32) -> Option<i32> {
    match Value::of(&crate::types::scalar::Scalar::Date(days), crate::types::schema::Storage::Date32).payload
    {
        Payload::Date(packed) => Some(packed),
        _ => None,
    }
}

impl VectorEvaluator<'_> {
    /// Vectorised functions of time; `None` if there is none for these vectors.
    pub(super) fn time_function(
        &mut self,
        function: Function,
        vectors: &[Vector],
        len: usize,
    ) -> Option<Vector> {
        if vectors.iter().any(|vector| vector.is_mixed() || vector.has(NONE) || vector.has(POISON)) {
            return None;
        }
        match (function, vectors) {
            (Function::HourOfDay | Function::DayOfWeek | Function::MonthOfYear, [vector]) => {
                self.part(function, vector, len)
            }
            (Function::Bucket, [x, unit]) => {
                let VectorData::Text(VectorCells::Same(place)) = unit.payloads else { return None };
                if unit.statuses.is_some() {
                    return None;
                }
                let (count, letter) = function::bucket_unit(self.text(place))?;
                bucket(x, count, letter, len)
            }
            (Function::Date, [year, month, day]) => {
                let (year, month, day) = (year.raws()?, month.raws()?, day.raws()?);
                if !vectors.iter().all(Vector::is_number) {
                    return None;
                }
                let packed = |row: usize| {
                    let (year, month, day) =
                        (year.at(row).trunc(), month.at(row).trunc(), day.at(row).trunc());
                    function::packed_day(year, month, day).map(i64::from)
                };
                let is_there = |row: usize| vectors.iter().all(|vector| vector.status(row) == VALID);
                Some(optional(ValueKind::Date, len, |row| packed(row).filter(|_| is_there(row))))
            }
            (Function::Datetime, [vector]) if vector.kind == ValueKind::Float64 || vector.kind == INT64 => {
                let ms = |row: usize| match &vector.payloads {
                    VectorData::Int(cells) => Some(cells.at(row)),
                    VectorData::Float(cells) => Some(to_integer(cells.at(row))),
                    VectorData::Nothing
                    | VectorData::Bool(_)
                    | VectorData::Text(_)
                    | VectorData::Mixed(_) => None,
                };
                Some(optional(ValueKind::Datetime, len, |row| {
                    ms(row).filter(|_| vector.status(row) == VALID)
                }))
            }
            _ => None,
        }
    }

    fn part(&mut self, function: Function, vector: &Vector, len: usize) -> Option<Vector> {
        let VectorData::Int(cells) = &vector.payloads else { return None };
        let is_date = match vector.kind {
            ValueKind::Date => true,
            ValueKind::Datetime => false,
            ValueKind::None
            | ValueKind::Integer(_)
            | ValueKind::Float32
            | ValueKind::Float64
            | ValueKind::Boolean
            | ValueKind::Text => return None,
        };
        if function == Function::HourOfDay {
            let hours = cells
                .map(|ms| if is_date { 0.0 } else { ms.rem_euclid(MS_PER_DAY).div_euclid(3_600_000) as f64 });
            return Some(Vector::float(hours, vector.statuses.clone()));
        }
        let names: &[&str] = if function == Function::DayOfWeek { &DAYS } else { &MONTHS };
        let places: Vec<Ref> = names.iter().map(|name| Ref::new(Ref::BLOCK, self.made.push(name))).collect();
        let name_of = |row: usize| -> Option<Ref> {
            let value = cells.at(row);
            let days = if is_date {
                i64::from(days_of(i32::try_from(value).ok()?)?)
            } else {
                value.div_euclid(MS_PER_DAY)
            };
            // Null beyond the calendar of the row-wise evaluator.
            pack_days(i32::try_from(days).ok()?)?;
            Some(match function {
                // 1970-01-01 was a Thursday.
                Function::DayOfWeek => places[(days + 4).rem_euclid(7) as usize],
                _ if is_date => places[unpack(value as i32).1.min(11) as usize],
                _ => places[civil_from_days(days).1 as usize - 1],
            })
        };
        let found: Vec<Option<Ref>> =
            (0..len).map(|row| name_of(row).filter(|_| vector.status(row) == VALID)).collect();
        let statuses = statuses(len, |row| if found[row].is_some() { VALID } else { NULL });
        let cells = found.into_iter().map(Option::unwrap_or_default).collect();
        Some(Vector::new(ValueKind::Text, VectorData::Text(VectorCells::Each(cells)), statuses))
    }
}

fn bucket(x: &Vector, count: i64, letter: u8, len: usize) -> Option<Vector> {
    let VectorData::Int(cells) = &x.payloads else { return None };
    match (x.kind, letter) {
        (ValueKind::Datetime, b's' | b'm' | b'h') => {
            let unit_ms = match letter {
                b's' => 1_000,
                b'm' => 60_000,
                _ => 3_600_000,
            };
            // Null where the bucket begins before the earliest datetime, which the row-wise evaluator knows.
            let earliest = i64::MIN + unit_ms * count;
            if (0..len).any(|row| cells.at(row) < earliest) {
                return None;
            }
            // Rounds to whole units toward zero, then down to a multiple, which is a no-op for a single unit.
            let cells = match count {
                1 => cells.map(|ms| ms / unit_ms * unit_ms),
                _ => cells.map(|ms| (ms / unit_ms).div_euclid(count) * count * unit_ms),
            };
            Some(Vector::new(ValueKind::Datetime, VectorData::Int(cells), x.statuses.clone()))
        }
        (ValueKind::Datetime, _) => {
            // Adjacent rows often have the same day.
            let mut last: Option<(i64, Option<i32>)> = None;
            let packed: Vec<Option<i64>> = (0..len)
                .map(|row| {
                    if x.status(row) != VALID {
                        return None;
                    }
                    let ms = cells.at(row);
                    let day = ms.div_euclid(MS_PER_DAY);
                    let packed = match last {
                        Some((known, packed)) if known == day => packed,
                        _ => {
                            let packed = function::bucket_date(&Value::datetime(ms), count, letter);
                            last = Some((day, packed));
                            packed
                        }
                    };
                    packed.map(i64::from)
                })
                .collect();
            Some(optional(ValueKind::Date, len, |row| packed[row]))
        }
        (ValueKind::Date, _) => Some(optional(ValueKind::Date, len, |row| {
            let packed = i32::try_from(cells.at(row)).ok().filter(|_| x.status(row) == VALID)?;
            function::bucket_date(&Value::packed_date(packed), count, letter).map(i64::from)
        })),
        _ => None,
    }
}

fn optional(kind: ValueKind, len: usize, value: impl Fn(usize) -> Option<i64>) -> Vector {
    let values: Vec<Option<i64>> = (0..len).map(value).collect();
    let statuses = statuses(len, |row| if values[row].is_some() { VALID } else { NULL });
    let cells = values.into_iter().map(Option::unwrap_or_default).collect();
    Vector::new(kind, VectorData::Int(VectorCells::Each(cells)), statuses)
}
