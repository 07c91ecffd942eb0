//! What comes after something went wrong: the order of logins, policies, races.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use fourstep::{ErrorKind, Step};

use super::{CREATE_AND_SET, with};
use crate::support::mysql::{mysql, servers};
use crate::support::stage::Ended;

#[tokio::test]
async fn parity_19_the_previous_password_is_used_when_current_is_wrong() {
    for server in servers() {
        let user = server.user("previous").await;
        // Previous says plaintext, which must not weaken the connection: current's `ssl` counts.
        let stage = server.stage(&with(&server.document(&user), "ssl", false), &[]);
        stage.put_current(&with(&server.document(&user), "password", "canary-wrong"));
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        assert!(ended.why().contains("logged in with AWSPREVIOUS"), "{}", ended.why());
        assert_eq!(ended.stats.rejected_logins, 2, "current and pending, once each");
        assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
    }
}

#[tokio::test]
async fn parity_20_24_a_previous_version_that_is_unreadable_or_another_s_is_ignored() {
    for server in servers() {
        let user = server.user("ignored").await;
        let other = server.user("otherone").await;
        let elsewhere = server.document(&other).to_string();
        for previous in ["not json", "{}", r#"{"engine":"mysql"}"#, &elsewhere] {
            let stage = server.stage_of_text(previous, &[]);
            stage.put_current(&with(&server.document(&user), "password", "canary-wrong"));
            let token = stage.play(&[Step::Create]).await;
            let ended = stage.step(Step::Set, &token).await;
            assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
            assert!(!ended.error().contains("AWSPREVIOUS"), "{}", ended.error());
        }
    }
}

#[tokio::test]
async fn parity_21_when_every_password_is_wrong_each_attempt_is_listed_and_nothing_changes() {
    for server in servers() {
        let user = server.user("allwrong").await;
        let stage = server.stage(&with(&server.document(&user), "password", "canary-old"), &[]);
        stage.put_current(&with(&server.document(&user), "password", "canary-wrong"));
        let token = stage.play(&[Step::Create]).await;
        let before = server.kept(&user).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Rejected);
        for part in ["AWSCURRENT: ", "AWSPENDING: ", "AWSPREVIOUS ", "nothing was changed", "1045"]
        {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(!error.contains("canary"), "{error}");
        assert_eq!(server.kept(&user).await, before);
    }
}

#[tokio::test]
async fn rule_04_a_cancelled_rotation_s_password_is_found_again() {
    for server in servers() {
        let user = server.user("cancelled").await;
        let stage = server.stage(&server.document(&user), &[]);
        stage.play(&CREATE_AND_SET).await;
        stage.cancel();
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    }
}

#[tokio::test]
async fn rule_15_a_password_that_the_history_refuses_is_given_up() {
    let Some(server) = mysql() else { return };
    let user = server.user("history").await;
    server.alter(&user, "PASSWORD HISTORY 5").await;
    let document = server.document(&user);
    let stage = server.stage(&document, &[]);
    stage.play(&Step::ALL).await;
    stage.play(&Step::ALL).await;
    let token = stage.begin();
    // A password it had before.
    stage.put_pending(&token, &with(&document, "password", stage.password(AWSPREVIOUS)));
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(ended.error().contains("PASSWORD HISTORY"), "{}", ended.error());
    assert!(ended.error().contains("3638"), "{}", ended.error());
    assert_eq!(stage.labels()[1], None, "AWSPENDING was taken off");
    stage.play(&Step::ALL).await;
}

#[tokio::test]
async fn a_retained_password_that_the_user_may_not_drop_is_warned_about() {
    let Some(server) = mysql() else { return };
    let user = server.user("kept").await;
    let stage = server.stage(&server.document(&user), &[]);
    let account = format!("'{}'@'127.%'", user.name);
    let change = "IDENTIFIED BY 'canary-second' RETAIN CURRENT PASSWORD";
    server.arrange(&format!("ALTER USER {account} {change}")).await;
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    ended.why();
    let warned = |one: &String| {
        one.contains("goes on logging in") && one.contains("ALTER USER ... DISCARD OLD PASSWORD")
    };
    assert!(ended.stats.warnings.iter().any(warned), "{:?}", ended.stats.warnings);
    assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
    assert!(server.logs_in(&user.name, &user.password).await, "it does");
    server.arrange(&format!("ALTER USER {account} DISCARD OLD PASSWORD")).await;
    assert!(!server.logs_in(&user.name, &user.password).await);
}

#[tokio::test]
async fn beyond_16_of_four_containers_at_once_one_changes_the_password() {
    for server in servers() {
        let user = server.user("raced").await;
        let stage = server.stage(&server.document(&user), &[]);
        let token = stage.play(&[Step::Create]).await;
        let [second, third, fourth] = [stage.beside(), stage.beside(), stage.beside()];
        let ended: [Ended; 4] = tokio::join!(
            stage.step(Step::Set, &token),
            second.step(Step::Set, &token),
            third.step(Step::Set, &token),
            fourth.step(Step::Set, &token),
        )
        .into();
        assert!(ended.iter().any(|one| one.result.is_ok()));
        for error in ended.iter().filter_map(|one| one.result.as_ref().err()) {
            // The others found the lock taken, or had logged in with what was changed meanwhile.
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        }
        assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
        for step in [Step::Set, Step::Test, Step::Finish] {
            stage.step(step, &token).await.why();
        }
    }
}

#[tokio::test]
async fn rule_04_an_account_that_was_locked_by_refused_logins_ends_the_step() {
    let Some(server) = mysql() else { return };
    let user = server.user("lockout").await;
    server.alter(&user, "FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1").await;
    let stage = server.stage(&with(&server.document(&user), "password", "canary-wrong"), &[]);
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
    assert!(ended.error().contains("FAILED_LOGIN_ATTEMPTS"), "{}", ended.error());
    assert_eq!(ended.stats.connections, 1, "no second password is tried");
}
