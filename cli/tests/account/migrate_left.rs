//! `fourstep migrate`: what it demands, what it leaves, and what its exit status says of that.

use std::path::Path;

use fourstep::SecretId;
use fourstep_cli::account::aws::{Found, Function};
use fourstep_cli::account::migrate::{Needs, Program, Template};
use fourstep_cli::account::text::now;
use serde_json::{Value, json};

use super::fleet::{arn, file, fleet};
use super::front::{Stop, fourstep, served};
use super::migrate_stopped::{MOVE, OLD, kept, killed};

const NEXT: [&str; 7] =
    ["migrate", "--function", "fourstep-mysql", "--move", "--yes", "b/mysql", "--file"];

/// Writes something else into the only entry of a file.
fn edited(path: &Path, field: &str, value: Value) {
    let mut file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["moves"][0][field] = value;
    std::fs::write(path, file.to_string()).unwrap();
}

/// What a function with this list lacks for a secret of this template with this tag.
fn needs(template: &str, listed: &str, tag: Option<&str>) -> (Vec<String>, String) {
    let template = Template::called(template).unwrap();
    let mut new = Function::default();
    new.variables.insert("ADOPT_USERS".to_owned(), "b".to_owned());
    if !listed.is_empty() {
        new.variables.insert("ROTATION_STRATEGY".to_owned(), listed.to_owned());
    }
    let secret = Found { strategy: tag.map(str::to_owned), ..Found::default() };
    let needs = Needs::of(template, Program::Postgres, &Function::default(), &new, &secret);
    (needs.strategy, Needs::chosen(template, Program::Postgres, Some(&new), &secret))
}

#[test]
fn no_advice_makes_a_moved_secret_rotate_in_another_way() {
    let (one, two) = (OLD, "SecretsManagerRDSPostgreSQLRotationMultiUser");
    let tag = |strategy: &str| format!("the secret's tag fourstep:strategy={strategy}");
    let (pair, single, admin) = ("alternating-users", "single-user", "single-user-by-admin");
    for (template, listed, marked, expected, chosen) in [
        (one, "", None, vec![], single),
        (one, admin, None, vec![], admin),
        (
            one,
            pair,
            None,
            vec!["RotationStrategy=alternating-users,single-user".into(), tag(single)],
            single,
        ),
        (one, "alternating-users, single-user", None, vec![tag(single)], single),
        (one, "alternating-users, single-user", Some(single), vec![], single),
        (one, "", Some("nonsense"), vec![tag(single)], single),
        (
            two,
            "",
            None,
            vec!["RotationStrategy=single-user,alternating-users".into(), tag(pair)],
            pair,
        ),
        (two, pair, None, vec![tag(pair)], pair),
        (two, pair, Some(pair), vec![], pair),
        (
            two,
            "",
            Some(single),
            vec!["RotationStrategy=single-user,alternating-users".into(), tag(pair)],
            pair,
        ),
    ] {
        let seen = needs(template, listed, marked);
        assert_eq!(seen, (expected, chosen.to_owned()), "{template} {listed} {marked:?}");
    }
}

/// A function that would make a single user of a pair may well be ready for that.
#[tokio::test]
async fn an_answer_for_another_strategy_is_no_word_about_this_one() {
    let (scene, _) = fleet();
    scene.ours("fourstep-postgres", json!({}));
    *scene.preflight.lock().unwrap() = Some(json!({"ready": true, "findings": []}));
    let url = served(&scene, &[]).await;
    let look = ["migrate", "--function", "fourstep-postgres", "--json", "c/pair"];
    let (said, _) = fourstep(&url, &look, "").await;
    let seen: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let needs = [
        "RotationStrategy=single-user,alternating-users",
        "AdoptUsers with the second user of this pair",
    ];
    assert_eq!((&seen["needs"], &seen["asked"]), (&json!(needs), &json!(false)), "{said}");
    assert_eq!(*scene.questions.lock().unwrap(), 0);
}

#[test]
fn an_endpoint_is_no_matter_of_passwords() {
    let mut old = Function::default();
    let endpoint = "https://vpce-1.secretsmanager.us-east-1.vpce.amazonaws.com";
    old.variables.insert("SECRETS_MANAGER_ENDPOINT".to_owned(), endpoint.to_owned());
    let template = Template::called(OLD).unwrap();
    let (new, secret) = (Function::default(), Found::default());
    let needs = Needs::of(template, Program::Postgres, &old, &new, &secret);
    assert_eq!(needs.strategy, [format!("SecretsManagerEndpoint={endpoint}")]);
    assert!(needs.passwords.is_empty());
}

#[test]
fn a_longer_name_is_another_template() {
    let mysql = "SecretsManagerRDSMySQLRotationSingleUser";
    let program = |name: &str| Template::within(name).map(|one| one.program);
    assert_eq!(program(&format!("a-{mysql}-b")), Some(Some(Program::Mysql)));
    assert_eq!(program(&format!("a-{mysql}RetainPassword-b")), Some(None));
    assert_eq!(program(&format!("{mysql}Ours")), None);
    assert_eq!(program(&format!("our{mysql}")), None);
}

#[tokio::test]
async fn the_exit_status_is_zero_only_if_all_is_done() {
    let (scene, _) = fleet();
    let (_folder, path) = file();
    let file = path.to_str().unwrap();
    let url = served(&scene, &["a/postgres", "b/mysql"]).await;
    // b/mysql has no function here.
    let ours = ["migrate", "--function", "fourstep-postgres", "--file", file];
    for (more, input) in [
        (&["--move", "a/postgres"][..], ""),
        (&["--move", "a/postgres"], "n\n"),
        (&["--wave", "3", "b/mysql"], ""),
        (&["--wave", "2", "--yes"], ""),
        (&["--move", "--yes", "b/mysql"], ""),
    ] {
        let (said, output) = fourstep(&url, &[&ours[..], more].concat(), input).await;
        assert_eq!(output.status.code(), Some(1), "{more:?}: {said}");
    }
    assert_eq!(scene.state("a/postgres").1, arn("fourstep-postgres"), "the wave's one was ready");
    let again = [&ours[..], &["--move", "--yes", "a/postgres"]].concat();
    let (said, output) = fourstep(&url, &again, "").await;
    assert_eq!(output.status.code(), Some(0), "it was moved before: {said}");

    let back = ["migrate", "--back", file];
    let (said, output) = fourstep(&url, &back, "n\n").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    let wrong = [&back[..], &["--yes", "a/postgres", "a/postgers"]].concat();
    let (said, output) = fourstep(&url, &wrong, "").await;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(scene.state("a/postgres").1, arn("fourstep-postgres"), "{said}");
    let whole = std::fs::read(&path).unwrap();
    edited(&path, "secret", json!("arn:aws:secretsmanager:eu-west-1:1:secret:a/postgres-x"));
    let (said, output) = fourstep(&url, &[&back[..], &["--yes"]].concat(), "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--region eu-west-1"), "{said}");
    std::fs::write(&path, whole).unwrap();
    // It was put back once, and somebody gave it our function again.
    edited(&path, "outcome", json!("back"));
    let calls = scene.asked.lock().unwrap().len();
    fourstep(&url, &[&back[..], &["--yes"]].concat(), "").await;
    assert_eq!(scene.asked.lock().unwrap().len(), calls);
    let (said, output) = fourstep(&url, &[&back[..], &["--yes", "a/postgres"]].concat(), "").await;
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[tokio::test]
async fn what_cannot_be_ended_keeps_no_other_from_being_moved() {
    for gone in ["secret", "function"] {
        let (scene, _) = fleet();
        let (_folder, path) = file();
        let file = path.to_str().unwrap();
        let url = served(&scene, &[]).await;
        killed(&scene, &url, &[&MOVE[..], &[file]].concat(), Stop::After).await;
        let words = if gone == "secret" {
            edited(
                &path,
                "secret",
                json!("arn:aws:secretsmanager:us-east-1:000000000000:secret:no"),
            );
            "a/postgres: left: it does not exist any more"
        } else {
            scene.functions.lock().unwrap().remove("fourstep-postgres");
            *scene.runtime.lock().unwrap() = Some("none".to_owned());
            "a/postgres: not known: our function rotates it, and does not exist any more"
        };
        let (said, output) = fourstep(&url, &[&NEXT[..], &[file]].concat(), "").await;
        assert!(said.contains(words) && said.contains("b/mysql: moved"), "{said}");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("; warning: be warned"), "{said}");
    }
}

#[tokio::test]
async fn an_earlier_move_that_failed_ends_the_run() {
    let (scene, names) = fleet();
    *scene.test.lock().unwrap() = Some((false, "cannot log in"));
    let (_folder, path) = file();
    let file = path.to_str().unwrap();
    let before = names.map(|name| scene.state(name));
    let url = served(&scene, &[]).await;
    killed(&scene, &url, &[&MOVE[..], &[file]].concat(), Stop::After).await;
    // Killed again on the way back: the next run learns of the failure only from the file.
    killed(&scene, &url, &[&NEXT[..], &[file]].concat(), Stop::Before).await;
    *scene.test.lock().unwrap() = Some((true, "fine"));
    let (said, output) = fourstep(&url, &[&NEXT[..], &[file]].concat(), "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a/postgres: not moved") && !said.contains("b/mysql"), "{said}");
    assert_eq!(names.map(|name| scene.state(name)), before, "{said}");
}

#[tokio::test]
async fn what_somebody_changed_after_a_kill_is_left() {
    for change in ["off", "schedule"] {
        let (scene, _) = fleet();
        *scene.test.lock().unwrap() = Some((false, "cannot log in"));
        let (_folder, path) = file();
        let file = path.to_str().unwrap();
        let url = served(&scene, &[]).await;
        killed(&scene, &url, &[&MOVE[..], &[file]].concat(), Stop::After).await;
        let words = if change == "off" {
            scene.store.cancel_rotation(&SecretId::parse("a/postgres").unwrap()).unwrap();
            "left: its rotation was turned off since"
        } else {
            let weekly = json!({"RotationRules": {"ScheduleExpression": "rate(7 days)"}});
            scene.besides.lock().unwrap().insert("a/postgres".to_owned(), weekly);
            "left: its schedule was changed since: rate(7 days), and was every 30 days"
        };
        let state = scene.state("a/postgres");
        let (said, output) = fourstep(&url, &[&NEXT[..], &[file]].concat(), "").await;
        assert!(said.contains(words) && said.contains("b/mysql: "), "{change}: {said}");
        assert_eq!(output.status.code(), Some(1), "{change}: {said}");
        assert_eq!(scene.state("a/postgres"), state, "{change}: {said}");
        let mut asked = scene.asked.lock().unwrap().clone().into_iter();
        let (said, output) = fourstep(&url, &["migrate", "--back", file, "--yes"], "").await;
        assert_eq!(output.status.code(), Some(1), "{change}: {said}");
        assert_eq!(scene.state("a/postgres"), state, "{change}: {said}");
        let again = asked.position(|one| one["RotationLambdaARN"] == arn(OLD));
        assert_eq!(again, None, "{change}");
    }
}

#[tokio::test]
async fn a_due_rotation_is_not_given_to_the_old_function_unless_it_is_named() {
    let (scene, _) = fleet();
    let (_folder, path) = file();
    let file = path.to_str().unwrap();
    let url = served(&scene, &[]).await;
    fourstep(&url, &[&MOVE[..], &[file]].concat(), "").await;
    let due = json!({"NextRotationDate": now() + 7_000});
    scene.besides.lock().unwrap().insert("a/postgres".to_owned(), due);
    let back = ["migrate", "--back", file, "--yes"];
    let (said, output) = fourstep(&url, &back, "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("left: its rotation is due within 1 hour"), "{said}");
    let (said, output) = fourstep(&url, &[&back[..], &["a/postgres"]].concat(), "").await;
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[tokio::test]
async fn whoever_may_not_read_the_log_changes_nothing() {
    let (scene, _) = fleet();
    *scene.sealed.lock().unwrap() = true;
    let (_folder, path) = file();
    let url = served(&scene, &[]).await;
    let run = [&MOVE[..], &[path.to_str().unwrap()]].concat();
    let (said, output) = fourstep(&url, &run, "").await;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("logs:FilterLogEvents: AccessDenied"), "{said}");
    assert!(scene.asked.lock().unwrap().is_empty() && !path.exists());
    *scene.sealed.lock().unwrap() = false;
    fourstep(&url, &run, "").await;
    assert_eq!(kept(&path)["outcome"], "moved");
}
