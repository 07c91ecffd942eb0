//! `fourstep replay` after one that was interrupted, of what cannot even be looked at, and what it shows
//! of a healthy function.

use std::process::Output;

use serde_json::json;

use crate::replay::{file_of, password, replay};
use crate::support::postgres::server;
use crate::support::program::{SecretFile, secret_file};

/// A secret of a server that does not listen.
fn nobody_listens() -> SecretFile {
    let document = json!({"engine": "postgres", "host": "127.0.0.1", "port": 1, "username": "app",
        "password": "canary-of-nobody", "ssl": false});
    secret_file(&document.to_string())
}

fn shown(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("canary-of-nobody"), "{text}");
    text
}

#[tokio::test]
async fn b3_what_cannot_be_asked_is_told_once_at_the_end_and_nothing_is_begun() {
    let file = nobody_listens();
    let broken = secret_file("{\"engine\": \"postgres\", ");
    for (file, kind) in [(&file, "Unreachable"), (&broken, "Malformed")] {
        for arguments in [&[][..], &["--test-only"]] {
            let text = shown(&replay(file, arguments).await);
            assert!(text.contains("Nothing was begun") && !text.contains("rotation 1"), "{text}");
            assert!(!text.contains("as the table shows"), "{text}");
            let (above, cause) = text.split_once("The cause: ").unwrap();
            assert!(above.ends_with('\n') && !above.contains(kind), "{text}");
            // It has lines of its own about what to do, and nothing is below.
            assert!(cause.starts_with(kind) && cause.contains("What to do: "), "{text}");
            assert_eq!(text.matches(cause.lines().next().unwrap()).count(), 1, "{text}");
            assert!(cause.lines().last().unwrap().starts_with("What to do: "), "{text}");
        }
        assert!(!file.path.with_extension("json.journal").exists());
    }
}

/// Whoever names steps wants to see them.
#[tokio::test]
async fn b3_a_step_that_is_named_is_delivered_and_no_reason_is_told_twice() {
    let file = nobody_listens();
    let text = shown(&replay(&file, &["--step", "createSecret", "--step", "setSecret"]).await);
    assert!(text.contains("rotation 1 of 1") && text.contains("unknown: as above"), "{text}");
    let reason = text.split("unknown: ").nth(1).unwrap().lines().next().unwrap();
    assert!(text.matches(reason).count() <= 2, "in a table, and as the cause: {text}");
    assert!(text.contains("as the table shows"), "{text}");
}

/// The step says that nothing was changed, and what is said below it must not deny that.
#[tokio::test]
async fn b7_a_password_that_nobody_set_is_not_said_to_be_the_target_s() {
    let Some(server) = server() else { return };
    let user = server.user("unset").await;
    let mut document = server.document(&user);
    document["password"] = json!("canary-of-nobody");
    let file = secret_file(&document.to_string());
    let text = shown(&replay(&file, &[]).await);
    assert!(text.contains("nothing was changed"), "{text}");
    assert!(!text.contains("may have now"), "{text}");
    assert!(
        text.contains("are as they were before; the password that was proposed is in"),
        "{text}"
    );
    // What an earlier replay proposed may be what the target has.
    let text = shown(&replay(&file, &[]).await);
    assert!(text.contains("may have now"), "{text}");
}

/// An interrupted replay goes on although nothing can be asked at first.
#[tokio::test]
async fn b3_what_was_interrupted_goes_on() {
    let file = nobody_listens();
    let journal = file.path.with_extension("json.journal");
    std::fs::write(&journal, "\"another value\"\n").unwrap();
    let text = shown(&replay(&file, &[]).await);
    assert!(text.contains("rotation 1 of 1") && text.contains("may have now"), "{text}");
}

#[tokio::test]
async fn b7_a_test_after_an_interrupted_replay_names_the_way_out_which_works() {
    let Some(server) = server() else { return };
    let user = server.user("interrupted").await;
    let file = file_of(&server, &user);
    let output = replay(&file, &["--step", "createSecret", "--step", "setSecret"]).await;
    assert!(output.status.success());
    for _ in 0..2 {
        let output = replay(&file, &["--test-only"]).await;
        let text = String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("replay without --test-only, which ends what was interrupted"),
            "{text}"
        );
    }
    let output = replay(&file, &[]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(server.logs_in(&user.name, &password(&file)).await);
}

#[tokio::test]
async fn a6_what_a_healthy_function_writes_is_shown_where_it_is_asked_for() {
    let Some(server) = server() else { return };
    let user = server.user("verbose").await;
    let file = file_of(&server, &user);
    // What is the default may be said.
    for (more, shown) in [(&["--rotations", "1"][..], false), (&["-v"], true)] {
        let output = replay(&file, &[&["--test-only"], more].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(said.contains("\"step\":\"testSecret\""), shown, "{more:?}: {said}");
        assert!(!said.contains(&user.password), "{more:?}");
    }
}
