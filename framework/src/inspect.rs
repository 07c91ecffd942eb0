//! `{"Fourstep": "inspect", "SecretId": ...}`: for each labelled version its labels, its age, and
//! whether it logs in. Reads only; never shows a value.

use std::time::SystemTime;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::ids::SecretId;
use crate::invocation::Invocation;
use crate::rotator::{SecretReader, Verdict};
use crate::secret::Secret;
use crate::store::{Select, StoredVersion};

/// Answers an inspect event. One login per labelled version that has a value, at
/// every place where it must work.
///
/// # Errors
/// Those of DescribeSecret. A version that cannot be read or asked about is reported in its row.
pub(crate) async fn inspect(
    engine: &Engine<'_>,
    secret: &SecretId,
    cx: &Invocation,
) -> Result<Value, Error> {
    cx.hurry();
    let calls = engine.calls(secret, cx);
    let description = calls.describe().await?;
    // All at once: with a server that does not answer, one after another would outlast the deadline.
    let calls = &calls;
    let rows = description.labels.iter().map(async |(version, labels)| {
        let stored = calls.stored(Select::Version(version)).await;
        let age = stored.as_ref().ok().and_then(age_seconds);
        let (verdict, why) = verdict(engine, stored, &SecretReader::new(calls), cx).await;
        json!({
            "version": version.as_str(),
            "labels": labels,
            "age_seconds": age,
            "verdict": verdict,
            "why": why,
        })
    });
    let versions: Vec<Value> = join_all(rows).await;
    Ok(json!({
        "secret": description.arn,
        "rotation_enabled": description.rotation_enabled,
        "versions": versions,
    }))
}

/// `accepted`, `rejected`, `empty` (no value yet) or `unknown` (could not be asked), and why.
async fn verdict(
    engine: &Engine<'_>,
    stored: Result<StoredVersion, Error>,
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
