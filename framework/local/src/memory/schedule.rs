//! When a secret rotates next, by its rotation rules. Nothing here runs by the clock.
//!
//! Source: Secrets Manager User Guide, "Rotation schedules"; API Reference, "RotationRulesType" and
//! "DescribeSecret". AWS says neither what it answers to a schedule that it does not take, nor where
//! the hours of `rate(N hours)` are counted from: there the words are ours, and the hours are
//! counted from the last rotation.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::calendar::Day;
use super::cron::Cron;
use super::types::{RotationRules, SecretDetail};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// AWS's shortest time between rotations, and its longest.
const FEWEST_HOURS: u32 = 4;
const MOST_DAYS: u32 = 999;

/// A time in which AWS begins a scheduled rotation, at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub opens: SystemTime,
    /// The first moment after it.
    pub closes: SystemTime,
}

impl Window {
    /// What AWS shows as `NextRotationDate`: the window's last second.
    pub fn last_second(&self) -> SystemTime {
        self.closes - Duration::from_secs(1)
    }
}

/// A schedule that was understood.
enum Schedule {
    /// So many days after the last rotation.
    Days(u32),
    /// So many hours after the hour of the last rotation.
    Hours(u32),
    Cron(Cron),
}

impl RotationRules {
    /// Whether AWS would take these rules.
    ///
    /// # Errors
    /// What is wrong with the schedule or the duration.
    pub fn check(&self) -> Result<(), String> {
        let Some(schedule) = self.schedule()? else { return Ok(()) };
        if let Schedule::Cron(cron) = &schedule
            && first_of(
                cron,
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
            )
            .is_none()
        {
            return Err("The ScheduleExpression names no moment that comes.".to_owned());
        }
        let Some(length) = self.hours()? else { return Ok(()) };
        let (room, end) = match &schedule {
            Schedule::Hours(hours) => (u64::from(*hours), "the next rotation window"),
            Schedule::Days(_) => (24, "the next UTC day"),
            Schedule::Cron(cron) => cron.room(),
        };
        if length > room {
            return Err(format!(
                "The rotation window must not extend into {end}: a Duration of {room}h at most fits \
                 this schedule."
            ));
        }
        Ok(())
    }

    /// The window of the first rotation after one at `last`. None without a schedule, or for one
    /// that [`check`](Self::check) refuses.
    pub fn next_window(&self, last: SystemTime) -> Option<Window> {
        let last = last.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let midnight = last - last % DAY;
        let schedule = self.schedule().ok()??;
        let (opens, hourly) = match &schedule {
            Schedule::Days(days) => (midnight.checked_add(u64::from(*days) * DAY)?, false),
            Schedule::Hours(hours) => (last - last % HOUR + u64::from(*hours) * HOUR, true),
            Schedule::Cron(cron) => (first_of(cron, last)?, cron.hourly()),
        };
        let closes = match self.hours().ok()? {
            Some(hours) => opens + hours * HOUR,
            None if hourly => opens + HOUR,
            None => opens - opens % DAY + DAY,
        };
        let at = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        Some(Window { opens: at(opens)?, closes: at(closes)? })
    }

    /// The days between the two rotations that follow one at `last`.
    fn days_apart(&self, last: SystemTime) -> Option<u32> {
        let first = self.next_window(last)?.opens;
        let second = self.next_window(first)?.opens;
        let apart = second.duration_since(first).ok()?.as_secs().div_ceil(DAY);
        u32::try_from(apart).ok()
    }

    fn schedule(&self) -> Result<Option<Schedule>, String> {
        if let Some(days) = self.automatically_after_days {
            return Ok(Some(Schedule::Days(days)));
        }
        let Some(text) = self.schedule_expression.as_deref() else { return Ok(None) };
        let inner = |name: &str| text.trim().strip_prefix(name)?.strip_suffix(')');
        if let Some(rate) = inner("rate(") {
            return rated(rate).map(Some);
        }
        match inner("cron(") {
            Some(cron) => Cron::parse(cron).map(Schedule::Cron).map(Some),
            None => Err("The ScheduleExpression must be rate(Value Unit) or cron(Minutes Hours \
                         Day-of-month Month Day-of-week Year)."
                .to_owned()),
        }
    }

    fn hours(&self) -> Result<Option<u64>, String> {
        let Some(text) = self.duration.as_deref() else { return Ok(None) };
        let hours = text.strip_suffix('h').and_then(|hours| hours.parse::<u64>().ok());
        match hours.filter(|hours| (1..=24).contains(hours)) {
            Some(hours) => Ok(Some(hours)),
            None => Err("The Duration must be a number of hours from 1h to 24h.".to_owned()),
        }
    }
}

impl SecretDetail {
    /// The window of the next scheduled rotation, in the past where that did not succeed. None
    /// where rotation is off or the secret is to be deleted.
    ///
    /// It is counted from what last was a rotation: one of the service's, a value that somebody made
    /// AWSCURRENT, or, before either, the schedule itself.
    pub fn next_window(&self) -> Option<Window> {
        if self.rotation_enabled != Some(true) || self.deleted.is_some() {
            return None;
        }
        let last = [self.scheduled, self.last_rotated, self.current_since];
        self.rotation_rules.as_ref()?.next_window(last.into_iter().flatten().max()?)
    }

    /// What AWS shows as `AutomaticallyAfterDays`: what was given, or what an expression comes to
    /// once the secret has rotated by it.
    pub fn days_apart(&self) -> Option<u32> {
        let rules = self.rotation_rules.as_ref()?;
        rules.automatically_after_days.or_else(|| rules.days_apart(self.last_rotated?))
    }
}

fn rated(text: &str) -> Result<Schedule, String> {
    let wrong = || {
        format!(
            "The rate must be a number of hours, {FEWEST_HOURS} at least, or of days, {MOST_DAYS} at \
             most: rate(10 days)."
        )
    };
    let mut words = text.split_whitespace();
    let (Some(value), Some(unit), None) = (words.next(), words.next(), words.next()) else {
        return Err(wrong());
    };
    let value = value.parse::<u32>().map_err(|_| wrong())?;
    match unit {
        "hour" | "hours" if (FEWEST_HOURS..=MOST_DAYS * 24).contains(&value) => {
            Ok(Schedule::Hours(value))
        }
        "day" | "days" if (1..=MOST_DAYS).contains(&value) => Ok(Schedule::Days(value)),
        _ => Err(wrong()),
    }
}

/// How far ahead a day is looked for. A weekday that is the fifth of its kind in February comes each 28
/// years, and once each 40 where a century is no leap year.
const FARTHEST: u64 = 41 * 366;

/// The first moment after `last` that the expression names, in seconds since 1970.
fn first_of(cron: &Cron, last: u64) -> Option<u64> {
    let today = last / DAY;
    let days =
        (today..=today + FARTHEST).filter(|&day| Day::at(day).is_some_and(|day| cron.names(&day)));
    let moments = days.flat_map(|day| cron.hours().map(move |hour| day * DAY + hour * HOUR));
    moments.into_iter().find(|&moment| moment > last)
}
