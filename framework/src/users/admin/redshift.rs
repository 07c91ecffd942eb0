//! Admin secrets that Amazon Redshift manages: a user and a password, and a tag that names the cluster.
//!
//! Redshift's API is not asked. The user's host says which cluster it is of, by a name that AWS alone gives:
//! `CLUSTER.LETTERS.REGION.redshift.amazonaws.com`. Another account may have a cluster of that name and Region,
//! and so be asked to let the admin in; it is Redshift itself, in verified TLS, which tells its owner nothing.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind};
use crate::rds::Place;
use crate::users::Login;

/// The tags. Source: AWS's rotation templates, which compare them in lower case.
const CLUSTER: &str = "aws:redshift:primaryclusterarn";
const NAMESPACE: &str = "aws:redshift-serverless:namespacearn";

/// How its secrets name Redshift.
const ENGINE: &str = "redshift";

/// What else a managed secret can be: one of one's own, whose fields say everything.
const OWN_SECRET: &str = "store a superuser of its own in a secret with \"engine\", \"host\" and \"port\", \
                          and name that in \"masterarn\"; nothing was changed";

/// The user's own place, where these are the tags of a secret that Redshift manages for its cluster. `None`
/// where Redshift manages none.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a serverless namespace, whose host no name tells;
/// [`ErrorKind::Mismatch`] for another cluster than the user's.
pub(super) fn managed(
    tags: &BTreeMap<String, String>,
    user: &Login,
) -> Result<Option<Place>, Error> {
    let tag = |name| {
        let found = tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, arn)| arn.escape_debug().to_string())
    };
    if let Some(arn) = tag(NAMESPACE) {
        let what = format!("Amazon Redshift manages it for the serverless namespace {arn}");
        return Err(Error::new(ErrorKind::Unsupported, what).caused_by(format!(
            "which workgroup that is only Redshift's API says, which is not asked; {OWN_SECRET}"
        )));
    }
    let Some(arn) = tag(CLUSTER) else { return Ok(None) };
    if user.engine == Some(ENGINE) && is_of(&user.host, &arn) {
        let (engine, host) = (ENGINE.to_owned(), user.host.clone());
        return Ok(Some(Place { engine, host, port: user.port }));
    }
    let what = format!(
        "Amazon Redshift manages it for the cluster {arn}, and the user is on {}",
        user.host.escape_debug()
    );
    Err(Error::new(ErrorKind::Mismatch, what).caused_by(format!(
        "the user's \"engine\" must be {ENGINE} and its \"host\" the cluster's own endpoint; correct \
         them, or {OWN_SECRET}"
    )))
}

/// Whether a host is the endpoint of the cluster with this ARN.
fn is_of(host: &str, arn: &str) -> bool {
    let arn: Vec<_> = arn.split(':').collect();
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let (&["arn", _, "redshift", region, _, "cluster", cluster], Some((one, rest))) =
        (arn.as_slice(), host.split_once('.'))
    else {
        return false;
    };
    let Some((letters, zone)) = rest.split_once('.') else { return false };
    let zones = ["amazonaws.com", "amazonaws.com.cn"];
    let zones = zones.map(|zone| format!("{region}.redshift.{zone}"));
    let named = ![cluster, region, letters].contains(&"");
    named && one == cluster && zones.iter().any(|one| one == zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(tag: &str, arn: &str, engine: Option<&'static str>) -> Result<Option<Place>, Error> {
        let host = "sales.abc.us-east-1.redshift.amazonaws.com";
        let user = Login { engine, ..Login::new(host, 5440, "app", "p") };
        managed(&[(tag.to_owned(), arn.to_owned())].into(), &user)
    }

    #[test]
    fn parity_22_the_tag_names_the_users_own_cluster_or_the_secret_is_refused() {
        let arn = "arn:aws:redshift:us-east-1:111122223333:cluster:sales";
        let tag = "aws:redshift:primaryClusterArn";
        let place = asked(tag, arn, Some(ENGINE)).unwrap().unwrap();
        assert_eq!((place.engine.as_str(), place.port), (ENGINE, 5440));
        assert!(place.host.starts_with("sales.abc."));
        assert_eq!(asked("aws:rds:primarydbinstancearn", arn, Some(ENGINE)).unwrap(), None);
        for (tag, arn, engine, kind) in [
            (tag, &format!("{arn}2"), Some(ENGINE), ErrorKind::Mismatch),
            (tag, &arn.to_owned(), None, ErrorKind::Mismatch),
            (
                "aws:redshift-serverless:namespaceArn",
                &"arn:aws:redshift-serverless:us-east-1:1:namespace/x".to_owned(),
                Some(ENGINE),
                ErrorKind::Unsupported,
            ),
        ] {
            let error = asked(tag, arn, engine).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(arn) && error.to_string().contains("masterarn"));
        }
    }

    #[test]
    fn only_the_endpoint_of_the_cluster_itself_is_of_it() {
        let arn = "arn:aws:redshift:us-east-1:111122223333:cluster:sales";
        let zone = "us-east-1.redshift.amazonaws.com";
        assert!(is_of(&format!("sales.abc.{zone}"), arn));
        assert!(is_of(&format!("Sales.ABC.{zone}."), arn));
        for host in [
            format!("sales.{zone}"),
            format!("other.abc.{zone}"),
            format!("sales.abc.{zone}.example"),
            format!("sales.example.abc.{zone}"),
            format!("sales..{zone}"),
            "sales.abc.eu-west-1.redshift.amazonaws.com".to_owned(),
            "sales.111122223333.us-east-1.redshift-serverless.amazonaws.com".to_owned(),
            "sales".to_owned(),
        ] {
            assert!(!is_of(&host, arn), "{host}");
        }
        for arn in
            ["arn:aws:redshift:us-east-1:1:cluster:", "arn:aws:rds:us-east-1:1:cluster:sales", ""]
        {
            assert!(!is_of(&format!("sales.abc.{zone}"), arn), "{arn}");
        }
    }
}
