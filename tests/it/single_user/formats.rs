//! The form in which a password reaches the server, and a server that refuses the password itself.

use fourstep::store::{AWSCURRENT, AWSPENDING, StoreError, StoreErrorCode};
use fourstep::{ErrorKind, Step, VersionId};
use fourstep_local::Fault;
use serde_json::Value;

use super::with;
use crate::support::postgres::{Server, User, both_versions, server};
use crate::support::stage::Stage;

const FORMAT: &str = "POSTGRES_PASSWORD_FORMAT";

/// Makes every session of this user load the server's own password check, which refuses what is
/// shorter than eight characters, or all letters; it sees only passwords that are sent as they are.
async fn check_passwords_of(server: &Server, user: &User) {
    let sql = format!(
        "ALTER ROLE \"{}\" SET session_preload_libraries = 'passwordcheck'; \
         ALTER ROLE \"{}\" SET log_statement = 'none'; \
         ALTER ROLE \"{}\" SET log_min_duration_statement = -1",
        user.name, user.name, user.name
    );
    server.arrange(&sql).await;
}

fn over_tls(server: &Server, user: &User) -> Value {
    with(&server.document(user), "ssl", true)
}

/// A rotation whose pending password the server's check refuses, before setSecret.
async fn refused_proposal(server: &Server, user: &User) -> (Stage, VersionId) {
    check_passwords_of(server, user).await;
    let weak = [(FORMAT, "plaintext"), ("TLS_CA_BUNDLE", &server.ca), ("PASSWORD_LENGTH", "5")];
    let stage = Stage::new(&over_tls(server, user), &weak);
    let token = stage.play(&[Step::Create]).await;
    (stage, token)
}

#[tokio::test]
async fn rule_15_a_password_that_the_server_refuses_is_given_up_and_the_next_rotation_goes_on() {
    let Some(server) = server() else { return };
    let user = server.user("picky").await;
    let (stage, token) = refused_proposal(&server, &user).await;
    let refused = stage.password(AWSPENDING);
    let ended = stage.step(Step::Set, &token).await;
    let error = ended.error();
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported, "{error}");
    for said in ["PASSWORD_LENGTH", "nothing was applied", "AWSPENDING was taken off", "22023"] {
        assert!(error.contains(said), "{said}: {error}");
    }
    assert!(!error.contains(&refused));
    assert!(server.logs_in(&user.name, &user.password).await);
    assert_eq!(stage.labels()[1], None, "AWSPENDING is gone");
    // The service may deliver the dead rotation again: that does no harm and says why.
    let again = stage.step(Step::Create, &token).await;
    assert_eq!(again.result.unwrap_err().kind(), ErrorKind::NotStaged);
    // With the setting changed, the next rotation simply works.
    let strong = [(FORMAT, "plaintext"), ("TLS_CA_BUNDLE", &server.ca)];
    let document = over_tls(&server, &user);
    let stage = Stage { rotator: Stage::new(&document, &strong).rotator, ..stage };
    let ended = stage.play(&Step::ALL).await;
    assert_eq!(stage.labels()[0], Some(ended));
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    // Kept in the stronger form, whatever the server's own default is.
    assert!(server.verifier(&user).await.starts_with("SCRAM-SHA-256$"));
}

#[tokio::test]
async fn rule_15_a_refused_password_whose_label_cannot_be_taken_off_says_the_command() {
    let Some(server) = server() else { return };
    let user = server.user("stuck").await;
    let (stage, token) = refused_proposal(&server, &user).await;
    stage.store.set_faults(|_, call| match call.operation {
        "UpdateSecretVersionStage" => {
            Fault::Fail(StoreError::new(StoreErrorCode::AccessDenied, "planted"))
        }
        _ => Fault::Proceed,
    });
    let error = stage.step(Step::Set, &token).await.error();
    assert!(error.contains("--version-stage AWSPENDING --remove-from-version-id"), "{error}");
    assert!(error.contains("AccessDenied"), "{error}");
    assert_eq!(stage.labels()[1], Some(token));
}

#[tokio::test]
async fn a_plaintext_is_never_sent_where_it_would_be_seen() {
    let Some(server) = server() else { return };
    for format in ["plaintext", "md5"] {
        let user = server.user("seen").await;
        let stage = Stage::new(&server.document(&user), &[(FORMAT, format)]);
        let token = stage.play(&[Step::Create]).await;
        let length = server.log_length();
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.contains(FORMAT) && error.contains("TLS"), "{error}");
        assert!(!server.log_since(length).contains(&format!("ALTER ROLE \"{}\"", user.name)));
        assert!(server.logs_in(&user.name, &user.password).await);
    }
}

#[tokio::test]
async fn md5_is_kept_where_the_server_uses_it_and_refused_where_it_would_be_a_step_back() {
    let Some(server) = server() else { return };
    let user = server.user("scram").await;
    let document = over_tls(&server, &user);
    let settings = [(FORMAT, "md5"), ("TLS_CA_BUNDLE", server.ca.as_str())];
    let stage = Stage::new(&document, &settings);
    let token = stage.play(&[Step::Create]).await;
    let error = stage.step(Step::Set, &token).await.error();
    assert!(error.contains("stronger than md5"), "{error}");
    assert!(server.logs_in(&user.name, &user.password).await);
}

#[tokio::test]
async fn md5_rotates_an_account_that_the_server_checks_with_md5() {
    let Some(server) = server() else { return };
    let user = server.user("old").await;
    let sql = format!(
        "SET password_encryption = md5; ALTER ROLE \"{}\" PASSWORD '{}'; GRANT hba_md5 TO \"{}\"",
        user.name, user.password, user.name
    );
    server.arrange_quietly(&sql).await;
    let document = over_tls(&server, &user);
    let settings = [(FORMAT, "md5"), ("TLS_CA_BUNDLE", server.ca.as_str())];
    let stage = Stage::new(&document, &settings);
    for _ in 0..2 {
        stage.play(&Step::ALL).await;
    }
    assert!(server.verifier(&user).await.starts_with("md5"));
    // Without the variable the account moves on to SCRAM, which the method md5 accepts as well.
    let stage = Stage { rotator: Stage::new(&document, &settings[1..]).rotator, ..stage };
    stage.play(&Step::ALL).await;
    assert!(server.verifier(&user).await.starts_with("SCRAM-SHA-256$"));
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

/// A verifier is what the server would have made of the password, within a bound.
#[tokio::test]
async fn a_verifier_has_the_rounds_that_the_server_says() {
    for server in both_versions() {
        let knows = server.version().await >= 16;
        for (set, expected) in [("4096", 4096), ("50000", 50_000), ("200000", 100_000)] {
            let user = server.user("rounds").await;
            if knows {
                let sql = format!("ALTER ROLE \"{}\" SET scram_iterations = {set}", user.name);
                server.arrange(&sql).await;
            }
            let stage = Stage::new(&server.document(&user), &[]);
            stage.play(&Step::ALL).await;
            let expected = if knows { expected } else { 4096 };
            let verifier = server.verifier(&user).await;
            assert!(verifier.starts_with(&format!("SCRAM-SHA-256${expected}:")), "{verifier}");
            assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
        }
    }
}
