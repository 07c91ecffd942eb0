//! Days of the calendar, in UTC.

use time::Date;

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

/// The Julian day of 1 January 1970.
const IN_1970: i32 = 2_440_588;

impl Day {
    /// The day that is so many days after 1 January 1970; none after the year 9999.
    pub(super) fn at(days: u64) -> Option<Self> {
        let date = Date::from_julian_day(i32::try_from(days).ok()?.checked_add(IN_1970)?).ok()?;
        Some(Self {
            month: date.month().into(),
            of_month: date.day(),
            of_week: date.weekday().number_from_sunday(),
            in_month: date.month().length(date.year()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_one_another_for_two_hundred_years() {
        let mut before = Day::at(0).unwrap();
        assert_eq!(before, Day { month: 1, of_month: 1, of_week: 5, in_month: 31 });
        let mut leap_days = 0;
        for number in 1..=73_049 {
            let day = Day::at(number).unwrap();
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
