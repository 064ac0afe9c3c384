//! One text read by several threads.
//!
//! Law: the rows are those of one reader. A cut is a guess (behind a line end that lies outside of quotes, if quotes come
//! in pairs); it was right if the reader before it stops there, for a record's beginning needs no memory of what was
//! before. If a guess was wrong, one reader reads all.

use std::ops::Range;

use super::cells::Reader;
use super::split::{Block, Splitter};
use crate::error::Result;
use crate::parallel::Threads;

/// What one thread read.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) num_rows: usize,
    /// By column; none for columns that nobody reads.
    pub(super) readers: Vec<Option<Reader>>,
    /// Where the next record would begin.
    end: usize,
}

/// Where the rows of each part begin, and the end of the text.
#[derive(Debug)]
pub(super) struct Cut(Vec<usize>);

impl Cut {
    /// Cuts the text from `start` on into as many parts as there are threads.
    pub(super) fn new(text: &str, start: usize, threads: Threads) -> Cut {
        let bytes = text.as_bytes();
        let size = (bytes.len() - start).div_ceil(threads.count()).max(1);
        let guesses: Vec<usize> =
            (0..threads.count()).map(|part| (start + part * size).min(bytes.len())).collect();
        let ranges = guesses.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let quotes = threads.each(ranges, |range: Range<usize>| count_quotes(&bytes[range]));
        let mut borders = vec![start];
        let mut is_quoted = false;
        for (guess, num_quotes) in guesses.into_iter().skip(1).zip(quotes) {
            is_quoted ^= num_quotes % 2 == 1;
            borders.push(line_start(bytes, guess, is_quoted));
        }
        borders.dedup();
        borders.retain(|border| *border == start || *border < bytes.len());
        borders.push(bytes.len());
        Cut(borders)
    }

    /// Reads all rows, of `width` fields each, into the readers that `open` makes for each part.
    pub(super) fn read(
        &self,
        text: &str,
        width: usize,
        open: &(impl Fn() -> Vec<Option<Reader>> + Sync),
    ) -> Result<Vec<Part>> {
        let ranges: Vec<(usize, usize)> = self.0.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let read =
            |(start, limit): (usize, usize)| read_part(text, start, limit, width, start == self.0[0], open());
        let mut parts = Vec::with_capacity(ranges.len());
        for (part, (_, limit)) in
            Threads::new(ranges.len()).each(ranges.clone(), read).into_iter().zip(ranges)
        {
            // An error is the first one in the text, since all before it was read.
            let part = part?;
            if part.end != limit {
                let start = self.0[0];
                return Ok(vec![read_part(text, start, text.len(), width, true, open())?]);
            }
            parts.push(part);
        }
        Ok(parts)
    }
}

fn count_quotes(bytes: &[u8]) -> usize {
    // Short runs summed in bytes, which the compiler turns into vector instructions.
    bytes
        .chunks(128)
        .map(|run| usize::from(run.iter().fold(0_u8, |count, byte| count + u8::from(*byte == b'"'))))
        .sum()
}

/// The first line start behind `from` that is outside of quotes; the end of the text if there is none.
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

/// How many rows `most_bytes` of text may have, if those further on are like the first: a little more than that.
fn expected_rows(num_rows: usize, num_bytes: usize, most_bytes: usize) -> usize {
    const PERCENT: usize = 103;
    // A row has a byte for each column, so this is never much more than eight times the text.
    (most_bytes / num_bytes.max(1)).saturating_mul(num_rows).saturating_mul(PERCENT) / 100
}

fn read_part(
    text: &str,
    start: usize,
    limit: usize,
    width: usize,
    is_first_part: bool,
    mut readers: Vec<Option<Reader>>,
) -> Result<Part> {
    let mut splitter = Splitter::new(text, start, limit);
    // The first part takes the rows of the others when it is done.
    let most_bytes = if is_first_part { text.len() - start } else { limit - start };
    let mut block = Block::default();
    let mut num_rows = 0;
    loop {
        block.fill(&mut splitter, width)?;
        if block.num_rows() == 0 {
            return Ok(Part { num_rows, readers, end: splitter.position() });
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
