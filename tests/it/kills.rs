//! `fourstep replay --crash` and `--fault`: the real function at every point of a rotation.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::documents::typed;
use crate::support::postgres::{Server, User, server};
use crate::support::program::{SecretFile, binary, fourstep, secret_file};

/// docs/replay.md's commands, as they stand: each point of the one, and two faults.
fn page() -> [String; 2] {
    let [crash, faults] = &typed(file!(), "docs/replay.md")[..] else { panic!("other blocks") };
    [crash.clone(), faults.clone()]
}

/// What they print as JSON, for this file.
async fn typed_in(commands: &str, file: &SecretFile) -> Output {
    let built = binary("fourstep").parent().unwrap().display().to_string();
    let commands = commands.replace("target/debug", &built);
    let commands = commands.replace("secret.json", &file.path.display().to_string());
    let commands = commands.trim_end().replace('\n', " --json\n") + " --json";
    Command::new("bash").args(["-euc", &commands]).output().await.unwrap()
}

pub async fn replay(function: &str, file: &SecretFile, arguments: &[&str]) -> Output {
    let (function, file) = (binary(function), &file.path);
    let (function, file) = (function.to_str().unwrap(), file.to_str().unwrap());
    let always = ["replay", "--rotator", function, "--secret", file];
    fourstep(&[&always, arguments].concat()).await
}

pub fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn points(output: &Output) -> Vec<Value> {
    lines(output).into_iter().filter(|line| line["event"] == "point").collect()
}

/// `setSecret target turn 5 before`
pub fn name(point: &Value) -> String {
    let field = |name: &str| point[name].as_str().unwrap().to_owned();
    format!("{} {} {}", field("step"), field("call"), field("when"))
}

pub fn password(file: &SecretFile) -> String {
    let text = std::fs::read_to_string(&file.path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["password"].as_str().unwrap().to_owned()
}

fn file_of(server: &Server, user: &User) -> SecretFile {
    secret_file(&server.document(user).to_string())
}

/// The file names the user's own server and a password that logs in; nothing else is left, and no
/// password was shown.
async fn is_settled(server: &Server, user: &User, file: &SecretFile, output: &Output) {
    let text = std::fs::read_to_string(&file.path).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["password"] = json!(user.password);
    assert_eq!(document, server.document(user));
    assert_ne!(password(file), user.password);
    assert!(server.logs_in(&user.name, &password(file)).await);
    assert!(!file.path.with_extension("json.journal").exists());
    let shown = format!("{output:?}");
    assert!(!shown.contains("canary") && !shown.contains(&password(file)), "{shown}");
}

#[tokio::test]
async fn the_real_function_survives_a_kill_at_every_point() {
    let Some(server) = server() else { return };
    let user = server.user("killed").await;
    let file = file_of(&server, &user);
    let [crash, _] = page();
    let output = typed_in(&crash, &file).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let points = points(&output);
    // The reads of the first three steps, the writes, the fence, and the turns of two logins and
    // one change.
    let reads = ["DescribeSecret", "GetSecretValue AWSCURRENT", "GetSecretValue AWSPENDING"];
    let reads = reads.map(|read| format!("store {read} #1"));
    let turns = |turns: std::ops::RangeInclusive<u32>| turns.map(|n| format!("target turn {n}"));
    let mut expected = Vec::new();
    for (step, calls) in [
        ("createSecret", [&reads[..], &["store PutSecretValue #1".to_owned()]].concat()),
        (
            "setSecret",
            reads
                .iter()
                .cloned()
                .chain(turns(1..=10))
                .chain(["store DescribeSecret #2".to_owned()])
                .chain(turns(11..=13))
                .collect(),
        ),
        ("testSecret", reads.iter().cloned().chain(turns(1..=4)).collect()),
        (
            "finishSecret",
            [&reads[0], "store GetSecretValue by version #1", "store UpdateSecretVersionStage #1"]
                .map(str::to_owned)
                .to_vec(),
        ),
    ] {
        for call in calls {
            expected.extend(["before", "after"].map(|when| format!("{step} {call} {when}")));
        }
    }
    assert_eq!(points.iter().map(name).collect::<Vec<_>>(), expected);
    for (number, point) in (1..).zip(&points) {
        assert_eq!((&point["point"], &point["violations"]), (&json!(number), &json!([])));
        assert_eq!((&point["what"], &point["converged"]), (&json!("kill"), &json!(true)));
        // The session's end, which nobody waits for, is the one exception.
        if point["call"] != "target turn 13" {
            assert_eq!((&point["ended"], &point["retries"]), (&json!("killed"), &json!(1)));
        }
    }
    let end = lines(&output).pop().unwrap();
    assert_eq!((&end["event"], &end["ok"]), (&json!("end"), &json!(true)));
    assert_eq!((&end["played"], &end["violations"]), (&json!(62), &json!(0)));
    is_settled(&server, &user, &file, &output).await;
}

#[tokio::test]
async fn one_point_is_played_again_and_shown_as_a_table() {
    let Some(server) = server() else { return };
    let user = server.user("onepoint").await;
    let file = file_of(&server, &user);
    // The change is made, and its answer never heard.
    let output = replay("rotate-postgres", &file, &["--crash", "40"]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for words in [
        "31 calls: 62 points; 1 to be played",
        "   40  setSecret     target turn 12                       after   kill          killed               1  ok",
        "1 point played, 0 violations. The secret file holds what is current now.",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    is_settled(&server, &user, &file, &output).await;
}

#[tokio::test]
async fn the_faults_of_the_page_are_reported_and_got_over() {
    let Some(server) = server() else { return };
    let user = server.user("faulty_page").await;
    let file = file_of(&server, &user);
    let [_, faults] = page();
    let output = typed_in(&faults, &file).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let ends = lines(&output).into_iter().filter(|line| line["event"] == "end");
    let played: Vec<Value> = ends.map(|end| end["played"].clone()).collect();
    assert_eq!(played, [json!(14), json!(2)], "{text}");
    let ended: Vec<Value> =
        points(&output).into_iter().map(|mut point| point["ended"].take()).collect();
    assert_eq!(ended[..14], vec![json!("Throttled"); 14], "{text}");
    is_settled(&server, &user, &file, &output).await;
}

#[tokio::test]
async fn the_real_function_reports_every_fault_and_gets_over_it() {
    let Some(server) = server() else { return };
    for (fault, at, kinds, count) in [
        ("reset", "8", vec!["Unreachable"], 1),
        ("reset", "16", vec!["Unreachable"], 1),
        ("reset", "39", vec!["Unreachable"], 1),
        ("reset", "40", vec!["Unreachable"], 1),
        ("reset", "42", vec!["done"], 1),
        ("server-error", "36", vec!["Unreachable"], 1),
        ("server-error", "62", vec!["Unreachable"], 1),
        ("slow", "40", vec!["Unreachable"], 1),
        ("slow", "62", vec!["OutOfTime"], 1),
        ("all", "61", vec!["Throttled", "Unreachable"], 3),
    ] {
        let user = server.user("faulty").await;
        let file = file_of(&server, &user);
        let arguments = ["--json", "--fault", fault, "--at", at];
        let mut output = replay("rotate-postgres", &file, &arguments).await;
        if fault == "slow" && !output.status.success() {
            // A busy machine may not reach a point in the little time that is given then.
            output = replay("rotate-postgres", &file, &arguments).await;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{fault}: {text}");
        let points = points(&output);
        assert_eq!(points.len(), count, "{fault}");
        for point in points {
            assert!(kinds.contains(&point["ended"].as_str().unwrap()), "{fault}: {point}");
        }
        is_settled(&server, &user, &file, &output).await;
    }
}

/// Before the points are counted, what an earlier replay left half-way is repaired.
#[tokio::test]
async fn a_rotation_that_stopped_half_way_is_repaired_first() {
    let Some(server) = server() else { return };
    let user = server.user("repaired").await;
    let file = file_of(&server, &user);
    let half = ["--step", "createSecret", "--step", "setSecret"];
    assert!(replay("rotate-postgres", &file, &half).await.status.success());
    let output = replay("rotate-postgres", &file, &["--json", "--crash", "8"]).await;
    let events: Vec<Value> =
        lines(&output).into_iter().map(|mut line| line["event"].take()).collect();
    assert_eq!(events, ["resumed", "before", "repairing", "counted", "point", "end"]);
    assert!(output.status.success());
    is_settled(&server, &user, &file, &output).await;
}

/// Whatever the moment at which the replay itself is killed, the next one finds the password.
#[tokio::test]
async fn a_run_that_is_killed_itself_loses_no_password() {
    let Some(server) = server() else { return };
    let user = server.user("interrupted").await;
    let file = file_of(&server, &user);
    let rotator = binary("rotate-postgres");
    for pause in [0, 120, 250, 350, 450] {
        let mut run = Command::new(binary("fourstep"))
            .args(["replay", "--json", "--crash", "34", "--rotator"])
            .args([rotator.as_os_str(), "--secret".as_ref(), file.path.as_os_str()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
        while lines.next_line().await.unwrap().is_some_and(|line| !line.contains("counted")) {}
        tokio::time::sleep(Duration::from_millis(pause)).await;
        run.kill().await.unwrap();
    }
    let output = replay("rotate-postgres", &file, &["--json"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    is_settled(&server, &user, &file, &output).await;
}
