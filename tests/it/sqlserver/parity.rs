//! The cases of AWS's SQL Server templates.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{Effect, Environment, ErrorKind, Step};
use serde_json::json;

use super::{CREATE_AND_SET, with};
use crate::support::sqlserver::sqlserver;

#[tokio::test]
async fn parity_24_a_login_is_altered_and_a_contained_user_in_its_database() {
    let Some(server) = sqlserver().await else { return };
    let (login, contained) = (server.user("app").await, server.contained_user("inside").await);
    for (database, user, document, statement) in [
        ("master", &login, server.document(&login), "ALTER LOGIN ["),
        ("own", &contained, server.contained_document(&contained), "ALTER USER ["),
    ] {
        let stage = server.stage(&with(&document, "note", "kept"), &[]);
        for _ in 0..2 {
            let old = stage.password(AWSCURRENT);
            let (before, token) = (server.logins().await, stage.begin());
            for step in Step::ALL {
                let ended = stage.step(step, &token).await;
                ended.why();
                assert_eq!(ended.stats.rejected_logins, 0);
            }
            stage.end(&token);
            let logins = server.logins().await - before;
            assert!(logins <= 3, "{logins}");
            let new = stage.password(AWSCURRENT);
            assert!(server.logs_in_at(database, &user.name, &new).await);
            assert!(!server.logs_in_at(database, &user.name, &old).await);
            assert_eq!(stage.document(AWSCURRENT)["note"], "kept");
        }
        let heard = server.heard().await;
        assert!(heard.contains(&format!("{statement}{}]", user.name)), "{heard}");
    }
    let heard = server.heard().await;
    assert_eq!(heard.matches("ALTER LOGIN").count(), 2, "{heard}");
    assert_eq!(heard.matches("ALTER USER").count(), 2, "{heard}");
}

/// What the session was authenticated by decides, and not what kind of database it is in.
#[tokio::test]
async fn parity_24_a_login_that_works_in_a_contained_database_is_still_a_login() {
    let Some(server) = sqlserver().await else { return };
    let (user, admin) = (server.user("app").await, server.admin().await);
    let key = user.name.to_lowercase();
    server.set(&["databases", "own", "users", &key], json!({"name": "other", "login": key})).await;
    let admin_key = admin.name.to_lowercase();
    let inside =
        json!({"name": "a", "login": admin_key, "grants": ["ALTER ANY USER", "VIEW DEFINITION"]});
    server.set(&["databases", "own", "users", &admin_key], inside).await;
    let document = with(&server.document(&user), "dbname", "own");
    server.stage(&document, &[]).play(&Step::ALL).await;
    let now = server.login(&user.name).await["password"].clone();
    let document = with(&document, "password", now);
    let stage = server.by_admin(&document, &server.document(&admin), &[]);
    stage.play(&Step::ALL).await;
    assert!(server.logs_in_at("own", &user.name, &stage.password(AWSCURRENT)).await);
    let heard = server.heard().await;
    assert!(heard.matches("ALTER LOGIN").count() == 2 && !heard.contains("ALTER USER"), "{heard}");
}

/// A contained user and a login of one name: whose the password is, is changed.
#[tokio::test]
async fn parity_24_the_namesake_at_the_server_is_left_alone() {
    let Some(server) = sqlserver().await else { return };
    let user = server.contained_user("twice").await;
    let namesake =
        crate::support::sqlserver::User { password: "Another-Canary-1".to_owned(), ..user.clone() };
    server.add(&namesake, json!({})).await;
    let stage = server.stage(&server.contained_document(&user), &[]);
    stage.play(&Step::ALL).await;
    assert!(server.logs_in_at("own", &user.name, &stage.password(AWSCURRENT)).await);
    assert!(server.logs_in(&user.name, &namesake.password).await);
}

#[tokio::test]
async fn parity_25_the_old_password_of_the_change_is_that_which_logged_in() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("back").await;
    let stage = server.stage(&server.document(&user), &[]);
    stage.play(&Step::ALL).await;
    // Somebody set it back to what AWSPREVIOUS has.
    server.set_login(&user.name, "password", user.password.as_str()).await;
    let token = stage.play(&CREATE_AND_SET).await;
    let old = format!("OLD_PASSWORD = N'{}'", user.password);
    assert_eq!(server.heard().await.matches(&old).count(), 2);
    stage.step(Step::Test, &token).await.why();
    assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
}

/// Five refusals of a login, each with words of its own; only a wrong password leads to another credential.
#[tokio::test]
async fn parity_26_refused_logins_are_told_apart_and_only_a_wrong_password_leads_on() {
    let Some(server) = sqlserver().await else { return };
    let mut said = Vec::new();
    for (field, kind, words) in [
        ("password", ErrorKind::Rejected, "18456"),
        ("locked", ErrorKind::Rejected, "18486"),
        ("expired", ErrorKind::Forbidden, "18487"),
        ("must change", ErrorKind::Forbidden, "18488"),
        ("disabled", ErrorKind::Forbidden, "18470"),
        ("dbname", ErrorKind::Forbidden, "4060"),
    ] {
        let user = server.user("refused").await;
        let document = server.document(&user);
        let document = match field {
            "dbname" => with(&document, "dbname", "nowhere"),
            _ => document,
        };
        let stage = server.stage(&document, &[]);
        stage.put_current(&with(&document, "note", "a version before"));
        match field {
            "password" => server.set_login(&user.name, field, "Nobody's-Canary-1").await,
            "dbname" => {}
            field => server.set_login(&user.name, field, true).await,
        }
        let token = stage.begin();
        stage.put_pending(&token, &document);
        let ended = stage.step(Step::Test, &token).await;
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), kind, "{field}: {}", ended.error());
        assert!(ended.error().contains(words), "{field}: {}", ended.error());
        said.push(ended.error().replace(&user.name, "USER"));

        // Expired ones change themselves: tests/it/sqlserver/logins.rs.
        if !matches!(field, "expired" | "must change") {
            stage.cancel();
            let token = stage.begin();
            let next = with(&stage.document(AWSCURRENT), "password", "Next-Canary-1");
            stage.put_pending(&token, &next);
            let before = server.logins().await;
            assert!(stage.step(Step::Set, &token).await.result.is_err());
            let tried = server.logins().await - before;
            assert_eq!(tried > 1, field == "password", "{field}: {tried} logins");
        }
    }
    let all = said.len();
    said.sort();
    said.dedup();
    assert_eq!(said.len(), all, "{said:?}");
}

#[tokio::test]
async fn parity_27_a_password_that_the_policy_refuses_changes_nothing_and_the_rule_is_named() {
    let Some(server) = sqlserver().await else { return };
    for (number, word) in
        [(15115, "used"), (15116, "short"), (15117, "long"), (15118, "complex"), (15119, "filter")]
    {
        let user = server.user("policy").await;
        let stage = server.stage(&server.document(&user), &[]);
        let token = stage.play(&[Step::Create]).await;
        server.trap("ALTER LOGIN", "fail", json!({"number": number})).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert!(error.contains(word) && error.contains(&number.to_string()), "{error}");
        assert!(server.logs_in(&user.name, &user.password).await);
        server.no_traps().await;
        // The value that it refused is not kept: the next rotation draws another.
        assert_eq!(stage.try_text(AWSPENDING), None, "{error}");
        stage.play(&Step::ALL).await;
    }
    // By the double's own rules, too.
    server.set(&["policy", "shortest"], 40).await;
    let user = server.user("policy").await;
    let stage = server.stage(&server.document(&user), &[]);
    let token = stage.play(&[Step::Create]).await;
    let error = stage.step(Step::Set, &token).await.error();
    assert!(error.contains("short"), "{error}");
    // PASSWORD_LENGTH follows the advice.
    let stage = server.stage(&server.document(&user), &[("PASSWORD_LENGTH", "40")]);
    stage.play(&Step::ALL).await;
}

/// The minimum age of the policy: the value may be right another day.
#[tokio::test]
async fn parity_27_a_change_that_comes_too_early_keeps_what_is_pending() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("young").await;
    server.set(&["policy", "too recent"], true).await;
    let stage = server.stage(&server.document(&user), &[]);
    let token = stage.play(&[Step::Create]).await;
    let pending = stage.text(AWSPENDING);
    let error = stage.step(Step::Set, &token).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("15114"), "{error}");
    assert_eq!(stage.text(AWSPENDING), pending);
    server.set(&["policy", "too recent"], false).await;
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.unwrap().effect, Effect::Done);
}

#[tokio::test]
async fn parity_27_generated_passwords_fit_the_policy_whatever_the_settings_say() {
    let Some(server) = sqlserver().await else { return };
    let settings = [
        ("REQUIRE_EACH_INCLUDED_TYPE", "false"),
        ("EXCLUDE_PUNCTUATION", "true"),
        ("PASSWORD_LENGTH", "8"),
    ];
    for _ in 0..5 {
        let user = server.user("fits").await;
        server.stage(&server.document(&user), &settings).play(&Step::ALL).await;
    }
    for (setting, value, words) in
        [("EXCLUDE_NUMBERS", "true", "digits"), ("PASSWORD_LENGTH", "7", "PASSWORD_LENGTH")]
    {
        let user = server.user("unfit").await;
        let stage = server.stage(&server.document(&user), &[(setting, value)]);
        let error = stage.step(Step::Create, &stage.begin()).await.error();
        assert!(error.contains(words), "{error}");
        assert_eq!(stage.try_text(AWSPENDING), None);
    }
    let long = Environment::from([("PASSWORD_LENGTH", "129")]);
    assert_eq!(rotate_sqlserver::strategies(&long).unwrap_err().kind(), ErrorKind::Malformed);
}

/// Rights of a pair, their quoting, and users who are named otherwise than their logins: while nobody
/// carries them over, no pair is taken.
#[test]
fn parity_28_pairs_are_refused_by_name_before_anything_is_read() {
    let refused = |name: &str, value: &str| {
        let error = rotate_sqlserver::strategies(&Environment::from([(name, value)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        error.to_string()
    };
    for value in ["alternating-users", "single-user,alternating-users"] {
        let error = refused("ROTATION_STRATEGY", value);
        assert!(error.contains("alternating-users") && error.contains("SQL Server"), "{error}");
    }
    assert!(refused("ROTATION_STRATEGY", "dual-password").contains("dual-password"));
    for name in ["PROBE_QUERY", "REFUSE_OPEN_SESSIONS"] {
        assert!(refused(name, "true").contains(name));
    }
}
