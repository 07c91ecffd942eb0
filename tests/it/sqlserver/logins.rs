//! Logins whose password is right, and which cannot work all the same: expired, to be changed first.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Question, Step};
use serde_json::json;

use super::with;
use crate::support::sqlserver::sqlserver;

/// The server takes the new password in the login itself, and compares the old one there.
#[tokio::test]
async fn an_expired_password_is_changed_while_logging_in() {
    let Some(server) = sqlserver().await else { return };
    for field in ["expired", "must change"] {
        let user = server.user("expired").await;
        server.set_login(&user.name, field, true).await;
        let stage = server.stage(&server.document(&user), &[]);
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
        assert_eq!(server.login(&user.name).await[field], json!(false));
        let heard = server.heard().await;
        let changed = format!("LOGIN {} database=master changes=True", user.name);
        assert_eq!(heard.matches(&changed).count(), 1, "{heard}");
        assert!(!heard.contains(&format!("ALTER LOGIN [{}]", user.name)), "{heard}");
    }
}

#[tokio::test]
async fn what_is_pending_and_expired_is_not_promoted() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("expires").await;
    let stage = server.stage(&server.document(&user), &[]);
    let token = stage.play(&[Step::Create, Step::Set]).await;
    server.set_login(&user.name, "expired", true).await;
    let error = stage.step(Step::Test, &token).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    assert!(error.to_string().contains("18487"), "{error}");
}

#[tokio::test]
async fn an_admin_gives_an_expired_login_its_password() {
    let Some(server) = sqlserver().await else { return };
    let (user, admin) = (server.user("expired").await, server.admin().await);
    server.set_login(&user.name, "expired", true).await;
    let stage = server.by_admin(&server.document(&user), &server.document(&admin), &[]);
    stage.play(&Step::ALL).await;
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

/// The database is looked at behind the change: it is not known here whether that was made.
#[tokio::test]
async fn an_expired_login_with_a_wrong_database_is_found_out_by_the_retry() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("astray").await;
    server.set_login(&user.name, "expired", true).await;
    let stage = server.stage(&with(&server.document(&user), "dbname", "nowhere"), &[]);
    let token = stage.play(&[Step::Create]).await;
    let error = stage.step(Step::Set, &token).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("may or may not"), "{error}");
    let pending = stage.password(AWSPENDING);
    assert_eq!(server.login(&user.name).await["password"], json!(pending));
    server.set(&["databases", "nowhere"], json!({"name": "nowhere", "users": {}})).await;
    let key = user.name.to_lowercase();
    let inside = json!({"name": user.name, "login": key});
    server.set(&["databases", "nowhere", "users", &key], inside).await;
    server.set(&["databases", "nowhere", "containment"], 0).await;
    let retried = stage.step(Step::Set, &token).await;
    assert!(retried.why().contains("already"), "{}", retried.why());
}

/// The rules of the policy have other numbers there.
#[tokio::test]
async fn a_password_that_the_policy_refuses_while_logging_in_changes_nothing() {
    let Some(server) = sqlserver().await else { return };
    for (rule, value, kept) in [("shortest", json!(40), false), ("too recent", json!(true), true)] {
        let user = server.user("expired").await;
        server.set_login(&user.name, "expired", true).await;
        server.set(&["policy", rule], value).await;
        let stage = server.stage(&server.document(&user), &[]);
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        assert!(ended.result.is_err());
        assert_eq!(stage.try_text(AWSPENDING).is_some(), kept, "{}", ended.error());
        assert_eq!(server.login(&user.name).await["password"], json!(user.password));
        let usual = if rule == "shortest" { json!(8) } else { json!(false) };
        server.set(&["policy", rule], usual).await;
        // A value that was refused is drawn anew, by another rotation.
        let token = if kept { token } else { stage.begin() };
        for step in Step::ALL {
            stage.step(step, &token).await.why();
        }
    }
}

/// Failed logins lock an account: in a healthy rotation there is none, and AWSPENDING is never tried first.
#[tokio::test]
async fn no_rotation_locks_an_account_that_three_failures_lock() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("counted").await;
    server.set_login(&user.name, "lockout", 3).await;
    let stage = server.stage(&server.document(&user), &[]);
    for _ in 0..4 {
        let token = stage.begin();
        for step in Step::ALL {
            // Each step twice.
            stage.step(step, &token).await.why();
            stage.step(step, &token).await.why();
        }
        stage.end(&token);
    }
    assert_ne!(server.login(&user.name).await["locked"], json!(true));
}

/// A password that was changed outside: how many logins each step adds that are refused, as the page says.
#[tokio::test]
async fn a_password_changed_outside_costs_few_refused_logins() {
    let Some(server) = sqlserver().await else { return };
    let mut all = Vec::new();
    for strategy in ["single-user", "single-user-by-admin", "REPAIR_USERS"] {
        let (user, admin) = (server.user("counted").await, server.admin().await);
        let document = server.document(&user);
        let stage = match strategy {
            "single-user" => server.stage(&document, &[]),
            "REPAIR_USERS" => {
                let repairs = [("REPAIR_USERS", user.name.as_str())];
                server.by_admin(&document, &server.document(&admin), &repairs)
            }
            _ => server.by_admin(&document, &server.document(&admin), &[]),
        };
        for _ in 0..4 {
            let token = stage.play(&Step::ALL).await;
            stage.end(&token);
        }
        server.set_login(&user.name, "password", "Changed-0utside").await;
        let token = stage.begin();
        let mut counts = Vec::new();
        for step in [Step::Create, Step::Set, Step::Set] {
            let ended = stage.step(step, &token).await;
            counts.push((server.refused(&user.name).await, ended.result.is_ok()));
        }
        all.push(counts);
    }
    let [single, by_admin, repairing] = all.try_into().unwrap();
    assert_eq!(single, [(1, true), (5, false), (9, false)]);
    assert_eq!(by_admin, [(0, true), (4, false), (8, false)]);
    // Done; the retry finds the pending one behind AWSCURRENT.
    assert_eq!(repairing, [(0, true), (4, true), (5, true)]);
}

#[tokio::test]
async fn preflight_warns_of_the_age_of_passwords_and_of_replicas_and_finds_what_is_read_only() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("warned").await;
    let stage = server.stage(&server.document(&user), &[]);
    let ready = stage.ask(Question::Preflight).await;
    assert_eq!(ready["ready"], json!(true), "{ready}");
    // Which the policy of the domain may set to never.
    server.set_login(&user.name, "expires", true).await;
    let never = stage.ask(Question::Preflight).await.to_string();
    assert!(!never.contains("expires after"), "{never}");
    server.set_login(&user.name, "days left", 3).await;
    server.set(&["hadr"], true).await;
    let warned = stage.ask(Question::Preflight).await;
    assert_eq!(warned["ready"], json!(true), "{warned}");
    let text = warned.to_string().to_lowercase();
    for words in ["expires after", "availability group"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    server.set(&["databases", "own", "read only"], true).await;
    let inside = server.contained_user("readonly").await;
    let stage = server.stage(&server.contained_document(&inside), &[]);
    let answer = stage.ask(Question::Preflight).await;
    assert_eq!(answer["ready"], json!(false), "{answer}");
    let token = stage.begin();
    let error = stage.step(Step::Create, &token).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!(stage.try_text(AWSPENDING), None);
}

/// Names are compared as by the default collation, whatever their case.
#[tokio::test]
async fn a_name_in_another_case_is_the_same_login() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("MixedCase").await;
    let document = with(&server.document(&user), "username", user.name.to_uppercase());
    let stage = server.stage(&document, &[]);
    stage.play(&Step::ALL).await;
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    assert_eq!(stage.document(AWSCURRENT)["username"], json!(user.name.to_uppercase()));
}

/// As behind a pooler that maps users, or where a logon trigger changes whose rights count.
#[tokio::test]
async fn a_session_of_somebody_else_is_not_worked_with() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("mapped").await;
    for place in ["0", "1"] {
        let stage = server.stage(&server.document(&user), &[]);
        server.set(&["identity"], json!({place: "somebody"})).await;
        let error = stage.step(Step::Create, &stage.begin()).await.result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    assert_eq!(server.login(&user.name).await["password"], json!(user.password));
}
