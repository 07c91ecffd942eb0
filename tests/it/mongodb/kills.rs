//! `fourstep replay --crash` with rotate-mongodb: killed at points of a rotation.
//!
//! What finds a violation is shown to be able to in `tests/it/kills.rs`, with planted defects.

use serde_json::{Value, json};

use crate::support::mongodb::{Server, User, mongodb};
use crate::support::program::{at_least, binary, crash_points, every_point, fourstep, secret_file};

fn points(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == "point").collect()
}

/// What a run shows in which every point was reached. On a loaded machine the rotation that is counted
/// may find its session too old to begin a change on, and opens another; one that does not need to is
/// never at those calls.
async fn whole(run: impl AsyncFn() -> (bool, String)) -> String {
    for _ in 0..3 {
        let (succeeded, text) = run().await;
        let (missed, reached): (Vec<_>, Vec<_>) =
            points(&text).into_iter().partition(|point| point["ended"] == "not reached");
        for point in reached {
            assert_eq!(
                (&point["converged"], &point["violations"]),
                (&json!(true), &json!([])),
                "{point}"
            );
        }
        if missed.is_empty() {
            assert!(succeeded, "{text}");
            return text;
        }
    }
    panic!("in three runs some point was not reached");
}

async fn survives_kills(server: &Server, strategy: &str, before: &str) {
    let user = server.user("killed").await;
    let admin: User = server.admin().await;
    // Without TLS, so that messages can be counted.
    let document = |user: &User| {
        let mut document = server.document(user);
        document["ssl"] = json!(false);
        document
    };
    let mut secret = document(&user);
    if strategy != "single-user" {
        secret["masterarn"] = json!("admin");
    }
    let (file, admin) =
        (secret_file(&secret.to_string()), secret_file(&document(&admin).to_string()));
    let function = binary("rotate-mongodb");
    let [function, path, admin] =
        [&function, &file.path, &admin.path].map(|path| path.to_str().unwrap().to_owned());
    let strategy = format!("--env=ROTATION_STRATEGY={strategy}");
    let mut always = vec!["replay", "--json", "--rotator", &function, "--secret", &path, &strategy];
    always.push("--env=ALLOW_WEAK_AUTHENTICATION=true");
    if secret["masterarn"].is_string() {
        always.extend(["--admin", &admin]);
    }
    let run = async |more: &[&str]| {
        let output = fourstep(&[&always, more].concat()).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), text + &errors)
    };
    if before != "0" {
        let (succeeded, text) = run(&["--rotations", before]).await;
        assert!(succeeded, "{text}");
    }
    let text = whole(async || run(&["--crash", crash_points()]).await).await;
    let points = points(&text);
    // Two for each of 14 calls of Secrets Manager, and of the turns of three logins and a change.
    assert!(points.len() >= at_least(50), "{}", points.len());
    eprintln!("{strategy}: {} points", points.len());
    let found: Value = serde_json::from_str(&std::fs::read_to_string(&file.path).unwrap()).unwrap();
    let field = |name: &str| found[name].as_str().unwrap();
    assert!(server.logs_in(field("username"), field("password")).await);
    assert!(!text.contains("canary") && !text.contains(field("password")), "{text}");
}

#[tokio::test]
async fn the_real_function_survives_kills() {
    let Some(server) = mongodb() else { return };
    survives_kills(&server, "single-user", "0").await;
}

#[tokio::test]
async fn the_real_function_survives_kills_by_an_admin() {
    let Some(server) = mongodb() else { return };
    survives_kills(&server, "single-user-by-admin", "0").await;
}

#[tokio::test]
async fn the_real_function_survives_kills_with_two_users() {
    let Some(server) = mongodb() else { return };
    survives_kills(&server, "alternating-users", "0").await;
    // Where both are there the rotation makes fewer calls, all of which are among the others.
    if every_point() {
        survives_kills(&server, "alternating-users", "2").await;
    }
}
