//! What a JSON value says about the type of a new column.
//!
//! Law: a column's type is that of its first value that is not null; texts that read as a number, a bool or a date
//! count as such.

use super::cell::Cell;
use super::temporal;
use crate::schema::Storage;

/// None for null.
pub(super) fn storage_of(cell: &Cell<'_>) -> Option<Storage> {
    Some(match cell {
        Cell::Null => return None,
        Cell::Bool(_) => Storage::Bool,
        Cell::Int(value) => integer_storage(i128::from(*value)),
        Cell::UInt(_) | Cell::Float(_) => Storage::Float64,
        Cell::Text(text) => text_storage(text),
        Cell::Nested(_) | Cell::Stringified(_) => Storage::Utf8,
    })
}

/// JSON integers are 32 bits wide; a bigger one makes a FLOAT, not a wrapped number.
fn integer_storage(value: i128) -> Storage {
    if i32::try_from(value).is_ok() { Storage::Int32 } else { Storage::Float64 }
}

fn text_storage(text: &str) -> Storage {
    if bool_text(text).is_some() {
        Storage::Bool
    } else if let Some(value) = integer_text(text) {
        integer_storage(value)
    } else if float_text(text).is_some() {
        Storage::Float64
    } else if let Some(moment) = temporal::parse(text.trim_start()) {
        moment.inferred_from_json()
    } else {
        Storage::Utf8
    }
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

/// What C's `strtol` reads to the end, in base 10: blanks in front, a sign, digits.
pub(super) fn integer_text(text: &str) -> Option<i128> {
    let text = trim_c_blanks(text);
    let last = *text.as_bytes().last()?;
    // `parse` takes a sign alone for an error and signs, digits and nothing else for a number.
    if last.is_ascii_digit() { text.parse().ok() } else { None }
}

/// What C's `strtod` reads to the end: also `nan`, `inf` and hexadecimal integers.
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
    use super::*;

    #[test]
    fn first_values() {
        #[track_caller]
        fn check(json: &str, expected: Option<Storage>) {
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(storage_of(&Cell::from(value)), expected, "{json}");
        }
        let int = Some(Storage::Int32);
        let float = Some(Storage::Float64);
        let text = Some(Storage::Utf8);
        let cases = [
            ("null", None),
            ("1", int),
            ("2147483647", int),
            ("-2147483648", int),
            ("2147483648", float),
            ("-2147483649", float),
            ("18446744073709551615", float),
            ("1.0", float),
            ("1e3", float),
            ("true", Some(Storage::Bool)),
            (r#""TRUE""#, Some(Storage::Bool)),
            (r#""False""#, Some(Storage::Bool)),
            (r#""12""#, int),
            (r#"" 1""#, int),
            (r#""-3""#, int),
            (r#""+5""#, int),
            (r#""3000000000""#, float),
            (r#""1.5""#, float),
            (r#""1e5""#, float),
            (r#"".5""#, float),
            (r#""nan""#, float),
            (r#""inf""#, float),
            (r#""infinity""#, float),
            (r#""0x10""#, float),
            (r#""""#, text),
            (r#"" ""#, text),
            (r#""-""#, text),
            (r#""1 ""#, text),
            (r#""1.5f""#, text),
            (r#""0xg""#, text),
            (r#""0x""#, text),
            (r#""abc""#, text),
            (r#""20200102""#, int),
            (r#""2020-01-02""#, Some(Storage::Date32)),
            (r#""2020-01-02 03:04""#, Some(Storage::TimestampMs)),
            (r#""03:04:05""#, text),
        ];
        for (json, expected) in cases {
            check(json, expected);
        }
        assert_eq!(float_text("0x10"), Some(16.0));
        assert_eq!(float_text("-0x10"), Some(-16.0));
    }
}
