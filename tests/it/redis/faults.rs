//! How rotate-redis fails: each fault, made for real, with its kind and its whole message in the table.

use std::fmt::Write as _;

use expect_test::expect_file;
use fourstep::{ErrorKind, Question, Step};
use serde_json::{Value, json};

use super::{DUAL, one};
use crate::support::redis::{Keeping, Server, User, redis};
use crate::support::stage::Stage;

/// The table: a name, the step and the kind in which it ended, and the message without what differs
/// from run to run.
#[derive(Default)]
struct Table(String);

impl Table {
    fn add(&mut self, name: &str, server: &Server, user: &User, (kind, text): (ErrorKind, String)) {
        let mut text = text.replace(&user.name, "USER");
        for (port, mask) in [(server.port, "PORT"), (server.plain_port, "PLAIN_PORT")] {
            text = text.replace(&port.to_string(), mask);
        }
        if let Some((before, time)) = text.split_once("gave up after ") {
            let after = time.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            text = format!("{before}gave up after N{after}");
        }
        assert!(!text.contains("canary"), "{text}");
        let (step, _) = text.split_once(": ").unwrap();
        writeln!(self.0, "{name}\n    {step}, {kind}\n    {text}\n").unwrap();
    }

    /// The step createSecret of a new rotation, which must fail and store nothing.
    async fn create(&mut self, name: &str, server: &Server, user: &User, stage: &Stage) {
        let token = stage.begin();
        let ended = stage.step(Step::Create, &token).await;
        assert!(stage.try_text("AWSPENDING").is_none(), "{name}: something was stored");
        let kind = ended.result.as_ref().unwrap_err().kind();
        self.add(name, server, user, (kind, ended.error()));
    }
}

fn with(mut document: Value, field: &str, value: Value) -> Value {
    document[field] = value;
    document
}

#[tokio::test]
async fn every_fault_ends_in_a_class_of_its_own() {
    let Some(flavour) = redis() else { return };
    let mut table = Table::default();
    let (mut server, user) = one(&flavour).await;
    let document = server.document(&user);
    let stage = || server.stage(&document, &DUAL);

    for (name, rules, back) in [
        ("the user is open to all", &["nopass"][..], &["resetpass"][..]),
        ("the user is off", &["off"], &["on"]),
        ("the user may change users", &["+acl|setuser"], &["-acl|setuser"]),
    ] {
        server.set(&user.name, rules).await;
        table.create(name, &server, &user, &stage()).await;
        server.set(&user.name, back).await;
        server.set(&user.name, &[&format!(">{}", user.password)]).await;
    }
    for right in ["acl|getuser", "acl|setuser", "acl|dryrun", "acl|save", "config|get", "info"] {
        server.set("admin", &[&format!("-{right}")]).await;
        table.create(&format!("the admin lacks {right}"), &server, &user, &stage()).await;
        server.set("admin", &[&format!("+{right}")]).await;
    }
    let absent = server.stage(&with(document.clone(), "username", json!("nobody")), &DUAL);
    table.create("no such user", &server, &user, &absent).await;
    server.set("admin", &["off"]).await;
    table.create("the admin is off", &server, &user, &stage()).await;
    server.set("admin", &["on"]).await;

    let wrong = server.stage(&with(document.clone(), "password", json!("canary-wrong")), &DUAL);
    let token = wrong.play(&[Step::Create]).await;
    let ended = wrong.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
    table.add("every password is refused", &server, &user, (ErrorKind::Rejected, ended.error()));

    let plain = with(document.clone(), "port", json!(server.plain_port));
    let ended = failed_test(&server.stage(&plain, &DUAL)).await;
    table.add("a port without TLS", &server, &user, ended);
    let unencrypted = with(document.clone(), "ssl", json!(false));
    let weak = [DUAL[0], ("ALLOW_WEAK_AUTHENTICATION", "true")];
    let ended = failed_test(&server.stage(&unencrypted, &weak)).await;
    table.add("a port for TLS without it", &server, &user, ended);
    let ended = failed_test(&server.stage(&unencrypted, &DUAL)).await;
    table.add("plaintext that is not allowed", &server, &user, ended);

    let stage = stage();
    server.stop().await;
    let ended = failed_test(&stage).await;
    table.add("nobody listens", &server, &user, ended);

    for (name, keeping, settings) in [
        ("users are kept nowhere", Keeping::Nowhere, &[][..]),
        ("a node of a cluster", Keeping::AclFile, &["cluster-enabled yes"]),
        ("a replica", Keeping::AclFile, &["replicaof 127.0.0.1 1"]),
    ] {
        let server = flavour.start(keeping, settings).await;
        let user = server.user("app").await;
        let stage = server.stage(&server.document(&user), &DUAL);
        table.create(name, &server, &user, &stage).await;
    }
    let (primary, user) = one(&flavour).await;
    let of = format!("replicaof 127.0.0.1 {}", primary.plain_port);
    let auth = [format!("masteruser {}", "arranger"), primary.arranger_password()];
    let _replica = flavour.start(Keeping::AclFile, &[&of, &auth[0], &auth[1]]).await;
    primary.has_a_replica().await;
    let stage = primary.stage(&primary.document(&user), &DUAL);
    table.create("a primary with a replica", &primary, &user, &stage).await;
    expect_file!["table.txt"].assert_eq(&table.0);
}

/// How testSecret ends for a secret that asks for what is there only.
async fn failed_test(stage: &Stage) -> (ErrorKind, String) {
    let token = stage.begin();
    stage.put_pending(&token, &stage.document("AWSCURRENT"));
    let ended = stage.step(Step::Test, &token).await;
    let error = ended.result.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn a_healthy_server_passes_preflight_and_what_would_fail_is_all_found() {
    let Some(flavour) = redis() else { return };
    let (server, user) = one(&flavour).await;
    let stage = server.stage(&server.document(&user), &DUAL);
    let answer = stage.ask(Question::Preflight).await;
    assert_eq!(answer["ready"], json!(true), "{answer}");
    server.set("admin", &["-acl|save", "-acl|setuser"]).await;
    server.set(&user.name, &["+acl|setuser"]).await;
    let answer = stage.ask(Question::Preflight).await.to_string();
    for words in ["ACL SETUSER admin +acl|save +acl|setuser", "may give itself every right"] {
        assert!(answer.contains(words), "{answer}");
    }
    assert_eq!(server.kept(&user.name).await.len(), 1);
}
