//! Texts over columns, made into one buffer without an allocation a row.
//!
//! Law: positions and lengths count bytes; an empty text is null where the machine says so.

use super::super::function::{self, Function};
use super::super::value::{Kind, MAX_TEXT};
use super::Run;
use super::lane::{Cells, Lane, NONE, NULL, POISON, Payloads, Ref, VALID, statuses};

impl Run<'_> {
    /// `None`: no function of text, or not for these lanes.
    pub(super) fn text_function(&mut self, function: Function, lanes: &[Lane], len: usize) -> Option<Lane> {
        if lanes.iter().any(|lane| lane.is_mixed() || lane.has(NONE) || lane.has(POISON)) {
            return None;
        }
        match (function, lanes) {
            (Function::Upper | Function::Lower, [lane]) => {
                let cells = texts(lane)?;
                let is_upper = function == Function::Upper;
                Some(self.make(len, |run, row, out| {
                    if lane.status(row) != VALID {
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
                let cells: Vec<&Cells<Ref>> = lanes.iter().map(texts).collect::<Option<_>>()?;
                Some(self.make(len, |run, row, out| {
                    for (lane, cells) in lanes.iter().zip(&cells) {
                        if lane.status(row) != VALID {
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
            (Function::Length, [lane]) => {
                let cells = texts(lane)?;
                let length = |row: usize| match lane.status(row) {
                    VALID => self.text(cells.at(row)).len() as f64,
                    _ => 0.0,
                };
                Some(Lane::float(Cells::Each((0..len).map(length).collect()), lane.statuses.clone()))
            }
            (Function::Substring, [lane, start]) if start.is_number() => {
                self.substring(lane, start, None, len)
            }
            (Function::Substring, [lane, start, count]) if start.is_number() && count.is_number() => {
                self.substring(lane, start, Some(count), len)
            }
            (Function::String, [lane]) => Some(self.string(lane, len)),
            _ => None,
        }
    }

    fn substring(&mut self, lane: &Lane, start: &Lane, count: Option<&Lane>, len: usize) -> Option<Lane> {
        let cells = texts(lane)?;
        let starts = start.raws()?;
        let counts = match count {
            Some(count) => Some(count.raws()?),
            None => None,
        };
        let is_there = |row: usize| {
            [Some(lane), Some(start), count].into_iter().flatten().all(|lane| lane.status(row) == VALID)
        };
        Some(self.make(len, |run, row, out| {
            if !is_there(row) {
                return false;
            }
            let text = run.text(cells.at(row));
            let (size, start) = (text.len() as f64, starts.at(row).trunc());
            let count = counts.as_ref().map_or(size - start, |counts| counts.at(row).trunc());
            // Comparisons that a NaN fails, too.
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

    fn string(&mut self, lane: &Lane, len: usize) -> Lane {
        if let Some(cells) = texts(lane) {
            let statuses = statuses(len, |row| match lane.status(row) {
                VALID if !(1..=MAX_TEXT).contains(&self.text(cells.at(row)).len()) => NULL,
                status => status,
            });
            return Lane::new(Kind::Text, lane.payloads.clone(), statuses);
        }
        self.make(len, |run, row, out| {
            if lane.status(row) != VALID {
                return false;
            }
            function::write_string(&run.value(lane, row), out);
            !out.is_empty()
        })
    }

    /// A text a row; false: the row is null.
    fn make(&mut self, len: usize, write: impl Fn(&Self, usize, &mut String) -> bool) -> Lane {
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
        Lane::new(Kind::Text, Payloads::Text(Cells::Each(places)), statuses)
    }
}

fn texts(lane: &Lane) -> Option<&Cells<Ref>> {
    match &lane.payloads {
        Payloads::Text(cells) if lane.kind == Kind::Text => Some(cells),
        _ => None,
    }
}
