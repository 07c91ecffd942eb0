//! Cron expressions as Secrets Manager takes them.
//!
//! Source: Secrets Manager User Guide, "Rotation schedules": the minutes are 0, the year is `*`, and
//! there is no `W`. That one of the two days is `?` is EventBridge's rule (EventBridge User Guide,
//! "Cron expressions"), whose form this is.

use super::calendar::Day;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A set of numbers below 64.
type Set = u64;

pub(super) struct Cron {
    hours: Set,
    months: Set,
    days: Days,
}

enum Days {
    OfMonth { days: Set, last: bool },
    OfWeek(Vec<Weekdays>),
}

enum Weekdays {
    Any(Set),
    /// The last such day of the month.
    Last(u8),
    /// The first, second, ... such day of the month.
    Nth(u8, u8),
}

impl Cron {
    /// # Errors
    /// Which field is wrong, and what it may be.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<String> = text.split_whitespace().map(str::to_uppercase).collect();
        let [minutes, hours, of_month, months, of_week, year] = fields.as_slice() else {
            return Err("The cron expression must have six fields: cron(Minutes Hours \
                        Day-of-month Month Day-of-week Year)."
                .to_owned());
        };
        if minutes != "0" {
            return Err(wrong("minutes", "0: rotation windows open on the hour"));
        }
        if year != "*" {
            return Err(wrong("year", "*"));
        }
        let hours = set(hours, 0, 23, &[]).ok_or_else(|| wrong("hours", "0 to 23"))?;
        let months = set(months, 1, 12, &MONTHS);
        let months = months.ok_or_else(|| wrong("month", "1 to 12 or JAN to DEC"))?;
        let days = match (of_month.as_str(), of_week.as_str()) {
            (day, "?") if day != "?" => {
                days_of_month(day).ok_or_else(|| wrong("day of the month", "1 to 31 or L"))?
            }
            ("?", day) if day != "?" => days_of_week(day).ok_or_else(|| {
                wrong("day of the week", "1 to 7, SUN to SAT, L, or such as FRIL or TUE#2")
            })?,
            _ => {
                return Err("The cron expression must have ? as exactly one of Day-of-month and \
                            Day-of-week."
                    .to_owned());
            }
        };
        Ok(Self { hours, months, days })
    }

    /// Whether it names a moment of this day.
    pub(super) fn names(&self, day: &Day) -> bool {
        has(self.months, day.month)
            && match &self.days {
                Days::OfMonth { days, last } => {
                    has(*days, day.of_month) || (*last && day.of_month == day.in_month)
                }
                Days::OfWeek(which) => which.iter().any(|one| match *one {
                    Weekdays::Any(days) => has(days, day.of_week),
                    Weekdays::Last(which) => {
                        day.of_week == which && day.of_month + 7 > day.in_month
                    }
                    Weekdays::Nth(which, nth) => {
                        day.of_week == which && day.of_month.div_ceil(7) == nth
                    }
                }),
            }
    }

    /// The hours that it names, in order.
    pub(super) fn hours(&self) -> impl Iterator<Item = u64> + use<> {
        let hours = self.hours;
        (0..24).filter(move |hour| (hours >> hour) & 1 == 1)
    }

    /// Whether it names more than one hour of a day.
    pub(super) fn hourly(&self) -> bool {
        self.hours.count_ones() > 1
    }

    /// How many hours a window may have, and what it would run into.
    pub(super) fn room(&self) -> (u64, &'static str) {
        let hours: Vec<u64> = self.hours().collect();
        let to_midnight = 24 - hours.last().copied().unwrap_or_default();
        let gaps = hours.iter().zip(hours.iter().skip(1)).map(|(one, next)| next - one);
        match gaps.min() {
            Some(gap) if gap < to_midnight => (gap, "the next rotation window"),
            _ => (to_midnight, "the next UTC day"),
        }
    }
}

fn wrong(field: &str, may_be: &str) -> String {
    format!("The {field} of the cron expression must be {may_be}.")
}

fn has(set: Set, number: u8) -> bool {
    (set >> number) & 1 == 1
}

fn days_of_month(text: &str) -> Option<Days> {
    let (mut days, mut last) = (0, false);
    for part in text.split(',') {
        match part {
            "L" => last = true,
            part => days |= set(part, 1, 31, &[])?,
        }
    }
    Some(Days::OfMonth { days, last })
}

fn days_of_week(text: &str) -> Option<Days> {
    let one = |part: &str| {
        if part == "L" {
            return Some(Weekdays::Any(1 << 7));
        }
        if let Some((day, nth)) = part.split_once('#') {
            let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth))?;
            return Some(Weekdays::Nth(number(day, 1, 7, &DAYS)?, nth));
        }
        if let Some(day) = part.strip_suffix('L') {
            return Some(Weekdays::Last(number(day, 1, 7, &DAYS)?));
        }
        set(part, 1, 7, &DAYS).map(Weekdays::Any)
    };
    text.split(',').map(one).collect::<Option<_>>().map(Days::OfWeek)
}

/// A list of numbers, ranges and steps: `*`, `1,15`, `MON-FRI`, `4/12`, `8-20/4`.
fn set(text: &str, least: u8, most: u8, names: &[&str]) -> Option<Set> {
    text.split(',').try_fold(0, |sum, part| {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((first, last)) => {
                (number(first, least, most, names)?, number(last, least, most, names)?)
            }
            None => {
                let first = number(range, least, most, names)?;
                (first, if step.is_some() { most } else { first })
            }
        };
        let numbers = (first..=last).step_by(step.unwrap_or(1_usize));
        let some = numbers.fold(0, |some, number| some | (1 << number));
        (some != 0).then_some(sum | some)
    })
}

fn number(text: &str, least: u8, most: u8, names: &[&str]) -> Option<u8> {
    let named = names.iter().position(|name| *name == text);
    let named = named.and_then(|index| u8::try_from(index).ok()).map(|index| index + least);
    let number = named.or_else(|| text.parse().ok())?;
    (least..=most).contains(&number).then_some(number)
}
