//! Splits text into records of fields.
//!
//! Invariant: records follow RFC 4180 as the `csv` crate reads it (a test compares them): a quote opens a quoted field
//! only at its start, text after its closing quote is literal, blank lines are skipped, a line ends with LF, CR or
//! both. An unclosed quote is an error.
//!
//! Cost: significant bytes are found 64 at a time; fields are ranges of the text, and only those with doubled quotes
//! are copied.

use super::masks::{Masks, STEP};
use super::whole_fields;
use crate::error::{DataError, DataFormat, Result};

/// Iterates over the records of a text.
#[derive(Debug)]
pub(super) struct Splitter<'t> {
    text: &'t str,
    /// The byte between two fields.
    separator: u8,
    /// Where the next record starts.
    position: usize,
    /// No record starts here or beyond; one that starts before is read to its end.
    limit: usize,
    /// Unread significant bytes among the [`STEP`] from `step_start` on.
    marks: u64,
    step_start: usize,
}

impl<'t> Splitter<'t> {
    /// `start` is the start of a record.
    pub(super) fn new(text: &'t str, separator: u8, start: usize, limit: usize) -> Self {
        let step_start = start - start % STEP;
        let marks = Masks::at(text.as_bytes(), step_start, separator).all() & (u64::MAX << (start % STEP));
        Splitter { text, separator, position: start, limit, marks, step_start }
    }

    /// Continues at `position`, which is the start of a record.
    fn seek(&mut self, position: usize) {
        *self = Splitter::new(self.text, self.separator, position, self.limit);
    }

    /// Where the next record starts.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Returns the position of the next separator, quote or line end; the end of the text if there is none.
    #[inline]
    fn next_mark(&mut self) -> usize {
        while self.marks == 0 {
            self.step_start += STEP;
            if self.step_start >= self.text.len() {
                self.step_start = self.text.len();
                return self.text.len();
            }
            self.marks = Masks::at(self.text.as_bytes(), self.step_start, self.separator).all();
        }
        let at = self.step_start + self.marks.trailing_zeros() as usize;
        self.marks &= self.marks - 1;
        at
    }

    /// Returns whether a record starts before the limit. Skips blank lines.
    fn has_record(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        while self.position < self.limit {
            if !is_line_end(bytes[self.position]) {
                return true;
            }
            self.next_mark();
            self.position += 1;
        }
        false
    }

    /// Advances past the line end at `at`, which has been read.
    fn end_line(&mut self, at: usize) {
        let bytes = self.text.as_bytes();
        self.position = at + 1;
        if bytes.get(at) == Some(&b'\r') && bytes.get(at + 1) == Some(&b'\n') {
            self.next_mark();
            self.position += 1;
        }
        self.position = self.position.min(bytes.len());
    }
}

fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// The range of a field's text.
#[derive(Debug, Clone, Copy)]
struct FieldRange {
    /// Relative to the block's start, or to the copies.
    start: u32,
    len: u32,
    is_copy: bool,
}

/// The text of a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldText<'a> {
    /// The text around it. Slicing checks character boundaries, which most values can do without.
    among: &'a str,
    start: usize,
    pub(super) len: usize,
    /// The first eight bytes, little-endian, padded with zeros.
    pub(super) head: u64,
}

impl<'a> FieldText<'a> {
    pub(super) fn whole(text: &'a str) -> FieldText<'a> {
        FieldText::at(text, 0, text.len())
    }

    /// Returns the `len` bytes at `start` in `text`.
    #[inline(always)]
    fn at(text: &'a str, start: usize, len: usize) -> FieldText<'a> {
        let rest = &text.as_bytes()[start..];
        let head = match rest.first_chunk() {
            // Bytes after the field are masked out.
            Some(word) => u64::from_le_bytes(*word) & low_bytes(len),
            None => rest[..len].iter().rev().fold(0, |head, byte| head << 8 | u64::from(*byte)),
        };
        FieldText { among: text, start, len, head }
    }

    /// Returns whether the field is empty and unquoted.
    #[inline]
    pub(super) fn is_absent(self) -> bool {
        let is_quoted = || self.start > 0 && self.among.as_bytes()[self.start - 1] == b'"';
        self.len == 0 && !is_quoted()
    }

    #[inline]
    pub(super) fn text(self) -> &'a str {
        &self.among[self.start..self.start + self.len]
    }
}

/// Returns a mask of the lowest `len` bytes of a word.
#[inline]
fn low_bytes(len: usize) -> u64 {
    if len < 8 { (1 << (len * 8)) - 1 } else { u64::MAX }
}

/// The fields of one column.
#[derive(Debug)]
pub(super) struct FieldColumn<'a> {
    rows: std::slice::Chunks<'a, FieldRange>,
    text: &'a str,
    copies: &'a str,
}

impl<'a> Iterator for FieldColumn<'a> {
    type Item = FieldText<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<FieldText<'a>> {
        let FieldRange { start, len, is_copy } = self.rows.next()?[0];
        let text = if is_copy { self.copies } else { self.text };
        Some(FieldText::at(text, start as usize, len as usize))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl ExactSizeIterator for FieldColumn<'_> {}

/// A group of records, sized so that they and their parsed values stay in the cache.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Where the first record starts.
    base: usize,
    width: usize,
    num_rows: usize,
    places: Vec<FieldRange>,
    /// Fields that differ from their spelling in the text.
    copies: String,
    /// The position of an unclosed quote.
    unclosed: Option<usize>,
}

/// Number of fields in a block.
const BLOCK_FIELDS: usize = 2 * 1024;

/// Bytes of text in a block, beyond which no further record starts.
const BLOCK_BYTES: usize = 1 << 20;

impl Block {
    pub(super) fn num_rows(&self) -> usize {
        self.num_rows
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Returns the fields of one column. `text` is the text the block was read from.
    #[inline]
    pub(super) fn column<'a>(&'a self, text: &'a str, column: usize) -> FieldColumn<'a> {
        let rows = self.places.get(column..).unwrap_or(&[]).chunks(self.width.max(1));
        FieldColumn { rows, text: &text[self.base..], copies: &self.copies }
    }

    pub(super) fn get<'a>(&'a self, text: &'a str, row: usize, column: usize) -> &'a str {
        self.column(text, column).nth(row).expect("the row is one of the block").text()
    }

    /// Reads the next record, of any width.
    pub(super) fn fill_one(&mut self, splitter: &mut Splitter<'_>) -> Result<()> {
        self.clear(splitter);
        if splitter.has_record() {
            self.width = self.record(splitter, usize::MAX);
            self.check(splitter)?;
            self.num_rows = 1;
        }
        Ok(())
    }

    /// Reads the next records, all of `width` fields; none at the end.
    pub(super) fn fill(&mut self, splitter: &mut Splitter<'_>, width: usize) -> Result<()> {
        self.clear(splitter);
        self.width = width;
        let most_rows = (BLOCK_FIELDS / width.max(1)).max(1);
        self.places.reserve((most_rows + 1) * width);
        let mut is_plain = true;
        while self.num_rows < most_rows && splitter.position - self.base < BLOCK_BYTES {
            // Once the fast path fails, it is likely to fail again.
            is_plain = is_plain && self.fill_plain(splitter, most_rows);
            if is_plain && (self.num_rows == most_rows || splitter.position - self.base >= BLOCK_BYTES) {
                break;
            }
            if !splitter.has_record() {
                break;
            }
            let start = splitter.position;
            let found = self.record(splitter, width);
            self.check(splitter)?;
            if found != width {
                return Err(DataError::CsvWidth {
                    expected: width,
                    found,
                    text: shown_row(&splitter.text[start..]).to_string(),
                    line: line_number(splitter.text, start),
                }
                .into());
            }
            self.num_rows += 1;
        }
        Ok(())
    }

    /// Reads records by the fast path of [`whole_fields`]; returns whether there were any.
    fn fill_plain(&mut self, splitter: &mut Splitter<'_>, most_rows: usize) -> bool {
        let limit = splitter.limit.min(self.base + BLOCK_BYTES);
        let (base, places) = (self.base, &mut self.places);
        let found = whole_fields::read(
            splitter.text.as_bytes(),
            splitter.separator,
            splitter.position,
            limit,
            self.width,
            most_rows - self.num_rows,
            |start, end| places.push(place(start - base, end - start, false)),
        );
        self.num_rows += found.num_rows;
        self.places.truncate(self.num_rows * self.width);
        if found.num_rows > 0 {
            splitter.seek(found.position);
        }
        found.num_rows > 0
    }

    fn clear(&mut self, splitter: &Splitter<'_>) {
        self.base = splitter.position;
        self.num_rows = 0;
        self.places.clear();
        self.copies.clear();
        self.unclosed = None;
    }

    /// Reads one record, stores at most `most` of its fields, and returns their number.
    #[inline]
    fn record(&mut self, splitter: &mut Splitter<'_>, most: usize) -> usize {
        let bytes = splitter.text.as_bytes();
        let mut num_fields = 0;
        let mut start = splitter.position;
        loop {
            let (place, end) = if bytes.get(start) == Some(&b'"') {
                self.quoted(splitter, start)
            } else {
                let end = plain_end(splitter, bytes);
                (self.place(start, end), end)
            };
            if num_fields < most {
                self.places.push(place);
            }
            num_fields += 1;
            if bytes.get(end) != Some(&splitter.separator) {
                splitter.end_line(end);
                return num_fields;
            }
            start = end + 1;
        }
    }

    /// Reads a field that starts with the quote at `start`; returns its range and its end.
    #[inline]
    fn quoted(&mut self, splitter: &mut Splitter<'_>, start: usize) -> (FieldRange, usize) {
        let bytes = splitter.text.as_bytes();
        splitter.next_mark();
        let mut from = start + 1;
        let copied_before = self.copies.len();
        loop {
            let mark = splitter.next_mark();
            match bytes.get(mark) {
                Some(b'"') => {}
                Some(_) => continue,
                None => {
                    self.unclosed = Some(start);
                    break (self.copied(splitter, from, mark, copied_before), mark);
                }
            }
            match bytes.get(mark + 1) {
                Some(b'"') => {
                    splitter.next_mark();
                    self.copies.push_str(&splitter.text[from..=mark]);
                    from = mark + 2;
                }
                None | Some(b'\n' | b'\r') => {
                    let end = splitter.next_mark();
                    break (self.copied(splitter, from, mark, copied_before), end);
                }
                Some(byte) if *byte == splitter.separator => {
                    let end = splitter.next_mark();
                    break (self.copied(splitter, from, mark, copied_before), end);
                }
                Some(_) => {
                    self.copies.push_str(&splitter.text[from..mark]);
                    let end = plain_end(splitter, bytes);
                    self.copies.push_str(&splitter.text[mark + 1..end]);
                    from = end;
                    break (self.copied(splitter, from, end, copied_before), end);
                }
            }
        }
    }

    /// Returns the range of a field that ends with `from..to`, appended to the part of it that was copied.
    #[inline]
    fn copied(&mut self, splitter: &Splitter<'_>, from: usize, to: usize, before: usize) -> FieldRange {
        if self.copies.len() == before {
            return self.place(from, to);
        }
        self.copies.push_str(&splitter.text[from..to]);
        place(before, self.copies.len() - before, true)
    }

    #[inline]
    fn place(&self, from: usize, to: usize) -> FieldRange {
        place(from - self.base, to - from, false)
    }

    /// Reports an unclosed quote, or ranges that were truncated to 32 bits.
    fn check(&self, splitter: &Splitter<'_>) -> Result<()> {
        if let Some(at) = self.unclosed {
            return Err(DataError::CsvOpenQuote {
                line: line_number(splitter.text, at),
                text: shown_row(&splitter.text[at..]).to_string(),
            }
            .into());
        }
        match u32::try_from(splitter.position - self.base) {
            Ok(_) => Ok(()),
            Err(_) => Err(DataError::Malformed {
                format: DataFormat::Csv,
                reason: "more than 4 GiB of text in one row".to_owned(),
            }
            .into()),
        }
    }
}

#[inline]
fn place(start: usize, len: usize, is_copy: bool) -> FieldRange {
    FieldRange { start: start as u32, len: len as u32, is_copy }
}

/// Returns the end of a field in which quotes are literal.
#[inline]
fn plain_end(splitter: &mut Splitter<'_>, bytes: &[u8]) -> usize {
    loop {
        let mark = splitter.next_mark();
        if bytes.get(mark) != Some(&b'"') {
            return mark;
        }
    }
}

/// Returns the line of the byte at `at`, counted from 1.
fn line_number(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at];
    let is_end = |(place, byte): &(usize, &u8)| match **byte {
        b'\n' => true,
        b'\r' => before.get(place + 1) != Some(&b'\n'),
        _ => false,
    };
    before.iter().enumerate().filter(is_end).count() + 1
}

/// Returns the first line of a text for an error message, truncated.
fn shown_row(text: &str) -> &str {
    const MAX_SHOWN: usize = 200;
    let line = text.lines().next().unwrap_or("");
    match line.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => &line[..end],
        None => line,
    }
}
