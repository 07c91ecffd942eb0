//! The RDS API through the AWS SDK, asked of moto, which others wrote; and which database an admin is
//! sent to by what it answers. There is no server behind the names that moto gives, so whoever would
//! connect writes down where to.

use aws_sdk_rds::Client;
use fourstep::rds::{AwsRds, Rds};
use fourstep::store::aws::http_client;
use fourstep::{Environment, Error, ErrorKind};
use fourstep_local::NewSecret;
use serde_json::{Value, json};

use crate::support::skip;
use crate::support::stage::new_token;
use crate::support::witness::{self, invocation};

/// createSecret and setSecret of a user on `host`, by an admin whose secret has this value and these
/// tags, with the RDS API at `endpoint`: the server that the admin went to.
async fn set(
    endpoint: &str,
    host: &str,
    (admin, tags): (Value, &[(&str, &str)]),
) -> Result<String, Error> {
    let value = Some(admin.to_string().as_str().into());
    let tags = tags.iter().map(|(key, arn)| ((*key).to_owned(), (*arn).to_owned())).collect();
    // As the account below has them.
    let port = if host.contains(".cluster-") { 5433 } else { 5432 };
    let user = json!({
        "engine": "postgres", "host": host, "port": port, "username": "app", "password": "first",
    });
    let admin = NewSecret { value, tags, ..NewSecret::default() };
    witness::set(&[("AWS_ENDPOINT_URL_RDS", endpoint)], user, admin).await
}

fn of(host: &str) -> (Value, &'static [(&'static str, &'static str)]) {
    let admin =
        json!({"engine": "postgres", "host": host, "username": "postgres", "password": "q"});
    (admin, &[])
}

/// Instances, a replica and a cluster of one account at moto, under names of their own.
pub struct Account {
    pub url: String,
    pub client: Client,
    pub name: String,
}

impl Account {
    pub async fn new() -> Option<Self> {
        let Ok(url) = std::env::var("FOURSTEP_TEST_MOTO") else {
            skip("FOURSTEP_TEST_MOTO");
            return None;
        };
        let http = http_client(&Environment::default()).unwrap();
        let shared = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12());
        let client = Client::new(&shared.http_client(http).endpoint_url(&url).load().await);
        // An identifier begins with a letter.
        let name = format!("n{}", &new_token().as_str()[..8]);
        Some(Self { url, client, name })
    }

    fn id(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    /// The host and the ARN of a new instance.
    pub async fn instance(&self, what: &str, cluster: Option<&str>) -> (String, String) {
        let engine = if cluster.is_some() { "aurora-postgresql" } else { "postgres" };
        let create = self
            .client
            .create_db_instance()
            .db_instance_identifier(self.id(what))
            .db_instance_class("db.t3.micro")
            .engine(engine)
            .set_db_cluster_identifier(cluster.map(|cluster| self.id(cluster)));
        let create = match cluster {
            Some(_) => create,
            None => create
                .allocated_storage(20)
                .master_username("u")
                .master_user_password("long-enough"),
        };
        let made = create.send().await.unwrap().db_instance.unwrap();
        (made.endpoint.unwrap().address.unwrap(), made.db_instance_arn.unwrap())
    }

    async fn replica(&self, what: &str, source: &str) -> String {
        let create = self.client.create_db_instance_read_replica();
        let create = create.db_instance_identifier(self.id(what));
        let made = create.source_db_instance_identifier(self.id(source)).send().await.unwrap();
        made.db_instance.unwrap().endpoint.unwrap().address.unwrap()
    }

    /// The writer's endpoint, the readers', and the ARN of a new cluster.
    pub async fn cluster(&self, what: &str) -> (String, String, String) {
        let create = self.client.create_db_cluster().db_cluster_identifier(self.id(what));
        let create = create.engine("aurora-postgresql").port(5433);
        let create = create.master_username("u").master_user_password("long-enough");
        let made = create.send().await.unwrap().db_cluster.unwrap();
        (made.endpoint.unwrap(), made.reader_endpoint.unwrap(), made.db_cluster_arn.unwrap())
    }
}

#[tokio::test]
async fn instances_and_clusters_are_found_by_identifier_and_by_arn() {
    let Some(account) = Account::new().await else { return };
    let (host, arn) = account.instance("one", None).await;
    let (writer, reader, cluster_arn) = account.cluster("sea").await;
    let (_, member) = account.instance("sea-1", Some("sea")).await;
    account.replica("copy", "one").await;
    let environment = Environment::from([("AWS_ENDPOINT_URL_RDS", account.url.as_str())]);
    let (rds, cx) = (AwsRds::read(&environment).unwrap(), invocation());
    for id in [account.id("one"), arn] {
        let found = rds.instance(&id, &cx).await.unwrap().unwrap();
        assert_eq!((found.host.as_deref(), found.port), (Some(host.as_str()), Some(5432)), "{id}");
        assert_eq!((found.engine.as_str(), found.cluster), ("postgres", None));
    }
    for id in [account.id("sea"), cluster_arn] {
        let found = rds.cluster(&id, &cx).await.unwrap().unwrap();
        assert_eq!(
            (found.host.as_deref(), found.port),
            (Some(writer.as_str()), Some(5433)),
            "{id}"
        );
        assert!(found.others.contains(&reader), "{found:?}");
    }
    let member = rds.instance(&member, &cx).await.unwrap().unwrap();
    assert_eq!(member.cluster, Some(account.id("sea")));
    let copy = rds.instance(&account.id("copy"), &cx).await.unwrap().unwrap();
    assert_eq!(copy.source_instance, Some(account.id("one")));
    assert_eq!(rds.instance(&account.id("gone"), &cx).await.unwrap(), None);
    assert_eq!(rds.cluster(&account.id("gone"), &cx).await.unwrap(), None);
    let calls = cx.stats().calls;
    assert_eq!((calls["DescribeDBInstances"], calls["DescribeDBClusters"]), (5, 3));
}

#[tokio::test]
async fn parity_38_an_admin_secret_that_rds_manages_leads_to_its_instance_or_cluster() {
    let Some(account) = Account::new().await else { return };
    let managed = || json!({"username": "postgres", "password": "q"});
    let (host, arn) = account.instance("one", None).await;
    let tags = [("aws:rds:primaryDBInstanceArn", arn.as_str())];
    let went = set(&account.url, &host, (managed(), &tags)).await.unwrap();
    assert_eq!(went, format!("{host}:5432"));

    let (writer, reader, arn) = account.cluster("sea").await;
    let tags = [("aws:rds:primaryDBClusterArn", arn.as_str())];
    for host in [&writer, &reader] {
        let went = set(&account.url, host, (managed(), &tags)).await.unwrap();
        assert_eq!(went, format!("{writer}:5433"));
    }
    let error = set(&account.url, &host, (managed(), &tags)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
    let error = set(&account.url, &host, (managed(), &[])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
}

#[tokio::test]
async fn parity_39_replicas_and_reader_endpoints_are_served_and_other_databases_are_not() {
    let Some(account) = Account::new().await else { return };
    let (one, _) = account.instance("one", None).await;
    let (other, _) = account.instance("other", None).await;
    let copy = account.replica("copy", "one").await;
    let (writer, reader, _) = account.cluster("sea").await;
    let (member, _) = account.instance("sea-1", Some("sea")).await;
    let (foreign, foreign_reader, _) = account.cluster("lake").await;
    for (admin, user, served) in [
        (&one, &copy, true),
        (&one, &other, false),
        (&writer, &reader, true),
        (&writer, &member, true),
        (&writer, &foreign, false),
        (&writer, &foreign_reader, false),
        (&writer, &one, false),
    ] {
        match set(&account.url, user, of(admin)).await {
            Ok(went) => {
                assert!(served, "{admin} was sent to change a user of {user}");
                assert_eq!(went, format!("{admin}:5432"));
            }
            Err(error) => {
                assert!(!served, "{admin} is of the database {user}: {error}");
                assert_eq!(error.kind(), ErrorKind::Mismatch);
            }
        }
    }
}

#[tokio::test]
async fn the_rds_api_is_not_touched_where_the_secrets_say_it_all() {
    // Nobody listens there.
    let nowhere = "http://127.0.0.1:1";
    let host = "db.abc.us-east-1.rds.amazonaws.com";
    assert_eq!(set(nowhere, host, of(host)).await.unwrap(), format!("{host}:5432"));
    let copy = "copy.abc.us-east-1.rds.amazonaws.com";
    let error = set(nowhere, copy, of(host)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let text = error.to_string();
    assert!(text.contains("DescribeDBInstances failed") && text.contains("the RDS API"), "{text}");
}
