//! Rotation schedules, each with the windows that follow a given moment.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use expect_test::expect;

use super::*;
use crate::memory::calendar::Day;

/// Wednesday, 4 February 2026, 10:20:30 UTC.
const WEDNESDAY: u64 = 1_770_200_430;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// `Sat 02-29 03h`
fn shown(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let day = Day::at(seconds / 86_400).unwrap();
    let names = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let name = names[usize::from(day.of_week) - 1];
    let hour = seconds % 86_400 / 3_600;
    format!("{name} {:02}-{:02} {hour:02}h", day.month, day.of_month)
}

fn rules(schedule: &str, duration: Option<&str>) -> RotationRules {
    RotationRules {
        schedule_expression: Some(schedule.to_owned()),
        duration: duration.map(str::to_owned),
        ..RotationRules::default()
    }
}

#[test]
fn rule_each_schedule_has_the_windows_that_aws_documents() {
    let mut table = String::new();
    for (schedule, duration) in [
        ("rate(4 hours)", None),
        ("rate(12 hours)", Some("5h")),
        ("rate(1 day)", None),
        ("rate(10 days)", Some("3h")),
        ("cron(0 10 * * ? *)", None),
        ("cron(0 8/8 * * ? *)", None),
        ("cron(0 4/12 * * ? *)", Some("2h")),
        ("cron(0 18 ? * MON-FRI *)", None),
        ("cron(0 3 ? * SUN *)", Some("3h")),
        ("cron(0 16 1,15 * ? *)", Some("2h")),
        ("cron(0 0 L * ? *)", None),
        ("cron(0 0 1,L 2-4 ? *)", None),
        ("cron(0 18 ? * 6L *)", None),
        ("cron(0 2 ? * L *)", None),
        ("cron(0 10 ? feb,may,aug,nov tue#2 *)", None),
        ("cron(0 1 29 2 ? *)", None),
        ("cron(0 0,23 1 1/3 ? *)", None),
    ] {
        let rules = rules(schedule, duration);
        rules.check().unwrap();
        let first = rules.next_window(at(WEDNESDAY)).unwrap();
        let second = rules.next_window(first.opens).unwrap();
        let apart = SecretDetail {
            rotation_rules: Some(rules.clone()),
            last_rotated: Some(at(WEDNESDAY)),
            ..SecretDetail::default()
        }
        .days_apart()
        .unwrap();
        let (duration, opens) = (duration.unwrap_or("-"), shown(first.opens));
        let (closes, then) = (shown(first.closes), shown(second.opens));
        table += &format!("{schedule:<38} {duration:<2} {opens} to {closes}, {then} {apart:>4}\n");
    }
    expect![[r"
        rate(4 hours)                          -  Wed 02-04 14h to Wed 02-04 15h, Wed 02-04 18h    1
        rate(12 hours)                         5h Wed 02-04 22h to Thu 02-05 03h, Thu 02-05 10h    1
        rate(1 day)                            -  Thu 02-05 00h to Fri 02-06 00h, Fri 02-06 00h    1
        rate(10 days)                          3h Sat 02-14 00h to Sat 02-14 03h, Tue 02-24 00h   10
        cron(0 10 * * ? *)                     -  Thu 02-05 10h to Fri 02-06 00h, Fri 02-06 10h    1
        cron(0 8/8 * * ? *)                    -  Wed 02-04 16h to Wed 02-04 17h, Thu 02-05 08h    1
        cron(0 4/12 * * ? *)                   2h Wed 02-04 16h to Wed 02-04 18h, Thu 02-05 04h    1
        cron(0 18 ? * MON-FRI *)               -  Wed 02-04 18h to Thu 02-05 00h, Thu 02-05 18h    1
        cron(0 3 ? * SUN *)                    3h Sun 02-08 03h to Sun 02-08 06h, Sun 02-15 03h    7
        cron(0 16 1,15 * ? *)                  2h Sun 02-15 16h to Sun 02-15 18h, Sun 03-01 16h   14
        cron(0 0 L * ? *)                      -  Sat 02-28 00h to Sun 03-01 00h, Tue 03-31 00h   31
        cron(0 0 1,L 2-4 ? *)                  -  Sat 02-28 00h to Sun 03-01 00h, Sun 03-01 00h    1
        cron(0 18 ? * 6L *)                    -  Fri 02-27 18h to Sat 02-28 00h, Fri 03-27 18h   28
        cron(0 2 ? * L *)                      -  Sat 02-07 02h to Sun 02-08 00h, Sat 02-14 02h    7
        cron(0 10 ? feb,may,aug,nov tue#2 *)   -  Tue 02-10 10h to Wed 02-11 00h, Tue 05-12 10h   91
        cron(0 1 29 2 ? *)                     -  Tue 02-29 01h to Wed 03-01 00h, Sun 02-29 01h 1461
        cron(0 0,23 1 1/3 ? *)                 -  Wed 04-01 00h to Wed 04-01 01h, Wed 04-01 23h    1
    "]]
    .assert_eq(&table);
}

#[test]
fn rule_days_are_counted_from_the_day_of_the_last_rotation() {
    let rules = RotationRules { automatically_after_days: Some(30), ..RotationRules::default() };
    let window = rules.next_window(at(WEDNESDAY)).unwrap();
    assert_eq!(
        (shown(window.opens), shown(window.closes)),
        ("Fri 03-06 00h".into(), "Sat 03-07 00h".into())
    );
    assert_eq!(window.closes.duration_since(window.last_second()).unwrap().as_secs(), 1);
    assert_eq!(RotationRules::default().next_window(at(WEDNESDAY)), None);
}

#[test]
fn what_is_no_schedule_of_awss_is_refused_with_what_would_be_one() {
    for (schedule, duration, words) in [
        ("every day", None, "must be rate(Value Unit) or cron("),
        ("rate(10)", None, "rate(10 days)"),
        ("rate(3 hours)", None, "4 at least"),
        ("rate(0 days)", None, "999 at most"),
        ("rate(1000 days)", None, "999 at most"),
        ("rate(5 minutes)", None, "hours"),
        ("rate(99999999999 days)", None, "999 at most"),
        ("cron(0 10 * * ?)", None, "six fields"),
        ("cron(30 10 * * ? *)", None, "minutes"),
        ("cron(0 24 * * ? *)", None, "hours"),
        ("cron(0 4/0 * * ? *)", None, "hours"),
        ("cron(0 9-8 * * ? *)", None, "hours"),
        ("cron(0 10 * * ? 2027)", None, "year"),
        ("cron(0 10 32 * ? *)", None, "day of the month"),
        ("cron(0 10 3W * ? *)", None, "day of the month"),
        ("cron(0 10 ? * MON#6 *)", None, "day of the week"),
        ("cron(0 10 ? 13 MON *)", None, "month"),
        ("cron(0 10 * * * *)", None, "exactly one"),
        ("cron(0 10 ? * ? *)", None, "exactly one"),
        ("rate(4 hours)", Some("5h"), "next rotation window: a Duration of 4h"),
        ("cron(0 2,4 * * ? *)", Some("3h"), "next rotation window: a Duration of 2h"),
        ("cron(0 22 * * ? *)", Some("3h"), "next UTC day: a Duration of 2h"),
        ("rate(1 day)", Some("25h"), "1h to 24h"),
        ("rate(1 day)", Some("h"), "1h to 24h"),
        ("rate(1 day)", Some("0h"), "1h to 24h"),
    ] {
        let message = rules(schedule, duration).check().unwrap_err();
        assert!(message.contains(words), "{schedule}: {message}");
    }
    // A day that no year has.
    assert_eq!(rules("cron(0 1 30 2 ? *)", None).next_window(at(WEDNESDAY)), None);
}

#[test]
fn rule_whatever_made_a_value_current_last_is_the_rotation_that_days_are_counted_from() {
    let mut detail = SecretDetail {
        rotation_enabled: Some(true),
        rotation_rules: Some(rules("rate(10 days)", None)),
        scheduled: Some(at(WEDNESDAY)),
        ..SecretDetail::default()
    };
    let opens = |detail: &SecretDetail| shown(detail.next_window().unwrap().opens);
    assert_eq!(opens(&detail), "Sat 02-14 00h");
    detail.current_since = Some(at(WEDNESDAY + 86_400));
    assert_eq!(opens(&detail), "Sun 02-15 00h");
    detail.last_rotated = Some(at(WEDNESDAY + 3 * 86_400));
    assert_eq!(opens(&detail), "Tue 02-17 00h");
    detail.deleted = Some(at(WEDNESDAY));
    assert_eq!(detail.next_window(), None);
    detail.deleted = None;
    detail.rotation_enabled = Some(false);
    assert_eq!(detail.next_window(), None);
}
