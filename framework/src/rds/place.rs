//! Which database a host is, by its name and by what the RDS API says of it.
//!
//! A name proves nothing: what it suggests is looked up, and counts only if the API gives this very
//! host as the endpoint.

use std::collections::BTreeMap;

use super::{Cluster, Instance, Rds};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::net::same_host;

/// The tags of a secret that RDS manages. Source: Amazon RDS User Guide, "Password management with
/// Amazon RDS and AWS Secrets Manager", and AWS's rotation templates, which compare them in lower
/// case.
const INSTANCE_TAG: &str = "aws:rds:primarydbinstancearn";
const CLUSTER_TAG: &str = "aws:rds:primarydbclusterarn";

/// Where the database is whose admin secret RDS manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) engine: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The database that an RDS-managed secret is of, by the secret's tags.
///
/// # Errors
/// [`ErrorKind::Malformed`] if no tag names one, [`ErrorKind::NotFound`] if it is gone or has no
/// endpoint yet, and those of the API.
pub(crate) async fn managed_by(
    rds: &dyn Rds,
    tags: &BTreeMap<String, String>,
    cx: &Invocation,
) -> Result<Place> {
    let tag = |name| {
        let found = tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, arn)| arn.as_str())
    };
    let (arn, found) = if let Some(arn) = tag(INSTANCE_TAG) {
        let place = |one: Instance| Some((one.engine, one.host?, one.port?));
        (arn, rds.instance(arn, cx).await?.and_then(place))
    } else if let Some(arn) = tag(CLUSTER_TAG) {
        let place = |one: Cluster| Some((one.engine, one.host?, one.port?));
        (arn, rds.cluster(arn, cx).await?.and_then(place))
    } else {
        return Err(Error::new(
            ErrorKind::Malformed,
            "it has neither \"engine\" nor \"host\", and is none that RDS manages",
        )
        .caused_by(format!(
            "store all connection fields in it, or name the secret that RDS made, which has the \
             tag {INSTANCE_TAG} or {CLUSTER_TAG}"
        )));
    };
    let (engine, host, port) = found.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("RDS has no database {arn:?} with an endpoint"))
    })?;
    Ok(Place { engine, host, port })
}

/// Whether two hosts of different names are the same database, or one a copy of the other that
/// follows it: a cluster and its endpoints and members, an instance and its read replicas. Hosts
/// that are not RDS's are not asked about. The user's port must be the one that RDS gives for its
/// host.
///
/// # Errors
/// Those of the API.
pub(crate) async fn same_database(
    rds: &dyn Rds,
    admin: &str,
    (user, port): (&str, u16),
    cx: &Invocation,
) -> Result<bool> {
    if !(is_of_rds(admin) && is_of_rds(user)) {
        return Ok(false);
    }
    let source = instance_at(rds, admin, cx).await?;
    let cluster = match &source {
        Some(Instance { cluster: Some(id), .. }) => rds.cluster(id, cx).await?,
        Some(_) => None,
        None => cluster_at(rds, admin, cx).await?,
    };
    if let Some(cluster) = cluster.as_ref().filter(|cluster| cluster.is_at(user)) {
        return Ok(cluster.port == Some(port));
    }
    if source.is_none() && cluster.is_none() {
        return Ok(false);
    }
    let copy = instance_at(rds, user, cx).await?;
    let Some(copy) = copy.filter(|copy| copy.port == Some(port)) else { return Ok(false) };
    let of_cluster = cluster.is_some_and(|Cluster { id, .. }| {
        [&copy.cluster, &copy.source_cluster].into_iter().any(|one| one.as_ref() == Some(&id))
    });
    Ok(of_cluster || source.is_some_and(|source| copy.source_instance == Some(source.id)))
}

/// Amazon's own names of databases, in every partition.
pub(crate) fn is_of_rds(host: &str) -> bool {
    host.to_ascii_lowercase().contains(".rds.")
}

impl Cluster {
    fn is_at(&self, host: &str) -> bool {
        self.host.iter().chain(&self.others).any(|one| same_host(one, host))
    }
}

/// The instance whose endpoint this host is.
pub(super) async fn instance_at(
    rds: &dyn Rds,
    host: &str,
    cx: &Invocation,
) -> Result<Option<Instance>> {
    let Some(id) = suggested(host, false) else { return Ok(None) };
    let found = rds.instance(id, cx).await?;
    let at = |one: &Instance| one.host.as_deref().is_some_and(|one| same_host(one, host));
    Ok(found.filter(at))
}

/// The cluster whose endpoint this host is.
pub(super) async fn cluster_at(
    rds: &dyn Rds,
    host: &str,
    cx: &Invocation,
) -> Result<Option<Cluster>> {
    let Some(id) = suggested(host, true) else { return Ok(None) };
    Ok(rds.cluster(id, cx).await?.filter(|cluster| cluster.is_at(host)))
}

/// What the name of an endpoint begins with is the identifier; a cluster's goes on with `cluster-`.
fn suggested(host: &str, cluster: bool) -> Option<&str> {
    let (id, rest) = host.split_once('.')?;
    (!id.is_empty() && rest.to_ascii_lowercase().starts_with("cluster-") == cluster).then_some(id)
}

#[cfg(test)]
pub(crate) mod tests;
