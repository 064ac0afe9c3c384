//! Infers the type of a new column from a JSON value.
//!
//! Invariant: a column's type is that of its first value that is not null. Quoted values are text whatever they
//! contain, except for dates and datetimes.

use super::cell::JsonCell;
use super::temporal::{self, Moment};
use crate::types::schema::Storage;

/// Returns the type a value suggests; `None` for null.
pub(super) fn storage_of(cell: &JsonCell<'_>) -> Option<Storage> {
    Some(match cell {
        JsonCell::Null => return None,
        JsonCell::Bool(_) => Storage::Bool,
        JsonCell::Int(_) => Storage::Integer,
        JsonCell::UInt(_) | JsonCell::Float(_) | JsonCell::Spelled { .. } => Storage::Float64,
        JsonCell::Text(text) => moment_in(text).map_or(Storage::Utf8, Moment::inferred_from_json),
        JsonCell::Array(_) | JsonCell::Object(_) | JsonCell::Stringified(_) => Storage::Utf8,
    })
}

/// Parses a text of a new column as a date or datetime.
pub(super) fn moment_in(text: &str) -> Option<Moment> {
    // A text of digits only is an identifier.
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { None } else { temporal::parse(text) }
}

pub(super) fn bool_text(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Parses texts that C's `strtol` reads to the end, in base 10: leading blanks, a sign, digits.
pub(super) fn integer_text(text: &str) -> Option<i128> {
    let text = trim_c_blanks(text);
    let last = *text.as_bytes().last()?;
    // `parse` rejects a sign alone, and accepts a sign followed by digits.
    if last.is_ascii_digit() { text.parse().ok() } else { None }
}

/// As [`integer_text`], but also accepts a decimal fraction, which is truncated exactly.
pub(super) fn whole_text(text: &str) -> Option<i128> {
    let Some((whole, fraction)) = text.split_once('.') else { return integer_text(text) };
    if fraction.bytes().all(|byte| byte.is_ascii_digit()) { integer_text(whole) } else { None }
}

/// Parses texts that C's `strtod` reads to the end, including `nan`, `inf` and hexadecimal integers.
pub(super) fn float_text(text: &str) -> Option<f64> {
    let text = trim_c_blanks(text);
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if let Some(hex) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        return if is_hex {
            u64::from_str_radix(hex, 16).ok().map(|value| sign * value as f64)
        } else {
            None
        };
    }
    text.parse().ok()
}

fn trim_c_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeSeed;

    use super::super::cell::CellSeed;
    use super::*;

    #[test]
    fn first_values() {
        #[track_caller]
        fn check(json: &str, expected: Option<Storage>) {
            let mut deserializer = serde_json::Deserializer::from_str(json);
            let cell = CellSeed::<false>.deserialize(&mut deserializer).unwrap();
            assert_eq!(storage_of(&cell), expected, "{json}");
        }
        let int = Some(Storage::Integer);
        let float = Some(Storage::Float64);
        let text = Some(Storage::Utf8);
        let cases = [
            ("null", None),
            ("1", int),
            ("9223372036854775807", int),
            ("-9223372036854775808", int),
            ("1.0", float),
            ("1e3", float),
            ("true", Some(Storage::Bool)),
            (r#""2020-01-02""#, Some(Storage::Date32)),
            (r#""2020-01-02 00:00:00Z""#, Some(Storage::Date32)),
            (r#""2020-01-02 03:04""#, Some(Storage::TimestampMs)),
            (r#""2020-01-02 00:00:00.500""#, Some(Storage::TimestampMs)),
        ];
        for like in
            ["", " ", "TRUE", "false", "12", " 1", "-3", "+5", "1.5", "1e5", "nan", "inf", "0x10", "abc"]
        {
            check(&format!("\"{like}\""), text);
        }
        for like in ["20200102", "03:04", "03:04:05", "2020-02-30", "2020-02-30T01:02:03Z", "1-10", "2020"] {
            check(&format!("\"{like}\""), text);
        }
        for (json, expected) in cases {
            check(json, expected);
        }
        assert_eq!(whole_text("9007199254740993.9"), Some(9_007_199_254_740_993));
        assert_eq!(whole_text("1e3"), None);
        assert_eq!(float_text("0x10"), Some(16.0));
        assert_eq!(float_text("-0x10"), Some(-16.0));
    }
}
