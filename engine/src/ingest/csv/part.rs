//! Reads one text on several threads.
//!
//! Invariant: the rows are those of a single reader. A boundary is a guess (the position after a line end outside of
//! quotes, if quotes come in pairs); it is right if the reader before it stops there, since reading a record requires
//! no state from before. If a guess is wrong, a single reader reads everything.

use std::ops::Range;

use super::PART_BYTES as LEAST_BYTES;
use super::cells::CellReader;
use super::split::{Block, Splitter};
use crate::error::Result;
use crate::parallel::Threads;

/// The result of one thread.
#[derive(Debug)]
pub(super) struct CsvPart {
    pub(super) num_rows: usize,
    /// By column; `None` for columns that are not read.
    pub(super) readers: Vec<Option<CellReader>>,
    /// Where the next record would start.
    end: usize,
}

/// The boundaries of the parts of a text.
#[derive(Debug)]
pub(super) struct Cut {
    borders: Vec<usize>,
    separator: u8,
    threads: Threads,
}

/// Number of small parts per thread, after a large one.
const SMALL_PARTS: usize = 1;

/// Share of the text in small parts.
const SMALL_SHARE: f64 = 0.25;

/// Returns the starts of the parts of `len` bytes. Each part costs a dictionary per text column, so there are few: a
/// large one for each thread, and then small ones, so that other threads can take over the share of a thread that
/// started late.
fn starts(len: usize, num_threads: usize) -> Vec<usize> {
    let num_small = num_threads * SMALL_PARTS;
    let small = (len as f64 * SMALL_SHARE / num_small as f64) as usize;
    if num_threads == 1 || small < LEAST_BYTES {
        let size = len.div_ceil(num_threads).max(1);
        return (0..num_threads).map(|part| part * size).collect();
    }
    let small_start = len - small * num_small;
    let large = small_start.div_ceil(num_threads);
    let large_starts = (0..num_threads).map(|part| part * large);
    large_starts.chain((0..num_small).map(|part| small_start + part * small)).collect()
}

impl Cut {
    /// Divides the text from `start` on for the given threads.
    pub(super) fn new(text: &str, separator: u8, start: usize, threads: Threads) -> Cut {
        let bytes = text.as_bytes();
        let guesses: Vec<usize> = starts(bytes.len() - start, threads.count())
            .into_iter()
            .map(|guess| (start + guess).min(bytes.len()))
            .collect();
        let decided: Option<Vec<bool>> =
            guesses.iter().skip(1).map(|guess| is_quoted(bytes, separator, *guess)).collect();
        let quoted = decided.unwrap_or_else(|| count_parity(bytes, &guesses, threads));
        let mut borders = vec![start];
        for (guess, is_quoted) in guesses.into_iter().skip(1).zip(quoted) {
            let border = line_start(bytes, guess, is_quoted);
            // After a wrong guess the border may lie beyond the next guess.
            if border < bytes.len() && borders.last().is_some_and(|last| *last < border) {
                borders.push(border);
            }
        }
        borders.push(bytes.len());
        Cut { borders, separator, threads }
    }

    /// Reads all rows, of `width` fields each, into the readers that `open` creates for each part.
    pub(super) fn read(
        &self,
        text: &str,
        width: usize,
        open: &(impl Fn() -> Vec<Option<CellReader>> + Sync),
    ) -> Result<Vec<CsvPart>> {
        let ranges: Vec<(usize, usize)> = self.borders.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let first = self.borders[0];
        let read = |(start, limit): (usize, usize)| {
            self.read_part(text, start..limit, width, start == first, open())
        };
        let mut parts = Vec::with_capacity(ranges.len());
        for (part, (_, limit)) in self.threads.deal(ranges.clone(), read).into_iter().zip(ranges) {
            // An error is the first one in the text, since everything before it was read.
            let part = part?;
            if part.end != limit {
                return Ok(vec![self.read_part(text, first..text.len(), width, true, open())?]);
            }
            parts.push(part);
        }
        Ok(parts)
    }
}

/// Returns whether `from` is within quotes, judging by the quotes after it: an opening quote follows a separator or
/// line end, a closing one precedes them. `None` if these do not decide.
fn is_quoted(bytes: &[u8], separator: u8, from: usize) -> Option<bool> {
    /// If there are no quotes in this many bytes, nothing is quoted.
    const WINDOW_BYTES: usize = 16 * 1024;
    let is_edge =
        |byte: Option<&u8>| byte.is_none_or(|byte| *byte == separator || matches!(byte, b'\n' | b'\r'));
    let is_inner = |byte: Option<&u8>| !is_edge(byte) && byte != Some(&b'"');
    let window = &bytes[from..bytes.len().min(from + WINDOW_BYTES)];
    let mut num_quotes = 0;
    for (offset, _) in window.iter().enumerate().filter(|(_, byte)| **byte == b'"') {
        let at = from + offset;
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let after = bytes.get(at + 1);
        let is_even = num_quotes % 2 == 0;
        if is_edge(before) && is_inner(after) {
            return Some(!is_even);
        }
        if is_inner(before) && is_edge(after) {
            return Some(is_even);
        }
        num_quotes += 1;
    }
    (num_quotes == 0).then_some(false)
}

/// Returns whether each guess but the first is within quotes, from the parity of all quotes before it.
fn count_parity(bytes: &[u8], guesses: &[usize], threads: Threads) -> Vec<bool> {
    let ranges = guesses.windows(2).map(|pair| pair[0]..pair[1]).collect();
    let counts = threads.deal(ranges, |range: Range<usize>| count_quotes(&bytes[range]));
    let sums = counts.into_iter().scan(0, |sum, count| {
        *sum += count;
        Some(*sum)
    });
    sums.map(|num_quotes| num_quotes % 2 == 1).collect()
}

fn count_quotes(bytes: &[u8]) -> usize {
    // Short runs are summed in bytes, which the compiler vectorises.
    bytes
        .chunks(128)
        .map(|run| usize::from(run.iter().fold(0_u8, |count, byte| count + u8::from(*byte == b'"'))))
        .sum()
}

/// Returns the first line start after `from` that is outside of quotes; the end of the text if there is none.
fn line_start(bytes: &[u8], from: usize, mut is_quoted: bool) -> usize {
    for (offset, byte) in bytes[from..].iter().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => return from + offset + 1,
            _ => {}
        }
    }
    bytes.len()
}

/// Returns the estimated number of rows of `most_bytes` of text, extrapolated from the first rows with a small margin.
fn expected_rows(num_rows: usize, num_bytes: usize, most_bytes: usize) -> usize {
    const PERCENT: usize = 103;
    // A row has at least one byte per column, so this is never much more than eight times the text.
    (most_bytes / num_bytes.max(1)).saturating_mul(num_rows).saturating_mul(PERCENT) / 100
}

impl Cut {
    fn read_part(
        &self,
        text: &str,
        range: Range<usize>,
        width: usize,
        is_first_part: bool,
        mut readers: Vec<Option<CellReader>>,
    ) -> Result<CsvPart> {
        let Range { start, end: limit } = range;
        let mut splitter = Splitter::new(text, self.separator, start, limit);
        // The first part collects the rows of the others in the end.
        let most_bytes = if is_first_part { text.len() - start } else { limit - start };
        let mut block = Block::default();
        let mut num_rows = 0;
        loop {
            block.fill(&mut splitter, width)?;
            if block.num_rows() == 0 {
                return Ok(CsvPart { num_rows, readers, end: splitter.position() });
            }
            let is_first = num_rows == 0;
            num_rows += block.num_rows();
            for (column, reader) in readers.iter_mut().enumerate() {
                if let Some(reader) = reader {
                    reader.take(text, &block, column);
                    if is_first {
                        reader.expect(expected_rows(num_rows, splitter.position() - start, most_bytes));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_reveal_their_parity() {
        let text = b"a,\"b c\",d\n\"\",\"e,\nf\",1\n";
        let mut is_within = false;
        for (at, byte) in text.iter().enumerate() {
            if let Some(decided) = is_quoted(text, b',', at) {
                assert_eq!(decided, is_within, "at {at}");
            }
            is_within ^= *byte == b'"';
        }
        assert_eq!(is_quoted(text, b',', 4), Some(true));
        assert_eq!(is_quoted(text, b',', 10), Some(false));
        assert_eq!(is_quoted(b"\"\",\"\"", b',', 1), None);
    }

    #[test]
    fn long_texts_leave_small_parts_for_the_end() {
        for num_threads in [1, 2, 3, 16] {
            for len in [0, 1, 100, 5 * LEAST_BYTES, 1000 * LEAST_BYTES + 17] {
                let starts = starts(len, num_threads);
                let ends = starts.iter().skip(1).copied().chain([len]);
                let sizes: Vec<usize> =
                    starts.iter().zip(ends).map(|(start, end)| end.saturating_sub(*start)).collect();
                assert_eq!(starts[0], 0);
                assert_eq!(sizes.iter().sum::<usize>(), len.max(starts[starts.len() - 1]));
                if num_threads > 1 && len > 100 * LEAST_BYTES {
                    assert_eq!(sizes.len(), num_threads * (1 + SMALL_PARTS));
                    assert!(sizes[0] > 2 * sizes[num_threads], "{sizes:?}");
                    assert!(sizes[num_threads..].iter().all(|size| *size >= LEAST_BYTES), "{sizes:?}");
                }
            }
        }
    }
}
