//! Admin secrets that Amazon Redshift manages: a user and a password, and a tag that names the cluster or, with
//! Redshift Serverless, the namespace.
//!
//! Of a cluster no API is asked. The user's host says which cluster it is of, by a name that AWS alone gives:
//! `CLUSTER.LETTERS.REGION.redshift.amazonaws.com`. Another account may have a cluster of that name and Region,
//! and so be asked to let the admin in; it is Redshift itself, in verified TLS, which tells its owner nothing.

use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rds::{Place, Serverless};
use crate::store::SecretDescription;
use crate::users::Login;

use super::serverless;

/// The tags. Source: AWS's rotation templates, which compare them in lower case.
const CLUSTER: &str = "aws:redshift:primaryclusterarn";
const NAMESPACE: &str = "aws:redshift-serverless:namespacearn";

/// How its secrets name Redshift.
pub(super) const ENGINE: &str = "redshift";

/// What else a managed secret can be: one of one's own, whose fields say everything.
pub(super) const OWN_SECRET: &str = "store a superuser of its own in a secret with \"engine\", \"host\" and \"port\", \
                                     and name that in \"masterarn\"; nothing was changed";

/// The user's own place, where this is a secret that Redshift manages for its cluster or namespace. `None`
/// where Redshift manages none.
///
/// # Errors
/// [`ErrorKind::Mismatch`] for another cluster or namespace than the user's; those of
/// [`serverless::place_of`].
pub(super) async fn managed(
    secret: &SecretDescription,
    user: &Login,
    api: &Serverless,
    cx: &Invocation,
) -> Result<Option<Place>> {
    let tag = |name| {
        let found = secret.tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, arn)| arn.escape_debug().to_string())
    };
    if let Some(arn) = tag(NAMESPACE) {
        // Boxed: a rotation's futures are as deep as the compiler takes already.
        let found = Box::pin(serverless::place_of(user, &secret.arn, &arn, api, cx)).await;
        return found.map(Some);
    }
    let Some(arn) = tag(CLUSTER) else { return Ok(None) };
    if user.engine == Some(ENGINE) && is_of(&user.host, &arn) {
        return Ok(Some(own_place(user)));
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

/// Where the user is, the admin is too.
pub(super) fn own_place(user: &Login) -> Place {
    Place { engine: ENGINE.to_owned(), host: user.host.clone(), port: user.port }
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
    use crate::config::Environment;
    use crate::invocation::Deadline;
    use std::time::Duration;

    async fn asked(tag: &str, arn: &str, engine: Option<&'static str>) -> Result<Option<Place>> {
        let host = "sales.abc.us-east-1.redshift.amazonaws.com";
        let user = Login { engine, ..Login::new(host, 5440, "app", "p") };
        let tags = [(tag.to_owned(), arn.to_owned())].into();
        let secret = SecretDescription { tags, ..SecretDescription::default() };
        let api = Serverless::read(&Environment::default()).unwrap();
        let cx = Invocation::new(Deadline::after(Duration::from_secs(9)));
        let found = managed(&secret, &user, &api, &cx).await;
        assert!(cx.stats().calls.is_empty(), "no API is asked about a cluster");
        found
    }

    #[tokio::test]
    async fn parity_22_the_tag_names_the_users_own_cluster_or_the_secret_is_refused() {
        let arn = "arn:aws:redshift:us-east-1:111122223333:cluster:sales";
        let tag = "aws:redshift:primaryClusterArn";
        let place = asked(tag, arn, Some(ENGINE)).await.unwrap().unwrap();
        assert_eq!((place.engine.as_str(), place.port), (ENGINE, 5440));
        assert!(place.host.starts_with("sales.abc."));
        assert_eq!(asked("aws:rds:primarydbinstancearn", arn, Some(ENGINE)).await.unwrap(), None);
        let namespace = "arn:aws:redshift-serverless:us-east-1:1:namespace/x";
        for (tag, arn, engine) in [
            (tag, format!("{arn}2"), Some(ENGINE)),
            (tag, arn.to_owned(), None),
            // The user is at no workgroup.
            ("aws:redshift-serverless:namespaceArn", namespace.to_owned(), Some(ENGINE)),
        ] {
            let error = asked(tag, &arn, engine).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Mismatch);
            let text = error.to_string();
            assert!(text.contains(&arn) && text.contains("masterarn"), "{text}");
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
