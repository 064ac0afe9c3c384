//! Text functions over columns, writing to one buffer without an allocation per row.
//!
//! Invariant: positions and lengths count bytes; an empty text is null where the row-wise evaluator yields null.

use super::super::function::{self, Function};
use super::super::value::{MAX_TEXT, ValueKind};
use super::VectorEvaluator;
use super::vector::{NONE, NULL, POISON, Ref, VALID, Vector, VectorCells, VectorData, statuses};

impl VectorEvaluator<'_> {
    /// Vectorised functions of text; `None` if there is none for these vectors.
    pub(super) fn text_function(
        &mut self,
        function: Function,
        vectors: &[Vector],
        len: usize,
    ) -> Option<Vector> {
        if vectors.iter().any(|vector| vector.is_mixed() || vector.has(NONE) || vector.has(POISON)) {
            return None;
        }
        match (function, vectors) {
            (Function::Upper | Function::Lower, [vector]) => {
                let cells = texts(vector)?;
                let is_upper = function == Function::Upper;
                Some(self.make(len, |run, row, out| {
                    if vector.status(row) != VALID {
                        return false;
                    }
                    out.push_str(run.text(cells.at(row)));
                    if is_upper {
                        out.make_ascii_uppercase()
                    } else {
                        out.make_ascii_lowercase()
                    }
                    !out.is_empty()
                }))
            }
            (Function::Concat, [_, ..]) => {
                let cells: Vec<&VectorCells<Ref>> = vectors.iter().map(texts).collect::<Option<_>>()?;
                Some(self.make(len, |run, row, out| {
                    for (vector, cells) in vectors.iter().zip(&cells) {
                        if vector.status(row) != VALID {
                            return false;
                        }
                        out.push_str(run.text(cells.at(row)));
                        if out.len() > MAX_TEXT {
                            return false;
                        }
                    }
                    !out.is_empty()
                }))
            }
            (Function::Length, [vector]) => {
                let cells = texts(vector)?;
                let length = |row: usize| match vector.status(row) {
                    VALID => self.text(cells.at(row)).len() as f64,
                    _ => 0.0,
                };
                Some(Vector::float(
                    VectorCells::Each((0..len).map(length).collect()),
                    vector.statuses.clone(),
                ))
            }
            (Function::Substring, [vector, start]) if start.is_number() => {
                self.substring(vector, start, None, len)
            }
            (Function::Substring, [vector, start, count]) if start.is_number() && count.is_number() => {
                self.substring(vector, start, Some(count), len)
            }
            (Function::String, [vector]) => Some(self.string(vector, len)),
            _ => None,
        }
    }

    fn substring(
        &mut self,
        vector: &Vector,
        start: &Vector,
        count: Option<&Vector>,
        len: usize,
    ) -> Option<Vector> {
        let cells = texts(vector)?;
        let starts = start.raws()?;
        let counts = match count {
            Some(count) => Some(count.raws()?),
            None => None,
        };
        let is_there = |row: usize| {
            [Some(vector), Some(start), count].into_iter().flatten().all(|vector| vector.status(row) == VALID)
        };
        Some(self.make(len, |run, row, out| {
            if !is_there(row) {
                return false;
            }
            let text = run.text(cells.at(row));
            let (size, start) = (text.len() as f64, starts.at(row).trunc());
            let count = counts.as_ref().map_or(size - start, |counts| counts.at(row).trunc());
            // These comparisons are false for NaN.
            let is_inside = start >= 0.0 && start < size && count >= 0.0 && start + count <= size;
            if is_inside {
                let bytes = &text.as_bytes()[start as usize..(start + count) as usize];
                if bytes.len() > MAX_TEXT {
                    return false;
                }
                out.push_str(&String::from_utf8_lossy(bytes));
            }
            is_inside
        }))
    }

    fn string(&mut self, vector: &Vector, len: usize) -> Vector {
        if let Some(cells) = texts(vector) {
            let statuses = statuses(len, |row| match vector.status(row) {
                VALID if !(1..=MAX_TEXT).contains(&self.text(cells.at(row)).len()) => NULL,
                status => status,
            });
            return Vector::new(ValueKind::Text, vector.payloads.clone(), statuses);
        }
        self.make(len, |run, row, out| {
            if vector.status(row) != VALID {
                return false;
            }
            function::write_string(&run.value(vector, row), out);
            !out.is_empty()
        })
    }

    /// Builds a vector of one text per row; a row is null if `write` returns false.
    fn make(&mut self, len: usize, write: impl Fn(&Self, usize, &mut String) -> bool) -> Vector {
        let mut places = Vec::with_capacity(len);
        let mut known: Vec<u8> = Vec::new();
        let mut text = String::new();
        for row in 0..len {
            text.clear();
            if write(self, row, &mut text) && text.len() <= MAX_TEXT {
                places.push(Ref::new(Ref::BLOCK, self.made.push(&text)));
            } else {
                if known.is_empty() {
                    known.resize(len, VALID);
                }
                known[row] = NULL;
                places.push(Ref::default());
            }
        }
        let statuses = (!known.is_empty()).then(|| known.into());
        Vector::new(ValueKind::Text, VectorData::Text(VectorCells::Each(places)), statuses)
    }
}

fn texts(vector: &Vector) -> Option<&VectorCells<Ref>> {
    match &vector.payloads {
        VectorData::Text(cells) if vector.kind == ValueKind::Text => Some(cells),
        VectorData::Nothing
        | VectorData::Float(_)
        | VectorData::Int(_)
        | VectorData::Bool(_)
        | VectorData::Text(_)
        | VectorData::Mixed(_) => None,
    }
}
