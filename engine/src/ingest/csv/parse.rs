//! Parsers of CSV fields: functions from text to value.

use super::super::digits::eight_digits;
use super::super::temporal;
use super::split::FieldText;

pub(super) fn is_null(text: &str) -> bool {
    // The longest null has nine bytes.
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

/// Removes blanks, which may surround numbers, dates and times of day, but not datetimes, bools and texts.
fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => text.trim_matches([' ', '\t']),
        _ => text,
    }
}

/// Parses `-1`, `007`, `0x10`; no plus sign.
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

/// As [`integer`], with a fast path for up to eight digits.
#[inline]
pub(super) fn integer_cell(cell: FieldText<'_>) -> Option<i64> {
    short_integer(cell).or_else(|| integer(cell.text()))
}

#[inline]
fn short_integer(cell: FieldText<'_>) -> Option<i64> {
    let len = cell.len;
    if !(1..=8).contains(&len) {
        return None;
    }
    // Pads with leading zeros to eight digits.
    let missing_bits = 64 - len * 8;
    let zeros = (0x3030_3030_3030_3030_u128 >> (len * 8)) as u64;
    eight_digits(cell.head << missing_bits | zeros).map(i64::from)
}

pub(super) fn narrow_integer<T: TryFrom<i64>>(text: &str) -> Option<T> {
    T::try_from(integer(text)?).ok()
}

pub(super) fn unsigned_integer(text: &str) -> Option<u64> {
    narrow_integer(text).or_else(|| trim(text).parse().ok())
}

#[inline]
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "1" => Some(true),
        "false" | "False" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// Parses `1.`, `.5`, `1e3`, `+2`, `inf`.
pub(super) fn float(text: &str) -> Option<f64> {
    // Nulls that parse as numbers are all NaN.
    let value: f64 = trim(text).parse().ok()?;
    (!value.is_nan() || !is_null(text)).then_some(value)
}

/// As [`float`], with a decimal comma; a point is refused.
pub(super) fn comma_float(text: &str) -> Option<f64> {
    // Longer than any number written out in practice.
    const MOST_BYTES: usize = 400;
    if !text.contains(',') {
        return if text.contains('.') { None } else { float(text) };
    }
    if text.contains('.') || text.len() > MOST_BYTES { None } else { float(&text.replacen(',', ".", 1)) }
}

/// As [`float`], but refuses integers that would be rounded.
pub(super) fn exact_float(text: &str) -> Option<f64> {
    float(text).filter(|value| !is_digits(text) || is_exactly(*value, text))
}

/// Returns whether a text is an integer of any length.
pub(super) fn is_digits(text: &str) -> bool {
    let text = trim(text);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether an integer equals the float exactly.
pub(super) fn is_exactly(value: f64, text: &str) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let text = trim(text);
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.trim_start_matches('0');
    value.abs() < EXACT || value.is_sign_negative() == is_negative && format!("{:.0}", value.abs()) == digits
}

pub(super) fn date(text: &str) -> Option<i32> {
    temporal::parse(trim(text))?.csv_day()
}

pub(super) fn datetime(text: &str) -> Option<i64> {
    temporal::parse(text)?.csv_ms()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn short_integers_are_integers() {
        let mut random = Random::new(1);
        let mut texts = vec![String::new(), "-".into(), "/".into(), ":".into(), "1:".into(), "é".into()];
        for len in 1..=9 {
            for round in 0..50 {
                let digits = format!("{:09}", random.below(1_000_000_000));
                texts.push(digits[..len].into());
                for other in ["-", " ", "/", ":", "a", "\0"] {
                    let at = round % len;
                    texts.push(format!("{}{other}{}", &digits[..at], &digits[at + 1..len]));
                }
            }
            texts.extend(["0", "9"].map(|digit| digit.repeat(len)));
        }
        for text in texts {
            let short = short_integer(FieldText::whole(&text));
            assert!(short.is_none() || short == integer(&text), "{text:?}: {short:?}");
            let is_short = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            assert_eq!(short.is_some(), is_short, "{text:?}");
        }
    }
}
