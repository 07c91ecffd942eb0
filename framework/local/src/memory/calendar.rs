//! Days of the calendar, in UTC.

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    /// 1 to 12.
    pub(super) month: u8,
    /// 1 to 31.
    pub(super) of_month: u8,
    /// 1 is Sunday, 7 Saturday.
    pub(super) of_week: u8,
    /// How many days the month has.
    pub(super) in_month: u8,
}

/// The days of months, from March to February, before each begins.
const BEFORE: [u64; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];

/// Days from 1 March of the year 0 to 1 January 1970.
const TO_1970: u64 = 719_468;

const CENTURIES: u64 = 146_097;

impl Day {
    /// The day that is so many days after 1 January 1970.
    pub(super) fn at(days: u64) -> Self {
        let all = days + TO_1970;
        // A year that begins in March ends in its leap day, if it has one.
        let (cycle, rest) = (all / CENTURIES, all % CENTURIES);
        let year = (rest - rest / 1_460 + rest / 36_524 - rest / 146_096) / 365;
        let of_year = rest - (365 * year + year / 4 - year / 100);
        let index = BEFORE.iter().rposition(|&before| before <= of_year).unwrap_or_default();
        let before = BEFORE.get(index).copied().unwrap_or_default();
        let month = if index < 10 { index + 3 } else { index - 9 };
        let civil = cycle * 400 + year + u64::from(month <= 2);
        let leap =
            civil.is_multiple_of(4) && (!civil.is_multiple_of(100) || civil.is_multiple_of(400));
        let in_month = match month {
            2 => 28 + u64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        // 1 January 1970 was a Thursday.
        let of_week = (days + 4) % 7 + 1;
        let small = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
        Self {
            month: u8::try_from(month).unwrap_or(u8::MAX),
            of_month: small(of_year - before + 1),
            of_week: small(of_week),
            in_month: small(in_month),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_one_another_for_two_hundred_years() {
        let mut before = Day::at(0);
        assert_eq!(before, Day { month: 1, of_month: 1, of_week: 5, in_month: 31 });
        let mut leap_days = 0;
        for number in 1..=73_049 {
            let day = Day::at(number);
            let first = before.of_month == before.in_month;
            assert_eq!(day.of_month, if first { 1 } else { before.of_month + 1 }, "{number}");
            assert_eq!(day.month, if first { before.month % 12 + 1 } else { before.month });
            assert_eq!(day.of_week, before.of_week % 7 + 1);
            leap_days += u32::from((day.month, day.of_month) == (2, 29));
            before = day;
        }
        // 1970 to 2169 has fifty years that four divides, and 2100 is no leap year.
        assert_eq!((before.month, before.of_month, leap_days), (1, 1, 49));
    }
}
