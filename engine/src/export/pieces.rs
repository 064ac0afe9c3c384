//! Long texts, encoded in pieces.
//!
//! Invariant: the concatenated pieces are the text, however many threads write them and wherever it is divided. Cost: a
//! source in parts is gathered one piece at a time and thread, so beyond the text itself memory is bounded. The memory of a
//! piece is estimated from its texts and reserved before it is gathered.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::budget::ExportBudget;
use super::json_columns::{Member, MemberValues};
use super::json_rows::JsonRowWriter;
use super::text_bytes;
use super::{JsonOptions, Naming, RowSlice, csv, json_rows};
use crate::column::TextBytes;
use crate::error::Result;
use crate::memory::{MemoryKind, MemoryReservation};
use crate::parallel::Threads;

/// Cells gathered for a piece: few enough that their text fits the processor's caches, enough that the overhead of
/// a piece is small.
pub(crate) const PIECE_CELLS: usize = 64 * 1024;
/// Estimated bytes of a piece beyond which it is divided, down to one row.
pub(crate) const PIECE_BYTES: usize = 4 << 20;
/// Bytes of a gathered cell, of a text beside its characters.
const CELL_BYTES: usize = 16;
/// Initial estimate of the bytes of a cell.
const BYTES_PER_CELL: usize = 12;

/// A text format and its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// One JSON object of arrays.
    JsonColumns(JsonOptions),
    /// A JSON array of objects.
    JsonRows(JsonOptions),
    /// JSON objects, one per line. No line end after the last line; an empty text without rows.
    Ndjson(JsonOptions),
    /// CSV; the naming determines the header line.
    Csv(Naming),
}

/// The input of an encoder: gathered in advance, or part by part.
#[derive(Clone, Copy)]
pub(crate) enum ExportSource<'a> {
    Whole(&'a RowSlice),
    Parts(&'a dyn RowSource),
}

/// Rows that need not be gathered all at once.
pub(crate) trait RowSource: Sync {
    fn num_rows(&self) -> usize;

    fn num_columns(&self) -> usize;

    /// Gathers a range of rows and columns.
    fn window(&self, rows: Range<usize>, columns: Range<usize>) -> RowSlice;

    /// The bytes of the texts in a range of rows and columns.
    fn text_bytes(&self, rows: Range<usize>, columns: Range<usize>) -> TextBytes;
}

impl RowSource for RowSlice {
    fn num_rows(&self) -> usize {
        self.num_rows
    }

    fn num_columns(&self) -> usize {
        self.columns.len()
    }

    fn window(&self, rows: Range<usize>, columns: Range<usize>) -> RowSlice {
        self.slice(rows, columns)
    }

    fn text_bytes(&self, rows: Range<usize>, columns: Range<usize>) -> TextBytes {
        text_bytes::of_slice(self, rows, columns)
    }
}

/// Encodes a source as consecutive pieces.
pub(crate) fn write(
    source: ExportSource<'_>,
    format: TextFormat,
    threads: Threads,
    budget: &ExportBudget,
) -> Result<Vec<Bytes>> {
    let plan = TextPlan::new(source, format, budget)?;
    let size = plan.piece_rows();
    let jobs = (0..plan.num_parts())
        .flat_map(|part| (0..plan.num_rows.max(1)).step_by(size).map(move |start| (part, start)));
    let written: Vec<Result<Vec<Bytes>>> = threads.deal(jobs.collect(), |(part, start)| {
        let end = (start + size).min(plan.num_rows);
        let mut pieces = Vec::with_capacity(1);
        let mut next = start;
        loop {
            let (piece, reached) = plan.piece(part, next..end, budget)?;
            pieces.push(piece);
            next = reached;
            if next >= end {
                return Ok(pieces);
            }
        }
    });
    let mut pieces = Vec::with_capacity(written.len() + 1);
    for piece in written {
        pieces.extend(piece?);
    }
    if pieces.is_empty() && !plan.without_parts().is_empty() {
        pieces.push(Bytes::from_static(plan.without_parts().as_bytes()));
    }
    Ok(pieces)
}

/// How far a text is written that is written piece by piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TextPosition {
    part: usize,
    row: usize,
}

/// Encodes the next piece of a source; `None` after the last one.
pub(crate) fn write_next(
    source: ExportSource<'_>,
    format: TextFormat,
    position: &mut TextPosition,
    budget: &ExportBudget,
) -> Result<Option<Bytes>> {
    let plan = TextPlan::new(source, format, budget)?;
    if plan.num_parts() == 0 && *position == TextPosition::default() {
        position.part = 1;
        return Ok(Some(Bytes::from_static(plan.without_parts().as_bytes())));
    }
    if position.part >= plan.num_parts() {
        return Ok(None);
    }
    let (piece, reached) = plan.piece(position.part, position.row..plan.num_rows, budget)?;
    *position = match reached >= plan.num_rows {
        true => TextPosition { part: position.part + 1, row: 0 },
        false => TextPosition { row: reached, ..*position },
    };
    Ok(Some(piece))
}

/// A text that is being encoded. Its *parts* are the members of an object of arrays; the other formats have one.
struct TextPlan<'a> {
    source: ExportSource<'a>,
    format: TextFormat,
    /// The slice without its rows: kind and names.
    head: RowSlice,
    /// Written before the first row; CSV only.
    header: String,
    members: Vec<Member>,
    prepared: Prepared<'a>,
    num_rows: usize,
    num_columns: usize,
    /// Bytes that every row takes, whatever its cells.
    row_bytes: usize,
    estimate: Estimate,
    _reservation: MemoryReservation,
}

/// The encoder of a source that is gathered, prepared once.
enum Prepared<'a> {
    Rows(JsonRowWriter<'a>),
    Csv(csv::CsvRowWriter<'a>),
    Columns(Vec<MemberValues<'a>>),
    /// The source is gathered and prepared piece by piece.
    None,
}

impl<'a> TextPlan<'a> {
    fn new(source: ExportSource<'a>, format: TextFormat, budget: &ExportBudget) -> Result<TextPlan<'a>> {
        // The encoders hold each text of a gathered source, encoded.
        let prepared_bytes = match source {
            ExportSource::Whole(slice) => text_bytes::of_slice(slice, 0..0, 0..slice.columns.len()).distinct,
            ExportSource::Parts(_) => 0,
        };
        let reservation = budget.begin(MemoryKind::Slices, prepared_bytes)?;
        let head = source.head();
        let names: usize = head.columns.iter().map(|column| column.name.len() + 4).sum();
        let (mut header, mut members, mut row_bytes) = (String::new(), Vec::new(), 2);
        match format {
            TextFormat::JsonColumns(options) => members = Member::all(&head, options),
            TextFormat::JsonRows(_) | TextFormat::Ndjson(_) => row_bytes += names,
            TextFormat::Csv(naming) => header = csv::header(&head, naming),
        }
        let prepared = match (source, format) {
            (ExportSource::Parts(_), _) => Prepared::None,
            (ExportSource::Whole(slice), TextFormat::JsonRows(options)) => {
                Prepared::Rows(JsonRowWriter::new(slice, options, ','))
            }
            (ExportSource::Whole(slice), TextFormat::Ndjson(options)) => {
                Prepared::Rows(JsonRowWriter::new(slice, options, '\n'))
            }
            (ExportSource::Whole(slice), TextFormat::Csv(_)) => Prepared::Csv(csv::CsvRowWriter::new(slice)),
            (ExportSource::Whole(slice), TextFormat::JsonColumns(options)) => Prepared::Columns(
                members
                    .iter()
                    .map(|&member| MemberValues::new(member, slice, member.column().unwrap_or(0), options))
                    .collect(),
            ),
        };
        let num_columns = match format {
            TextFormat::JsonColumns(_) => 1,
            TextFormat::JsonRows(_) | TextFormat::Ndjson(_) | TextFormat::Csv(_) => source.num_columns(),
        };
        Ok(TextPlan {
            source,
            format,
            head,
            header,
            members,
            prepared,
            num_rows: source.num_rows(),
            num_columns,
            row_bytes,
            estimate: Estimate::new(num_columns + 1),
            _reservation: reservation,
        })
    }

    fn num_parts(&self) -> usize {
        match self.format {
            TextFormat::JsonColumns(_) => self.members.len(),
            TextFormat::JsonRows(options) | TextFormat::Ndjson(options) => {
                usize::from(!json_rows::is_bare(&self.head, options))
            }
            TextFormat::Csv(_) => usize::from(!self.header.is_empty()),
        }
    }

    /// The text if it has no parts.
    fn without_parts(&self) -> &'static str {
        match self.format {
            TextFormat::JsonColumns(_) => "{}",
            TextFormat::JsonRows(_) => "[]",
            TextFormat::Ndjson(_) | TextFormat::Csv(_) => "",
        }
    }

    /// Rows of a piece without long texts.
    fn piece_rows(&self) -> usize {
        (PIECE_CELLS / self.num_columns.max(1)).max(1)
    }

    /// Writes as many of the rows as make a piece, at least one, and returns the row that it reached.
    fn piece(&self, part: usize, rows: Range<usize>, budget: &ExportBudget) -> Result<(Bytes, usize)> {
        let mut len = rows.len().min(self.piece_rows());
        let (rows, num_bytes, text) = loop {
            let piece = rows.start..rows.start + len;
            let text = self.text_bytes(part, piece.clone());
            let fixed = piece.len() * (self.row_bytes + self.num_columns * BYTES_PER_CELL);
            let num_bytes = 64 + fixed + self.header.len() + text.shown;
            if num_bytes + text.distinct <= PIECE_BYTES || len <= 1 {
                break (piece, num_bytes, text);
            }
            len /= 2;
        };
        // Beside its text, a piece of a source in parts holds its gathered cells, and its texts encoded.
        let gathered = match self.prepared {
            Prepared::None => 2 * text.distinct + rows.len() * (4 + self.num_columns * CELL_BYTES),
            Prepared::Rows(_) | Prepared::Csv(_) | Prepared::Columns(_) => 0,
        };
        let gathered = budget.begin(MemoryKind::Slices, gathered)?;
        let reservation = budget.begin(MemoryKind::Answers, num_bytes)?;
        let capacity = self.estimate.capacity(rows.len()).max(text.shown.saturating_mul(9) / 8);
        // What closes the text finds room, too.
        let mut out = String::with_capacity(capacity + 2);
        self.write(part, rows.clone(), &mut out);
        self.estimate.update(rows.len(), out.len());
        drop(gathered);
        Ok((budget.piece(out, reservation)?, rows.end))
    }

    fn text_bytes(&self, part: usize, rows: Range<usize>) -> TextBytes {
        let columns = match self.members.get(part) {
            Some(member) => member.column().map_or(0..0, |column| column..column + 1),
            None => 0..self.source.num_columns(),
        };
        self.source.text_bytes(rows, columns)
    }

    fn write(&self, part: usize, rows: Range<usize>, out: &mut String) {
        let (is_first, is_last) = (rows.start == 0, rows.end == self.num_rows);
        match self.format {
            TextFormat::JsonColumns(options) => {
                if is_first {
                    out.push(if part == 0 { '{' } else { ',' });
                    self.members[part].begin(&self.head, out);
                }
                self.write_member(part, rows, options, out);
                if is_last {
                    out.push_str(if part + 1 == self.members.len() { "]}" } else { "]" });
                }
            }
            TextFormat::JsonRows(options) => {
                if is_first {
                    out.push('[');
                }
                self.write_rows(rows, options, ',', out);
                if is_last {
                    out.push(']');
                }
            }
            TextFormat::Ndjson(options) => self.write_rows(rows, options, '\n', out),
            TextFormat::Csv(_) => {
                if is_first {
                    out.push_str(&self.header);
                }
                match (&self.prepared, self.source) {
                    (Prepared::Csv(writer), _) => writer.write(rows, out),
                    (_, source) => {
                        let slice = source.window(rows.clone(), 0..self.num_columns);
                        csv::CsvRowWriter::new(&slice).write(0..rows.len(), out);
                    }
                }
            }
        }
    }

    fn write_rows(&self, rows: Range<usize>, options: JsonOptions, separator: char, out: &mut String) {
        let has_first = rows.start == 0;
        match (&self.prepared, self.source) {
            (Prepared::Rows(writer), _) => writer.write(rows, has_first, out),
            (_, source) => {
                let slice = source.window(rows.clone(), 0..self.num_columns);
                JsonRowWriter::new(&slice, options, separator).write(0..rows.len(), has_first, out);
            }
        }
    }

    fn write_member(&self, part: usize, rows: Range<usize>, options: JsonOptions, out: &mut String) {
        let (has_first, member) = (rows.start == 0, self.members[part]);
        match (&self.prepared, self.source) {
            (Prepared::Columns(values), _) => values[part].write(rows, has_first, options, out),
            (_, source) => {
                let columns = member.column().map_or(0..0, |column| column..column + 1);
                let slice = source.window(rows.clone(), columns);
                let values = MemberValues::new(member, &slice, 0, options);
                values.write(0..rows.len(), has_first, options, out);
            }
        }
    }
}

impl ExportSource<'_> {
    pub(crate) fn num_rows(self) -> usize {
        match self {
            ExportSource::Whole(slice) => slice.num_rows,
            ExportSource::Parts(parts) => parts.num_rows(),
        }
    }

    pub(crate) fn num_columns(self) -> usize {
        match self {
            ExportSource::Whole(slice) => slice.columns.len(),
            ExportSource::Parts(parts) => parts.num_columns(),
        }
    }

    pub(crate) fn text_bytes(self, rows: Range<usize>, columns: Range<usize>) -> TextBytes {
        match self {
            ExportSource::Whole(slice) => text_bytes::of_slice(slice, rows, columns),
            ExportSource::Parts(parts) => parts.text_bytes(rows, columns),
        }
    }

    fn window(self, rows: Range<usize>, columns: Range<usize>) -> RowSlice {
        match self {
            ExportSource::Whole(slice) => slice.slice(rows, columns),
            ExportSource::Parts(parts) => parts.window(rows, columns),
        }
    }

    fn head(self) -> RowSlice {
        self.window(0..0, 0..self.num_columns())
    }
}

/// Running estimate of the bytes per row, so that the next piece's text need not be reallocated.
struct Estimate(AtomicUsize);

impl Estimate {
    fn new(num_cells: usize) -> Estimate {
        Estimate(AtomicUsize::new(num_cells * BYTES_PER_CELL))
    }

    fn capacity(&self, num_rows: usize) -> usize {
        (64 + num_rows * self.0.load(Ordering::Relaxed)).min(PIECE_BYTES)
    }

    fn update(&self, num_rows: usize, num_bytes: usize) {
        // A few rows are mostly header and footer.
        if num_rows > 64 {
            self.0.fetch_max(num_bytes / num_rows + 1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use arrow::array::{Int64Array, StringDictionaryBuilder};
    use arrow::datatypes::Int32Type;

    use super::super::{SliceColumn, WindowKind};
    use super::*;

    /// A source of numbers that records the most cells gathered at once.
    struct Numbers {
        num_rows: usize,
        most_cells: AtomicUsize,
    }

    impl RowSource for Numbers {
        fn num_rows(&self) -> usize {
            self.num_rows
        }

        fn num_columns(&self) -> usize {
            3
        }

        fn text_bytes(&self, rows: Range<usize>, columns: Range<usize>) -> TextBytes {
            let shown = if columns.contains(&1) { rows.len() * 4 } else { 0 };
            TextBytes { shown, distinct: shown.min(4000) }
        }

        fn window(&self, rows: Range<usize>, columns: Range<usize>) -> RowSlice {
            self.most_cells.fetch_max(rows.len() * columns.len(), Ordering::Relaxed);
            let column = |position: usize| {
                let name: Arc<str> = format!("c{position}").into();
                let mut texts = StringDictionaryBuilder::<Int32Type>::new();
                rows.clone().for_each(|row| texts.append_value(format!("t{}", row % 1000)));
                SliceColumn {
                    name: name.clone(),
                    readable_name: name,
                    values: match position {
                        1 => Arc::new(texts.finish()),
                        _ => Arc::new(Int64Array::from_iter_values(
                            rows.clone().map(|row| (row * (position + 1)) as i64),
                        )),
                    },
                }
            };
            RowSlice {
                kind: WindowKind::Flat,
                num_rows: rows.len(),
                columns: columns.map(column).collect(),
                row_paths: None,
                keys: Some(Arc::new(Int64Array::from_iter_values(rows.map(|row| row as i64)))),
                member_keys: None,
            }
        }
    }

    #[test]
    fn pieces_are_gathered_in_bounded_parts_and_equal_the_whole_text() {
        let options = JsonOptions { id: true, index: true, formatted: true };
        let formats = [
            TextFormat::JsonColumns(options),
            TextFormat::JsonColumns(JsonOptions::default()),
            TextFormat::JsonRows(options),
            TextFormat::Ndjson(options),
            TextFormat::Csv(Naming::Readable),
        ];
        for num_rows in [0, 1, 200_001] {
            for format in formats {
                let parts = Numbers { num_rows, most_cells: AtomicUsize::new(0) };
                let whole = parts.window(0..num_rows, 0..3);
                parts.most_cells.store(0, Ordering::Relaxed);
                let budget = ExportBudget::unlimited();
                let source = ExportSource::Parts(&parts);
                let text = write(source, format, Threads::new(2), &budget).unwrap().concat();
                assert!(parts.most_cells.load(Ordering::Relaxed) <= PIECE_CELLS, "{format:?}");
                let of_whole =
                    write(ExportSource::Whole(&whole), format, Threads::ONE, &budget).unwrap().concat();
                assert!(text == of_whole, "{format:?} of {num_rows} rows");
                let mut position = TextPosition::default();
                let next = || write_next(source, format, &mut position, &budget).unwrap();
                let streamed: Vec<Bytes> = std::iter::from_fn(next).collect();
                assert!(streamed.concat() == text, "{format:?} of {num_rows} rows, piece by piece");
            }
        }
    }
}
