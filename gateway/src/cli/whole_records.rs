//! Cuts a growing CSV or NDJSON text into whole records.
//!
//! Invariant: a line break within quotes of a CSV ends no record; quotes stand around whole fields, as for the reader. Each
//! piece of a CSV has the header of its text. Up to [`NUMBERED_LINES`] blank lines stand for those before the piece, so that
//! errors name the lines of the text.
//!
//! Cost: each byte is looked at once; what is held is a record that is not complete, bounded by [`MAX_RECORD_BYTES`].

/// A record that is longer is given to the reader as it is: a quote that is not closed is then named with its line.
const MAX_RECORD_BYTES: usize = 64 << 20;

/// How many lines may be before a piece for its own to be numbered.
pub(super) const NUMBERED_LINES: usize = 1 << 20;

/// Where a text is within its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// A quote opens a quoted field here.
    #[default]
    FieldStart,
    Field,
    Quoted,
    /// After a quote in a quoted field: the field's end, or the first of two that stand for one.
    QuoteInQuoted,
}

/// Finds the line breaks that end records.
#[derive(Debug, Clone, Copy, Default)]
struct RecordEnds {
    /// Whether quotes mean something.
    is_csv: bool,
    /// A separator that is none of the usual ones.
    separator: Option<u8>,
    place: Place,
}

impl RecordEnds {
    /// Whether a record ends after this byte, the next one of the text.
    fn ends_after(&mut self, byte: u8) -> bool {
        self.place = match (self.place, byte) {
            (Place::Quoted, b'"') => Place::QuoteInQuoted,
            (Place::Quoted, _) => Place::Quoted,
            (Place::QuoteInQuoted, b'"') => Place::Quoted,
            (Place::FieldStart, b'"') if self.is_csv => Place::Quoted,
            (_, b'\n' | b'\r' | b',' | b';' | b'\t' | b'|') => Place::FieldStart,
            (_, byte) if Some(byte) == self.separator => Place::FieldStart,
            _ => Place::Field,
        };
        byte == b'\n' && self.place != Place::Quoted
    }
}

/// Cuts a growing text into whole records, each piece with the header of its CSV.
#[derive(Debug)]
pub(super) struct WholeRecords {
    is_csv: bool,
    has_header: bool,
    separator: Option<u8>,
    /// The header's line with its end; empty until it is complete.
    header: Vec<u8>,
    /// What came after the last whole record.
    rest: Vec<u8>,
    /// How much of `rest` was looked at, and where that ended.
    scanned: usize,
    ends: RecordEnds,
    /// The line that `rest` begins with, from 1.
    line: usize,
}

impl WholeRecords {
    /// Begins a text: that of a CSV has perhaps a header, and a separator that is none of the usual ones; the rest is
    /// lines of JSON.
    pub(super) fn new(is_csv: bool, has_header: bool, separator: Option<u8>) -> WholeRecords {
        WholeRecords {
            is_csv,
            has_header: is_csv && has_header,
            separator,
            header: Vec::new(),
            rest: Vec::new(),
            scanned: 0,
            ends: RecordEnds { is_csv, separator, place: Place::FieldStart },
            line: 1,
        }
    }

    /// Adds bytes. Returns the records that are whole now, and the line of the first; empty if there is none.
    pub(super) fn push(&mut self, bytes: &[u8]) -> (usize, Vec<u8>) {
        self.rest.extend_from_slice(bytes);
        let whole = self.whole_records();
        self.take(whole)
    }

    /// Ends the text: what is left is a record. What comes next is the start of another text.
    pub(super) fn restart(&mut self) -> (usize, Vec<u8>) {
        let left = self.take(self.rest.len());
        *self = WholeRecords::new(self.is_csv, self.has_header, self.separator);
        left
    }

    /// The length of the whole records in `rest`.
    fn whole_records(&mut self) -> usize {
        let mut end = 0;
        for (at, byte) in self.rest.iter().enumerate().skip(self.scanned) {
            if self.ends.ends_after(*byte) {
                end = at + 1;
            }
        }
        self.scanned = self.rest.len();
        if self.rest.len() - end > MAX_RECORD_BYTES { self.rest.len() } else { end }
    }

    fn take(&mut self, len: usize) -> (usize, Vec<u8>) {
        let mut records: Vec<u8> = self.rest.drain(..len).collect();
        self.scanned = self.rest.len();
        let first_line = self.line;
        self.line += num_lines(&records);
        if is_blank(&records) {
            return (first_line, Vec::new());
        }
        if self.has_header && self.header.is_empty() {
            // The header's names may have line breaks within quotes, too.
            let len = self.first_record(&records);
            self.header = records[..len].to_vec();
            if is_blank(&records[len..]) {
                // A header alone would make a table of texts.
                return (first_line, Vec::new());
            }
        } else {
            let before = first_line - 1;
            let blank = if before > NUMBERED_LINES { 0 } else { before - num_lines(&self.header) };
            let blank_lines = std::iter::repeat_n(b'\n', blank);
            records.splice(0..0, self.header.iter().copied().chain(blank_lines));
        }
        (first_line, records)
    }

    /// The length of the first record, after blank lines.
    fn first_record(&self, text: &[u8]) -> usize {
        let mut ends =
            RecordEnds { is_csv: self.is_csv, separator: self.separator, place: Place::FieldStart };
        let start = text.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
        let end = text[start..].iter().position(|byte| ends.ends_after(*byte));
        end.map_or(text.len(), |end| start + end + 1)
    }
}

fn num_lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b'\n' | b'\r' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(records: (usize, Vec<u8>)) -> (usize, String) {
        (records.0, String::from_utf8(records.1).unwrap())
    }

    #[test]
    fn whole_records_come_once_and_with_their_header() {
        let mut records = WholeRecords::new(true, true, None);
        let mut push = |bytes: &str| text(records.push(bytes.as_bytes()));
        assert_eq!(push("id,na"), (1, String::new()));
        assert_eq!(push("me\n"), (1, String::new()), "types come with the first record");
        assert_eq!(push("1,ann\n2,b"), (2, "id,name\n1,ann\n".to_owned()));
        assert_eq!(push("en\n3,\"two\nli"), (3, "id,name\n\n2,ben\n".to_owned()));
        assert_eq!(push("nes\"\n"), (4, "id,name\n\n\n3,\"two\nlines\"\n".to_owned()));
        assert_eq!(push("4,dan"), (6, String::new()));
        assert_eq!(text(records.restart()), (6, "id,name\n\n\n\n\n4,dan".to_owned()));
        assert_eq!(
            text(records.push(b"id\n7\n")),
            (1, "id\n7\n".to_owned()),
            "another file has its own header"
        );
    }

    #[test]
    fn objects_and_csv_without_a_header_are_lines() {
        let mut records = WholeRecords::new(false, true, None);
        assert_eq!(text(records.push(b"{\"a\":\"\\\"\"}\n{\"a\"")), (1, "{\"a\":\"\\\"\"}\n".to_owned()));
        assert_eq!(text(records.push(b":2}\n\n")), (2, "\n{\"a\":2}\n\n".to_owned()));
        let mut records = WholeRecords::new(true, false, None);
        assert_eq!(text(records.push(b"1,2\n3,")), (1, "1,2\n".to_owned()));
        assert_eq!(text(records.push(b"4\n")), (2, "\n3,4\n".to_owned()));
    }

    #[test]
    fn quotes_within_a_field_are_letters() {
        let mut records = WholeRecords::new(true, true, None);
        let whole = "size\n5\" pipe\n\"a \"\"b\"\" c\"\n";
        assert_eq!(text(records.push(whole.as_bytes())), (1, whole.to_owned()));
    }
}
