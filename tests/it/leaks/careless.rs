//! A rotator that mishandles the secret: what the framework keeps in even then, and what only the
//! author can keep in, which a search finds.

use fourstep::Step;
use fourstep::store::AWSPENDING;
use fourstep_cli::events;
use fourstep_local::NewValue;
use serde_json::{Value, json};

use super::Planted;
use crate::function::Scene;
use crate::support::program::both_outputs;

/// Every verb, and the step that calls it. testSecret calls `preflight` on a copy of the current
/// secret only, so that one is played by itself.
const VERBS: [(&str, Step); 5] = [
    ("propose", Step::Create),
    ("check", Step::Set),
    ("apply", Step::Set),
    ("verify", Step::Test),
    ("retire", Step::Finish),
];

/// What a verb may do with the secret that nobody gets to see.
const KEPT_IN: [&str; 7] = [
    "panics",
    "panics with the value",
    "unwraps an error",
    "expects a number",
    "cuts a character in two",
    "panics in a task",
    "logs it as a driver",
];

/// Plays the steps until one fails; the values, and both outputs with the answers.
async fn heard(verb: &str, defect: &str) -> (Planted, String) {
    let mut planted = Planted::default();
    let document = json!({
        "password": planted.new_one("the password"),
        "note": format!("☃ {}", planted.new_one("another field")),
    });
    planted.add("the whole secret", &document.to_string());
    let (script, both) = both_outputs("careless");
    let variables = [
        (both.0, both.1.as_str()),
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
        ("CARELESS_VERB", verb),
        ("CARELESS_DEFECT", defect),
    ];
    let scene = Scene::of(&script, &document.to_string(), &variables, 10).await;
    let token = scene.begin();
    if verb == "preflight" {
        // What RotateSecret does with RotateImmediately=false.
        let text = document.to_string();
        let copy = NewValue::labelled(&token, text.as_str(), &[AWSPENDING]);
        scene.server.store().put(&scene.secret, copy).unwrap();
    }
    let mut text = String::new();
    for step in Step::ALL {
        let event = events::step(step, &scene.arn, token.as_str());
        let invocation = scene.function.invoke(&event).await.unwrap();
        let lines: Vec<String> = invocation.lines.iter().map(Value::to_string).collect();
        text += &format!("{step} {:?}\n{}\n", invocation.answer, lines.join("\n"));
        if invocation.answer.is_err() {
            break;
        }
    }
    (planted, text)
}

#[tokio::test]
async fn rule_12_a_panic_in_any_verb_shows_its_place_and_no_value() {
    for (verb, step) in VERBS.into_iter().chain([("preflight", Step::Test)]) {
        for defect in KEPT_IN {
            let (planted, text) = heard(verb, defect).await;
            planted.assert_absent(&format!("{verb} {defect}"), &text);
            let reported = format!("{step} Err((\"Internal\"");
            match defect {
                "logs it as a driver" => assert!(!text.contains("Err("), "{text}"),
                // `check` does not wait, so it has no tasks.
                "panics in a task" if verb == "check" => assert!(!text.contains("Err("), "{text}"),
                _ => assert!(text.contains(&reported), "{verb} {defect}: {text}"),
            }
            let named = text.contains("functions/careless.rs:");
            // The panic of a task is the task's to report, and here it says only that it did.
            let otherwise = ["panics in a task", "logs it as a driver"].contains(&defect);
            assert!(named || otherwise, "{verb} {defect}: {text}");
        }
    }
}

/// The search that found nothing above finds a value in each place that it looks into.
#[tokio::test]
async fn a_value_that_an_author_lets_out_is_found() {
    for (defect, form) in [("says it in an error", "as a list of bytes"), ("logs it", "escaped")] {
        let (planted, text) = heard("apply", defect).await;
        let found = planted.found_in(&text);
        assert_eq!(found.len(), 3, "{defect}: {found:?}");
        assert!(found.iter().any(|one| one.ends_with(form)), "{defect}: {found:?}");
    }
}
