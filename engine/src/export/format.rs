//! The text form of single values in JSON and CSV.
//!
//! Invariant: floats are the shortest digits that parse to the same number; the two formats differ only in when
//! they use an exponent and in how a whole number ends. Cost: every writer appends to one growing text and
//! allocates nothing itself.

use crate::types::calendar::civil_from_days;
use crate::types::scalar::MS_PER_DAY;

/// The format of floats.
#[derive(Clone, Copy)]
struct FloatStyle {
    /// Without exponent below ten to this power.
    positional_below_exponent: i32,
    /// `1.0` instead of `1`.
    whole_ends_in_zero: bool,
    /// `1e+10` instead of `1e10`.
    plus_sign: bool,
}

const JSON: FloatStyle =
    FloatStyle { positional_below_exponent: 21, whole_ends_in_zero: true, plus_sign: false };
const CSV: FloatStyle =
    FloatStyle { positional_below_exponent: 10, whole_ends_in_zero: false, plus_sign: true };

/// Both formats have no exponent down to 0.000001.
const SMALLEST_POSITIONAL_EXPONENT: i32 = -6;

/// Writes a float as JSON. NaN and the infinities are `null`.
pub(crate) fn json_float(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str("null");
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format_finite(value);
    if has_exponent(shortest) {
        DecimalDigits::of(shortest).write(JSON, out);
    } else {
        out.push_str(shortest);
    }
}

/// For so few bytes a loop is faster than a vectorized search.
fn has_exponent(shortest: &str) -> bool {
    shortest.bytes().any(|byte| byte == b'e')
}

pub(super) fn csv_f64(value: f64, out: &mut String) {
    csv_float(value, zmij::Buffer::new().format(value), out);
}

pub(super) fn csv_f32(value: f32, out: &mut String) {
    csv_float(f64::from(value), zmij::Buffer::new().format(value), out);
}

fn csv_float(value: f64, shortest: &str, out: &mut String) {
    if value.is_nan() {
        out.push_str("nan");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "inf" } else { "-inf" });
    } else if has_exponent(shortest) || value.abs() >= 1e10 {
        DecimalDigits::of(shortest).write(CSV, out);
    } else {
        out.push_str(shortest.strip_suffix(".0").unwrap_or(shortest));
    }
}

/// A finite number as `d₁.d₂d₃… × 10^exponent`, digits without leading or trailing zeros.
struct DecimalDigits {
    negative: bool,
    digits: [u8; 24],
    len: usize,
    /// The power of the first digit: 0 for `1.5`, -1 for `0.15`.
    exponent: i32,
}

impl DecimalDigits {
    /// Parses any decimal form, with or without exponent.
    fn of(text: &str) -> DecimalDigits {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
        let power: i32 = power.parse().unwrap_or(0);
        let mut result = DecimalDigits { negative, digits: [0; 24], len: 0, exponent: 0 };
        let (mut before_point, mut seen_point, mut leading_zeros) = (0i32, false, 0i32);
        for byte in mantissa.bytes() {
            if byte == b'.' {
                seen_point = true;
                continue;
            }
            before_point += i32::from(!seen_point);
            if result.len == 0 && byte == b'0' {
                leading_zeros += 1;
            } else if result.len < result.digits.len() {
                result.digits[result.len] = byte;
                result.len += 1;
            }
        }
        while result.len > 0 && result.digits[result.len - 1] == b'0' {
            result.len -= 1;
        }
        result.exponent = before_point - 1 - leading_zeros + power;
        if result.len == 0 {
            result.digits[0] = b'0';
            (result.len, result.exponent) = (1, 0);
        }
        result
    }

    fn write(&self, style: FloatStyle, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        let digit = |position: i32| match usize::try_from(position) {
            Ok(position) if position < self.len => char::from(self.digits[position]),
            _ => '0',
        };
        let len = self.len as i32;
        if (SMALLEST_POSITIONAL_EXPONENT..style.positional_below_exponent).contains(&self.exponent) {
            for position in self.exponent.min(0)..=self.exponent {
                out.push(digit(position));
                if self.exponent < 0 {
                    break;
                }
            }
            if self.exponent + 1 < len {
                out.push('.');
                (self.exponent + 1..len).for_each(|position| out.push(digit(position)));
            } else if style.whole_ends_in_zero {
                out.push_str(".0");
            }
            return;
        }
        out.push(digit(0));
        if len > 1 {
            out.push('.');
            (1..len).for_each(|position| out.push(digit(position)));
        }
        out.push('e');
        if style.plus_sign && self.exponent > 0 {
            out.push('+');
        }
        integer(self.exponent, out);
    }
}

pub(crate) fn integer(value: impl itoa::Integer, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Writes text as JSON, with quotes; escapes only what must be escaped.
pub(crate) fn json_text(text: &str, out: &mut String) {
    out.push('"');
    let mut written = 0;
    for (position, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[written..position]);
        written = position + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x0C => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(control >> 4)]));
                out.push(char::from(HEX[usize::from(control & 15)]));
            }
        }
    }
    out.push_str(&text[written..]);
    out.push('"');
}

/// Writes text as CSV: always quoted, quotes doubled.
pub(super) fn csv_text(text: &str, out: &mut String) {
    out.push('"');
    for (part_index, part) in text.split('"').enumerate() {
        if part_index > 0 {
            out.push_str("\"\"");
        }
        out.push_str(part);
    }
    out.push('"');
}

/// Whether years below 1000 are zero-padded; in JSON dates they are not, everywhere else they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Year {
    Padded,
    Plain,
}

/// Writes `2020-01-31`.
pub(super) fn date(days: i64, year_style: Year, out: &mut String) {
    let (year, month, day) = civil_from_days(days);
    if year_style == Year::Padded {
        if year < 0 {
            out.push('-');
        }
        padded(year.unsigned_abs(), 4, out);
    } else {
        integer(year, out);
    }
    out.push('-');
    padded(u64::from(month), 2, out);
    out.push('-');
    padded(u64::from(day), 2, out);
}

/// Writes `2020-01-31 01:02:03.456`, in UTC.
pub(super) fn datetime(ms: i64, out: &mut String) {
    let (days, of_day) = (ms.div_euclid(MS_PER_DAY), ms.rem_euclid(MS_PER_DAY) as u32);
    // All digits at once: appending byte by byte is slow.
    let mut text = *b"0000-00-00 00:00:00.000";
    let mut put = |at: usize, width: u32, value: u32| {
        (0..width).for_each(|digit| {
            text[at + digit as usize] = b'0' + (value / 10_u32.pow(width - 1 - digit) % 10) as u8;
        });
    };
    put(11, 2, of_day / 3_600_000);
    put(14, 2, of_day / 60_000 % 60);
    put(17, 2, of_day / 1000 % 60);
    put(20, 3, of_day % 1000);
    let mut from = 0;
    match civil_from_days(days) {
        (year @ 0..=9999, month, day) => {
            put(0, 4, year as u32);
            put(5, 2, month);
            put(8, 2, day);
        }
        _ => {
            date(days, Year::Padded, out);
            from = "0000-00-00".len();
        }
    }
    out.push_str(std::str::from_utf8(&text[from..]).expect("digits are text"));
}

fn padded(value: u64, width: u32, out: &mut String) {
    let mut bound = 10u64.pow(width - 1);
    while bound > value && bound > 1 {
        out.push('0');
        bound /= 10;
    }
    integer(value, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn floats() {
        #[track_caller]
        fn check(value: f64, json: &str, csv: &str) {
            assert_eq!(written(|out| json_float(value, out)), json);
            assert_eq!(written(|out| csv_f64(value, out)), csv);
        }
        check(0.0, "0.0", "0");
        check(-0.0, "-0.0", "-0");
        check(1.0, "1.0", "1");
        check(-1.5, "-1.5", "-1.5");
        check(0.1, "0.1", "0.1");
        check(1_000_000.0, "1000000.0", "1000000");
        check(9_999_999_999.0, "9999999999.0", "9999999999");
        check(1e10, "10000000000.0", "1e+10");
        check(12_345_000_000.0, "12345000000.0", "1.2345e+10");
        check(123_456_789_012.5, "123456789012.5", "1.234567890125e+11");
        check(1e20, "100000000000000000000.0", "1e+20");
        check(123e18, "123000000000000000000.0", "1.23e+20");
        check(1e21, "1e21", "1e+21");
        check(0.000001, "0.000001", "0.000001");
        check(0.0000012345, "0.0000012345", "0.0000012345");
        check(1e-7, "1e-7", "1e-7");
        check(-1.5e-7, "-1.5e-7", "-1.5e-7");
        check(f64::MAX, "1.7976931348623157e308", "1.7976931348623157e+308");
        check(5e-324, "5e-324", "5e-324");
        check(f64::NAN, "null", "nan");
        check(f64::INFINITY, "null", "inf");
        check(f64::NEG_INFINITY, "null", "-inf");
    }

    #[test]
    fn every_float_round_trips() {
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let value = f64::from_bits(random.bits());
            if value.is_finite() {
                assert_eq!(written(|out| json_float(value, out)).parse::<f64>(), Ok(value));
                assert_eq!(written(|out| csv_f64(value, out)).parse::<f64>(), Ok(value));
                let single = value as f32;
                if single.is_finite() {
                    assert_eq!(written(|out| csv_f32(single, out)).parse::<f32>(), Ok(single));
                }
            }
        }
    }

    #[test]
    fn single_floats() {
        #[track_caller]
        fn check(value: f32, json: &str, csv: &str) {
            assert_eq!(written(|out| json_float(f64::from(value), out)), json);
            assert_eq!(written(|out| csv_f32(value, out)), csv);
        }
        check(0.1, "0.10000000149011612", "0.1");
        check(1.0 / 3.0, "0.3333333432674408", "0.33333334");
        check(1e10, "10000000000.0", "1e+10");
        check(16_777_216.0, "16777216.0", "16777216");
    }

    #[test]
    fn texts() {
        #[track_caller]
        fn check(text: &str, json: &str, csv: &str) {
            assert_eq!(written(|out| json_text(text, out)), json);
            assert_eq!(written(|out| csv_text(text, out)), csv);
        }
        check("", r#""""#, r#""""#);
        check("a\"b", r#""a\"b""#, r#""a""b""#);
        check("\\/", r#""\\/""#, r#""\/""#);
        check("\u{8}\u{c}\n\r\t", r#""\b\f\n\r\t""#, "\"\u{8}\u{c}\n\r\t\"");
        check("\u{0}\u{1f}\u{7f}", "\"\\u0000\\u001F\u{7f}\"", "\"\u{0}\u{1f}\u{7f}\"");
        check("ü\u{2028}", "\"ü\u{2028}\"", "\"ü\u{2028}\"");
    }

    #[test]
    fn dates_and_datetimes() {
        #[track_caller]
        fn check(days: i64, plain: &str, padded: &str) {
            assert_eq!(written(|out| date(days, Year::Plain, out)), plain);
            assert_eq!(written(|out| date(days, Year::Padded, out)), padded);
        }
        check(0, "1970-01-01", "1970-01-01");
        check(18262, "2020-01-01", "2020-01-01");
        check(11016, "2000-02-29", "2000-02-29");
        check(-1, "1969-12-31", "1969-12-31");
        check(-719_162, "1-01-01", "0001-01-01");
        check(-719_529, "-1-12-31", "-0001-12-31");
        for (ms, text) in [
            (1_577_840_523_456, "2020-01-01 01:02:03.456"),
            (0, "1970-01-01 00:00:00.000"),
            (-1, "1969-12-31 23:59:59.999"),
            (i64::MAX, "292278994-08-17 07:12:55.807"),
        ] {
            assert_eq!(written(|out| datetime(ms, out)), text);
        }
    }
}
