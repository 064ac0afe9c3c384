//! Parses dates and datetimes in common spellings.
//!
//! Invariant: a text without a zone is UTC, regardless of the system's zone; offsets are applied; fractions beyond a
//! millisecond are truncated. Which spellings are accepted depends on the caller (CSV inference, JSON inference, a DATE
//! column, a DATETIME column), so a text is parsed once into a shape, which each caller inspects.

use super::digits::eight_digits;
use crate::types::calendar::days_from_civil;
use crate::types::scalar::MS_PER_DAY;
use crate::types::schema::Storage;

/// How a moment is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MomentShape {
    /// `2020-01-02`
    IsoDay,
    /// `2020-1-2`, `2020/01/02`, `2020 01 02`
    LooseDay,
    /// `01-02-2020`, `1/2/2020`
    MonthFirstDay,
    /// `02 01 2020`
    DayFirstDay,
    /// `20200102`
    CompactDay,
    /// `2020-01-02T03:04:05.678`, optionally without seconds or minutes, or with `Z`
    IsoClock,
    /// As above with `+05:00`
    IsoOffset,
    /// `2020/01/02 03:04`, `1/2/2020 03:04:05`
    LooseClock,
    /// `1/2/2020, 3:04:05 PM`
    TwelveHour,
}

/// A text parsed as a date or datetime.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    shape: MomentShape,
    ms: i64,
    /// The second is 60, and carries into the next minute.
    has_leap_second: bool,
}

impl Moment {
    /// Returns the type of a new column of JSON texts. A moment at midnight is a date.
    pub(super) fn inferred_from_json(self) -> Storage {
        let is_midnight = self.ms.rem_euclid(MS_PER_DAY) == 0;
        if self.is_day() && is_midnight { Storage::Date32 } else { Storage::TimestampMs }
    }

    /// Returns days since 1970, for a DATE column filled from JSON; `None` for spellings that only a DATETIME column
    /// accepts.
    pub(super) fn day(self) -> Option<i32> {
        self.is_day().then(|| self.utc_day())
    }

    fn utc_day(self) -> i32 {
        // Years have four digits, so the day fits.
        self.ms.div_euclid(MS_PER_DAY) as i32
    }

    pub(super) fn ms(self) -> i64 {
        self.ms
    }

    /// Returns a DATE in CSV, which must be spelled `YYYY-MM-DD`.
    pub(super) fn csv_day(self) -> Option<i32> {
        (self.shape == MomentShape::IsoDay).then(|| self.utc_day())
    }

    /// Returns a DATETIME in CSV; dates are widened.
    pub(super) fn csv_ms(self) -> Option<i64> {
        let is_known = match self.shape {
            MomentShape::IsoDay
            | MomentShape::MonthFirstDay
            | MomentShape::DayFirstDay
            | MomentShape::IsoClock
            | MomentShape::IsoOffset
            | MomentShape::TwelveHour => true,
            MomentShape::LooseDay | MomentShape::CompactDay | MomentShape::LooseClock => false,
        };
        (is_known && !self.has_leap_second).then_some(self.ms)
    }

    fn is_day(self) -> bool {
        match self.shape {
            MomentShape::IsoDay
            | MomentShape::LooseDay
            | MomentShape::MonthFirstDay
            | MomentShape::CompactDay
            | MomentShape::IsoClock
            | MomentShape::LooseClock => true,
            MomentShape::DayFirstDay | MomentShape::IsoOffset | MomentShape::TwelveHour => false,
        }
    }
}

/// Parses a whole text; `None` if it is not a date.
pub(super) fn parse(text: &str) -> Option<Moment> {
    parse_iso(text.as_bytes()).or_else(|| parse_any(text))
}

/// Fast path for the most common spellings, at fixed positions: `2020-01-02` or `2020-01-02 03:04:05.678`. `None` does
/// not mean that the text is not a date.
#[inline]
fn parse_iso(text: &[u8]) -> Option<Moment> {
    let (year_month, rest) = text.split_first_chunk::<8>()?;
    let (day, rest) = rest.split_first_chunk::<2>()?;
    if year_month[4] != b'-' || year_month[7] != b'-' {
        return None;
    }
    let word = u64::from_le_bytes(*year_month);
    let day = u64::from(u16::from_le_bytes(*day));
    let number = eight_digits(word & 0xffff_ffff | (word >> 40 & 0xffff) << 32 | day << 48)?;
    let date = Date { year: number / 10_000, month: number / 100 % 100, day: number % 100 };
    let Some((separator, clock)) = rest.split_first() else { return date.at(0, MomentShape::IsoDay) };
    let (clock, fraction) = clock.split_first_chunk::<8>()?;
    if !matches!(separator, b' ' | b'T') || clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    // Hour, minute, second and two zeros.
    const ZEROS: u64 = 0x3030 << 48;
    let word = u64::from_le_bytes(*clock);
    let number = eight_digits(word & 0xffff | (word >> 24 & 0xffff) << 16 | word >> 48 << 32 | ZEROS)?;
    let (hour, minute, second) = (number / 1_000_000, number / 10_000 % 100, number / 100 % 100);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let ms = match fraction {
        [] => 0,
        [b'.', tenth, hundredth, thousandth] => {
            let digits = [*tenth, *hundredth, *thousandth].map(|digit| u32::from(digit.wrapping_sub(b'0')));
            if digits[0] > 9 || digits[1] > 9 || digits[2] > 9 {
                return None;
            }
            digits[0] * 100 + digits[1] * 10 + digits[2]
        }
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => {
            let digit = |at: usize| digits.get(at).map_or(0, |digit| u32::from(digit - b'0'));
            digit(0) * 100 + digit(1) * 10 + digit(2)
        }
        _ => return None,
    };
    date.at(i64::from((hour * 3600 + minute * 60 + second) * 1000 + ms), MomentShape::IsoClock)
}

fn parse_any(text: &str) -> Option<Moment> {
    let mut scan = Scan { rest: text.as_bytes() };
    let first = scan.digits(1, 8)?;
    match (first.len, scan.rest.first()) {
        (8, None) => {
            let date =
                Date { year: first.value / 10_000, month: first.value / 100 % 100, day: first.value % 100 };
            date.at(0, MomentShape::CompactDay)
        }
        (4, Some(&separator @ (b'-' | b'/' | b' '))) => year_first(first, separator, scan),
        (1 | 2, Some(&separator @ (b'-' | b'/' | b' '))) => year_last(first, separator, scan),
        _ => None,
    }
}

fn year_first(year: DigitRun, separator: u8, mut scan: Scan<'_>) -> Option<Moment> {
    scan.skip(separator)?;
    let month = scan.digits(1, 2)?;
    scan.skip(separator)?;
    let day = scan.digits(1, 2)?;
    let is_iso = separator == b'-' && month.len == 2 && day.len == 2;
    let date = Date { year: year.value, month: month.value, day: day.value };
    if scan.rest.is_empty() {
        return date.at(0, if is_iso { MomentShape::IsoDay } else { MomentShape::LooseDay });
    }
    if separator == b' ' {
        return None;
    }
    match scan.take()? {
        b'T' | b't' | b' ' => {}
        _ => return None,
    }
    let clock = scan.clock()?;
    let is_iso = is_iso && clock.is_padded;
    match scan.rest {
        [] => date.at(clock.ms, if is_iso { MomentShape::IsoClock } else { MomentShape::LooseClock }),
        [b'Z'] if is_iso => date.at(clock.ms, MomentShape::IsoClock),
        [b'+' | b'-', ..] if is_iso => {
            let offset_ms = scan.offset()?;
            date.at(clock.ms - offset_ms, MomentShape::IsoOffset)
        }
        _ => None,
    }
    .map(|moment| clock.mark(moment))
}

fn year_last(first: DigitRun, separator: u8, mut scan: Scan<'_>) -> Option<Moment> {
    scan.skip(separator)?;
    let second = scan.digits(1, 2)?;
    scan.skip(separator)?;
    let year = scan.digits(4, 4)?;
    let (month, day) = if separator == b' ' { (second, first) } else { (first, second) };
    let date = Date { year: year.value, month: month.value, day: day.value };
    match (separator, scan.rest) {
        (b' ', []) => date.at(0, MomentShape::DayFirstDay),
        (b' ', _) => None,
        (_, []) => date.at(0, MomentShape::MonthFirstDay),
        (_, [b',', b' ', clock @ ..]) => {
            scan.rest = clock;
            let clock_ms = scan.twelve_hour_clock()?;
            date.at(clock_ms, MomentShape::TwelveHour)
        }
        (_, [b' ', clock @ ..]) => {
            scan.rest = clock;
            let clock = scan.clock()?;
            if scan.rest.is_empty() { date.at(clock.ms, MomentShape::LooseClock) } else { None }
        }
        _ => None,
    }
}

struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Date {
    #[inline]
    fn at(&self, ms_of_day: i64, shape: MomentShape) -> Option<Moment> {
        if !(1..=12).contains(&self.month) || !(1..=31).contains(&self.day) {
            return None;
        }
        let days = days_from_civil(i64::from(self.year), self.month, self.day);
        let is_past_its_month =
            self.day > 28 && crate::types::calendar::civil_from_days(days).1 != self.month;
        let ms = days * MS_PER_DAY + ms_of_day;
        (!is_past_its_month).then_some(Moment { shape, ms, has_leap_second: false })
    }
}

#[derive(Clone, Copy)]
struct DigitRun {
    value: u32,
    len: usize,
}

struct Clock {
    ms: i64,
    is_padded: bool,
    is_leap: bool,
}

impl Clock {
    fn mark(&self, moment: Moment) -> Moment {
        Moment { has_leap_second: self.is_leap, ..moment }
    }
}

struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    fn take(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn skip(&mut self, wanted: u8) -> Option<()> {
        (self.take()? == wanted).then_some(())
    }

    /// Parses a run of digits; `None` if it is shorter than `min` or longer than `max` (at most 9).
    fn digits(&mut self, min: usize, max: usize) -> Option<DigitRun> {
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len < min || len > max {
            return None;
        }
        let value = self.rest[..len].iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
        self.rest = &self.rest[len..];
        Some(DigitRun { value, len })
    }

    fn part(&mut self, max_value: u32) -> Option<DigitRun> {
        self.digits(1, 2).filter(|part| part.value <= max_value)
    }

    fn next_is(&self, wanted: u8) -> bool {
        self.rest.first() == Some(&wanted)
    }

    /// `3`, `03:04`, `03:04:05`, `03:04:05.678901`
    fn clock(&mut self) -> Option<Clock> {
        let hour = self.part(23)?;
        let mut clock =
            Clock { ms: i64::from(hour.value) * 3_600_000, is_padded: hour.len == 2, is_leap: false };
        if !self.next_is(b':') {
            return Some(clock);
        }
        self.skip(b':')?;
        let minute = self.part(59)?;
        clock.ms += i64::from(minute.value) * 60_000;
        clock.is_padded &= minute.len == 2;
        if !self.next_is(b':') {
            return Some(clock);
        }
        self.skip(b':')?;
        let second = self.part(60)?;
        clock.is_leap = second.value == 60;
        clock.ms += i64::from(second.value) * 1000;
        clock.is_padded &= second.len == 2;
        if self.next_is(b'.') {
            self.skip(b'.')?;
            clock.ms += self.fraction()?;
        }
        Some(clock)
    }

    /// Parses at least one digit of a fraction, truncated to milliseconds.
    fn fraction(&mut self) -> Option<i64> {
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digit = |position: usize| if position < len { i64::from(self.rest[position] - b'0') } else { 0 };
        let ms = digit(0) * 100 + digit(1) * 10 + digit(2);
        self.rest = &self.rest[len..];
        (len > 0).then_some(ms)
    }

    /// Parses `+05:00`, `-0530` or `+05` up to the end of the text, in milliseconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = if self.take()? == b'-' { -1 } else { 1 };
        let (hours, minutes) = match self.rest {
            [_, _] => (self.digits(2, 2)?.value, 0),
            [_, _, b':', _, _] => {
                let hours = self.digits(2, 2)?.value;
                self.skip(b':')?;
                (hours, self.digits(2, 2)?.value)
            }
            [_, _, _, _] => {
                let both = self.digits(4, 4)?.value;
                (both / 100, both % 100)
            }
            _ => return None,
        };
        (hours <= 23 && minutes <= 59).then(|| sign * i64::from(hours * 60 + minutes) * 60_000)
    }

    /// Parses `3:04:05 PM` up to the end of the text.
    fn twelve_hour_clock(&mut self) -> Option<i64> {
        let hour = self.part(23)?.value;
        self.skip(b':')?;
        let minute = self.part(59)?.value;
        self.skip(b':')?;
        let second = self.part(60)?.value;
        let hour = match self.rest {
            [b' ', b'P' | b'p', b'M' | b'm'] if hour < 12 => hour + 12,
            [b' ', b'P' | b'p', b'M' | b'm'] => hour,
            [b' ', b'A' | b'a', b'M' | b'm'] => hour % 12,
            _ => return None,
        };
        Some(i64::from(hour * 3600 + minute * 60 + second) * 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: i64 = 1_577_923_200_000; // 2020-01-02
    const HOUR: i64 = 3_600_000;

    /// Letters: d DATE, t DATETIME, `-` neither. The last two arguments are the values in existing columns.
    #[track_caller]
    fn check(text: &str, csv: char, json: char, datetime: Option<i64>, date: Option<i64>) {
        let moment = parse(text);
        let shown = |moment: Moment| (moment.shape, moment.ms, moment.has_leap_second);
        assert_eq!(moment.map(shown), parse_any(text).map(shown), "{text}: whichever way it is read");
        let csv_letter = match moment {
            Some(moment) if moment.csv_day().is_some() => 'd',
            Some(moment) if moment.csv_ms().is_some() => 't',
            _ => '-',
        };
        let json_letter = match moment.map(Moment::inferred_from_json) {
            Some(Storage::Date32) => 'd',
            Some(_) => 't',
            None => '-',
        };
        assert_eq!((csv_letter, json_letter), (csv, json), "{text}: types");
        assert_eq!(moment.map(Moment::ms), datetime, "{text}: as DATETIME");
        let day = moment.and_then(Moment::day).map(|day| i64::from(day) * MS_PER_DAY);
        assert_eq!(day, date, "{text}: as DATE");
    }

    #[test]
    fn one_wrong_character_is_read_like_any_text() {
        for text in ["2020-01-02", "2020-02-30T23:59:59", "2020-12-31 03:04:05.678"] {
            for at in 0..text.len() {
                for other in ["", "0", "9", "/", ":", "-", ".", " ", "T", "é", "\0", "55"] {
                    let text = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                    let shown = |moment: Moment| (moment.shape, moment.ms, moment.has_leap_second);
                    assert_eq!(parse(&text).map(shown), parse_any(&text).map(shown), "{text}");
                }
            }
        }
    }

    #[test]
    fn spellings() {
        let midnight = Some(MIDNIGHT);
        let clock = MIDNIGHT + 3 * HOUR + 4 * 60_000 + 5000;
        check("2020-01-02", 'd', 'd', midnight, midnight);
        for text in ["2020-1-2", "2020/01/02", "2020 01 02", "20200102"] {
            check(text, '-', 'd', midnight, midnight);
        }
        for text in ["01-02-2020", "01/02/2020", "1/2/2020"] {
            check(text, 't', 'd', midnight, midnight);
        }
        check("02 01 2020", 't', 't', midnight, None);
        for text in ["2020-01-02T03:04:05", "2020-01-02 03:04:05", "2020-01-02t03:04:05"] {
            check(text, 't', 't', Some(clock), midnight);
        }
        check("2020-01-02T03:04:05Z", 't', 't', Some(clock), midnight);
        for (fraction, ms) in
            [(".1", 100), (".12", 120), (".123", 123), (".123456", 123), (".123456789", 123)]
        {
            for zulu in ["", "Z"] {
                let text = format!("2020-01-02 03:04:05{fraction}{zulu}");
                check(&text, 't', 't', Some(clock + ms), midnight);
            }
        }
        for (offset, hours_east) in [("+05:00", 5), ("-05:00", -5), ("+0500", 5), ("+05", 5)] {
            for (fraction, ms) in [("", 0), (".5", 500)] {
                let text = format!("2020-01-02T03:04:05{fraction}{offset}");
                check(&text, 't', 't', Some(clock + ms - hours_east * HOUR), None);
            }
        }
        for text in ["2020-01-02 03:04", "2020-01-02T03:04"] {
            check(text, 't', 't', Some(clock - 5000), midnight);
        }
        for text in ["2020-01-02 03", "2020-01-02T03"] {
            check(text, 't', 't', Some(MIDNIGHT + 3 * HOUR), midnight);
        }
        for text in ["2020/01/02 03:04:05", "01/02/2020 03:04:05", "01-02-2020 03:04:05", "2020-1-2 3:4:5"] {
            check(text, '-', 't', Some(clock), midnight);
        }
        for text in ["2020/01/02 03:04", "01/02/2020 03:04"] {
            check(text, '-', 't', Some(clock - 5000), midnight);
        }
        for text in ["01/02/2020, 03:04:05 PM", "1/2/2020, 3:04:05 pm"] {
            check(text, 't', 't', Some(clock + 12 * HOUR), None);
        }
        check("1/2/2020, 12:04:05 AM", 't', 't', Some(clock - 3 * HOUR), None);
        check("2020-01-02T00:00:00", 't', 'd', midnight, midnight);
        check("2020-01-02T00:00:00.500Z", 't', 't', Some(MIDNIGHT + 500), midnight);
        check("2020-02-29", 'd', 'd', Some(MIDNIGHT + 58 * MS_PER_DAY), Some(MIDNIGHT + 58 * MS_PER_DAY));
        check("2020-01-02T03:04:60", '-', 't', Some(clock + 55_000), midnight);
        check("1969-12-31T23:59:59.999", 't', 't', Some(-1), Some(-MS_PER_DAY));
        check("0001-01-01", 'd', 'd', Some(-62_135_596_800_000), Some(-62_135_596_800_000));
    }

    #[test]
    fn no_dates() {
        for text in [
            "",
            "2020",
            "2020-01",
            "01/02/20",
            "03:04:05",
            "1577934245000",
            "01/02/2020 03:04:05 PM",
            "Jan 2, 2020",
            "2020-13-01",
            "2020-01-32",
            "2020-02-30",
            "2021-02-29",
            "2020-02-30T01:02:03Z",
            "2020-04-31 10:00+02:00",
            "02/30/2020",
            "31 04 2020",
            "20200230",
            "02/30/2020, 03:04:05 PM",
            "2020-00-01",
            "2020-01-02 24:00:00",
            "2020-01-02T03:04:05z",
            "2020-01-02T03:04:05.Z",
            "2020-01-02T",
            "2020-01-02 03:",
            "2020-01-02T03:04:05+5",
            "2020-01/02",
            "10000-01-01",
            "2020-01-02x",
            "99999999999999999999",
        ] {
            check(text, '-', '-', None, None);
        }
    }
}
