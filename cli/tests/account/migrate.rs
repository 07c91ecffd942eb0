//! `fourstep migrate`: what it says of each secret, what it moves, what it puts back, and what it leaves.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use fourstep::SecretId;
use fourstep_local::RotationRules;
use serde_json::{Value, json};

use super::fleet::{arn, file, fleet};
use super::front::{CANARY, Scene, fourstep, served};

const OURS: [&str; 5] =
    ["migrate", "--function", "fourstep-postgres", "--function", "fourstep-mysql"];

const FLEET: [&str; 3] = ["a/postgres", "b/mysql", "c/pair"];

/// The lines of a run with `--json`.
fn lines(said: &str) -> Vec<Value> {
    let lines = said.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn policies() -> Vec<BTreeSet<String>> {
    super::policies_of(include_str!("../../../docs/migrate.md"))
}

fn used(scene: &Scene) -> BTreeSet<String> {
    std::mem::take(&mut *scene.calls.lock().unwrap())
}

/// No value is shown or kept, nothing rotated, and every call left the schedule alone.
fn quiet(scene: &Scene) {
    assert_eq!(*scene.rotations.lock().unwrap(), 0);
    for asked in scene.asked.lock().unwrap().iter() {
        assert_eq!(asked["RotateImmediately"], false, "{asked}");
        assert!(asked["RotationRules"].is_null(), "{asked}");
    }
}

#[tokio::test]
async fn a_fleet_is_shown_then_moved_then_put_back_as_it_was() {
    let (scene, names) = fleet();
    let (folder, path) = file();
    let file = path.to_str().unwrap();
    let before = names.map(|name| scene.state(name));
    let url = served(&scene, &FLEET).await;
    *scene.busy.lock().unwrap() = 2;
    let (said, output) = fourstep(&url, &OURS, "").await;
    assert!(output.status.success(), "{said}");
    assert!(said.contains("AWS's functions rotate 3, of which 3 are ready"), "{said}");
    assert_eq!(names.map(|name| scene.state(name)), before, "a look changed something");
    assert_eq!(used(&scene), policies()[0]);
    assert_eq!(*scene.questions.lock().unwrap(), 2, "each function refuses once");

    let wave = [&OURS[..], &["--wave", "2", "--file", file]].concat();
    let (said, output) = fourstep(&url, &wave, "n\n").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("move these 2: a/postgres, b/mysql?"), "{said}");
    assert_eq!(names.map(|name| scene.state(name)), before, "nobody said yes");
    used(&scene);
    *scene.test.lock().unwrap() = Some((false, "not yet"));
    let (said, output) = fourstep(&url, &wave, "y\n").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(names.map(|name| scene.state(name)), before, "the test failed");
    *scene.test.lock().unwrap() = Some((true, "a rotation would succeed"));
    let (said, output) = fourstep(&url, &wave, "y\n").await;
    assert!(output.status.success(), "{said}");
    assert!(said.contains("a/postgres: moved: a rotation would succeed; every 30 days, as before"));
    let each = [&OURS[..], &["--move", "--file", file]].concat();
    let (said, output) = fourstep(&url, &each, "y\n").await;
    assert!(output.status.success() && said.contains("move c/pair to fourstep-postgres"), "{said}");
    assert_eq!(used(&scene), policies()[1]);
    for (name, before) in names.iter().zip(&before) {
        let (labels, function, rules) = scene.state(name);
        let expected = if *name == "b/mysql" { "fourstep-mysql" } else { "fourstep-postgres" };
        assert_eq!((labels, rules), (before.0.clone(), before.2.clone()), "{name}");
        assert_eq!(function, arn(expected));
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(!kept.contains(CANARY) && kept.contains("\"window\": \"3h\""), "{kept}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "the file and its lock");

    let (said, output) = fourstep(&url, &["migrate", "--back", file, "b/mysql"], "y\n").await;
    assert!(output.status.success() && said.contains("put back 1, not 0"), "{said}");
    let (said, output) = fourstep(&url, &["migrate", "--back", file, "--yes", "--json"], "").await;
    assert!(output.status.success(), "{said}");
    let words: Vec<_> = lines(&said).iter().map(|one| one["outcome"].clone()).collect();
    assert_eq!(words, ["back", "back"], "b/mysql is back already: {said}");
    assert_eq!(names.map(|name| scene.state(name)), before);
    let calls = used(&scene);
    // A test that said nothing: its version is still there.
    *scene.test.lock().unwrap() = None;
    let pair = [&OURS[..], &["--move", "--wait", "0", "--file", file, "c/pair"]].concat();
    let (said, _) = fourstep(&url, &pair, "y\n").await;
    assert!(said.contains("c/pair: not known"), "{said}");
    used(&scene);
    let (said, output) = fourstep(&url, &["migrate", "--back", file], "y\n").await;
    assert!(output.status.success() && said.contains("put back 1, not 0"), "{said}");
    assert_eq!(names.map(|name| scene.state(name)), before);
    assert_eq!(&used(&scene) | &calls, policies()[2]);
    quiet(&scene);
}

#[tokio::test]
async fn each_function_is_told_and_each_secret_says_what_it_needs() {
    let (scene, _) = fleet();
    let days = || RotationRules { automatically_after_days: Some(7), ..RotationRules::default() };
    let oracle = "Rotates a Secrets Manager secret for Amazon RDS oracle credentials using the single \
                  user rotation strategy.";
    scene.templated("oracle", oracle, json!({}));
    scene.templated("unclear", "rotates", json!({}));
    scene.templated("other", "", json!({}));
    scene.templated(
        "SecretsManagerRDSPostgreSQLRotationMultiUser-x",
        "",
        json!({"PASSWORD_LENGTH": "20", "EXCLUDE_NUMBERS": "TRUE", "EXCLUDE_CHARACTERS": "'@:/\""}),
    );
    scene.function("own", json!({"Runtime": "nodejs20.x", "Handler": "index.handler"}));
    scene.templated("stmts-SecretsManagerMongoDBRotationSingleUser-1", "", json!({}));
    for (name, function) in [
        ("oracle", "oracle"),
        ("unclear", "unclear"),
        ("said", "other"),
        ("multi", "SecretsManagerRDSPostgreSQLRotationMultiUser-x"),
        ("own", "own"),
        ("ours", "fourstep-mysql"),
        ("mongo", "stmts-SecretsManagerMongoDBRotationSingleUser-1"),
    ] {
        scene.rotated_by(name, function, days());
    }
    let url = served(&scene, &["oracle", "unclear", "said", "multi", "own", "ours", "mongo"]).await;
    let template = "other=SecretsManagerRDSMariaDBRotationSingleUser";
    let run = [&OURS[..], &["--template", template, "--json"]].concat();
    let (said, output) = fourstep(&url, &run, "").await;
    assert_eq!(output.status.code(), Some(1));
    let seen = lines(&said);
    let names: Vec<_> = seen.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["oracle", "unclear", "said", "multi", "mongo"], "{said}");
    let of = |name: &str| seen.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(of("oracle")["template"], "SecretsManagerRDSOracleRotationSingleUser");
    assert!(of("oracle")["obstacles"][0].as_str().unwrap().starts_with("nothing here takes the"));
    assert!(
        of("unclear")["obstacles"][0].as_str().unwrap().contains("--template unclear=TEMPLATE")
    );
    assert_eq!((&of("said")["engine"], &of("said")["ready"]), (&"MariaDB".into(), &true.into()));
    assert_eq!(
        of("multi")["needs"],
        json!([
            "the secret's tag fourstep:strategy=alternating-users",
            r#"ExcludeCharacters=$'"\047/:@'"#,
            "PasswordLength=20",
            "ExcludeNumbers=true",
        ])
    );
    assert_eq!(of("multi")["strategy"], "alternating-users");
    assert_eq!(of("mongo")["needs"], json!(["a function of rotate-mongodb: --function NAME"]));
    // Asked about by name, the others are shown too.
    let (said, _) = fourstep(&url, &[&OURS[..], &["own", "ours"]].concat(), "").await;
    assert!(
        said.contains("none of AWS's templates") && said.contains("Fourstep's already"),
        "{said}"
    );
    quiet(&scene);
}

/// What keeps a secret where it is, whoever says yes.
#[tokio::test]
async fn what_is_not_to_be_moved_is_not_moved() {
    let day = 86_400;
    let soon = fourstep_cli::account::text::now() + 7_000;
    let hours = |next: i64| json!({"NextRotationDate": next, "RotationRules": {"ScheduleExpression": "rate(4 hours)"}});
    for (besides, words) in [
        (json!({"OwningService": "rds"}), "belongs to rds"),
        (json!({"PrimaryRegion": "eu-west-1"}), "is a replica: move it in eu-west-1"),
        (json!({"DeletedDate": 1_700_000_000}), "scheduled for deletion"),
        (json!({"RotationEnabled": false}), "rotation is off"),
        (json!({"NextRotationDate": 1_700_000_000 - day}), "a rotation was due"),
        (json!({"NextRotationDate": soon}), "its rotation is due within 1 hour"),
        (hours(soon - 5_000), "its rotation is due within"),
        (
            json!({"VersionIdsToStages": {"one": ["AWSCURRENT"], "two": ["AWSPENDING"]}}),
            "fourstep doctor a/postgres --region us-east-1",
        ),
        (json!({"VersionIdsToStages": {"one": ["AWSPREVIOUS"]}}), "has no value"),
    ] {
        let (scene, _) = fleet();
        let (_folder, path) = file();
        scene.besides.lock().unwrap().insert("a/postgres".to_owned(), besides);
        let before = scene.state("a/postgres");
        let url = served(&scene, &[]).await;
        let file = ["a/postgres", "--move", "--yes", "--file", path.to_str().unwrap()];
        let (said, output) = fourstep(&url, &[&OURS[..], &file].concat(), "").await;
        assert_eq!(output.status.code(), Some(1), "{words}: {said}");
        assert!(said.contains(words) && said.contains("not ready"), "{words}: {said}");
        assert_eq!(scene.state("a/postgres"), before, "{words}");
        assert!(scene.asked.lock().unwrap().is_empty(), "{words}");
    }
}

#[tokio::test]
async fn what_preflight_refuses_is_not_moved_and_what_it_calls_ready_needs_no_adoption() {
    let (scene, _) = fleet();
    scene.ours("fourstep-postgres", json!({"ROTATION_STRATEGY": "alternating-users"}));
    let url = served(&scene, &[]).await;
    let run = [&OURS[..], &["c/pair", "--json"]].concat();
    let (said, _) = fourstep(&url, &run, "").await;
    assert_eq!(lines(&said)[0]["needs"], json!(["AdoptUsers with the second user of this pair"]));
    let finding = json!({"severity": "fails", "kind": "Unsupported", "finding": "no CREATEROLE"});
    *scene.preflight.lock().unwrap() = Some(json!({"ready": false, "findings": [finding]}));
    let (said, _) = fourstep(&url, &run, "").await;
    assert_eq!(lines(&said)[0]["obstacles"], json!(["preflight: Unsupported: no CREATEROLE"]));
    *scene.preflight.lock().unwrap() = Some(json!({"ready": true, "findings": []}));
    let (said, output) = fourstep(&url, &run, "").await;
    let seen = &lines(&said)[0];
    assert_eq!((&seen["ready"], &seen["asked"]), (&true.into(), &true.into()), "{said}");
    assert!(output.status.success());
    *scene.preflight.lock().unwrap() = Some(json!({"ready": true, "secret": "another"}));
    let (said, _) = fourstep(&url, &run, "").await;
    assert!(said.contains("none about this secret"), "{said}");
}

#[tokio::test]
async fn a_test_that_fails_is_put_back_and_ends_the_wave() {
    let (scene, names) = fleet();
    *scene.test.lock().unwrap() = Some((false, "cannot log in"));
    let (_folder, path) = file();
    let before = names.map(|name| scene.state(name));
    let url = served(&scene, &FLEET).await;
    let wave = ["--wave", "3", "--yes", "--file", path.to_str().unwrap()];
    let (said, output) = fourstep(&url, &[&OURS[..], &wave].concat(), "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a/postgres: not moved: cannot log in; the old function"), "{said}");
    assert!(said.contains("moved 0, not 1"), "{said}");
    assert_eq!(names.map(|name| scene.state(name)), before, "{said}");
    assert_eq!(scene.asked.lock().unwrap().len(), 2, "there and back, and no other secret");
    quiet(&scene);
}

/// By AWS's documentation the rules that are stored stay. Should they not, they are set again.
#[tokio::test]
async fn a_schedule_that_is_lost_is_set_as_it_was() {
    let (scene, _) = fleet();
    *scene.forgets.lock().unwrap() = true;
    let (_folder, path) = file();
    let file = path.to_str().unwrap();
    let url = served(&scene, &[]).await;
    let run = [&OURS[..], &["c/pair", "--move", "--yes", "--file", file]].concat();
    let (said, output) = fourstep(&url, &run, "").await;
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains(
            "c/pair: moved: a rotation would succeed; cron(0 3 ? * SUN *), window 3h, as before"
        ),
        "{said}"
    );
    let (said, output) = fourstep(&url, &["migrate", "--back", file, "--yes"], "").await;
    assert!(output.status.success(), "{said}");
    let asked = scene.asked.lock().unwrap();
    let rules: Vec<_> = asked.iter().map(|one| one["RotationRules"].clone()).collect();
    let cron = json!({"ScheduleExpression": "cron(0 3 ? * SUN *)", "Duration": "3h"});
    assert_eq!(rules, [json!(null), cron.clone(), json!(null), cron]);
    assert!(asked.iter().all(|one| one["RotateImmediately"] == false));
}

#[tokio::test]
async fn back_leaves_what_somebody_changed_since() {
    let (scene, _) = fleet();
    let (_folder, path) = file();
    let file = path.to_str().unwrap();
    let url = served(&scene, &FLEET).await;
    let (said, _) =
        fourstep(&url, &[&OURS[..], &["--move", "--yes", "--file", file]].concat(), "").await;
    assert!(said.contains("moved 3, not 0"), "{said}");
    let weekly = RotationRules {
        schedule_expression: Some("rate(7 days)".into()),
        ..RotationRules::default()
    };
    let id = |name: &str| SecretId::parse(name).unwrap();
    // Another function, another schedule, and a rotation that is under way.
    let change = |name: &str, function: Option<&str>, rules, immediately| {
        let token = fourstep::VersionId::from_store(uuid::Uuid::new_v4().to_string());
        let rotation = fourstep_local::NewRotation {
            token: token.clone(),
            lambda_arn: function.map(arn),
            rules,
            immediately,
        };
        scene.store.rotate(&id(name), &rotation).unwrap();
        if !immediately {
            scene.store.end_test(&id(name), &token).unwrap();
        }
    };
    change("a/postgres", Some("somebody-s"), None, false);
    change("b/mysql", None, Some(weekly), false);
    change("c/pair", None, None, true);
    let labels = scene.labels("c/pair");
    let (said, output) = fourstep(&url, &["migrate", "--back", file, "--yes"], "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a/postgres: left: somebody gave it another function"), "{said}");
    let (_, function, rules) = scene.state("b/mysql");
    assert_eq!((function, &rules[1]), (arn("rotates-mysql"), &"rate(7 days)".into()), "{said}");
    assert!(said.contains("rate(7 days), as set since the move"), "{said}");
    assert!(said.contains("c/pair: left: a rotation is under way"), "{said}");
    assert_eq!(scene.labels("c/pair"), labels);
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept.contains("\"outcome\": \"left\""), "{kept}");
    quiet(&scene);
}

#[tokio::test]
async fn a_pair_on_mysql_that_has_rotated_goes_back_only_by_name() {
    let scene = Arc::new(Scene::default());
    scene.templated("SecretsManagerRDSMySQLRotationMultiUser", "", json!({}));
    scene.ours(
        "fourstep-mysql",
        json!({"ROTATION_STRATEGY": "alternating-users", "ADOPT_USERS": "b"}),
    );
    let days = RotationRules { automatically_after_days: Some(7), ..RotationRules::default() };
    scene.rotated_by("pair", "SecretsManagerRDSMySQLRotationMultiUser", days);
    let tag = ("fourstep:strategy".to_owned(), "alternating-users".to_owned());
    scene.store.tag(&SecretId::parse("pair").unwrap(), [tag].into()).unwrap();
    *scene.test.lock().unwrap() = Some((true, "fine"));
    let (_folder, path) = file();
    let file = path.to_str().unwrap();
    let url = served(&scene, &["pair"]).await;
    let run = ["migrate", "--function", "fourstep-mysql", "--move", "--yes", "--file", file];
    let (said, output) = fourstep(&url, &run, "").await;
    assert!(output.status.success(), "{said}");
    let rotated = json!({"LastRotatedDate": 1_700_000_000});
    scene.besides.lock().unwrap().insert("pair".to_owned(), rotated);
    let (said, output) = fourstep(&url, &["migrate", "--back", file, "--yes"], "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("docs/move-from-aws.md"), "{said}");
    let (said, output) = fourstep(&url, &["migrate", "--back", file, "--yes", "pair"], "").await;
    assert!(output.status.success(), "{said}");
    assert_eq!(scene.state("pair").1, arn("SecretsManagerRDSMySQLRotationMultiUser"));
}
