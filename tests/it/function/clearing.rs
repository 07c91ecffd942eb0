//! A pending value that no retry can apply: the error holds the command that clears it.

use fourstep::Step;
use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep_local::NewValue;
use serde_json::json;
use tokio::process::Command;

use super::{Scene, error};
use crate::support::postgres::server;
use crate::support::skip;
use crate::support::stage::new_token;

/// Runs a command as a shell does, word by word, with the AWS CLI that scripts/test found. False
/// after skipping aloud.
async fn run(command: &str, scene: &Scene) -> bool {
    let Ok(aws) = std::env::var("FOURSTEP_TEST_AWS") else {
        skip("FOURSTEP_TEST_AWS");
        return false;
    };
    let folder = std::path::Path::new(&aws).parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", command])
        .env("PATH", format!("{folder}:{path}"))
        .env("AWS_ENDPOINT_URL", scene.server.url())
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_PAGER", "")
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    true
}

/// What stands between backticks.
fn command_in(message: &str) -> &str {
    message.split('`').nth(1).unwrap_or_else(|| panic!("no command: {message}"))
}

#[derive(Clone, Copy, Debug)]
enum Stale {
    /// AWSCURRENT was edited after createSecret.
    Edited,
    /// Somebody stored a pending value of another user.
    AnotherUser,
    /// Somebody stored a pending value that cannot be read.
    Unreadable,
}

#[tokio::test]
async fn beyond_10_the_command_that_the_error_prints_clears_a_stale_pending_value() {
    let Some(server) = server() else { return };
    for stale in [Stale::Edited, Stale::AnotherUser, Stale::Unreadable] {
        let user = server.user("stale").await;
        let document = server.document(&user);
        let scene = Scene::new(&document, &[]).await;
        let token = scene.begin();
        let put = |value: NewValue| scene.server.store().put(&scene.secret, value).unwrap();
        let mut changed = document.clone();
        match stale {
            Stale::Edited => {
                scene.step(Step::Create, &token).await.answer.unwrap();
                changed["dbname"] = json!("other");
                put(NewValue::labelled(&new_token(), changed.to_string().as_str(), &[AWSCURRENT]));
            }
            Stale::AnotherUser => {
                changed["username"] = json!("somebody-else");
                put(NewValue::labelled(&token, changed.to_string().as_str(), &[AWSPENDING]));
            }
            Stale::Unreadable => {
                put(NewValue::labelled(&token, "canary", &[AWSPENDING]));
            }
        }
        let invocation = scene.step(Step::Set, &token).await;
        let (kind, message) = error(&invocation);
        assert!(["Mismatch", "Malformed"].contains(&kind), "{stale:?}: {kind}: {message}");
        // A retry ends in the same way, and nothing is connected to.
        assert_eq!(error(&scene.step(Step::Set, &token).await), (kind, message));
        assert_eq!(invocation.line().unwrap()["Connections"], 0);

        let current = scene.document(AWSCURRENT);
        if !run(command_in(message), &scene).await {
            return;
        }
        assert_eq!(scene.document(AWSCURRENT), current, "{stale:?}");
        let next = scene.begin();
        for step in Step::ALL {
            let answer = scene.step(step, &next).await.answer.unwrap();
            assert_eq!(answer["outcome"], "done", "{stale:?}: {step}");
        }
        let mut rotated = scene.document(AWSCURRENT);
        assert!(server.logs_in(&user.name, rotated["password"].as_str().unwrap()).await);
        rotated["password"] = current["password"].clone();
        assert_eq!(rotated, current, "the edit is kept");
    }
}
