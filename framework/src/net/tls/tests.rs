//! Which settings are refused, and what each refusal of a server says.

use super::*;
use crate::invocation::Deadline;
use expect_test::{Expect, expect};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn beyond_06_the_expected_name_is_the_configured_one_or_the_host() {
    let settings = TlsSettings::default();
    for host in ["db.example", "127.0.0.1", "::1"] {
        assert_eq!(settings.expected_name(host).unwrap().to_str(), host);
    }
    assert_eq!(settings.expected_name("a b").unwrap_err().kind(), ErrorKind::Tls);
    let environment = Environment::from([(SERVER_NAME, "real.example")]);
    let settings = TlsSettings::read(&environment).unwrap();
    assert_eq!(settings.expected_name("a b").unwrap().to_str(), "real.example");
    let environment = Environment::from([(SERVER_NAME, "a b")]);
    let error = TlsSettings::read(&environment).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains(SERVER_NAME), "{error}");
}

/// Any server of the web has a certificate of a public authority.
#[test]
fn b1_no_name_is_checked_only_for_authorities_of_one_s_own() {
    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/rds-ca/aws.pem");
    for (variables, fine) in [
        (vec![(ANY_NAME, "true")], false),
        (vec![(ANY_NAME, "true"), (CA_BUNDLE, bundle), (SERVER_NAME, "real.example")], false),
        (vec![(ANY_NAME, "true"), (CA_BUNDLE, bundle)], true),
        (vec![(ANY_NAME, "false")], true),
    ] {
        match TlsSettings::read(&Environment::from_iter(variables)) {
            Ok(settings) => assert!(fine && settings.client().is_ok()),
            Err(error) => assert!(!fine && error.to_string().contains(ANY_NAME), "{error}"),
        }
    }
}

#[test]
fn each_refusal_says_what_to_do() {
    fn check(refusal: impl Into<rustls::Error>, expected: Expect) {
        let error = classify(&io::Error::other(refusal.into()), "db.example");
        assert_eq!(error.kind(), ErrorKind::Tls);
        expected.assert_eq(&error.to_string());
    }
    let at = |secs| UnixTime::since_unix_epoch(Duration::from_secs(secs));
    check(
        CertificateError::UnknownIssuer,
        expect![
            "cannot set up verified TLS: the server's certificate is signed by an authority that is \
             not trusted; name a PEM file with that authority's certificate in TLS_CA_BUNDLE"
        ],
    );
    check(
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("db.example").unwrap(),
            presented: vec!["DnsName(\"other\")".into()],
        },
        expect![
            "cannot set up verified TLS: the server's certificate is not for \"db.example\" but for \
             other; write a name it carries into the secret's \"host\", or set TLS_SERVER_NAME"
        ],
    );
    // As MySQL makes them for itself.
    check(
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("db.example").unwrap(),
            presented: Vec::new(),
        },
        expect![
            "cannot set up verified TLS: the server's certificate carries no name (no subjectAltName); \
             give the server one that carries its name (`openssl req -addext \
             subjectAltName=DNS:NAME`), or set ALLOW_ANY_SERVER_NAME to believe any server of the \
             authorities in TLS_CA_BUNDLE"
        ],
    );
    check(
        CertificateError::ExpiredContext { time: at(200_000), not_after: at(1) },
        expect![
            "cannot set up verified TLS: the server's certificate expired 3 days ago; renew it"
        ],
    );
    check(
        CertificateError::NotValidYetContext { time: at(1), not_before: at(9) },
        expect![
            "cannot set up verified TLS: the server's certificate is not valid yet, but in 1 \
             days; look at both clocks"
        ],
    );
    let alert = rustls::AlertDescription::CertificateRequired;
    check(
        rustls::Error::AlertReceived(alert),
        expect!["cannot set up verified TLS: the server sent the TLS alert CertificateRequired"],
    );
}

/// The host's own name says which roots are wanting, and there are two ways to get them.
#[test]
fn a_region_whose_roots_are_not_built_in_is_named() {
    let refusal = rustls::Error::from(CertificateError::UnknownIssuer);
    let error = classify(&io::Error::other(refusal), "db.c1a2.xx-north-9.rds.amazonaws.com");
    expect![
        "cannot set up verified TLS: the server's certificate is signed by an authority that is not \
         trusted; this build has no Amazon RDS roots of the Region xx-north-9: name AWS's bundle for \
         that Region in TLS_CA_BUNDLE, or run scripts/update-rds-roots, build and deploy again"
    ]
    .assert_eq(&error.to_string());
}

#[tokio::test]
async fn a_broken_connection_is_no_tls_failure_and_an_answer_that_is_not_tls_is() {
    for (answer, kind) in [(&b""[..], ErrorKind::Unreachable), (b"HTTP/1.1 400", ErrorKind::Tls)] {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let server = async move {
            let _ = far.read(&mut [0; 1024]).await;
            let _ = far.write_all(answer).await;
        };
        let cx = Invocation::new(Deadline::after(Duration::from_secs(9)));
        let settings = TlsSettings::default();
        let (error, ()) = tokio::join!(handshake(near, "db.example", &settings, &cx), server);
        assert_eq!(error.unwrap_err().kind(), kind);
    }
}
