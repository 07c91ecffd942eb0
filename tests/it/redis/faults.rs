//! How rotate-redis fails: each fault, made for real, with its kind and its whole message in the table.

use expect_test::expect_file;
use fourstep::Question;
use serde_json::{Value, json};

use super::{DUAL, one};
use crate::support::fault_table::FaultTable;
use crate::support::redis::{Keeping, Server, User, redis};

fn with(mut document: Value, field: &str, value: Value) -> Value {
    document[field] = value;
    document
}

fn mask(table: &mut FaultTable, server: &Server, user: &User) {
    let ports = (server.port, server.plain_port);
    table.mask([(&user.name, "USER"), (&ports.0, "PORT"), (&ports.1, "PLAIN_PORT")]);
}

#[tokio::test]
async fn every_fault_ends_in_a_class_of_its_own() {
    let Some(flavour) = redis() else { return };
    let mut table = FaultTable::default();
    let (mut server, user) = one(&flavour).await;
    mask(&mut table, &server, &user);
    let document = server.document(&user);
    let stage = || server.stage(&document, &DUAL);

    for (name, rules, back) in [
        ("the user is open to all", &["nopass"][..], &["resetpass"][..]),
        ("the user is off", &["off"], &["on"]),
        ("the user may change users", &["+acl|setuser"], &["-acl|setuser"]),
    ] {
        server.set(&user.name, rules).await;
        table.create(name, &stage()).await;
        server.set(&user.name, back).await;
        server.set(&user.name, &[&format!(">{}", user.password)]).await;
    }
    server.arrange(&["CONFIG", "SET", "masteruser", &user.name]).await;
    table.create("the user is the one of replicas", &stage()).await;
    server.arrange(&["CONFIG", "SET", "masteruser", ""]).await;
    for right in ["acl|getuser", "acl|setuser", "acl|dryrun", "acl|save", "config|get", "info"] {
        server.set("admin", &[&format!("-{right}")]).await;
        table.create(&format!("the admin lacks {right}"), &stage()).await;
        server.set("admin", &[&format!("+{right}")]).await;
    }
    let absent = server.stage(&with(document.clone(), "username", json!("nobody")), &DUAL);
    table.create("no such user", &absent).await;
    server.set("admin", &["off"]).await;
    table.create("the admin is off", &stage()).await;
    server.set("admin", &["on"]).await;

    let wrong = server.stage(&with(document.clone(), "password", json!("canary-wrong")), &DUAL);
    table.set("every password is refused", &wrong).await;

    let plain = with(document.clone(), "port", json!(server.plain_port));
    table.test("a port without TLS", &server.stage(&plain, &DUAL)).await;
    let unencrypted = with(document.clone(), "ssl", json!(false));
    let weak = [DUAL[0], ("ALLOW_WEAK_AUTHENTICATION", "true")];
    table.test("a port for TLS without it", &server.stage(&unencrypted, &weak)).await;
    table.test("plaintext that is not allowed", &server.stage(&unencrypted, &DUAL)).await;

    let stage = stage();
    server.stop().await;
    table.test("nobody listens", &stage).await;

    for (name, keeping, settings) in [
        ("users are kept nowhere", Keeping::Nowhere, &[][..]),
        ("a replica without its primary", Keeping::AclFile, &["replicaof 127.0.0.1 1"]),
        ("a primary elsewhere", Keeping::AclFile, &["replicaof 8.8.8.8 6379"]),
    ] {
        let server = flavour.start(keeping, settings).await;
        let user = server.user("app").await;
        let stage = server.stage(&server.document(&user), &DUAL);
        mask(&mut table, &server, &user);
        table.create(name, &stage).await;
    }
    let cluster = flavour.start(Keeping::AclFile, &["cluster-enabled yes"]).await;
    let user = cluster.user("app").await;
    cluster.set("admin", &["-cluster|nodes"]).await;
    let stage = cluster.stage(&cluster.document(&user), &DUAL);
    mask(&mut table, &cluster, &user);
    table.create("the admin lacks cluster|nodes", &stage).await;
    let document = with(cluster.document(&user), "sentinel", json!("main"));
    table.test("no Sentinel", &cluster.stage(&document, &DUAL)).await;
    expect_file!["table.txt"].assert_eq(&table.text);
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
