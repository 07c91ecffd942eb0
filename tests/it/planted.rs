//! `fourstep replay --crash` and `--fault` of functions with planted defects: a check that cannot fail
//! proves nothing.

use std::process::Output;

use serde_json::{Value, json};

use crate::kills::{lines, name, password, points, replay};
use crate::support::program::secret_file;
use crate::support::toy::Toy;

async fn careless(toy: &Toy, document: &Value, defect: &str, arguments: &[&str]) -> Output {
    let file = secret_file(&document.to_string());
    let (defect, target) = (format!("DEFECT={defect}"), format!("TARGET=localhost:{}", toy.port));
    let marker = format!("MARKER={}", file.path.with_extension("marker").display());
    let variables = ["--json", "--env", &defect, "--env", &target, "--env", &marker];
    let output = replay("examples/careless", &file, &[&variables, arguments].concat()).await;
    let shown = format!("{output:?}");
    assert!(!shown.contains("canary"), "{shown}");
    if output.status.success() {
        assert_eq!(password(&file), toy.password());
    }
    output
}

#[tokio::test]
async fn the_parts_of_the_points_are_played_one_by_one() {
    let toy = Toy::start().await;
    for (part, expected) in [("3/17", [3, 20]), ("17/17", [17, 34])] {
        let output = careless(&toy, &toy.document(), "none", &["--crash", part]).await;
        let played = points(&output).into_iter().map(|point| point["point"].clone());
        assert_eq!(played.collect::<Vec<_>>(), expected);
    }
}

/// One table is whole, and without the SDK's repetitions; the other is one point with every fault that it
/// can meet.

#[tokio::test]
async fn planted_defects_are_found_and_named() {
    for (defect, arguments, violation) in [
        ("forgets", &["--crash", "20"][..], "not-converged"),
        ("by-way-of-another", &["--crash", "20"], "locked-out"),
        ("uneven", &["--crash", "22"], "not-reached"),
        ("blames-the-password", &["--fault", "reset", "--at", "15"], "wrong-kind"),
        ("gives-up", &["--fault", "reset", "--at", "15"], "no-report"),
        ("waits", &["--fault", "slow", "--at", "16"], "no-report"),
        ("tells", &["--fault", "reset", "--at", "19"], "said-credential"),
    ] {
        let toy = Toy::start().await;
        let healthy = careless(&toy, &toy.document(), defect, &[]).await;
        assert!(healthy.status.success(), "{defect}: an ordinary replay finds nothing");
        let output = careless(&toy, &toy.document(), defect, arguments).await;
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{defect}: {text}");
        let found: Vec<Value> = points(&output)
            .iter()
            .flat_map(|point| point["violations"].as_array().unwrap().clone())
            .collect();
        assert!(found.iter().any(|found| found["name"] == violation), "{defect}: {text}");
        let end = lines(&output).pop().unwrap();
        assert_eq!(end["ok"], json!(false));
        assert_eq!(end["violations"], json!(found.len()));
    }
}

/// Without a fault, too: what is said in every rotation stands in a log at AWS after the first.
#[tokio::test]
async fn a_password_that_is_said_is_told_of_and_not_shown() {
    let toy = Toy::start().await;
    let output = careless(&toy, &toy.document(), "tells-all", &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let said: Vec<Value> =
        lines(&output).into_iter().filter(|line| line["event"] == "said-credential").collect();
    let what = said[0]["what"].as_str().unwrap();
    assert!(what.starts_with("\"password\" of AWSPENDING"), "{what}");
    assert_eq!(lines(&output).pop().unwrap()["ok"], json!(false));
}

#[tokio::test]
async fn a_sound_function_violates_nothing_whoever_speaks_first() {
    let toy = Toy::start().await;
    let output = careless(&toy, &toy.document(), "none", &["--crash", "all"]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    // Its server greets first: the client's first words are the first turn all the same.
    let names: Vec<String> = points(&output).iter().map(name).collect();
    for turn in ["setSecret target turn 2 after", "testSecret target turn 1 before"] {
        assert!(names.iter().any(|name| name == turn), "{text}");
    }
    assert_eq!(names.len(), 34, "no turn 3: {text}");
}

#[tokio::test]
async fn a_secret_without_a_host_is_watched_at_secrets_manager_only() {
    let toy = Toy::start().await;
    let document = json!({"password": toy.password()});
    let output = careless(&toy, &document, "none", &["--crash", "16"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let counted = lines(&output).into_iter().find(|line| line["event"] == "counted").unwrap();
    assert_eq!(counted["points"], json!(28), "the calls of a healthy rotation, 14");
    assert_eq!(name(&points(&output)[0]), "setSecret store DescribeSecret #2 after");
}

#[tokio::test]
async fn what_is_left_open_stays_in_the_journal() {
    let toy = Toy::start().await;
    let file = secret_file(&toy.document().to_string());
    let arguments = ["--env", "DEFECT=forgets", "--crash", "all"];
    let output = replay("examples/careless", &file, &arguments).await;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    for words in
        ["not-converged: after 3 retries: setSecret failed: Rejected", "more points not played"]
    {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    let journal = std::fs::read_to_string(file.path.with_extension("json.journal")).unwrap();
    let kept: Vec<Value> = journal
        .lines()
        .filter_map(|line| serde_json::from_str::<String>(line).ok())
        .map(|value| serde_json::from_str(&value).unwrap())
        .collect();
    let live = kept.iter().find(|value| value["password"] == json!(toy.password())).unwrap();
    assert_eq!(live["host"], json!("localhost"), "not the proxy's");
    assert_eq!(live["port"], json!(toy.port));
}

#[tokio::test]
async fn what_cannot_be_disturbed_is_refused_before_anything_is_touched() {
    let plain = r#"{"host": "db", "port": 1, "ssl": false}"#;
    for (text, arguments, words) in [
        (plain, &["--crash", "all", "--step", "setSecret"][..], "cannot be used with"),
        (plain, &["--crash", "all", "--test-only"], "cannot be used with"),
        (plain, &["--crash", "all", "--rotations", "2"], "cannot be used with"),
        (plain, &["--crash", "all", "--twice"], "cannot be used with"),
        (plain, &["--crash", "all", "--sam"], "cannot be used with"),
        (plain, &["--fault", "slow", "--twice"], "cannot be used with"),
        (plain, &["--crash", "all", "--fault", "slow"], "cannot be used with"),
        (plain, &["--crash", "some"], "the number of a point, a part as 1/5, or all"),
        (plain, &["--crash", "6/5"], "the number of a point, a part as 1/5, or all"),
        (plain, &["--fault", "fire"], "throttling"),
        (plain, &["--at", "1"], "--fault"),
        (plain, &["--reset", "true"], "--crash"),
        (r#"{"host": "db", "port": 1, "ssl": 1}"#, &["--crash", "all"], "\"ssl\": false"),
        (r#"{"host": "db", "port": 1}"#, &["--fault", "all"], "\"ssl\": false"),
        (r#"{"host": "db", "ssl": false}"#, &["--crash", "all"], "\"port\""),
    ] {
        let file = secret_file(text);
        let output = replay("rotate-postgres", &file, arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(words), "{words}: {said}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    let toy = Toy::start().await;
    for (arguments, words) in [
        (["--crash", "99"].to_vec(), "there is no point 99: this rotation has 34"),
        (["--crash", "98/99"].to_vec(), "nothing in part 98 of 99: this rotation has 34"),
        (["--fault", "throttling", "--at", "2"].to_vec(), "throttling does not apply to point 2"),
        (["--crash", "all", "--reset", "exit 3"].to_vec(), "--reset failed (exit status: 3)"),
    ] {
        let output = careless(&toy, &toy.document(), "none", &arguments).await;
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(words), "{words}: {said}");
    }
}
