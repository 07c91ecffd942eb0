//! One user, two passwords, no outage: at a real MySQL.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use fourstep::{Effect, ErrorKind, Step};

use super::{CREATE_AND_SET, DUAL, with};
use crate::support::mysql::{Server, User, mariadb, mysql, mysqls};
use crate::support::stage::Stage;

/// A user at each MySQL there is.
async fn begin(stem: &str) -> Vec<(Server, User, Stage)> {
    let mut begun = Vec::new();
    for server in mysqls() {
        let user = server.dual_user(stem).await;
        let stage = server.stage(&server.document(&user), &DUAL);
        begun.push((server, user, stage));
    }
    begun
}

async fn current_works(server: &Server, stage: &Stage) {
    let document = stage.document(AWSCURRENT);
    let field = |name: &str| document[name].as_str().unwrap().to_owned();
    assert!(server.logs_in(&field("username"), &field("password")).await, "AWSCURRENT is dead");
}

#[tokio::test]
async fn beyond_07_a_client_with_the_old_password_never_fails_for_a_rotation_and_a_half() {
    for (server, user, stage) in begin("client").await {
        let logins = AtomicU32::new(0);
        let client = async {
            loop {
                assert!(
                    server.logs_in(&user.name, &user.password).await,
                    "after {logins:?} logins"
                );
                logins.fetch_add(1, Ordering::SeqCst);
            }
        };
        // Between two steps the client logs in at least once from beginning to end.
        let twice = async || {
            let before = logins.load(Ordering::SeqCst);
            while logins.load(Ordering::SeqCst) < before + 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let rotation = async {
            let token = stage.begin();
            for step in Step::ALL {
                stage.step(step, &token).await.why();
                twice().await;
            }
            stage.end(&token);
            // Half of the next: its setSecret is what drops the password before the one before.
            let token = stage.play(&[Step::Create]).await;
            twice().await;
            token
        };
        let token = tokio::select! {
            token = rotation => token,
            () = client => unreachable!(),
        };
        for step in [Step::Set, Step::Test, Step::Finish] {
            stage.step(step, &token).await.why();
        }
        assert!(
            !server.logs_in(&user.name, &user.password).await,
            "two rotations later it is gone"
        );
        current_works(&server, &stage).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSPREVIOUS)).await);
    }
}

#[tokio::test]
async fn every_step_delivered_twice_changes_nothing_the_second_time() {
    for (server, user, stage) in begin("twice").await {
        for _ in 0..2 {
            let token = stage.begin();
            for step in Step::ALL {
                stage.step(step, &token).await.why();
                let before = server.kept(&user).await;
                let again = stage.step(step, &token).await;
                let nothing = again.result.as_ref().unwrap().effect == Effect::Nothing;
                assert!(nothing || step == Step::Test, "{step}: {}", again.why());
                assert_eq!(server.kept(&user).await, before);
                current_works(&server, &stage).await;
            }
            stage.end(&token);
        }
    }
}

#[tokio::test]
async fn two_containers_at_once_leave_both_passwords_alive() {
    for (server, user, stage) in begin("both").await {
        for _ in 0..3 {
            let token = stage.play(&[Step::Create]).await;
            let beside = stage.beside();
            let (one, other) =
                tokio::join!(stage.step(Step::Set, &token), beside.step(Step::Set, &token));
            assert!(
                one.result.is_ok() || other.result.is_ok(),
                "{} {}",
                one.error(),
                other.error()
            );
            current_works(&server, &stage).await;
            assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
            for step in [Step::Set, Step::Test, Step::Finish] {
                stage.step(step, &token).await.why();
                current_works(&server, &stage).await;
            }
            stage.end(&token);
        }
    }
}

#[tokio::test]
async fn rule_04_cancelled_rotations_one_after_the_other_never_evict_the_live_password() {
    for options in ["", "PASSWORD HISTORY 9 PASSWORD REQUIRE CURRENT"] {
        for (server, user, stage) in begin("cancels").await {
            server.alter(&user, options).await;
            for _ in 0..2 {
                stage.play(&CREATE_AND_SET).await;
                current_works(&server, &stage).await;
                stage.cancel();
            }
            stage.play(&Step::ALL).await;
            current_works(&server, &stage).await;
            assert!(server.logs_in(&user.name, &stage.password(AWSPREVIOUS)).await, "{options}");
        }
    }
}

#[tokio::test]
async fn rule_04_a_label_that_was_rolled_back_is_rotated_again_without_an_outage() {
    for (server, _, stage) in begin("rollback").await {
        stage.play(&Step::ALL).await;
        let [current, _, previous] = stage.labels();
        let (to, from) = (previous.as_ref(), current.as_ref());
        stage.store.update_stage(&stage.secret, AWSCURRENT, to, from).unwrap();
        current_works(&server, &stage).await;
        let token = stage.begin();
        for step in Step::ALL {
            stage.step(step, &token).await.why();
            current_works(&server, &stage).await;
        }
    }
}

#[tokio::test]
async fn the_switch_back_to_one_password_drops_the_retained_one() {
    for (server, user, stage) in begin("switch").await {
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(&user.name, &user.password).await);
        let single = server.stage(&stage.document(AWSCURRENT), &[]);
        single.play(&Step::ALL).await;
        for old in [&user.password, &stage.password(AWSCURRENT)] {
            assert!(!server.logs_in(&user.name, old).await);
        }
        assert!(server.logs_in(&user.name, &single.password(AWSCURRENT)).await);
    }
}

#[tokio::test]
async fn what_cannot_keep_two_passwords_is_refused_before_any_change() {
    let mut cases = Vec::new();
    if let Some(server) = mysql() {
        cases.push((server, ErrorKind::Forbidden, "APPLICATION_PASSWORD_ADMIN"));
    }
    if let Some(server) = mariadb() {
        cases.push((server, ErrorKind::Unsupported, "MariaDB keeps one password"));
    }
    for (server, kind, words) in cases {
        let user = server.user("single").await;
        let stage = server.stage(&server.document(&user), &DUAL);
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), kind, "{}", ended.error());
        assert!(ended.error().contains(words), "{}", ended.error());
        assert!(server.logs_in(&user.name, &user.password).await);
        // Preflight says so beforehand.
        let stage = server.stage(&server.document(&user), &DUAL);
        let token = stage.begin();
        stage.put_pending(&token, &server.document(&user));
        let ended = stage.step(Step::Test, &token).await;
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), kind, "{}", ended.error());
        assert!(ended.error().contains(words), "{}", ended.error());
    }
}

#[tokio::test]
async fn a_preflight_passes_and_warns_of_an_account_that_locks_early() {
    for (server, user, stage) in begin("preflight").await {
        let test = async || {
            let token = stage.begin();
            stage.put_pending(&token, &server.document(&user));
            let ended = stage.step(Step::Test, &token).await;
            ended.why();
            stage.cancel();
            ended.stats.warnings
        };
        assert_eq!(test().await, Vec::<String>::new());
        server.alter(&user, "FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 1").await;
        let warnings = test().await;
        assert!(warnings.iter().any(|one| one.contains("FAILED_LOGIN_ATTEMPTS")), "{warnings:?}");
    }
}

#[tokio::test]
async fn a_preflight_bears_with_a_user_that_has_rights_on_many_databases() {
    for (server, user, stage) in begin("many").await {
        // Each has a row of its own in SHOW GRANTS: 300 kB of them.
        let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, EXECUTE, \
                  CREATE TEMPORARY TABLES, LOCK TABLES, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, \
                  ALTER ROUTINE, EVENT";
        let grant =
            |number| format!("GRANT {rights} ON `{number:050}`.* TO '{}'@'127.%';", user.name);
        server.arrange(&(0..1200).map(grant).collect::<String>()).await;
        let token = stage.begin();
        stage.put_pending(&token, &server.document(&user));
        stage.step(Step::Test, &token).await.why();
        server.arrange(&format!("DROP USER '{}'@'127.%'", user.name)).await;
    }
}

#[tokio::test]
async fn rule_15_a_password_that_the_policy_refuses_is_given_up_and_the_current_one_stays() {
    for (server, user, stage) in begin("policy").await {
        server.alter(&user, "PASSWORD HISTORY 5").await;
        stage.play(&Step::ALL).await;
        let first = stage.password(AWSCURRENT);
        stage.play(&Step::ALL).await;
        stage.play(&Step::ALL).await;
        let token = stage.begin();
        // A password of two rotations ago, which does not log in any more.
        let pending = with(&stage.document(AWSCURRENT), "password", first);
        stage.put_pending(&token, &pending);
        let ended = stage.step(Step::Set, &token).await;
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(ended.error().contains("PASSWORD HISTORY"), "{}", ended.error());
        assert_eq!(stage.labels()[1], None, "AWSPENDING was taken off");
        current_works(&server, &stage).await;
        stage.play(&Step::ALL).await;
    }
}
