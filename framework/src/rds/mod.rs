//! What the RDS API knows of databases: which host is which instance or cluster, and which of them
//! hold the same data; and the same of Redshift Serverless. Asked only where the secrets themselves do not say it.

#[cfg(feature = "rds")]
mod aws;
mod deployment;
mod place;
mod serverless;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Environment;
use crate::error::Result;
use crate::invocation::Invocation;

#[cfg(feature = "rds")]
pub use aws::AwsRds;
pub use deployment::{Deployment, Side, unfinished};
#[cfg(test)]
pub(crate) use place::tests::account;
pub(crate) use place::{Place, is_of_rds, managed_by, same_database};
pub(crate) use serverless::{Serverless, Workgroup};

/// The questions that are asked of the RDS API.
#[async_trait]
pub trait Rds: Send + Sync + fmt::Debug {
    /// DescribeDBInstances for one instance, by its identifier or ARN. `None` if there is none.
    async fn instance(&self, id: &str, cx: &Invocation) -> Result<Option<Instance>>;

    /// DescribeDBClusters for one cluster, by its identifier or ARN. `None` if there is none.
    async fn cluster(&self, id: &str, cx: &Invocation) -> Result<Option<Cluster>>;

    /// DescribeBlueGreenDeployments for those of which the database with this ARN is this side.
    async fn deployments(&self, side: Side, arn: &str, cx: &Invocation) -> Result<Vec<Deployment>>;
}

/// One DB instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instance {
    /// `DBInstanceIdentifier`.
    pub id: String,
    /// `DBInstanceArn`.
    pub arn: String,
    /// `Engine`, as secrets name it too.
    pub engine: String,
    /// `Endpoint.Address`; absent while the instance is being made.
    pub host: Option<String>,
    /// `Endpoint.Port`.
    pub port: Option<u16>,
    /// `DBClusterIdentifier`, of a member of a cluster.
    pub cluster: Option<String>,
    /// `ReadReplicaSourceDBInstanceIdentifier`, of a read replica.
    pub source_instance: Option<String>,
    /// `ReadReplicaSourceDBClusterIdentifier`, of a read replica of a cluster.
    pub source_cluster: Option<String>,
}

/// One DB cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// `DBClusterIdentifier`.
    pub id: String,
    /// `DBClusterArn`.
    pub arn: String,
    /// `Engine`, as secrets name it too.
    pub engine: String,
    /// `Endpoint`, the writer's.
    pub host: Option<String>,
    /// `Port`.
    pub port: Option<u16>,
    /// `ReaderEndpoint` and `CustomEndpoints`.
    pub others: Vec<String>,
}

/// The RDS API that a function built like this one asks.
///
/// # Errors
/// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the variable.
#[cfg(feature = "rds")]
pub(crate) fn of(environment: &Environment) -> Result<Arc<dyn Rds>> {
    Ok(Arc::new(AwsRds::read(environment)?))
}

#[cfg(not(feature = "rds"))]
pub(crate) fn of(_: &Environment) -> Result<Arc<dyn Rds>> {
    Ok(Arc::new(without::NoRds))
}

/// What a function does that was built without the feature `rds`.
#[cfg(not(feature = "rds"))]
mod without {
    use super::{Cluster, Deployment, Instance, Invocation, Rds, Side, async_trait};
    use crate::error::{Error, ErrorKind, Result};

    #[derive(Debug)]
    pub(super) struct NoRds;

    #[async_trait]
    impl Rds for NoRds {
        async fn instance(&self, _: &str, _: &Invocation) -> Result<Option<Instance>> {
            Err(without())
        }

        async fn cluster(&self, _: &str, _: &Invocation) -> Result<Option<Cluster>> {
            Err(without())
        }

        async fn deployments(&self, _: Side, _: &str, _: &Invocation) -> Result<Vec<Deployment>> {
            Err(without())
        }
    }

    fn without() -> Error {
        let what = "this function was built without the feature rds, and cannot ask the RDS API";
        Error::new(ErrorKind::Unsupported, what)
    }
}
