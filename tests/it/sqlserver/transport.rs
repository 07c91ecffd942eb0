//! TLS in the place where TDS has it, and what is never said without.

use fourstep::store::AWSCURRENT;
use fourstep::{ErrorKind, Step};
use serde_json::json;

use super::with;
use crate::support::sqlserver::sqlserver;

const WEAK: (&str, &str) = ("ALLOW_WEAK_AUTHENTICATION", "true");
const FALLBACK: (&str, &str) = ("ALLOW_PLAINTEXT_FALLBACK", "true");

#[tokio::test]
async fn parity_29_a_login_is_never_sent_bare_to_a_server_without_tls() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("bare").await;
    let document = server.document(&user);
    let mut absent = document.clone();
    absent.as_object_mut().unwrap().remove("ssl");
    let plain = with(&document, "ssl", false);
    for answer in ["not supported", "off"] {
        server.set(&["encrypt"], answer).await;
        for (document, variables, kind) in [
            (&document, &[][..], ErrorKind::Tls),
            (&document, &[FALLBACK, WEAK], ErrorKind::Tls),
            (&absent, &[], ErrorKind::Tls),
            (&absent, &[FALLBACK], ErrorKind::Unsupported),
            (&plain, &[], ErrorKind::Unsupported),
            (&plain, &[FALLBACK], ErrorKind::Unsupported),
        ] {
            let stage = server.stage(document, variables);
            let ended = stage.step(Step::Create, &stage.begin()).await;
            let error = ended.result.as_ref().unwrap_err();
            assert_eq!(error.kind(), kind, "{answer}, {variables:?}: {error}");
            if kind == ErrorKind::Unsupported {
                assert!(error.to_string().contains("ALLOW_WEAK_AUTHENTICATION"), "{error}");
            }
        }
        assert!(!server.heard().await.contains("LOGIN"), "{}", server.heard().await);
    }
    server.set(&["encrypt"], "not supported").await;
    for (document, variables) in [(&plain, &[WEAK][..]), (&absent, &[FALLBACK, WEAK])] {
        let now = server.login(&user.name).await["password"].clone();
        server.stage(&with(document, "password", now), variables).play(&Step::ALL).await;
    }
    // One that demands TLS is not spoken to without.
    server.set(&["encrypt"], "required").await;
    let before = server.logins().await;
    let stage = server.stage(&plain, &[WEAK]);
    let error = stage.step(Step::Create, &stage.begin()).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    assert_eq!(server.logins().await, before);
}

/// Before the login, in which the password is.
#[tokio::test]
async fn rule_09_a_certificate_of_another_name_or_authority_is_refused() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("certificate").await;
    let document = server.document(&user);
    let other = server.file("tls/other-ca.pem");
    for (document, variables) in [
        (with(&document, "host", "127.0.0.1"), &[][..]),
        (document.clone(), &[("TLS_CA_BUNDLE", other.as_str())]),
        (document.clone(), &[("TLS_SERVER_NAME", "elsewhere.example")]),
    ] {
        let stage = server.stage(&document, variables);
        let error = stage.step(Step::Create, &stage.begin()).await.result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    }
    assert!(!server.heard().await.contains("LOGIN"));
    let named = with(&document, "host", "127.0.0.1");
    server.stage(&named, &[("TLS_SERVER_NAME", "localhost")]).play(&Step::ALL).await;
}

/// A server of TLS 1.3 goes on with the handshake when the client has ended it.
#[tokio::test]
async fn tls_1_3_is_spoken_inside_tds_too() {
    let Some(server) = sqlserver().await else { return };
    server.set(&["tls"], "1.3").await;
    let user = server.user("newer").await;
    let stage = server.stage(&server.document(&user), &[]);
    stage.play(&Step::ALL).await;
    // FreeTDS does not get through that handshake.
    assert_eq!(server.login(&user.name).await["password"], json!(stage.password(AWSCURRENT)));
}

/// The double: whatever it does not know it refuses, and says so in its log.
#[tokio::test]
async fn what_is_not_a_statement_of_the_rotator_s_passes_nobody() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("asks").await;
    server.stage(&server.document(&user), &[]).play(&Step::ALL).await;
    let heard = server.heard().await;
    assert!(!heard.contains("PROTOCOL"), "{heard}");
    assert!(heard.contains("sp_getapplock") && heard.contains("sys.dm_exec_sessions"), "{heard}");
    assert_eq!(server.tell(json!({"do": "state"})).await["encrypt"], "required");
}
