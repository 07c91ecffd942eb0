//! What works when, over rotations, restarts and races.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use fourstep::{ErrorKind, Question, SecretId, Step};
use fourstep_local::NewValue;
use serde_json::json;

use super::{BY_ADMIN, DUAL, one};
use crate::documents::typed;
use crate::support::redis::{Keeping, flavours, redis};
use crate::support::stage::new_token;

#[tokio::test]
async fn a_client_that_is_a_whole_rotation_late_never_fails() {
    for flavour in flavours() {
        for keeping in [Keeping::AclFile, Keeping::ConfigFile] {
            let mut server = flavour.start(keeping, &[]).await;
            let user = server.user("app").await;
            // A person's own.
            server.set(&user.name, &[">somebody's"]).await;
            let stage = server.stage(&server.document(&user), &DUAL);
            let first = user.password.clone();
            let token = stage.begin();
            for step in Step::ALL {
                stage.step(step, &token).await.why();
                assert!(server.logs_in(&user.name, &first).await, "{step:?}");
            }
            stage.end(&token);
            let second = stage.password(AWSCURRENT);
            server.restart().await;
            for password in [&first, &second] {
                assert!(server.logs_in(&user.name, password).await, "after a restart");
            }
            // The next one: half of it is done with the oldest password still at work.
            let token = stage.begin();
            for step in [Step::Create, Step::Set, Step::Test] {
                stage.step(step, &token).await.why();
                assert!(server.logs_in(&user.name, &second).await);
            }
            stage.step(Step::Finish, &token).await.why();
            stage.end(&token);
            server.restart().await;
            assert!(!server.logs_in(&user.name, &first).await, "two rotations later");
            for password in [&second, &stage.password(AWSCURRENT)] {
                assert!(server.logs_in(&user.name, password).await);
            }
            assert!(server.logs_in(&user.name, "somebody's").await, "it is not ours");
            assert_eq!(server.kept(&user.name).await.len(), 3);
        }
    }
}

#[tokio::test]
async fn by_an_admin_the_old_password_is_gone_when_the_rotation_ends() {
    for flavour in flavours() {
        let (server, user) = one(&flavour).await;
        let stage = server.stage(&server.document(&user), &BY_ADMIN);
        stage.play(&Step::ALL).await;
        assert!(!server.logs_in(&user.name, &user.password).await);
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
        assert_eq!(server.kept(&user.name).await.len(), 1);
    }
}

#[tokio::test]
async fn a_healthy_rotation_makes_no_failed_login_and_stays_within_its_budget() {
    let Some(flavour) = redis() else { return };
    let (server, user) = one(&flavour).await;
    let stage = server.stage(&server.document(&user), &DUAL);
    stage.play(&Step::ALL).await;
    let token = stage.begin();
    let mut connections = 0;
    for step in Step::ALL {
        let ended = stage.step(step, &token).await;
        ended.why();
        assert_eq!(ended.stats.rejected_logins, 0);
        connections += ended.stats.connections;
    }
    // The admin looks; the user proves itself and the admin adds; the user logs in, and the admin looks
    // which other servers there are; the user proves itself and the admin adds once more, and takes away.
    assert_eq!(connections, 8);
    let log = server.arrange(&["ACL", "LOG"]).await;
    assert!(log.trim().is_empty(), "{log}");
}

#[tokio::test]
async fn cancelled_rotations_leave_nothing_behind() {
    let Some(flavour) = redis() else { return };
    let (server, user) = one(&flavour).await;
    let stage = server.stage(&server.document(&user), &DUAL);
    for _ in 0..3 {
        stage.play(&[Step::Create, Step::Set]).await;
        stage.cancel();
    }
    assert_eq!(server.kept(&user.name).await.len(), 4);
    stage.play(&Step::ALL).await;
    assert_eq!(server.kept(&user.name).await.len(), 2);
    for label in [AWSCURRENT, AWSPREVIOUS] {
        assert!(server.logs_in(&user.name, &stage.password(label)).await);
    }
}

#[tokio::test]
async fn a_server_that_went_back_to_an_older_state_is_not_left_without_a_password() {
    let Some(flavour) = redis() else { return };
    let (server, user) = one(&flavour).await;
    let stage = server.stage(&server.document(&user), &BY_ADMIN);
    let token = stage.play(&[Step::Create, Step::Set, Step::Test]).await;
    server.set(&user.name, &["resetpass", &format!(">{}", user.password)]).await;
    // Before the promotion it is met again.
    let ended = stage.step(Step::Finish, &token).await;
    ended.why();
    let warning = &ended.stats.warnings[0];
    assert!(warning.contains("and has it now"), "{warning}");
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    assert!(!server.logs_in(&user.name, &user.password).await);
    // Behind it nothing is taken away where the promoted one is not.
    server.set(&user.name, &["resetpass", &format!(">{}", user.password)]).await;
    let ended = stage.step(Step::Finish, &token).await;
    ended.why();
    let warning = &ended.stats.warnings[0];
    assert!(warning.contains("does not have the promoted password"), "{warning}");
    stage.end(&token);
    assert!(server.logs_in(&user.name, &user.password).await);
    // The next rotation repairs it: AWSPREVIOUS proves the account.
    stage.play(&Step::ALL).await;
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    assert_eq!(server.kept(&user.name).await.len(), 1);
}

#[tokio::test]
async fn what_failed_to_be_saved_is_saved_by_the_retry() {
    let Some(flavour) = redis() else { return };
    let (mut server, user) = one(&flavour).await;
    let stage = server.stage(&server.document(&user), &DUAL);
    let token = stage.play(&[Step::Create]).await;
    // The server replaces its file by a new one of this name and a number: a folder is in the way.
    let (file, aside) = (server.file("users.acl"), server.file("aside"));
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(ended.error().contains("a restart would undo that"), "{}", ended.error());
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    stage.step(Step::Set, &token).await.why();
    server.restart().await;
    assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
}

/// A container that met a server of before gave it the password, and ended before the server had written that.
#[tokio::test]
async fn what_is_in_the_memory_alone_is_saved_before_the_promotion() {
    let Some(flavour) = redis() else { return };
    let (mut server, user) = one(&flavour).await;
    let stage = server.stage(&server.document(&user), &DUAL);
    let token = stage.play(&[Step::Create, Step::Set, Step::Test]).await;
    server.set(&user.name, &["resetpass", &format!(">{}", user.password)]).await;
    server.arrange(&["ACL", "SAVE"]).await;
    server.set(&user.name, &[&format!(">{}", stage.password(AWSPENDING))]).await;
    let ended = stage.step(Step::Finish, &token).await;
    ended.why();
    assert!(ended.stats.warnings.is_empty(), "{:?}", ended.stats.warnings);
    server.restart().await;
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

/// A secret whose host changed, by a move or by another name, still has its old passwords taken away.
#[tokio::test]
async fn an_old_password_goes_though_its_version_names_another_host() {
    let Some(flavour) = redis() else { return };
    let (server, user) = one(&flavour).await;
    let mut document = server.document(&user);
    let there = ("TLS_SERVER_NAME", "localhost");
    let same = ("SAME_DATABASE_HOSTS", "localhost=127.0.0.1");
    let stage = server.stage(&document, &[BY_ADMIN[0], there, same]);
    document["host"] = json!("127.0.0.1");
    let value = NewValue::current(&new_token(), document.to_string().as_str());
    stage.store.put(&stage.secret, value).unwrap();
    let mut old = stage.document(AWSPREVIOUS);
    assert_eq!(old["host"], json!("localhost"));
    old["password"] = json!("an-old-one-of-the-secret's");
    server.set(&user.name, &[">an-old-one-of-the-secret's"]).await;
    for value in [old, document] {
        let value = NewValue::current(&new_token(), value.to_string().as_str());
        stage.store.put(&stage.secret, value).unwrap();
    }
    assert_eq!(server.kept(&user.name).await.len(), 2);
    stage.play(&Step::ALL).await;
    assert_eq!(server.kept(&user.name).await.len(), 1);
}

#[tokio::test]
async fn rule_09_plaintext_needs_the_owner_s_word_and_then_works() {
    let Some(flavour) = redis() else { return };
    let (server, user) = one(&flavour).await;
    let plain = |mut document: serde_json::Value| {
        document["ssl"] = json!(false);
        document["port"] = json!(server.plain_port);
        document
    };
    let stage = |more: &[(&str, &str)]| {
        let stage = server.stage(&plain(server.document(&user)), &[&DUAL[..], more].concat());
        let admin = plain(server.admin_document()).to_string();
        let value = NewValue::current(&new_token(), admin.as_str());
        stage.store.put(&SecretId::parse("admin").unwrap(), value).unwrap();
        stage
    };
    let refused = stage(&[]);
    let ended = refused.step(Step::Create, &refused.begin()).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(ended.error().contains("ALLOW_WEAK_AUTHENTICATION"), "{}", ended.error());
    let allowed = stage(&[("ALLOW_WEAK_AUTHENTICATION", "true")]);
    allowed.play(&Step::ALL).await;
    assert!(server.logs_in(&user.name, &allowed.password(AWSCURRENT)).await);
}

/// The commands of the page make an admin, and nothing is missing.
#[tokio::test]
async fn an_admin_that_is_made_as_the_page_says_rotates() {
    let [block] = &typed(file!(), "docs/redis.md")[..] else { panic!("other blocks") };
    for flavour in flavours() {
        for keeping in [Keeping::AclFile, Keeping::ConfigFile] {
            let server = flavour.start(keeping, &[]).await;
            let user = server.user("app").await;
            server.set("admin", &["reset"]).await;
            for line in block.lines() {
                let line = line.replace("PASSWORD", &server.admin.password);
                let answer = server.arrange(&line.split(' ').collect::<Vec<_>>()).await;
                assert_eq!(answer.trim(), "OK");
            }
            let stage = server.stage(&server.document(&user), &DUAL);
            let answer = stage.ask(Question::Preflight).await;
            assert_eq!(answer["ready"], json!(true), "{answer}");
            let token = stage.begin();
            for step in Step::ALL {
                stage.step(step, &token).await.why();
            }
        }
    }
}
