//! One user that changes its own password.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{Effect, ErrorKind, Step};
use serde_json::json;

use super::{CREATE_AND_SET, with};
use crate::support::mysql::{mariadb, servers};

#[tokio::test]
async fn parity_17_30_a_pending_password_that_works_already_is_left_alone() {
    for server in servers() {
        let user = server.user("again").await;
        let stage = server.stage(&server.document(&user), &[]);
        let token = stage.play(&CREATE_AND_SET).await;
        let before = server.kept(&user).await;
        let ended = stage.step(Step::Set, &token).await;
        assert_eq!(ended.result.as_ref().unwrap().effect, Effect::Nothing);
        assert!(ended.why().contains("has the pending password already"), "{}", ended.why());
        assert_eq!(server.kept(&user).await, before);
        assert_eq!(ended.stats.rejected_logins, 1, "current, then pending");
    }
}

#[tokio::test]
async fn parity_18_the_pending_password_works_afterwards_and_the_current_one_does_not() {
    for server in servers() {
        let user = server.user("change").await;
        let stage = server.stage(&server.document(&user), &[]);
        stage.play(&CREATE_AND_SET).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
        assert!(!server.logs_in(&user.name, &user.password).await);
    }
}

#[tokio::test]
async fn parity_22_23_another_user_or_host_in_pending_is_refused_before_any_connection() {
    for server in servers() {
        for (field, value) in [
            ("username", json!("somebody")),
            ("host", json!("elsewhere.example")),
            ("port", json!(1)),
        ] {
            let user = server.user("other").await;
            let document = server.document(&user);
            let stage = server.stage(&document, &[]);
            let token = stage.begin();
            stage.put_pending(&token, &with(&document, field, value));
            let ended = stage.step(Step::Set, &token).await;
            assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Mismatch);
            assert_eq!(ended.stats.connections, 0);
            assert!(server.logs_in(&user.name, &user.password).await);
        }
    }
}

#[tokio::test]
async fn parity_25_a_strange_name_is_changed_and_no_other() {
    for server in servers() {
        for stem in ["Q\"uo'te", "b\\ack%;s", "Upper", "a b@c", "Größe", "`tick`", "a OR b"] {
            let user = server.user(stem).await;
            let bystander = server.user(stem).await;
            let stage = server.stage(&server.document(&user), &[]);
            stage.play(&Step::ALL).await;
            assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await, "{stem}");
            assert!(!server.logs_in(&user.name, &user.password).await, "{stem}");
            assert!(server.logs_in(&bystander.name, &bystander.password).await, "{stem}");
        }
    }
}

#[tokio::test]
async fn parity_26_a_strange_password_logs_in_exactly() {
    for server in servers() {
        for password in ["a%b'c\"d\\e$1 f", "\\'", "pass wörd 漢字", "''", "\\"] {
            let user = server.user("odd").await;
            let document = server.document(&user);
            let stage = server.stage(&document, &[]);
            let token = stage.begin();
            stage.put_pending(&token, &with(&document, "password", password));
            stage.step(Step::Set, &token).await.why();
            stage.step(Step::Test, &token).await.why();
            assert!(server.logs_in(&user.name, password).await, "{password}");
        }
    }
}

#[tokio::test]
async fn parity_28_port_as_a_string_and_a_database_are_taken_as_they_stand() {
    for server in servers() {
        let user = server.user("fields").await;
        let grant = format!("GRANT SELECT ON app.* TO '{}'@'127.%'", user.name);
        server.arrange(&grant).await;
        let document = with(&server.document(&user), "port", server.port.to_string());
        for (database, kind) in [("app", None), ("absent", Some(ErrorKind::Forbidden))] {
            let stage = server.stage(&with(&document, "dbname", database), &[]);
            let token = stage.play(&[Step::Create]).await;
            let ended = stage.step(Step::Set, &token).await;
            assert_eq!(ended.result.as_ref().err().map(fourstep::Error::kind), kind);
            stage.put_current(&document);
            let back = format!("'{}'@'127.%' IDENTIFIED BY '{}'", user.name, user.password);
            server.arrange(&format!("ALTER USER {back}")).await;
        }
    }
}

#[tokio::test]
async fn parity_29_each_server_gets_the_statement_it_knows_for_any_host_pattern() {
    for server in servers() {
        let user = server.user("pattern").await;
        // A second account of that name, at another pattern, is somebody else's.
        let other = format!("CREATE USER '{}'@'10.%' IDENTIFIED BY 'other'", user.name);
        server.arrange(&other).await;
        let before = server.kept(&user).await;
        let stage = server.stage(&server.document(&user), &[]);
        stage.play(&Step::ALL).await;
        let after = server.kept(&user).await;
        let changed = before.lines().filter(|line| !after.contains(line)).count();
        assert_eq!((before.lines().count(), changed), (2, 1), "{before}{after}");
    }
}

#[tokio::test]
async fn an_account_with_a_choice_of_plugins_is_refused_before_any_change() {
    let Some(server) = mariadb() else { return };
    let user = server.user("choice").await;
    let account = format!("'{}'@'127.%'", user.name);
    let native = format!("mysql_native_password USING PASSWORD('{}')", user.password);
    let either = format!(
        "INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'; \
         ALTER USER {account} IDENTIFIED VIA {native} OR ed25519 USING PASSWORD('{}')",
        user.password
    );
    server.arrange(&either).await;
    let before = server.kept(&user).await;
    let document = server.document(&user);
    let stage = server.stage(&document, &[]);
    let token = stage.play(&[Step::Create]).await;
    let set = stage.step(Step::Set, &token).await;
    stage.cancel();
    // Preflight says so beforehand.
    let token = stage.begin();
    stage.put_pending(&token, &document);
    let tested = stage.step(Step::Test, &token).await;
    for ended in [&set, &tested] {
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(ended.error().contains("more than one authentication plugin"), "{}", ended.error());
    }
    assert!(set.error().contains("nothing was changed"), "{}", set.error());
    assert_eq!(server.kept(&user).await, before);
    stage.cancel();
    // What the error says to do.
    server.arrange(&format!("ALTER USER {account} IDENTIFIED VIA {native}")).await;
    stage.play(&Step::ALL).await;
    assert!(!server.logs_in(&user.name, &user.password).await);
}

#[tokio::test]
async fn parity_34_two_whole_rotations_leave_extra_keys_alone() {
    for server in servers() {
        let user = server.user("whole").await;
        let document = with(&server.document(&user), "note", "größer");
        let stage = server.stage(&with(&document, "big", json!(12_345_678_901_234_567_u64)), &[]);
        for _ in 0..2 {
            let before = stage.document(AWSCURRENT);
            stage.play(&Step::ALL).await;
            let after = stage.document(AWSCURRENT);
            assert_ne!(before["password"], after["password"]);
            assert_eq!(with(&before, "password", ""), with(&after, "password", ""));
            assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
        }
    }
}

#[tokio::test]
async fn a_healthy_rotation_opens_two_connections_and_has_no_login_refused() {
    for server in servers() {
        let user = server.user("budget").await;
        let stage = server.stage(&server.document(&user), &[]);
        let token = stage.begin();
        let (mut calls, mut connections) = (0, 0);
        for step in Step::ALL {
            let ended = stage.step(step, &token).await;
            ended.why();
            calls += ended.stats.calls.values().sum::<u32>();
            connections += ended.stats.connections;
            assert_eq!(ended.stats.rejected_logins, 0);
            assert_eq!(ended.stats.warnings, Vec::<String>::new());
        }
        assert!(calls <= 14, "{calls}");
        assert_eq!(connections, 2);
    }
}
