use super::*;
use crate::error::ErrorKind;
use crate::rds::{Deployment, Side, unfinished};
use async_trait::async_trait;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::invocation::Deadline;

/// What an account holds, and which questions were asked. The real API answers in `tests/it/rds.rs`.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) instances: Vec<Instance>,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Listed {
    fn ask(&self, what: String) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

#[async_trait]
impl Rds for Listed {
    async fn instance(&self, id: &str, _: &Invocation) -> Result<Option<Instance>, Error> {
        self.ask(format!("instance {id}"));
        let id = id.rsplit(':').next().unwrap_or(id);
        Ok(self.instances.iter().find(|one| one.id.eq_ignore_ascii_case(id)).cloned())
    }

    async fn cluster(&self, id: &str, _: &Invocation) -> Result<Option<Cluster>, Error> {
        self.ask(format!("cluster {id}"));
        let id = id.rsplit(':').next().unwrap_or(id);
        Ok(self.clusters.iter().find(|one| one.id.eq_ignore_ascii_case(id)).cloned())
    }

    async fn deployments(
        &self,
        side: Side,
        arn: &str,
        _: &Invocation,
    ) -> Result<Vec<Deployment>, Error> {
        self.ask(format!("deployments {side:?} {arn}"));
        Ok(Vec::new())
    }
}

const ZONE: &str = "abc.us-east-1.rds.amazonaws.com";

/// An instance and its replica, a cluster of two with its replica, and another of each.
pub(crate) fn account() -> Listed {
    let instance = |id: &str, cluster: Option<&str>| Instance {
        id: id.to_owned(),
        arn: format!("arn:db:{id}"),
        engine: "postgres".to_owned(),
        host: Some(format!("{id}.{ZONE}")),
        port: Some(5432),
        cluster: cluster.map(str::to_owned),
        ..Instance::default()
    };
    let cluster = |id: &str| Cluster {
        id: id.to_owned(),
        arn: format!("arn:cluster:{id}"),
        engine: "aurora-postgresql".to_owned(),
        host: Some(format!("{id}.cluster-{ZONE}")),
        port: Some(5433),
        others: vec![
            format!("{id}.cluster-ro-{ZONE}"),
            format!("reports-{id}.cluster-custom-{ZONE}"),
        ],
    };
    let replica = Instance { source_instance: Some("db".to_owned()), ..instance("copy", None) };
    let follower = Instance { source_cluster: Some("sea".to_owned()), ..instance("pond", None) };
    Listed {
        instances: vec![
            instance("db", None),
            replica,
            instance("other", None),
            instance("sea-1", Some("sea")),
            instance("sea-2", Some("sea")),
            follower,
            instance("lake-1", Some("lake")),
        ],
        clusters: vec![cluster("sea"), cluster("lake")],
        asked: Mutex::default(),
    }
}

fn invocation() -> Invocation {
    Invocation::new(Deadline::after(Duration::from_secs(9)))
}

#[tokio::test]
async fn parity_39_replicas_reader_endpoints_and_members_are_the_same_database() {
    let (account, cx) = (account(), invocation());
    for (admin, user, same) in [
        ("db.", "copy.", true),
        ("db.", "other.", false),
        // Whoever writes to a copy is refused by it: the admin must be of the original.
        ("copy.", "db.", false),
        ("sea.cluster-", "sea.cluster-ro-", true),
        ("sea.cluster-", "SEA.cluster-RO-", true),
        ("sea.cluster-", "reports-sea.cluster-custom-", true),
        ("sea.cluster-", "sea-2.", true),
        ("sea.cluster-", "pond.", true),
        ("sea-1.", "sea.cluster-ro-", true),
        ("sea-1.", "sea-2.", true),
        ("sea.cluster-", "lake.cluster-", false),
        ("sea.cluster-", "lake.cluster-ro-", false),
        ("sea.cluster-", "lake-1.", false),
        ("sea-1.", "db.", false),
        ("nobody.", "db.", false),
    ] {
        let (one, other) = (format!("{admin}{ZONE}"), format!("{user}{ZONE}"));
        let port = if user.to_ascii_lowercase().contains(".cluster-") { 5433 } else { 5432 };
        let found = same_database(&account, &one, (&other, port), &cx).await.unwrap();
        assert_eq!(found, same, "{admin} {user}");
        // RDS listens nowhere else.
        assert!(!same_database(&account, &one, (&other, 6432), &cx).await.unwrap());
    }
}

#[tokio::test]
async fn a_name_proves_nothing_and_a_host_elsewhere_is_not_asked_about() {
    let (account, cx) = (account(), invocation());
    // The names begin as the instances' do, and are of another Region, or another account.
    let copy = "copy.xyz.eu-west-1.rds.amazonaws.com";
    let same = async |admin: &str, user: &str| {
        let admin = format!("{admin}.{ZONE}");
        same_database(&account, &admin, (user, 5432), &cx).await.unwrap()
    };
    assert!(!same("db", copy).await);
    let db = "db.xyz.eu-west-1.rds.amazonaws.com";
    let user = format!("copy.{ZONE}");
    assert!(!same_database(&account, db, (&user, 5432), &cx).await.unwrap());
    account.asked.lock().unwrap().clear();
    for user in ["copy.example", "10.0.0.7", "localhost", ""] {
        assert!(!same("db", user).await);
    }
    assert!(account.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn parity_38_a_managed_secret_is_found_by_its_tags_in_any_case() {
    let (account, cx) = (account(), invocation());
    let arn = |kind: &str, id: &str| format!("arn:aws:rds:us-east-1:111122223333:{kind}:{id}");
    for (tag, arn, host, port) in [
        ("aws:rds:primaryDBInstanceArn", arn("db", "db"), format!("db.{ZONE}"), 5432),
        ("aws:rds:primaryDBClusterArn", arn("cluster", "sea"), format!("sea.cluster-{ZONE}"), 5433),
    ] {
        let tags = [(tag.to_owned(), arn)].into();
        let place = managed_by(&account, &tags, &cx).await.unwrap();
        assert_eq!((place.host, place.port), (host, port));
    }
    let gone = [(CLUSTER_TAG.to_owned(), arn("cluster", "gone"))].into();
    let error = managed_by(&account, &gone, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = managed_by(&account, &BTreeMap::new(), &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains(INSTANCE_TAG), "{error}");
}

#[tokio::test]
async fn a_deployment_is_asked_for_by_the_database_that_it_is_of() {
    for (host, question) in [
        (format!("db.{ZONE}"), "deployments Blue arn:db:db"),
        (format!("sea-1.{ZONE}"), "deployments Blue arn:cluster:sea"),
        (format!("sea.cluster-{ZONE}"), "deployments Blue arn:cluster:sea"),
        (format!("sea.cluster-ro-{ZONE}"), "deployments Blue arn:cluster:sea"),
    ] {
        let rds = account();
        assert_eq!(unfinished(&rds, &host, Side::Blue, &invocation()).await, Ok(None));
        let asked = rds.asked.lock().unwrap();
        assert_eq!(asked.last().map(String::as_str), Some(question), "{host}");
    }
    // The name alone proves nothing, and of another account's database nothing is known.
    let rds = account();
    let elsewhere = "db.xyz.eu-west-1.rds.amazonaws.com";
    let unknown = unfinished(&rds, elsewhere, Side::Green, &invocation()).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert_eq!(*rds.asked.lock().unwrap(), ["instance db"]);
}
