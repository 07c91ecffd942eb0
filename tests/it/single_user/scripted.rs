//! Hostile and odd servers, scripted: what they hear, and what becomes of the login.

use std::time::Duration;

use fourstep::users::{Attempt, Login, SslMode, driver};
use fourstep::{Deadline, Environment, Error, ErrorKind, Invocation, InvocationStats};
use fourstep_testing::Canary;
use rotate_postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PASSWORD: &str = "canary-password";
const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const MD5: &[u8] = b"R\0\0\0\x0c\0\0\0\x05salt";
const READY: &[u8] = b"S\0\0\0\x08a\0b\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I";
const SASL: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
const REFUSED: &[u8] = b"E\0\0\0\x24SFATAL\0C28P01\0Mcanary-password\0\0";
const GARBAGE: &str = "what answers is not a PostgreSQL server";

/// What came of one login against one script.
struct Outcome {
    result: Result<String, Error>,
    /// All that the server heard, over all connections.
    heard: String,
    stats: InvocationStats,
}

impl Outcome {
    fn error(self) -> Error {
        assert!(!self.heard.contains(PASSWORD), "the password was sent");
        let error = self.result.unwrap_err();
        assert!(!error.to_string().contains(PASSWORD), "{error}");
        error
    }
}

/// A server that, on each connection, answers each thing it hears with the next of `answers` and
/// then closes.
async fn against(ssl: SslMode, settings: Environment, seconds: u64, answers: &[&[u8]]) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (over, ended) = tokio::sync::watch::channel(false);
    let serve = async move {
        let mut heard = Vec::new();
        let mut answers = answers.iter();
        loop {
            // However long a login stands still; and a moment longer, for what it leaves behind.
            let mut ended = ended.clone();
            let late = async move {
                let _ = ended.wait_for(|over| *over).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = late => break,
            };
            let (mut stream, _) = accepted.unwrap();
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut chunk).await {
                heard.extend(&chunk[..count]);
                match answers.next() {
                    // An empty answer is silence.
                    Some(&[]) => continue,
                    Some(answer) => stream.write_all(answer).await.unwrap(),
                    None => break,
                }
            }
        }
        String::from_utf8_lossy(&heard).into_owned()
    };
    let login = Login { ssl, ..Login::new("127.0.0.1", port, "app", PASSWORD) }.with_database("db");
    let cx = Invocation::new(Deadline::after(Duration::from_millis(seconds * 1000 + 500)));
    let postgres = Postgres::read(&settings).unwrap();
    let log_in = async {
        let result = driver::log_in(&postgres, &login, &cx).await;
        // The end of the session lets the server finish.
        let result = result.map(|attempt| match attempt {
            Attempt::Accepted(_) => "accepted".to_owned(),
            Attempt::Refused(why) => why,
        });
        over.send_replace(true);
        result
    };
    let (result, heard) = tokio::join!(log_in, serve);
    Outcome { result, heard, stats: cx.stats() }
}

async fn plain(answers: &[&[u8]]) -> Outcome {
    against(SslMode::Plaintext, Environment::default(), 5, answers).await
}

fn assert_reason(outcome: Outcome, reason: &str) {
    let text = outcome.result.unwrap();
    assert!(text.starts_with(reason), "{text}");
}

#[tokio::test]
async fn a_cleartext_or_md5_request_gets_nothing_on_plaintext() {
    for (request, what) in [(CLEARTEXT, "in cleartext"), (MD5, "as an MD5 hash")] {
        let answers: &[&[u8]] = &[request];
        let outcome = plain(answers).await;
        // The first message is all that the server got to see.
        assert!(outcome.heard.ends_with("\0\0"), "{}", outcome.heard);
        assert!(!outcome.heard.contains("md5"), "{}", outcome.heard);
        let error = outcome.error();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.to_string().contains("ALLOW_WEAK_AUTHENTICATION"), "{error}");
    }
}

#[tokio::test]
async fn weak_authentication_is_possible_where_it_is_allowed() {
    let weak = || Environment::from([("ALLOW_WEAK_AUTHENTICATION", "true")]);
    // It is process 7, also when it is asked.
    const ACCEPTS: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x07\0\0\0\0Z\0\0\0\x05I";
    const SEVEN: &[u8] = b"T\0\0\0\x1a\0\x01p\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0\
        D\0\0\0\x0b\0\x01\0\0\0\x017C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
    let outcome = against(SslMode::Plaintext, weak(), 5, &[CLEARTEXT, ACCEPTS, SEVEN]).await;
    assert!(outcome.heard.contains(PASSWORD));
    assert_reason(outcome, "accepted");
    let outcome = against(SslMode::Plaintext, weak(), 5, &[MD5, ACCEPTS, SEVEN]).await;
    assert!(outcome.heard.contains("\0\0\0(md5") && !outcome.heard.contains(PASSWORD));
    assert_reason(outcome, "accepted");
    // Ready, but of what: one byte says so.
    const HALF: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x04";
    let outcome = against(SslMode::Plaintext, weak(), 5, &[CLEARTEXT, HALF]).await;
    assert!(outcome.result.unwrap_err().to_string().contains(GARBAGE));
    // A refusal counts, and its message, which repeats the password, is not shown.
    let outcome = against(SslMode::Plaintext, weak(), 5, &[CLEARTEXT, REFUSED]).await;
    assert_eq!(outcome.stats.rejected_logins, 1);
    assert_reason(outcome, "refused with SQLSTATE 28P01 (");
}

#[tokio::test]
async fn a_server_that_was_told_the_password_is_not_quoted_in_whatever_form_it_repeats_it() {
    let weak = Environment::from([("ALLOW_WEAK_AUTHENTICATION", "true")]);
    let text = format!("C42501\0M{:?}\0\0", PASSWORD.as_bytes());
    let length = u32::try_from(text.len() + 4).unwrap().to_be_bytes();
    let repeats = [b"E", &length[..], text.as_bytes()].concat();
    let outcome = against(SslMode::Plaintext, weak, 5, &[CLEARTEXT, &repeats]).await;
    let error = outcome.result.unwrap_err().to_string();
    assert_eq!(Canary::of(PASSWORD).found_in(&text), Some("as a list of bytes"));
    assert_eq!(Canary::of(PASSWORD).found_in(&error), None, "{error}");
    assert!(error.contains("42501"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_ask_proves_nothing() {
    for answer in [OK, &[OK, READY].concat()] {
        let answers: &[&[u8]] = &[answer];
        let outcome = plain(answers).await;
        assert_eq!(outcome.stats.rejected_logins, 0);
        let error = outcome.error();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("without checking the password"), "{error}");
    }
    let error = plain(&[REFUSED]).await.error();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_server_that_does_not_prove_itself_is_not_believed() {
    // It skips its own half of SCRAM.
    let error = plain(&[SASL, OK]).await.error();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    // A nonce that is not ours, and no message at all.
    for challenge in [
        &b"R\0\0\0\x21\0\0\0\x0br=stranger,s=c2FsdA==,i=1"[..],
        b"R\0\0\0\x08\0\0\0\x0b",
        b"R\0\0\0\x0a\0\0\0\x0b,,",
    ] {
        let answers: &[&[u8]] = &[SASL, challenge];
        let error = plain(answers).await.error();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("SCRAM"), "{error}");
    }
    // It would keep the function busy for hours.
    let rounds = b"R\0\0\0\x23\0\0\0\x0br=x,s=c2FsdA==,i=2000000000";
    let error = plain(&[SASL, rounds]).await.error();
    assert!(error.to_string().contains("more than 200000 rounds"), "{error}");
    let error = plain(&[b"R\0\0\0\x13\0\0\0\x0aOAUTHBEAR\0\0"]).await.error();
    assert!(error.to_string().contains("other than SCRAM-SHA-256"), "{error}");
    let error = plain(&[b"R\0\0\0\x08\0\0\0\x07"]).await.error();
    assert!(error.to_string().contains("authentication method 7"), "{error}");
}

#[tokio::test]
async fn another_protocol_is_named_as_such() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"J\0\0\0\x0a8.0.36\0",
        b"R\x7f\xff\xff\xff",
        b"R\0\0\0\x00",
        b"R\0\0\0\x06\0\0",
        b"R\0\0\0\x0a\0\0\0\x05ab",
        // Empty notices: longer in all than any greeting, though each holds nothing.
        &b"N\0\0\0\x04".repeat(20_000),
        READY,
    ] {
        let answers: &[&[u8]] = &[answer];
        let error = plain(answers).await.error();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains(GARBAGE), "{error}");
    }
    let error = plain(&[]).await.error();
    assert!(error.to_string().contains("the connection broke during the login"), "{error}");
}

#[tokio::test]
async fn every_answer_to_the_request_for_tls_has_its_class() {
    for (answer, kind, text) in [
        (&b"N"[..], ErrorKind::Tls, "does not offer TLS"),
        (b"E\0\0\0\x08oops", ErrorKind::Unreachable, "with an error"),
        (b"H", ErrorKind::Unreachable, GARBAGE),
        // Bytes behind the S are read as TLS, never as a part of the session.
        (b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", ErrorKind::Tls, "is not TLS"),
    ] {
        let answers: &[&[u8]] = &[answer];
        let outcome = against(SslMode::Verified, Environment::default(), 5, answers).await;
        assert!(outcome.heard.starts_with("\0\0\0\u{8}"), "{:?}", outcome.heard);
        assert!(!outcome.heard.contains("app\0"), "the user's name was sent without TLS");
        let error = outcome.error();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn plaintext_follows_a_tls_failure_only_where_it_is_allowed() {
    let fallback = || Environment::from([("ALLOW_PLAINTEXT_FALLBACK", "true")]);
    let refuses: &[&[u8]] = &[b"N", CLEARTEXT];
    let error = against(SslMode::Absent, Environment::default(), 5, refuses).await.error();
    assert_eq!(error.kind(), ErrorKind::Tls);

    let outcome = against(SslMode::Unreadable, fallback(), 5, refuses).await;
    let warnings = &outcome.stats.warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("neither true nor false"), "{warnings:?}");
    assert!(warnings[1].contains("ALLOW_PLAINTEXT_FALLBACK"), "{warnings:?}");
    assert_eq!(outcome.stats.connections, 2);
    let error = outcome.error();
    assert!(error.to_string().contains("in cleartext"), "{error}");

    // Neither true nor a network failure falls back.
    let error = against(SslMode::Verified, fallback(), 5, refuses).await.error();
    assert_eq!(error.kind(), ErrorKind::Tls);
    let outcome = against(SslMode::Absent, fallback(), 5, &[]).await;
    assert_eq!(outcome.stats.connections, 1);
    assert_eq!(outcome.error().kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn silence_ends_before_the_deadline() {
    for ssl in [SslMode::Plaintext, SslMode::Verified] {
        let outcome = against(ssl, Environment::default(), 1, &[b""]).await;
        let error = outcome.error();
        assert_eq!(error.kind(), ErrorKind::OutOfTime);
        // Of 1.5 s, whatever else the machine does meanwhile.
        let text = error.to_string();
        let (_, waited) = text.split_once("gave up after ").unwrap_or_else(|| panic!("{text}"));
        let waited: f64 = waited.split(' ').next().unwrap().parse().unwrap();
        assert!(waited <= 1.0, "{text}");
    }
}

#[tokio::test]
async fn a_name_the_server_would_cut_off_is_refused_before_anything_is_connected_to() {
    let login = Login::new("nowhere.invalid", 1, "a".repeat(64), PASSWORD);
    let cx = Invocation::new(Deadline::after(Duration::from_secs(5)));
    let postgres = Postgres::read(&Environment::default()).unwrap();
    let error = driver::log_in(&postgres, &login, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}
