//! Values as text in column names and in `join`.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};

use crate::types::scalar::Scalar;

/// Formats a split value as part of a column name.
///
/// Nothing is escaped; floats have six significant digits, as C++ streams print them.
pub(crate) fn path_text(value: &Scalar) -> String {
    match value {
        Scalar::Null => "null".to_owned(),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::UInt(value) => value.to_string(),
        Scalar::Float(value) => float_text(*value),
        Scalar::Str(text) => text.to_string(),
        Scalar::Date(days) => match NaiveDate::from_epoch_days(*days) {
            Some(date) => format!("{}-{:02}-{:02}", date.year(), date.month(), date.day()),
            None => days.to_string(),
        },
        Scalar::Datetime(ms) => match DateTime::UNIX_EPOCH.checked_add_signed(TimeDelta::milliseconds(*ms)) {
            Some(time) => time.format("%Y-%m-%d %H:%M:%S%.3f").to_string(),
            None => ms.to_string(),
        },
    }
}

/// Formats a float as `%g`: six significant digits, no trailing zeros, an exponent below 1e-4 and from 1e6 on.
fn float_text(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "nan"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        }
        .to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let rounded = format!("{value:.5e}");
    let (digits, exponent) = rounded.split_once('e').expect("the e format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        return trim(&format!("{value:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_six_digits() {
        for (value, text) in [
            (1.5, "1.5"),
            (100_000.0, "100000"),
            (1e6, "1e+06"),
            (1e-7, "1e-07"),
            (0.1 + 0.2, "0.3"),
            (1_234_567.0, "1.23457e+06"),
            (-2.0, "-2"),
            (0.0001, "0.0001"),
            (999_999.9, "1e+06"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float_text(value), text);
        }
    }

    #[test]
    fn dates_read_as_days_and_times() {
        assert_eq!(path_text(&Scalar::Date(18_292)), "2020-01-31");
        assert_eq!(path_text(&Scalar::Datetime(1_577_880_000_000)), "2020-01-01 12:00:00.000");
        assert_eq!(path_text(&Scalar::Null), "null");
    }
}
