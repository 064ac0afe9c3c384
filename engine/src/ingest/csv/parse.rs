//! The values of CSV fields: a type is a function from text to value.

use super::super::temporal;

pub(super) fn is_null(text: &str) -> bool {
    // The longest spelling has nine bytes.
    text.len() <= 9
        && matches!(
            text,
            "" | "NA"
                | "N/A"
                | "n/a"
                | "#N/A"
                | "#NA"
                | "NULL"
                | "null"
                | "NaN"
                | "nan"
                | "-NaN"
                | "-nan"
                | "#N/A N/A"
                | "-1.#IND"
                | "-1.#QNAN"
                | "1.#IND"
                | "1.#QNAN"
        )
}

/// Numbers, dates and clock times may stand between blanks; datetimes, bools and texts may not.
fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => text.trim_matches([' ', '\t']),
        _ => text,
    }
}

/// `-1`, `007`, `0x10`; no plus sign.
pub(super) fn integer(text: &str) -> Option<i64> {
    let text = trim(text);
    match text.as_bytes() {
        [b'0', b'x' | b'X', hex @ ..] if hex.iter().all(u8::is_ascii_hexdigit) => {
            i64::from_str_radix(&text[2..], 16).ok()
        }
        [b'+', ..] => None,
        _ => text.parse().ok(),
    }
}

pub(super) fn narrow_integer<T: TryFrom<i64>>(text: &str) -> Option<T> {
    T::try_from(integer(text)?).ok()
}

pub(super) fn unsigned_integer(text: &str) -> Option<u64> {
    narrow_integer(text).or_else(|| trim(text).parse().ok())
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "1" => Some(true),
        "false" | "False" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// `1.`, `.5`, `1e3`, `+2`, `inf`
pub(super) fn float(text: &str) -> Option<f64> {
    // Spelled nulls that read as numbers are all NaN.
    let value: f64 = trim(text).parse().ok()?;
    (!value.is_nan() || !is_null(text)).then_some(value)
}

pub(super) fn date(text: &str) -> Option<i32> {
    temporal::parse(trim(text))?.csv_day()
}

/// `hh:mm` or `hh:mm:ss` as seconds of the day.
pub(super) fn clock(text: &str) -> Option<u32> {
    temporal::seconds_of_day(trim(text))
}

pub(super) fn datetime(text: &str) -> Option<i64> {
    temporal::parse(text)?.csv_ms()
}
