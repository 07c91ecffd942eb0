use super::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::VersionId;
use crate::rds::account;
use crate::rotator::Subject;
use crate::secret::Current;
use crate::store::memory::{MemoryStore, NewSecret};
use crate::store::{Calls, SecretDescription};
use crate::turn::Deadline;

const ZONE: &str = "abc.us-east-1.rds.amazonaws.com";

const DIALECT: Dialect = Dialect {
    engines: &["postgres", "aurora-postgresql"],
    default_port: 5432,
    default_dbname: Some("postgres"),
    most_older_logins: 8,
};

/// The user's secret, on this host.
fn user(host: &str) -> Secret {
    let document = json!({
        "engine": "postgres", "host": host, "username": "app", "password": "p", "dbname": "orders",
        "masterarn": "the-admins", "port": if host.starts_with("sea.") { 5433 } else { 5432 },
    });
    Secret::decode(&document.to_string().into())
}

/// The admin of a user on `host`, where the admin's secret is this, has these tags, and so many
/// names of one database are known.
async fn admin_of(
    host: &str,
    (value, tags): (Value, &[(&str, &str)]),
    same: &str,
) -> Result<Login, Error> {
    let store = MemoryStore::new();
    let tags: BTreeMap<_, _> =
        tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let value = Some(value.to_string().as_str().into());
    store.create("the-admins", NewSecret { value, tags, ..NewSecret::default() }).unwrap();
    let turn = Turn::new(Deadline::after(Duration::from_secs(9)));
    let secret = SecretId::parse("the-users").unwrap();
    let calls = Calls::new(&store, &secret, &turn);
    let current = Current::new(VersionId::from_store("v"), user(host));
    let description = SecretDescription::default();
    let subject = Subject { calls: &calls, current: &current, description: &description };
    let settings = Environment::from([(SAME_HOSTS, same)]);
    let admins = Admins::read(&settings)?.with_rds(Arc::new(account()));
    let login = Login::read(current.secret(), &DIALECT).unwrap();
    let document = current.secret().document().unwrap();
    let others = subject.other_secrets();
    Ok(admins.of(&login, document, &DIALECT, &others, &turn).await?.login)
}

fn admin(host: &str) -> (Value, &'static [(&'static str, &'static str)]) {
    let document = json!({
        "engine": "postgres", "host": host, "username": "postgres", "password": "q", "dbname": "x",
    });
    (document, &[])
}

#[tokio::test]
async fn the_admin_works_in_the_users_database() {
    let login = admin_of("db.example", admin("DB.example."), "").await.unwrap();
    assert_eq!((login.username.as_str(), login.dbname.as_deref()), ("postgres", Some("orders")));
    assert_eq!(login.host, "DB.example.");
}

#[tokio::test]
async fn an_admin_of_another_database_is_refused_with_the_way_out() {
    let error = admin_of("db.example", admin("other.example"), "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let text = error.to_string();
    for word in ["the-admins", "SAME_DATABASE_HOSTS", "other.example=db.example"] {
        assert!(text.contains(word), "{text}");
    }
    for same in ["db.example=other.example", "a=b, x = OTHER.example. = db.example"] {
        admin_of("db.example", admin("other.example"), same).await.unwrap();
    }
    let apart = "db.example=a,other.example=b";
    admin_of("db.example", admin("other.example"), apart).await.unwrap_err();
}

/// Two servers of one host would be two databases: whoever writes the secret could have the admin of
/// one change what the proof was about at the other.
#[tokio::test]
async fn rule_08_another_port_is_another_server_unless_its_owner_says_otherwise() {
    let (mut document, tags) = admin("db.example");
    document["port"] = json!(6432);
    let error = admin_of("db.example", (document.clone(), tags), "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let listed = "db.example:6432=db.example:5432";
    assert!(error.to_string().contains(listed), "{error}");
    admin_of("DB.example.", (document.clone(), tags), listed).await.unwrap();
    let other = "db.example:6432=db.example:7000";
    admin_of("db.example", (document, tags), other).await.unwrap_err();
}

#[tokio::test]
async fn a_list_of_hosts_that_cannot_be_read_is_refused_by_name() {
    for same in ["a", "a=", "=a", "a=b,c", "a=b,B.=c", "a==b"] {
        let error = admin_of("a", admin("a"), same).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{same}");
        assert!(error.to_string().contains(SAME_HOSTS), "{error}");
    }
}

#[tokio::test]
async fn parity_39_an_admin_of_the_original_serves_its_copies_and_no_other() {
    let sea = format!("sea.cluster-{ZONE}");
    for (user, served) in
        [("sea.cluster-ro-", true), ("sea-2.", true), ("lake.cluster-", false), ("db.", false)]
    {
        let found = admin_of(&format!("{user}{ZONE}"), admin(&sea), "").await;
        assert_eq!(found.is_ok(), served, "{user}");
        let kind = found.err().map(|error| error.kind());
        assert_eq!(kind, (!served).then_some(ErrorKind::Mismatch), "{user}");
    }
}

#[tokio::test]
async fn parity_38_the_secret_that_rds_manages_is_completed_by_its_tags() {
    let managed = || json!({"username": "postgres", "password": "q"});
    let tags = [("aws:rds:primaryDBClusterArn", "arn:aws:rds:us-east-1:1:cluster:sea")];
    let host = format!("sea.cluster-{ZONE}");
    let login = admin_of(&host, (managed(), &tags), "").await.unwrap();
    assert_eq!((login.host, login.port, login.dbname.as_deref()), (host, 5433, Some("orders")));
    let tags = [("aws:rds:primarydbinstancearn", "arn:aws:rds:us-east-1:1:db:db")];
    let login = admin_of(&format!("copy.{ZONE}"), (managed(), &tags), "").await.unwrap();
    assert_eq!(login.host, format!("db.{ZONE}"));

    let error = admin_of("db.example", (managed(), &[]), "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let text = error.to_string();
    assert!(text.contains("the-admins") && text.contains("aws:rds:primarydbclusterarn"), "{text}");
}

#[tokio::test]
async fn the_admin_is_never_the_user_itself() {
    let (mut document, tags) = admin("db.example");
    document["username"] = json!("app");
    let error = admin_of("db.example", (document, tags), "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("masterarn"), "{error}");
}
