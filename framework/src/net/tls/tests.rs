//! Which settings are refused, and what each refusal of a server says.

use super::*;
use crate::turn::Deadline;
use expect_test::{Expect, expect};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn read(bundle: &[u8]) -> Result<TlsSettings, Error> {
    let path = std::env::temp_dir().join(format!(
        "fourstep-bundle-{}-{:?}.pem",
        std::process::id(),
        std::thread::current().id()
    ));
    fs::write(&path, bundle).unwrap();
    let settings = TlsSettings::read(&Environment::from([(CA_BUNDLE, path.to_str().unwrap())]));
    fs::remove_file(&path).unwrap();
    settings
}

#[test]
fn a_bundle_that_cannot_serve_is_refused_by_name() {
    let mut broken = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for (bundle, expected) in [
        (&b""[..], "names a file without a PEM certificate"),
        (b"hello", "names a file without a PEM certificate"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "names a file in which no certificate can be decoded",
        ),
        (
            {
                broken.extend(b"%%%\n-----END CERTIFICATE-----\n");
                &broken
            },
            "names a file that is not in PEM format",
        ),
    ] {
        let error = read(bundle).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert_eq!(error.to_string(), format!("the environment variable {CA_BUNDLE} {expected}"));
    }
    let absent = Environment::from([(CA_BUNDLE, "/nowhere/bundle.pem")]);
    let error = TlsSettings::read(&absent).unwrap_err().to_string();
    assert!(error.contains("TLS_CA_BUNDLE names a file that cannot be read"), "{error}");
}

#[test]
fn beyond_06_every_rds_root_can_be_used_and_comes_with_the_web_s_roots() {
    let bundle: Vec<_> =
        CertificateDer::pem_slice_iter(RDS_ROOTS).collect::<Result<_, _>>().unwrap();
    let mut roots = RootCertStore::empty();
    assert_eq!(roots.add_parsable_certificates(bundle), (87, 0));
    read(RDS_ROOTS).unwrap().client().unwrap();
}

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
             other; set TLS_SERVER_NAME to a name it carries"
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

#[tokio::test]
async fn a_broken_connection_is_no_tls_failure_and_an_answer_that_is_not_tls_is() {
    for (answer, kind) in [(&b""[..], ErrorKind::Unreachable), (b"HTTP/1.1 400", ErrorKind::Tls)] {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let server = async move {
            let _ = far.read(&mut [0; 1024]).await;
            let _ = far.write_all(answer).await;
        };
        let turn = Turn::new(Deadline::after(Duration::from_secs(9)));
        let settings = TlsSettings::default();
        let (error, ()) = tokio::join!(handshake(near, "db.example", &settings, &turn), server);
        assert_eq!(error.unwrap_err().kind(), kind);
    }
}
