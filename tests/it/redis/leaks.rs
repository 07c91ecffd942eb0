//! What a server shows of a rotation: to MONITOR, in its slow log, in its log at the level debug.

use fourstep::store::AWSCURRENT;
use fourstep::{Environment, ErrorKind, Step};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{BY_ADMIN, DUAL, one};
use crate::leaks::Planted;
use crate::support::redis::flavours;
use crate::support::stage::Stage;

#[tokio::test]
async fn beyond_04_no_server_shows_or_logs_a_password() {
    for flavour in flavours() {
        let mut planted = Planted::default();
        let (server, _) = one(&flavour).await;
        let user = server.user_with("logged", &planted.new_one("the first password")).await;
        planted.add("the admin's password", &server.admin.password);
        let monitor = server.monitor().await;
        let mut hashes = std::collections::BTreeSet::new();
        let mut document = server.document(&user);
        for strategy in [DUAL, BY_ADMIN] {
            let stage = server.stage(&document, &strategy);
            for _ in 0..2 {
                stage.play(&Step::ALL).await;
                planted.add("a password", &stage.password(AWSCURRENT));
                hashes.extend(server.kept(&user.name).await);
            }
            document = stage.document(AWSCURRENT);
        }
        // Whoever has the hash of a random password has no password. It is not shown all the same.
        assert!(hashes.len() > 3);
        for hash in &hashes {
            planted.add("a hash", hash);
        }
        // What is shown is shown: a value that anybody writes.
        server.arrange(&["SET", "app:shown", "this is shown"]).await;
        let shown = monitor.end("this is shown").await;
        let slow = server.arrange(&["SLOWLOG", "GET", "-1"]).await;
        for text in [&shown, &slow] {
            assert!(
                text.contains("this is shown") && text.to_lowercase().contains("info"),
                "{text}"
            );
            planted.assert_absent("MONITOR and SLOWLOG", text);
        }
        let log = server.log();
        assert!(log.contains("DB saved") || log.contains("Accepted"), "{log}");
        planted.assert_absent("the log", &log);
    }
}

/// A server that repeats the password that it was sent in what it says first of every later connection; its port.
async fn greets_with_what_it_heard() -> u16 {
    let listener = TcpListener::bind(("localhost", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut heard = String::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut bytes).await {
                let text = String::from_utf8_lossy(&bytes[..length]).replace("\r\n", " ");
                let answer = match text.contains("AUTH") {
                    true => "WRONGPASS no".to_owned(),
                    false if heard.is_empty() => "NOAUTH Authentication required.".to_owned(),
                    false => format!("ERR max number of clients reached {heard}"),
                };
                if text.contains("AUTH") {
                    heard = text;
                }
                if stream.write_all(format!("-{answer}\r\n").as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[tokio::test]
async fn rule_12_no_greeting_is_repeated_by_a_server_that_was_told_a_password_before() {
    let mut planted = Planted::default();
    let mut document = json!({
        "engine": "redis", "host": "localhost", "port": greets_with_what_it_heard().await, "ssl": false,
        "username": "app", "password": planted.new_one("the current password"), "masterarn": "admin",
    });
    let environment = Environment::from([DUAL[0], ("ALLOW_WEAK_AUTHENTICATION", "true")]);
    let stage = Stage::of(rotate_redis::strategies, &document.to_string(), environment);
    let token = stage.begin();
    document["password"] = json!(planted.new_one("the pending password"));
    stage.put_pending(&token, &document);
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Throttled);
    planted.assert_absent("the error", &ended.error());
}
