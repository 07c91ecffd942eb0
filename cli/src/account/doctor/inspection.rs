//! A function's answer to `inspect`: what is kept of it, and what it says of the time to come.

use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use serde_json::{Map, Value};

use super::table::Kind;
use super::trouble::Trouble;
use crate::account::text::{clean, named};
use crate::events::{labels, text as field};

/// What is shown of an answer. Whatever else a function says, it may be a secret.
const FIELDS: [&str; 5] = ["secret", "rotation_enabled", "strategy", "form", "versions"];
const OF_A_VERSION: [&str; 9] = [
    "version",
    "labels",
    "age_seconds",
    "verdict",
    "why",
    "user",
    "key",
    "sessions",
    "ends_in_seconds",
];

/// Until when a login must work where nothing says when the next rotation is, in seconds: 30 days, as
/// preflight has it.
const USUAL: i64 = 30 * 86_400;

/// The answer, as far as its fields are known.
pub(super) fn known(answer: Value) -> Value {
    let mut answer = kept(answer, &FIELDS);
    if let Some(versions) = answer.get_mut("versions").and_then(Value::as_array_mut) {
        for version in versions {
            *version = kept(version.take(), &OF_A_VERSION);
        }
    }
    answer
}

fn kept(value: Value, fields: &[&str]) -> Value {
    match value {
        Value::Object(all) => {
            let kept = all.into_iter().filter(|(name, _)| fields.contains(&name.as_str()));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        // Neither an answer nor a version.
        _ => Value::Null,
    }
}

/// The versions of an answer.
pub(super) fn versions(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("versions").and_then(Value::as_array).into_iter().flatten()
}

/// The version of an answer that has this label.
pub(super) fn of<'a>(answer: &'a Value, label: &str) -> Option<&'a Value> {
    versions(answer).find(|row| labels(row).contains(&label))
}

/// What will go wrong although nothing is stuck. `next` is in how many seconds the next rotation is.
pub(super) fn troubles(answer: &Value, kind: Kind, next: Option<i64>) -> Vec<Trouble> {
    let number = |row: &Value, name: &str| row.get(name).and_then(Value::as_i64);
    let mut troubles = Vec::new();
    if let Some(current) = of(answer, AWSCURRENT) {
        let ends = number(current, "ends_in_seconds");
        let early = ends.filter(|ends| *ends < next.unwrap_or(USUAL).max(0));
        troubles.extend(early.map(|ends| Trouble::Ends(named(current).unwrap_or_default(), ends)));
        if let (Kind::TwoUsers, Some(rests)) = (kind, of(answer, AWSPREVIOUS))
            && field(rests, "user") != field(current, "user")
        {
            let user = clean(field(rests, "user"));
            let open = number(rests, "sessions").filter(|open| *open > 0);
            troubles.extend(open.map(|open| Trouble::InUse(user, open)));
        }
    }
    troubles
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(sessions: Value, ends: Value) -> Value {
        json!({"secret": "s", "form": "two users", "versions": [
            {"labels": [AWSCURRENT], "user": "app", "ends_in_seconds": ends, "verdict": "accepted"},
            {"labels": [AWSPREVIOUS], "user": "app_clone", "sessions": sessions},
        ]})
    }

    #[test]
    fn only_what_is_known_is_kept() {
        let mut said = answer(json!(1), json!(null));
        let honest = said.clone();
        said["password"] = "canary".into();
        said["versions"][0]["value"] = json!({"password": "canary"});
        assert_eq!(known(said), honest);
        assert_eq!(
            known(json!({"versions": ["canary", ["canary"]]})),
            json!({"versions": [null, null]})
        );
        assert_eq!(known(json!("canary")), Value::Null);
    }

    #[test]
    fn a_login_in_use_is_told_where_its_password_is_next() {
        let seen = |sessions, kind| troubles(&answer(sessions, json!(null)), kind, Some(60));
        assert_eq!(seen(json!(2), Kind::TwoUsers), [Trouble::InUse("app_clone".into(), 2)]);
        for (sessions, kind) in [
            (json!(0), Kind::TwoUsers),
            (json!(null), Kind::TwoUsers),
            (json!("2"), Kind::TwoUsers),
            (json!(2), Kind::OnePassword),
        ] {
            assert_eq!(seen(sessions.clone(), kind), [], "{sessions} {kind:?}");
        }
    }

    #[test]
    fn a_login_that_ends_is_told_if_it_does_before_the_next_rotation() {
        let seen = |ends: Value, next| troubles(&answer(json!(null), ends), Kind::TwoUsers, next);
        let day = 86_400;
        for (ends, next, told) in [
            (json!(day), Some(2 * day), Some(day)),
            (json!(3 * day), Some(2 * day), None),
            (json!(3 * day), None, Some(3 * day)),
            (json!(-5), Some(-9), Some(-5)),
            (json!(null), None, None),
            (json!(f64::MAX), None, None),
        ] {
            let told: Vec<_> =
                told.map(|ends| Trouble::Ends("user \"app\"".into(), ends)).into_iter().collect();
            assert_eq!(seen(ends.clone(), next), told, "{ends} {next:?}");
        }
        let key =
            json!({"versions": [{"labels": [AWSCURRENT], "key": "k1", "ends_in_seconds": day}]});
        let told = Trouble::Ends("key \"k1\"".into(), day);
        assert_eq!(told.text(), "key \"k1\" ends in 1 day, before the next rotation");
        assert_eq!(troubles(&known(key), Kind::Keys, None), [told]);
    }
}
