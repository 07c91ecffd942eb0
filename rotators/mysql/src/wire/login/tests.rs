//! Hostile and peculiar servers, scripted.

use super::super::tests::GREETING;
use super::super::{Greeting, Wire};
use super::*;

const OK: &[u8] = b"\0\0\0\x02\0\0\0";
const NATIVE: &[u8] = b"mysql_native_password";
const SHA2: &[u8] = b"caching_sha2_password";
const FAST: &[u8] = b"\x01\x03";
const FULL: &[u8] = b"\x01\x04";

fn switch_to(plugin: &[u8]) -> Vec<u8> {
    [b"\xfe", plugin, b"\0abcdefghijklmnopqrst\0"].concat()
}

fn refusal(message: &str) -> Vec<u8> {
    [b"\xff\x15\x04#28000", message.as_bytes()].concat()
}

/// How the login ends at a server that greets with this plugin and then says these things, and
/// everything that it was sent.
async fn log_in_at(
    transport: Transport,
    plugin: &[u8],
    says: &[&[u8]],
) -> (Result<Attempt<Plugin>, Error>, Vec<u8>) {
    let (near, far) = tokio::io::duplex(4096);
    let mut greeting = Greeting::parse(GREETING).unwrap();
    greeting.plugin = plugin.to_vec();
    let channel = Channel::new(Box::new(near) as Box<dyn Stream>);
    let mut wire = Wire { channel, greeting, transport };
    let login = Login::new("db.example", 3306, "app", "canary").with_database("db");
    let serve = async {
        let mut far = Channel::new(far);
        let mut heard = Vec::new();
        for payload in says {
            match far.receive().await {
                Ok(bytes) => heard.extend(bytes),
                Err(_) => return heard,
            }
            far.send(payload).await.unwrap();
            // It speaks twice in a row: of the fast path, and of itself.
            if *payload == FAST {
                far.send(OK).await.unwrap();
            }
        }
        if let Ok(bytes) = far.receive().await {
            heard.extend(bytes);
        }
        heard
    };
    let login = async {
        let outcome = log_in(&mut wire, &login).await;
        drop(wire);
        outcome
    };
    tokio::join!(login, serve)
}

async fn accepted(transport: Transport, plugin: &[u8], says: &[&[u8]]) -> Plugin {
    match log_in_at(transport, plugin, says).await.0.unwrap() {
        Attempt::Accepted(plugin) => plugin,
        Attempt::Refused(why) => panic!("{why}"),
    }
}

fn tells(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|six| six == b"canary")
}

#[tokio::test]
async fn each_way_to_be_asked_is_answered() {
    use Transport::{Plaintext, Tls};
    for transport in [Plaintext, Tls] {
        assert_eq!(accepted(transport, NATIVE, &[OK]).await, Plugin::Native);
        assert_eq!(accepted(transport, SHA2, &[FAST]).await, Plugin::CachingSha2);
        let switch = switch_to(SHA2);
        assert_eq!(accepted(transport, NATIVE, &[&switch, FAST]).await, Plugin::CachingSha2);
        let switch = switch_to(NATIVE);
        assert_eq!(accepted(transport, b"unix_socket", &[&switch, OK]).await, Plugin::Native);
    }
    let (outcome, heard) = log_in_at(Tls, SHA2, &[FULL, OK]).await;
    assert!(matches!(outcome, Ok(Attempt::Accepted(Plugin::CachingSha2))));
    assert!(tells(&heard));
}

#[tokio::test]
async fn rule_09_the_password_itself_is_never_sent_without_tls() {
    let switch = switch_to(b"sha256_password");
    for says in [[FULL, OK], [&switch, OK]] {
        let (outcome, heard) = log_in_at(Transport::Plaintext, SHA2, &says).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("without TLS") && !tells(&heard), "{error}");
        let (outcome, heard) = log_in_at(Transport::Tls, SHA2, &says).await;
        assert!(matches!(outcome, Ok(Attempt::Accepted(_))) && tells(&heard));
    }
}

#[tokio::test]
async fn rule_09_other_plugins_are_refused_by_name_and_told_nothing() {
    for name in ["mysql_clear_password", "client_ed25519", "dialog"] {
        let switch = switch_to(name.as_bytes());
        let (outcome, heard) = log_in_at(Transport::Tls, NATIVE, &[&switch, OK]).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(name) && !tells(&heard), "{error}");
    }
    let (outcome, _) = log_in_at(Transport::Tls, NATIVE, &[b"\xfe", OK]).await;
    assert!(outcome.unwrap_err().to_string().contains("mysql_old_password"));
    let (outcome, _) = log_in_at(Transport::Tls, NATIVE, &[b"\x02more", OK]).await;
    assert!(outcome.unwrap_err().to_string().contains("further factor"));
}

#[tokio::test]
async fn rule_05_a_login_that_was_not_checked_proves_nothing() {
    let switch = switch_to(SHA2);
    for says in [&[OK][..], &[&switch, OK]] {
        let (outcome, _) = log_in_at(Transport::Tls, SHA2, says).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("proves nothing"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_was_told_the_password_is_not_quoted() {
    let (outcome, _) = log_in_at(Transport::Tls, SHA2, &[FULL, &refusal("no yranac")]).await;
    let Ok(Attempt::Refused(why)) = outcome else { panic!("not refused") };
    assert!(!why.contains("yranac"), "{why}");
    let other: &[u8] = b"\xff\x0f\x27#HY000reversed: yranac";
    let (outcome, _) = log_in_at(Transport::Tls, SHA2, &[FULL, other]).await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("not shown") && !error.contains("yranac"), "{error}");
    let echo: &[u8] = b"\xff\x0f\x27#HY000you are canary";
    let error = log_in_at(Transport::Tls, NATIVE, &[echo]).await.0.unwrap_err().to_string();
    assert!(error.contains("not shown") && !error.contains("canary"), "{error}");
}

#[tokio::test]
async fn a_server_that_makes_no_sense_is_refused() {
    let switch = switch_to(NATIVE);
    let endless: Vec<&[u8]> = vec![&switch; 9];
    for says in [&[FAST][..], &[FULL], &[b"\x0aagain"], &[b"\x01\x07"], &endless] {
        let (outcome, heard) = log_in_at(Transport::Tls, NATIVE, says).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unreachable);
        assert!(!tells(&heard));
    }
    // Asked twice.
    let (outcome, _) = log_in_at(Transport::Tls, SHA2, &[FULL, FULL]).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unreachable);
}
