//! The separator of a CSV: given by the sender, or recognised.
//!
//! Invariant: a comma is assumed unless the header contains another separator and the first records, split by it, have
//! as many fields as the header. Only the first records are read, so that anything irregular after them is an error
//! rather than a different reading.

use super::split::{Block, Splitter};
use crate::data::CsvOptions;

/// Returns the given separator, or the one recognised in the text.
pub(super) fn separator_of(options: CsvOptions, text: &str) -> u8 {
    options.separator.unwrap_or_else(|| recognised(text, options.has_decimal_comma()))
}

/// Limits of the sample.
const SAMPLE_RECORDS: usize = 50;
const SAMPLE_BYTES: usize = 64 * 1024;

const OTHERS: [u8; 3] = [b';', b'\t', b'|'];

fn recognised(text: &str, has_decimal_comma: bool) -> u8 {
    let header_end = text.find(['\n', '\r']).unwrap_or(text.len()).min(SAMPLE_BYTES);
    if !text.as_bytes()[..header_end].iter().any(|byte| OTHERS.contains(byte)) {
        return b',';
    }
    let comma = Sample::of(text, b',');
    if comma.is_even() && !has_decimal_comma {
        return b',';
    }
    let others = OTHERS.map(|separator| (Sample::of(text, separator), separator));
    // Among equals, the first.
    let best = |is_good: fn(&Sample) -> bool| {
        let good = others.iter().rev().filter(|(sample, _)| is_good(sample));
        good.max_by_key(|(sample, _)| sample.width).map(|(_, separator)| *separator)
    };
    if let Some(separator) = best(Sample::is_even) {
        return separator;
    }
    if comma.width > 1 && !has_decimal_comma {
        return b',';
    }
    best(Sample::is_mostly_even).unwrap_or(b',')
}

/// The first records, split by one separator.
struct Sample {
    /// Number of fields of the header.
    width: usize,
    num_records: usize,
    /// Number of records with as many fields as the header.
    num_even: usize,
}

impl Sample {
    fn of(text: &str, separator: u8) -> Sample {
        let mut splitter = Splitter::new(text, separator, 0, text.len().min(SAMPLE_BYTES));
        let mut block = Block::default();
        let mut sample = Sample { width: 0, num_records: 0, num_even: 0 };
        while sample.num_records < SAMPLE_RECORDS {
            let is_read = block.fill_one(&mut splitter).is_ok();
            if is_read && block.num_rows() == 0 {
                break;
            }
            let width = if is_read { block.width() } else { 0 };
            if sample.num_records == 0 {
                sample.width = width;
            }
            sample.num_records += 1;
            sample.num_even += usize::from(width == sample.width);
            if !is_read {
                break;
            }
        }
        sample
    }

    fn is_even(&self) -> bool {
        self.width > 1 && self.num_even == self.num_records
    }

    fn is_mostly_even(&self) -> bool {
        self.width > 1 && self.num_even * 2 >= self.num_records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_recognised() {
        for (text, expected) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1;2\n", b';'),
            ("a;b\n1,5;2\n", b';'),
            ("a;b", b';'),
            ("a\tb\n1\t2\n", b'\t'),
            ("a|b\r\n1|2\r\n", b'|'),
            ("\"a;b\";c\n\"x\ny\";2\n", b';'),
            ("a;b|c\n1;2|3\n", b';'),
            ("a;b|c|d\n1;2|3|4\n", b'|'),
            // Other separators within fields.
            ("a;x,b\n1;y,2\n3;z,4\n", b','),
            ("note\na;b\nc;d\n", b','),
            ("v|p\n1\n2\n", b','),
            ("\"a;b\"\n1\n", b','),
            ("a,b;c\n1,2\n", b','),
            // Irregular, which is reported as such.
            ("a;b\n1;2\n3\n4;5\n", b';'),
            ("", b','),
        ] {
            assert_eq!(recognised(text, false) as char, expected as char, "{text:?}");
        }
        assert_eq!(recognised("a,x;b,y\n1,5;2,5\n", true), b';');
    }

    #[test]
    fn given_options_are_checked() {
        for (separator, decimal, wrong) in [
            (Some(""), None, "separator \"\""),
            (Some(";;"), None, "separator \";;\""),
            (Some("\""), None, "separator"),
            (Some("é"), None, "separator \"é\""),
            (None, Some(";"), "decimal \";\""),
            (Some(","), Some(","), "the same"),
        ] {
            let error = CsvOptions::new(separator, decimal, None).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
        for tab in ["tab", "\\t", "\t"] {
            assert_eq!(CsvOptions::new(Some(tab), None, None).unwrap().separator, Some(b'\t'));
        }
    }
}
