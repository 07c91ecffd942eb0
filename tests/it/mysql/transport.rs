//! TLS and what is never sent without it.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{Environment, ErrorKind, Step};
use serde_json::{Value, json};

use super::with;
use crate::support::mysql::{PLUGINS, Server, counting, mariadb, mysql, servers};
use crate::support::stage::{Ended, Stage};

/// The first two steps; how setSecret ended.
async fn set(stage: &Stage) -> Ended {
    let token = stage.play(&[Step::Create]).await;
    stage.step(Step::Set, &token).await
}

fn kind(ended: &Ended) -> ErrorKind {
    ended.result.as_ref().unwrap_err().kind()
}

/// A stage whose function has these variables and no others.
fn stage(document: &Value, variables: &[(&str, &str)]) -> Stage {
    let environment: Environment = variables.iter().copied().collect();
    Stage::of(rotate_mysql::strategies, &document.to_string(), environment)
}

fn without_ssl(server: &Server, user: &crate::support::mysql::User) -> Value {
    let mut document = server.document(user);
    document.as_object_mut().unwrap().remove("ssl");
    document
}

#[tokio::test]
async fn parity_27_true_means_verified_tls_whatever_its_spelling() {
    for server in servers() {
        for ssl in [json!(true), json!("TRUE"), json!(null), json!("prefer")] {
            let user = server.user("tls").await;
            // The account itself demands it, so a plaintext login would be refused.
            server.arrange(&format!("ALTER USER '{}'@'127.%' REQUIRE SSL", user.name)).await;
            let stage = server.stage(&with(&server.document(&user), "ssl", ssl), &[]);
            stage.play(&Step::ALL).await;
            assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
        }
    }
}

#[tokio::test]
async fn parity_27_false_means_plaintext_as_asked_where_the_password_can_log_in_afterwards() {
    let Some(server) = mariadb() else { return };
    let user = server.user("plain").await;
    for ssl in [json!(false), json!("False")] {
        let stage = server.stage(&with(&server.document(&user), "ssl", ssl), &[]);
        stage.play(&Step::ALL).await;
        let change = format!("ALTER USER '{}'@'127.%' REQUIRE SSL", user.name);
        server.arrange(&change).await;
        // It did come without TLS, and is refused now.
        let ended = set(&stage).await;
        assert_eq!(kind(&ended), ErrorKind::Rejected);
        assert!(ended.error().contains("demands TLS"), "{}", ended.error());
        let back = format!(
            "ALTER USER '{}'@'127.%' IDENTIFIED BY '{}' REQUIRE NONE",
            user.name, user.password
        );
        server.arrange(&back).await;
    }
}

#[tokio::test]
async fn rule_09_plaintext_is_refused_before_any_change_where_the_password_itself_would_be_asked_for()
 {
    let Some(server) = mysql() else { return };
    // A server that reads its tables again forgets which passwords it has seen.
    let _seen = counting().await;
    let user = server.user("unseen").await;
    let document = with(&server.document(&user), "ssl", false);
    // The server has not seen the password yet: it asks for it, and is not told.
    let ended = set(&server.stage(&document, &[])).await;
    assert_eq!(kind(&ended), ErrorKind::Unsupported);
    assert!(ended.error().contains("was not sent"), "{}", ended.error());
    // It has seen this one, but would not have seen the next.
    assert!(server.logs_in(&user.name, &user.password).await);
    let before = server.kept(&user).await;
    let ended = set(&server.stage(&document, &[])).await;
    assert_eq!(kind(&ended), ErrorKind::Unsupported);
    assert!(ended.error().contains("nothing was changed"), "{}", ended.error());
    assert_eq!(server.kept(&user).await, before);
}

#[tokio::test]
async fn beyond_06_an_authority_and_a_name_are_trusted_by_configuration_only() {
    for server in servers() {
        let user = server.user("authority").await;
        let document = server.document(&user);
        let (ca, other) = (server.file("tls/ca.pem"), server.file("tls/other-ca.pem"));
        for variables in [vec![], vec![("TLS_CA_BUNDLE", other.as_str())]] {
            let ended = set(&stage(&document, &variables)).await;
            assert_eq!(kind(&ended), ErrorKind::Tls);
            assert!(ended.error().contains("TLS_CA_BUNDLE"), "{}", ended.error());
            assert_eq!(ended.stats.rejected_logins, 0);
        }
        let document = with(&document, "host", "127.0.0.1");
        let ended = set(&stage(&document, &[("TLS_CA_BUNDLE", &ca)])).await;
        assert_eq!(kind(&ended), ErrorKind::Tls);
        assert!(ended.error().contains("TLS_SERVER_NAME"), "{}", ended.error());
        let named = [("TLS_CA_BUNDLE", ca.as_str()), ("TLS_SERVER_NAME", "localhost")];
        stage(&document, &named).play(&Step::ALL).await;
    }
}

#[tokio::test]
async fn beyond_05_an_authentication_failure_never_leads_to_plaintext() {
    for server in servers() {
        let user = server.user("fallback").await;
        let document = with(&without_ssl(&server, &user), "password", "canary-wrong");
        let stage = server.stage(&document, &[("ALLOW_PLAINTEXT_FALLBACK", "true")]);
        let ended = set(&stage).await;
        assert_eq!(kind(&ended), ErrorKind::Rejected);
        assert_eq!((ended.stats.connections, ended.stats.warnings.len()), (2, 0));
    }
}

#[tokio::test]
async fn beyond_05_falling_back_is_opt_in_and_warned_about() {
    let Some(server) = mariadb() else { return };
    let user = server.user("optin").await;
    let document = without_ssl(&server, &user);
    assert_eq!(kind(&set(&stage(&document, &[])).await), ErrorKind::Tls);
    let stage = stage(&document, &[("ALLOW_PLAINTEXT_FALLBACK", "true")]);
    let ended = set(&stage).await;
    ended.why();
    assert!(ended.stats.warnings.iter().any(|one| one.contains("plaintext")), "{:?}", ended.stats);
    assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
}

#[tokio::test]
async fn rule_09_an_account_with_another_plugin_is_refused_by_name() {
    let Some(server) = mariadb() else { return };
    let user = server.user("plugin").await;
    let change = format!(
        "INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'; \
         ALTER USER '{}'@'127.%' IDENTIFIED VIA ed25519 USING PASSWORD('{}')",
        user.name, user.password
    );
    let _alone = PLUGINS.write().await;
    server.arrange(&change).await;
    let ended = set(&server.stage(&server.document(&user), &[])).await;
    assert_eq!(kind(&ended), ErrorKind::Unsupported);
    assert!(ended.error().contains("client_ed25519"), "{}", ended.error());
    server.arrange(&format!("DROP USER '{}'@'127.%'", user.name)).await;
}

#[tokio::test]
async fn an_account_with_the_deprecated_plugin_sha256_password_keeps_it() {
    let Some(server) = mysql() else { return };
    let user = server.user("sha256").await;
    let account = format!("'{}'@'127.%'", user.name);
    let change =
        format!("ALTER USER {account} IDENTIFIED WITH sha256_password BY '{}'", user.password);
    server.arrange(&change).await;
    let stage = server.stage(&server.document(&user), &[]);
    stage.play(&Step::ALL).await;
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    let query = format!("SELECT plugin FROM mysql.user WHERE user = '{}'", user.name);
    assert_eq!(server.arrange(&query).await.trim(), "sha256_password");
}

#[tokio::test]
async fn causes_of_a_failed_login_are_told_apart() {
    for server in servers() {
        let user = server.user("cause").await;
        server.arrange(&format!("ALTER USER '{}'@'127.%' ACCOUNT LOCK", user.name)).await;
        let ended = set(&server.stage(&server.document(&user), &[])).await;
        assert_eq!(kind(&ended), ErrorKind::Forbidden, "{}", ended.error());
        assert_eq!(ended.stats.rejected_logins, 0, "the password was not refused");
    }
}
