use super::*;
use serde_json::{Value, json};
use std::time::Duration;

use crate::ids::VersionId;
use crate::invocation::Deadline;
use crate::rds::account;
use crate::rotator::InspectContext;
use crate::secret::Current;
use crate::store::fixed::FixedSecret;
use crate::store::{AWSCURRENT, SecretClient, SecretDescription};

const ZONE: &str = "abc.us-east-1.rds.amazonaws.com";

const DIALECT: Dialect = Dialect {
    engines: &["postgres", "aurora-postgresql"],
    default_port: 5432,
    default_dbname: Some("postgres"),
    longest_name: 63,
    most_older_logins: 8,
    besides: &[],
};

/// The place of a user on this host.
fn user(host: &str) -> Value {
    json!({"host": host, "port": if host.starts_with("sea.") { 5433 } else { 5432 }})
}

/// The admin of a user on `host`, where the admin's secret is this, has these tags, and so many
/// names of one database are known.
async fn admin_of(host: &str, admin: (Value, &[(&str, &str)]), same: &str) -> Result<Login, Error> {
    admin_for(user(host), admin, same).await
}

/// The same for a user at this host and port.
async fn admin_for(
    place: Value,
    (value, tags): (Value, &[(&str, &str)]),
    same: &str,
) -> Result<Login, Error> {
    let mut store = FixedSecret::new(&[("v", AWSCURRENT, Some(&value.to_string()))]);
    store.description.tags =
        tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let cx = Invocation::new(Deadline::after(Duration::from_secs(9)));
    let secret = SecretId::parse("the-users").unwrap();
    let calls = SecretClient::new(&store, &secret, &cx);
    let document = json!({
        "engine": "postgres", "host": place["host"], "port": place["port"], "username": "app",
        "password": "p", "dbname": "orders", "masterarn": "the-admins", "sentinel": place["sentinel"],
    });
    let user = Secret::decode(&document.to_string().into());
    let current = Current::new(VersionId::from_store("v"), user);
    let description = SecretDescription::default();
    let subject = InspectContext { calls: &calls, current: &current, description: &description };
    let settings = Environment::from([(SAME_HOSTS, same)]);
    let admins = Admins::read(&settings)?.with_rds(Arc::new(account()));
    let login = Login::read(current.secret(), &DIALECT).unwrap();
    let document = current.secret().document().unwrap();
    let others = subject.other_secrets();
    Ok(admins.of(&login, document, &DIALECT, &others, &cx).await?.login)
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

/// Whoever writes the secret can start a server at another port of a listed host, which lets anybody
/// in, and have it prove an account of the admin's server.
#[tokio::test]
async fn rule_18_a_name_without_a_port_means_the_admins_own_port() {
    let at = |(host, port): (&str, u16)| {
        let (mut document, tags) = admin(host);
        document["port"] = json!(port);
        (document, tags)
    };
    let (db, alias) = (("db.example", 5432), ("Alias.Example.", 5432));
    let (pooler, listener) = (("db.example", 6432), ("alias.example", 6666));
    for (same, one, other, joined) in [
        ("db.example=alias.example", db, alias, true),
        ("DB.example.=ALIAS.example", db, alias, true),
        ("db.example=alias.example", db, listener, false),
        ("db.example=alias.example", db, pooler, false),
        ("db.example=alias.example", db, ("alias.example", 6432), false),
        // The admin's port, wherever that is.
        ("db.example=alias.example", pooler, ("alias.example", 6432), true),
        ("db.example=alias.example", pooler, alias, false),
        // A port that is listed counts, and no other.
        ("db.example=db.example:6432", db, pooler, true),
        ("db.example=DB.example.:6432", db, pooler, true),
        ("db.example=db.example:6432", db, ("db.example", 7000), false),
        ("db.example=db.example:6432", pooler, db, false),
        ("db.example=alias.example=db.example:6432", db, pooler, true),
        ("db.example=alias.example=db.example:6432", db, listener, false),
        ("db.example=alias.example:6666", db, listener, true),
        ("db.example:5432=alias.example:5432", db, alias, true),
        ("db.example:5432=alias.example", db, alias, true),
        ("db.example:5432=alias.example", db, listener, false),
        ("db.example=db.example:5432=alias.example", db, alias, true),
        ("db.example=db.example:5432=alias.example", db, listener, false),
        // Two groups of one host, without and with the admin's port, are not one.
        ("db.example=alias.example,db.example:5432=x", db, alias, true),
        ("db.example=x,db.example:5432=alias.example:6666", db, listener, true),
        ("db.example=x,db.example:5432=alias.example", db, listener, false),
        ("db.example=x,db.example:6432=alias.example", db, alias, false),
        ("db.example=::1", db, ("::1", 5432), true),
        ("db.example=[::1]", db, ("::1", 5432), true),
        ("db.example=[::1]:5432", db, ("::1", 5432), true),
        ("[FE80::A]=db.example", ("fe80::a", 5432), db, true),
        ("db.example=::1", db, ("::1", 6432), false),
        ("db.example=[::1]", db, ("::1", 6432), false),
        ("db.example=[::1]:6432", db, ("::1", 6432), true),
        ("db.example=::1:6432", db, ("::1", 6432), false),
    ] {
        let found = admin_for(at(other).0, at(one), same).await;
        assert_eq!(found.is_ok(), joined, "{same}: {one:?} and {other:?}");
        let Err(error) = found else { continue };
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{same}: {one:?} and {other:?}");
        // What the message says to list is enough.
        let text = error.to_string();
        let (_, listed) = text.split_once("SAME_DATABASE_HOSTS, as ").unwrap();
        let (listed, _) = listed.split_once(';').unwrap();
        let found = admin_for(at(other).0, at(one), listed).await;
        found.unwrap_or_else(|error| panic!("{listed}: {error}"));
    }
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
    for same in [
        "a",
        "a=",
        "=a",
        "a=b,c",
        "a=b,B.=c",
        "a==b",
        "a=b,c=B.",
        "a=b:1,c=B.:1",
        "a=b:",
        "a=b:x",
        "a=b:0",
        "a=b:65536",
        "a=[::1",
        "a=[::1]5432",
        "a=[]",
        "a=:5432",
    ] {
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

/// A Sentinel has several primaries, and the writer of the user's secret must not choose among them for the admin.
#[tokio::test]
async fn rule_08_the_admins_own_secret_says_which_primary_of_a_sentinel_it_is_of() {
    for (one, other, served) in [
        (json!("main"), json!("main"), true),
        (json!("main"), json!("other"), false),
        (json!("main"), json!(null), false),
        (json!(null), json!("main"), false),
    ] {
        let (mut document, tags) = admin("db.example");
        document["sentinel"] = one.clone();
        let mut place = user("db.example");
        place["sentinel"] = other.clone();
        // A pair of names of one database says nothing of its primaries.
        for same in ["", "db.example=db.example:5432"] {
            let found = admin_for(place.clone(), (document.clone(), tags), same).await;
            let sentinel = found.as_ref().ok().map(|login| login.sentinel.as_deref());
            assert_eq!(sentinel, served.then(|| other.as_str()), "{one} {other}");
            let Err(error) = found else { continue };
            assert_eq!(error.kind(), ErrorKind::Mismatch, "{one} {other}");
            assert!(error.to_string().contains("sentinel"), "{error}");
        }
    }
}
