//! All that a function says when it is told to say everything.

use std::collections::BTreeSet;

use serde_json::Value;

use super::scenes::{Heard, play_all};
use crate::support::postgres::server;

/// What dependencies say of the values they are given, by target and level: the reason why `log.rs`
/// lets nobody but ourselves speak below WARN, and sqlx not at all. A dependency that begins to say
/// more, or stops, is noticed here. It is also the proof that the search below finds what is said.
const KNOWN: [(&str, &str); 4] = [
    // The raw event, RotationToken and all.
    ("lambda_runtime::layers::api_response", "TRACE"),
    // The service's answer to a write that it refuses, which may quote what was written. What is
    // read and written itself the SDK keeps to itself, at TRACE as well.
    ("aws_smithy_runtime::client::orchestrator", "TRACE"),
    ("aws_smithy_runtime::client::orchestrator::http", "TRACE"),
    // Whatever the database says, such as a password that it was sent in cleartext.
    ("sqlx::postgres::notice", "WARN"),
];

/// Metrics are in these lines too.
#[tokio::test]
async fn rule_12_the_real_binary_shows_nothing_whatever_level_is_asked_for() {
    let Some(server) = server() else { return };
    for Heard { scene, planted, lines, ended } in play_all(&server, "rotate-postgres").await {
        let metrics = lines.iter().filter(|line| line.get("_aws").is_some()).count();
        let steps = ended.iter().filter(|end| !end.starts_with("inspect")).count();
        assert_eq!(metrics, steps, "{scene}: a line was not read");
        let printed: Vec<String> = lines.iter().map(Value::to_string).collect();
        planted.assert_absent(scene, &printed.join("\n"));
    }
}

#[tokio::test]
async fn what_dependencies_say_of_secrets_at_trace_is_known() {
    let Some(server) = server() else { return };
    let mut said: BTreeSet<(String, String)> = BTreeSet::new();
    let mut crates: BTreeSet<String> = BTreeSet::new();
    for Heard { scene, planted, lines, .. } in play_all(&server, "outspoken").await {
        for line in &lines {
            let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            let found = planted.found_in(&line.to_string());
            crates.extend(field("target").split("::").next().map(str::to_owned));
            if !found.is_empty() {
                println!("{scene}: {} {} {found:?}", field("level"), field("target"));
                said.insert((field("target"), field("level")));
            }
        }
    }
    for heard in ["lambda_runtime", "aws_smithy_runtime", "hyper_util", "sqlx"] {
        assert!(crates.contains(heard), "{heard} was not heard: {crates:?}");
    }
    let known = KNOWN.map(|(target, level)| (target.to_owned(), level.to_owned()));
    assert_eq!(said, BTreeSet::from(known));
}
