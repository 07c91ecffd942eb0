//! The RDS API through the AWS SDK, and the Redshift Serverless API through its parts. The only file beside the
//! store's that names an SDK type.

use std::fmt::Debug;

use async_trait::async_trait;
#[cfg(feature = "redshift")]
use aws_config::SdkConfig;
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbInstance, Filter};

use super::{Cluster, Deployment, Instance, Rds, Side};
use crate::config::Environment;
use crate::error::Result;
use crate::invocation::Invocation;
#[cfg(feature = "redshift")]
use crate::store::aws::JsonService;
use crate::store::aws::{AwsCall, LazyClient};

/// As every AWS SDK names the endpoint of one service.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_RDS";

/// The RDS API that Lambda functions ask.
pub struct AwsRds(LazyClient<Client>);

impl AwsRds {
    /// Reads `AWS_ENDPOINT_URL_RDS`; Region and credentials are those of the store, once they are
    /// needed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Malformed`], naming the variable.
    ///
    /// ```
    /// use fourstep::Environment;
    /// use fourstep::rds::AwsRds;
    ///
    /// AwsRds::read(&Environment::default()).unwrap();
    /// let nowhere = Environment::from([("AWS_ENDPOINT_URL_RDS", "rds.example")]);
    /// assert!(AwsRds::read(&nowhere).unwrap_err().to_string().contains("AWS_ENDPOINT_URL_RDS"));
    /// ```
    pub fn read(environment: &Environment) -> Result<Self> {
        LazyClient::read(environment, ENDPOINT).map(Self)
    }

    async fn client(&self) -> Result<&Client> {
        self.0.get(Client::new).await
    }
}

impl Debug for AwsRds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AwsRds")
    }
}

#[async_trait]
impl Rds for AwsRds {
    async fn instance(&self, id: &str, cx: &Invocation) -> Result<Option<Instance>> {
        let request = self.client().await?.describe_db_instances().db_instance_identifier(id);
        let answer = about("DescribeDBInstances").answer(request.send(), cx).await?;
        Ok(answer.ok().and_then(|one| one.db_instances?.into_iter().next()).map(of_instance))
    }

    async fn cluster(&self, id: &str, cx: &Invocation) -> Result<Option<Cluster>> {
        let request = self.client().await?.describe_db_clusters().db_cluster_identifier(id);
        let answer = about("DescribeDBClusters").answer(request.send(), cx).await?;
        Ok(answer.ok().and_then(|one| one.db_clusters?.into_iter().next()).map(of_cluster))
    }

    async fn deployments(&self, side: Side, arn: &str, cx: &Invocation) -> Result<Vec<Deployment>> {
        let filter = Filter::builder().name(side.filter()).values(arn).build();
        let request = self.client().await?.describe_blue_green_deployments().filters(filter);
        let answer = about("DescribeBlueGreenDeployments").answer(request.send(), cx).await?;
        let found = answer.ok().and_then(|one| one.blue_green_deployments).unwrap_or_default();
        let of = |one: aws_sdk_rds::types::BlueGreenDeployment| Deployment {
            id: one.blue_green_deployment_identifier.unwrap_or_default(),
            status: one.status.unwrap_or_default(),
        };
        Ok(found.into_iter().map(of).collect())
    }
}

/// A question about one database, and how the API names that there is none.
fn about(operation: &'static str) -> AwsCall {
    let known = &["DBInstanceNotFound", "DBClusterNotFound", "BlueGreenDeploymentNotFound"];
    AwsCall { name: "RDS", service: Some("rds"), operation, known, sends_secret: false }
}

fn of_instance(found: DbInstance) -> Instance {
    let (host, port) = found.endpoint.map(|one| (one.address, one.port)).unwrap_or_default();
    Instance {
        id: found.db_instance_identifier.unwrap_or_default(),
        arn: found.db_instance_arn.unwrap_or_default(),
        engine: found.engine.unwrap_or_default(),
        host,
        port: port.and_then(|port| port.try_into().ok()),
        cluster: found.db_cluster_identifier,
        source_instance: found.read_replica_source_db_instance_identifier,
        source_cluster: found.read_replica_source_db_cluster_identifier,
    }
}

fn of_cluster(found: DbCluster) -> Cluster {
    let custom = found.custom_endpoints.unwrap_or_default();
    Cluster {
        id: found.db_cluster_identifier.unwrap_or_default(),
        arn: found.db_cluster_arn.unwrap_or_default(),
        engine: found.engine.unwrap_or_default(),
        host: found.endpoint,
        port: found.port.and_then(|port| port.try_into().ok()),
        others: found.reader_endpoint.into_iter().chain(custom).collect(),
    }
}

/// The same for Redshift Serverless.
#[cfg(feature = "redshift")]
const SERVERLESS_ENDPOINT: &str = "AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS";

/// The Redshift Serverless API, by botocore's model of it.
#[cfg(feature = "redshift")]
const SERVERLESS: JsonService = JsonService {
    name: "Redshift Serverless",
    prefix: "redshift-serverless",
    target: "RedshiftServerless",
    known: &["ResourceNotFound"],
};

/// The Redshift Serverless API that Lambda functions ask.
#[cfg(feature = "redshift")]
pub(crate) struct Serverless(LazyClient<SdkConfig>);

#[cfg(feature = "redshift")]
impl Serverless {
    /// Reads `AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS`; Region and credentials are those of [`AwsRds`].
    pub(crate) fn read(environment: &Environment) -> Result<Self> {
        LazyClient::read(environment, SERVERLESS_ENDPOINT).map(Self)
    }

    /// The answer of an operation about the one that has this name, if there is one.
    pub(super) async fn get(
        &self,
        operation: &'static str,
        field: &'static str,
        name: &str,
        cx: &Invocation,
    ) -> Result<Option<serde_json::Value>> {
        let settings = self.0.get(SdkConfig::clone).await?;
        let question = serde_json::json!({field: name});
        Ok(SERVERLESS.ask(settings, operation, &question, cx).await?.ok())
    }
}

#[cfg(feature = "redshift")]
impl Debug for Serverless {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Serverless")
    }
}
