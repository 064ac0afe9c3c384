//! Long texts, encoded in pieces.
//!
//! Invariant: the concatenated pieces are the text, however many threads write them. Cost: a source in parts is
//! gathered one piece at a time and thread, so beyond the text itself memory is bounded.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::json_columns::{Member, MemberValues};
use super::{JsonOptions, Naming, RowSlice, csv, json_rows};
use crate::parallel::Threads;

/// Cells gathered for a piece: few enough that their text fits the processor's caches, enough that the overhead of
/// a piece is small.
pub(crate) const PIECE_CELLS: usize = 64 * 1024;
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
}

/// Encodes a source as consecutive pieces.
pub(crate) fn write(source: ExportSource<'_>, format: TextFormat, threads: Threads) -> Vec<String> {
    match format {
        TextFormat::JsonColumns(options) => columns(source, options, threads),
        TextFormat::JsonRows(options) => {
            let mut pieces = rows(source, options, ',', threads);
            match pieces.as_mut_slice() {
                [] => pieces.push("[]".into()),
                [.., last] => last.push(']'),
            }
            pieces
        }
        TextFormat::Ndjson(options) => rows(source, options, '\n', threads),
        TextFormat::Csv(naming) => separated(source, naming, threads),
    }
}

fn rows(source: ExportSource<'_>, options: JsonOptions, separator: char, threads: Threads) -> Vec<String> {
    if json_rows::is_bare(&source.head(), options) {
        return Vec::new();
    }
    let begin = |has_first: bool, out: &mut String| {
        if has_first && separator == ',' {
            out.push('[');
        }
    };
    match source {
        ExportSource::Whole(slice) => {
            let rows = json_rows::JsonRowWriter::new(slice, options, separator);
            each_piece(source, slice.columns.len(), threads, |range, out| {
                begin(range.start == 0, out);
                rows.write(range.clone(), range.start == 0, out);
            })
        }
        ExportSource::Parts(parts) => each_piece(source, parts.num_columns(), threads, |range, out| {
            let slice = parts.window(range.clone(), 0..parts.num_columns());
            begin(range.start == 0, out);
            let rows = json_rows::JsonRowWriter::new(&slice, options, separator);
            rows.write(0..range.len(), range.start == 0, out);
        }),
    }
}

fn separated(source: ExportSource<'_>, naming: Naming, threads: Threads) -> Vec<String> {
    let header = csv::header(&source.head(), naming);
    if header.is_empty() {
        return Vec::new();
    }
    let begin = |has_first: bool, out: &mut String| {
        if has_first {
            out.push_str(&header);
        }
    };
    match source {
        ExportSource::Whole(slice) => {
            let rows = csv::CsvRowWriter::new(slice);
            each_piece(source, slice.columns.len(), threads, |range, out| {
                begin(range.start == 0, out);
                rows.write(range.clone(), out);
            })
        }
        ExportSource::Parts(parts) => each_piece(source, parts.num_columns(), threads, |range, out| {
            let slice = parts.window(range.clone(), 0..parts.num_columns());
            begin(range.start == 0, out);
            csv::CsvRowWriter::new(&slice).write(0..range.len(), out);
        }),
    }
}

fn columns(source: ExportSource<'_>, options: JsonOptions, threads: Threads) -> Vec<String> {
    let head = source.head();
    let members = Member::all(&head, options);
    let mut pieces = vec!["{".to_owned()];
    let num_rows = source.num_rows();
    // A piece is a range of rows of one member.
    let ranges = ranges(num_rows, 1);
    let jobs = members.iter().flat_map(|member| ranges.iter().map(|range| (*member, range.clone())));
    let prepared: Vec<Option<MemberValues<'_>>> = members
        .iter()
        .map(|&member| match (source, member) {
            (ExportSource::Whole(slice), Member::Column(column)) => {
                Some(MemberValues::new(member, slice, column, options))
            }
            (ExportSource::Whole(slice), _) => Some(MemberValues::new(member, slice, 0, options)),
            (ExportSource::Parts(_), _) => None,
        })
        .collect();
    let estimate = Estimate::new(1);
    pieces.extend(threads.deal(jobs.collect(), |(member, range)| {
        let mut out = String::with_capacity(estimate.capacity(range.len()));
        let at = members.iter().position(|other| *other == member).unwrap_or(0);
        if range.start == 0 {
            out.push_str(if at == 0 { "" } else { "," });
            member.begin(&head, &mut out);
        }
        match (source, &prepared[at]) {
            (_, Some(values)) => values.write(range.clone(), range.start == 0, options, &mut out),
            (ExportSource::Parts(parts), None) => {
                let columns = match member {
                    Member::Column(column) => column..column + 1,
                    Member::Path | Member::Id | Member::Index => 0..0,
                };
                let slice = parts.window(range.clone(), columns);
                let values = MemberValues::new(member, &slice, 0, options);
                values.write(0..range.len(), range.start == 0, options, &mut out);
            }
            (ExportSource::Whole(_), None) => {}
        }
        if range.end == num_rows {
            out.push(']');
        }
        estimate.update(range.len(), out.len());
        out
    }));
    pieces.push("}".into());
    pieces
}

impl ExportSource<'_> {
    fn num_rows(self) -> usize {
        match self {
            ExportSource::Whole(slice) => slice.num_rows,
            ExportSource::Parts(parts) => parts.num_rows(),
        }
    }

    /// The slice without its rows: kind and names.
    fn head(self) -> RowSlice {
        match self {
            ExportSource::Whole(slice) => slice.clone(),
            ExportSource::Parts(parts) => parts.window(0..0, 0..parts.num_columns()),
        }
    }
}

/// Splits `0..num_rows` into pieces; at least one range, which may be empty.
fn ranges(num_rows: usize, num_columns: usize) -> Vec<Range<usize>> {
    let size = (PIECE_CELLS / num_columns.max(1)).max(1);
    let starts = (0..num_rows.max(1)).step_by(size);
    starts.map(|start| start..(start + size).min(num_rows)).collect()
}

fn each_piece(
    source: ExportSource<'_>,
    num_columns: usize,
    threads: Threads,
    write: impl Fn(Range<usize>, &mut String) + Sync,
) -> Vec<String> {
    let estimate = Estimate::new(num_columns + 1);
    threads.deal(ranges(source.num_rows(), num_columns), |range| {
        // What closes the text finds room, too.
        let mut out = String::with_capacity(estimate.capacity(range.len()) + 1);
        write(range.clone(), &mut out);
        estimate.update(range.len(), out.len());
        out
    })
}

/// Running estimate of the bytes per row, so that the next piece's text need not be reallocated.
struct Estimate(AtomicUsize);

impl Estimate {
    fn new(num_cells: usize) -> Estimate {
        Estimate(AtomicUsize::new(num_cells * BYTES_PER_CELL))
    }

    fn capacity(&self, num_rows: usize) -> usize {
        64 + num_rows * self.0.load(Ordering::Relaxed)
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
                let text = write(ExportSource::Parts(&parts), format, Threads::new(2)).concat();
                assert!(parts.most_cells.load(Ordering::Relaxed) <= PIECE_CELLS, "{format:?}");
                let of_whole = write(ExportSource::Whole(&whole), format, Threads::ONE).concat();
                assert!(text == of_whole, "{format:?} of {num_rows} rows");
            }
        }
    }
}
