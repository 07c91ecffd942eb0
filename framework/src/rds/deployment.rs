//! Blue/green deployments: a copy of a database, *green*, that is to take its place. A switch-over gives it
//! the names of the one in use, *blue*.

use super::place::{cluster_at, instance_at};
use super::{Instance, Rds};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;

/// Which of the two databases of a deployment one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one in use.
    Blue,
    /// The one that is to take its place.
    Green,
}

#[cfg(feature = "rds")]
impl Side {
    /// As the API's filter names it. Source: Amazon RDS API Reference, DescribeBlueGreenDeployments.
    pub(super) fn filter(self) -> &'static str {
        match self {
            Self::Blue => "source",
            Self::Green => "target",
        }
    }
}

/// One blue/green deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// `BlueGreenDeploymentIdentifier`.
    pub id: String,
    /// `Status`, as the API says it.
    pub status: String,
}

impl Deployment {
    /// Whether green may still take blue's place: a status that is not known counts as one before that.
    /// Source: Amazon RDS API Reference, BlueGreenDeployment.
    fn is_unfinished(&self) -> bool {
        !matches!(self.status.as_str(), "SWITCHOVER_COMPLETED" | "DELETING")
    }
}

/// The deployment of which the database at this host of RDS's is this side, from its creation until it is
/// switched over or deleted.
///
/// # Errors
/// Those of the API. [`ErrorKind::NotFound`] where the account has no database at this host in this Region:
/// it may be another account's, and so nothing is known.
pub async fn unfinished(
    rds: &dyn Rds,
    host: &str,
    side: Side,
    cx: &Invocation,
) -> Result<Option<Deployment>> {
    let arn = match instance_at(rds, host, cx).await? {
        // A deployment is of the whole cluster.
        Some(Instance { cluster: Some(id), .. }) => rds.cluster(&id, cx).await?.map(|one| one.arn),
        Some(Instance { arn, .. }) => Some(arn),
        None => cluster_at(rds, host, cx).await?.map(|one| one.arn),
    };
    let arn = arn.filter(|arn| !arn.is_empty()).ok_or_else(|| {
        let what = "the function's account has no database at this host in its Region";
        Error::new(ErrorKind::NotFound, what)
    })?;
    let found = rds.deployments(side, &arn, cx).await?;
    Ok(found.into_iter().find(Deployment::is_unfinished))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_over_is_finished() {
        for (status, unfinished) in [
            ("PROVISIONING", true),
            ("AVAILABLE", true),
            ("SWITCHOVER_IN_PROGRESS", true),
            ("SWITCHOVER_FAILED", true),
            ("INVALID_CONFIGURATION", true),
            ("SOMETHING_NEW", true),
            ("", true),
            ("SWITCHOVER_COMPLETED", false),
            ("DELETING", false),
        ] {
            let one = Deployment { id: "bgd-1".to_owned(), status: status.to_owned() };
            assert_eq!(one.is_unfinished(), unfinished, "{status}");
        }
    }
}
