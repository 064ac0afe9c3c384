//! Days since 1970-01-01 and the proleptic Gregorian calendar.
//!
//! Invariant: total. Written by hand because every stored number must be printable, also those outside the range of
//! date libraries, and because a day past the end of its month must roll over into the next one.

const DAYS_PER_ERA: i64 = 146_097; // 400 years
const DAYS_FROM_0000_03_01: i64 = 719_468;

/// Converts days since 1970-01-01 to year, month (1–12) and day (1–31).
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days.saturating_add(DAYS_FROM_0000_03_01); // years that end with their leap day
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// Converts a date to days since 1970-01-01. `month` is 1–12. A day past the end of its month rolls over:
/// 2020-02-30 is 2020-03-01.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { i64::from(month) - 3 } else { i64::from(month) + 9 };
    let of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * DAYS_PER_ERA + of_era - DAYS_FROM_0000_03_01
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for days in (-800_000..800_000).step_by(37).chain(-800..800) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        for (days, civil) in
            [(0, (1970, 1, 1)), (18_262, (2020, 1, 1)), (11_016, (2000, 2, 29)), (-719_163, (0, 12, 31))]
        {
            assert_eq!(civil_from_days(days), civil);
        }
        assert_eq!(days_from_civil(2020, 2, 30), days_from_civil(2020, 3, 1));
    }
}
