//! The dialect of a CSV, as far as its sender states it.

use crate::error::{DataError, Result};

/// The dialect of a CSV. By default the separator is detected, numbers have a decimal point, and there is a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvOptions {
    /// `None`: detected among comma, semicolon, tab and `|`.
    pub(crate) separator: Option<u8>,
    has_decimal_comma: bool,
    has_header: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions { separator: None, has_decimal_comma: false, has_header: true }
    }
}

impl CsvOptions {
    /// Parses the options of a request.
    ///
    /// The separator is one ASCII character (or `tab`, `\t`), `decimal` is `.` or `,`; without a `header` the
    /// columns are named `column_1`, `column_2`, …
    ///
    /// Fails for any other value, naming it, and for a separator that is also the decimal sign.
    pub fn new(separator: Option<&str>, decimal: Option<&str>, header: Option<bool>) -> Result<CsvOptions> {
        let separator = separator.map(separator_named).transpose()?;
        let has_decimal_comma = match decimal {
            None | Some(".") => false,
            Some(",") => true,
            Some(other) => {
                return Err(DataError::FormatOption {
                    reason: format!("decimal \"{other}\" is neither \".\" nor \",\""),
                }
                .into());
            }
        };
        if has_decimal_comma && separator == Some(b',') || decimal == Some(".") && separator == Some(b'.') {
            return Err(DataError::FormatOption {
                reason: "the separator and the decimal sign are the same".to_owned(),
            }
            .into());
        }
        Ok(CsvOptions { separator, has_decimal_comma, has_header: header.unwrap_or(true) })
    }

    pub(crate) fn has_decimal_comma(self) -> bool {
        self.has_decimal_comma
    }

    pub(crate) fn has_header(self) -> bool {
        self.has_header
    }
}

fn separator_named(name: &str) -> Result<u8> {
    match name.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0) => Ok(*byte),
        _ => Err(DataError::FormatOption {
            reason: format!(
                "separator \"{}\" is not one ASCII character other than a quote or a line end",
                name.escape_debug()
            ),
        }
        .into()),
    }
}
