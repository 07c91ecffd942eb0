//! A primary with a replica, by itself and behind a Sentinel: real servers, over TLS and without.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, SecretId, Step};
use fourstep_local::NewValue;
use serde_json::{Value, json};

use super::{BY_ADMIN, DUAL, one};
use crate::support::redis::{Server, User, redis};
use crate::support::redis_nodes::Sentinel;
use crate::support::stage::{Stage, new_token};

/// The certificate of each is for this name, and they tell of each other by addresses.
const NAME: (&str, &str) = ("TLS_SERVER_NAME", "localhost");

/// A replica that has the same user.
async fn replica(primary: &Server, user: &User) -> Server {
    let [name, password] = primary.replicates();
    let of = format!("replicaof localhost {}", primary.port);
    let settings = ["tls-replication yes", &name, &password, &of, "repl-diskless-sync-delay 0"];
    let replica = primary.beside(&settings).await;
    replica.add(user).await;
    replica.says(&["INFO", "replication"], "master_link_status:up").await;
    primary.says(&["INFO", "replication"], "state=online").await;
    replica
}

/// With the admin's secret at the same place.
fn stage(
    document: &Value,
    server: &Server,
    place: impl Fn(Value) -> Value,
    more: &[(&str, &str)],
) -> Stage {
    let stage = server.stage(&place(document.clone()), more);
    let admin = place(server.admin_document()).to_string();
    let value = NewValue::current(&new_token(), admin.as_str());
    stage.store.put(&SecretId::parse("admin").unwrap(), value).unwrap();
    stage
}

#[tokio::test]
async fn a_primary_and_its_replica_are_changed_whichever_of_them_the_secret_names() {
    let Some(flavour) = redis() else { return };
    let (primary, user) = one(&flavour).await;
    let replica = replica(&primary, &user).await;
    let mut password = user.password.clone();
    for (server, strategy) in [(&primary, BY_ADMIN), (&replica, DUAL), (&replica, BY_ADMIN)] {
        let mut document = server.document(&user);
        document["password"] = json!(password);
        let stage = stage(&document, server, |one| one, &[strategy[0], NAME]);
        stage.play(&Step::ALL).await;
        password = stage.password(AWSCURRENT);
        let kept = if strategy == DUAL { 2 } else { 1 };
        for server in [&primary, &replica] {
            assert!(server.logs_in(&user.name, &password).await);
            assert_eq!(server.kept(&user.name).await.len(), kept);
        }
        // The one before the last stays where its version has no label of this secret.
        for server in [&primary, &replica] {
            server.set(&user.name, &["resetpass", &format!(">{password}")]).await;
        }
    }
    // Without TLS: a replica that announces where it listens without it.
    replica
        .arrange(&["CONFIG", "SET", "replica-announce-port", &replica.plain_port.to_string()])
        .await;
    primary.arrange(&["CLIENT", "KILL", "TYPE", "replica"]).await;
    primary
        .says(&["INFO", "replication"], &format!("port={},state=online", replica.plain_port))
        .await;
    let plain = |mut one: Value| {
        one["ssl"] = json!(false);
        one["port"] = json!(primary.plain_port);
        one
    };
    let mut document = primary.document(&user);
    document["password"] = json!(password);
    let stage =
        stage(&document, &primary, plain, &[BY_ADMIN[0], ("ALLOW_WEAK_AUTHENTICATION", "true")]);
    stage.play(&Step::ALL).await;
    assert!(replica.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

#[tokio::test]
async fn no_password_goes_to_a_stranger_that_a_server_lists() {
    let Some(flavour) = redis() else { return };
    let (primary, user) = one(&flavour).await;
    let replica = replica(&primary, &user).await;
    for (stranger, shown) in [("8.8.8.8", "8.8.8.8:6379"), ("stranger.example", "stranger.example")]
    {
        replica.arrange(&["CONFIG", "SET", "replica-announce-ip", stranger]).await;
        replica.arrange(&["CONFIG", "SET", "replica-announce-port", "6379"]).await;
        primary.arrange(&["CLIENT", "KILL", "TYPE", "replica"]).await;
        primary.says(&["INFO", "replication"], &format!("ip={stranger},port=6379")).await;
        let stage = stage(&primary.document(&user), &primary, |one| one, &[DUAL[0], NAME]);
        let ended = stage.step(Step::Create, &stage.begin()).await;
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
        for words in [shown, "no password was sent there", "SAME_DATABASE_HOSTS"] {
            assert!(ended.error().contains(words), "{}", ended.error());
        }
        assert!(stage.try_text(AWSPENDING).is_none());
    }
}

/// Another cluster's server that came to the address of a replica has a user of this name too.
#[tokio::test]
async fn rule_08_a_server_whose_user_has_no_recorded_password_is_not_changed() {
    let Some(flavour) = redis() else { return };
    let (primary, user) = one(&flavour).await;
    let replica = replica(&primary, &user).await;
    let stage = |more: &[(&str, &str)]| {
        stage(&primary.document(&user), &primary, |one| one, &[&[DUAL[0], NAME][..], more].concat())
    };
    let first = stage(&[]);
    let token = first.play(&[Step::Create]).await;
    replica.set(&user.name, &["resetpass", ">somebody-else's"]).await;
    let kept = [primary.kept(&user.name).await, replica.kept(&user.name).await];
    let begun = stage(&[]);
    for ended in
        [first.step(Step::Set, &token).await, begun.step(Step::Create, &begun.begin()).await]
    {
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
        for words in [&replica.port.to_string(), "another user of that name", "REPAIR_USERS"] {
            assert!(ended.error().contains(words), "{}", ended.error());
        }
    }
    assert!(begun.try_text(AWSPENDING).is_none());
    assert_eq!([primary.kept(&user.name).await, replica.kept(&user.name).await], kept);
    // Before the promotion as well.
    replica.set(&user.name, &[&format!(">{}", user.password)]).await;
    first.step(Step::Set, &token).await.why();
    first.step(Step::Test, &token).await.why();
    replica.set(&user.name, &["resetpass", ">somebody-else's"]).await;
    let ended = first.step(Step::Finish, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!(first.password(AWSCURRENT), user.password);
    // The owner's word, where nobody knows its password any more.
    let allowed = stage(&[("REPAIR_USERS", user.name.as_str())]);
    allowed.play(&Step::ALL).await;
    assert!(replica.logs_in(&user.name, &allowed.password(AWSCURRENT)).await);
}

#[tokio::test]
async fn two_replicas_at_one_address_are_refused() {
    let Some(flavour) = redis() else { return };
    let (primary, user) = one(&flavour).await;
    let replicas = [replica(&primary, &user).await, replica(&primary, &user).await];
    let port = replicas[0].port.to_string();
    replicas[1].arrange(&["CONFIG", "SET", "replica-announce-port", &port]).await;
    replicas[1].arrange(&["CONFIG", "SET", "replica-announce-ip", "127.0.0.1"]).await;
    replicas[0].arrange(&["CONFIG", "SET", "replica-announce-ip", "127.0.0.1"]).await;
    primary.arrange(&["CLIENT", "KILL", "TYPE", "replica"]).await;
    let listed = format!("port={port},state=online");
    for line in ["slave0:ip=127.0.0.1,", "slave1:ip=127.0.0.1,"] {
        primary.says(&["INFO", "replication"], &format!("{line}{listed}")).await;
    }
    let stage = stage(&primary.document(&user), &primary, |one| one, &[DUAL[0], NAME]);
    let ended = stage.step(Step::Create, &stage.begin()).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(ended.error().contains("announce an address of its own"), "{}", ended.error());
}

#[tokio::test]
async fn a_sentinel_leads_to_the_primary_before_and_after_a_failover() {
    let Some(flavour) = redis() else { return };
    let (mut primary, user) = one(&flavour).await;
    for (name, value) in [("tls-replication", "yes"), ("masteruser", "arranger")] {
        primary.arrange(&["CONFIG", "SET", name, value]).await;
    }
    primary.arrange(&["CONFIG", "SET", "masterauth", &primary.arranger.password]).await;
    primary.arrange(&["CONFIG", "REWRITE"]).await;
    let replica = replica(&primary, &user).await;
    let sentinel = Sentinel::start(&primary).await;
    let place = |one| sentinel.document(one);
    let stage = stage(&primary.document(&user), &primary, place, &[DUAL[0], NAME]);
    stage.play(&Step::ALL).await;
    let second = stage.password(AWSCURRENT);
    for server in [&primary, &replica] {
        assert!(server.logs_in(&user.name, &second).await);
    }
    let token = stage.play(&[Step::Create, Step::Set]).await;
    primary.stop().await;
    sentinel.names(&replica).await;
    replica.says(&["INFO", "replication"], "role:master").await;
    stage.step(Step::Test, &token).await.why();
    primary.start_again().await;
    replica.says(&["INFO", "replication"], "state=online").await;
    stage.step(Step::Finish, &token).await.why();
    stage.end(&token);
    for server in [&primary, &replica] {
        for password in [&second, &stage.password(AWSCURRENT)] {
            assert!(server.logs_in(&user.name, password).await);
        }
        assert!(!server.logs_in(&user.name, &user.password).await);
    }
    // A Sentinel that has no such user refuses it, as any server would.
    for (name, kind, words) in [
        (json!("other"), ErrorKind::NotFound, "knows no primary \"other\""),
        (json!(null), ErrorKind::Rejected, "WRONGPASS"),
    ] {
        let place = |mut one: Value| {
            one["port"] = json!(sentinel.port);
            one["sentinel"] = name.clone();
            one
        };
        let stage = self::stage(&primary.document(&user), &primary, place, &[DUAL[0], NAME]);
        let ended = stage.step(Step::Create, &stage.begin()).await;
        let error = ended.result.as_ref().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
