//! `fourstep replay` after one that was interrupted, and what it shows of a healthy function.

use crate::replay::{file_of, password, replay};
use crate::support::postgres::server;

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
    for (more, shown) in [(&[][..], false), (&["-v"], true)] {
        let output = replay(&file, &[&["--test-only"], more].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(said.contains("\"step\":\"testSecret\""), shown, "{more:?}: {said}");
        assert!(!said.contains(&user.password), "{more:?}");
    }
}
