//! `{"Fourstep": "inspect", "SecretId": ...}`: for each labelled version its labels, its age, and
//! whether it logs in. Reads only; never shows a value.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::ids::SecretId;
use crate::invocation::{Invocation, Seen};
use crate::rotator::{Form, SecretReader, Verdict};
use crate::secret::Secret;
use crate::store::{AWSCURRENT, Select, StoredVersion};

/// Answers an inspect event. One login per labelled version that has a value, at
/// every place where it must work.
///
/// # Errors
/// Those of DescribeSecret. A version that cannot be read or asked about is reported in its row.
pub(crate) async fn inspect(
    engine: &Engine<'_>,
    secret: &SecretId,
    cx: &Invocation,
) -> Result<Value> {
    cx.hurry();
    let calls = engine.calls(secret, cx);
    let description = calls.describe().await?;
    // All at once: with a server that does not answer, one after another would outlast the deadline.
    let (calls, description) = (&calls, &description);
    let rows = description.labels.iter().map(async |(version, labels)| {
        let stored = calls.stored(Select::Version(version)).await;
        let age = stored.as_ref().ok().and_then(age_seconds);
        let secret = stored.as_ref().ok().map(|stored| Secret::of_value(&stored.value));
        let form = secret.and_then(|secret| engine.rotator().form(&secret, description));
        let current = labels.iter().any(|label| label == AWSCURRENT);
        let aside = cx.aside();
        let (verdict, why) = verdict(engine, stored, &SecretReader::new(calls), &aside).await;
        let row = json!({
            "version": version.as_str(),
            "labels": labels,
            "age_seconds": age,
            "verdict": verdict,
            "why": why,
        });
        (row, cx.join(aside), form.filter(|_| current))
    });
    let mut rows = join_all(rows).await;
    let form = rows.iter().find_map(|(.., form)| *form);
    // A vendor's key has an id in the place of a user.
    let named = if matches!(form, Some((_, Form::Keys))) { "key" } else { "user" };
    add_seen(&mut rows, named);
    let versions: Vec<Value> = rows.into_iter().map(|(row, ..)| row).collect();
    Ok(json!({
        "secret": description.arn,
        "rotation_enabled": description.rotation_enabled,
        "strategy": form.map(|(strategy, _)| strategy),
        "form": form.map(|(_, form)| form.name()),
        "versions": versions,
    }))
}

/// Adds to each row whose version was let in which user or key that is, how many sessions it has open
/// beside those of this inspection, and when it ends.
fn add_seen<T>(rows: &mut [(Value, Option<Seen>, T)], named: &str) {
    let mut ours: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for Seen { user, sessions, .. } in rows.iter().filter_map(|(_, seen, _)| seen.as_ref()) {
        ours.entry(user.clone()).or_default().extend(sessions.iter().map(|(own, _)| own));
    }
    for (row, seen, _) in rows {
        let (Some(row), Some(seen)) = (row.as_object_mut(), seen) else { continue };
        let ours = ours.get(&seen.user);
        let others = seen.sessions.as_ref().map(|(_, open)| {
            open.iter().filter(|one| ours.is_none_or(|ours| !ours.contains(one))).count()
        });
        row.insert(named.to_owned(), json!(seen.user));
        row.insert("sessions".to_owned(), json!(others));
        row.insert("ends_in_seconds".to_owned(), json!(seen.ends_in));
    }
}

/// `accepted`, `rejected`, `empty` (no value yet) or `unknown` (could not be asked), and why.
async fn verdict(
    engine: &Engine<'_>,
    stored: Result<StoredVersion>,
    secrets: &SecretReader<'_>,
    cx: &Invocation,
) -> (&'static str, Option<String>) {
    let value = match stored {
        Ok(StoredVersion { value, .. }) => value,
        Err(error) if error.kind() == ErrorKind::NotFound => return ("empty", None),
        Err(error) => return ("unknown", Some(error.to_string())),
    };
    let secret = Secret::of_value(&value);
    match engine.rotator().verify_everywhere(&secret, secrets, cx).await {
        Ok(Verdict::Accepted) => ("accepted", None),
        Ok(Verdict::Rejected(why)) => ("rejected", Some(why)),
        Err(error) => ("unknown", Some(format!("{}: {error}", error.kind()))),
    }
}

fn age_seconds(stored: &StoredVersion) -> Option<u64> {
    let age = SystemTime::now().duration_since(stored.created?).unwrap_or_default();
    Some(age.as_secs())
}
