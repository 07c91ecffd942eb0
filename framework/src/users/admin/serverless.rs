//! The admin secret of a namespace of Redshift Serverless.
//!
//! The user's host names a workgroup: `WORKGROUP.ACCOUNT.REGION.redshift-serverless.amazonaws.com`. A name proves
//! nothing: the API is asked for the workgroup, which must be at this very host and port; then for the workgroup's
//! namespace, which must be the one in the secret's tag, and have this very secret for its admin.

use super::redshift::{ENGINE, OWN_SECRET, own_place};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::net::same_host;
use crate::rds::{Place, Serverless, Workgroup};
use crate::users::Login;

/// The form of a workgroup's endpoint. Source: Amazon Redshift Management Guide, "Connecting to Amazon Redshift
/// Serverless".
const FORM: &str = "WORKGROUP.ACCOUNT.REGION.redshift-serverless.amazonaws.com";

/// The user's own place, where `namespace`, the ARN in a tag of the secret `secret`, is the user's.
///
/// # Errors
/// [`ErrorKind::Mismatch`] for another namespace, workgroup or secret than the user's; [`ErrorKind::NotFound`] if
/// the API knows none; those of the API, of which one that is denied names what is to be allowed.
pub(super) async fn place_of(
    user: &Login,
    secret: &str,
    namespace: &str,
    api: &Serverless,
    cx: &Invocation,
) -> Result<Place> {
    let refused = |kind, what: String, way_out: &str| {
        let about =
            format!("Amazon Redshift manages it for the serverless namespace {namespace}, {what}");
        Err(Error::new(kind, about).caused_by(format!("{way_out}, or {OWN_SECRET}")))
    };
    let host = user.host.escape_debug();
    let (Some(ENGINE), Some(name)) = (user.engine, workgroup_in(&user.host, namespace)) else {
        return refused(
            ErrorKind::Mismatch,
            format!("and the user is on {host}"),
            &format!(
                "the user's \"engine\" must be {ENGINE} and its \"host\" the endpoint of a workgroup of the namespace's \
                 account and Region, {FORM}, and no domain name of your own; correct them"
            ),
        );
    };
    let found = api.workgroup(&name, cx).await;
    let found = found.map_err(|error| to_allow(error, namespace, "workgroup/*"))?;
    let Some(Workgroup { host: Some(address), port: Some(port), namespace: of }) = found else {
        return refused(
            ErrorKind::NotFound,
            format!(
                "and the function's account has no workgroup {name:?} with an endpoint in its Region"
            ),
            "wait if the workgroup is being made; let \"host\" be the workgroup's own endpoint and not that of a VPC \
             endpoint, and the function run in the workgroup's account and Region",
        );
    };
    if !same_host(&address, &user.host) || port != user.port {
        let what = format!(
            "whose workgroup {name:?} is at {}:{port}, and the user is on {host}:{}",
            address.escape_debug(),
            user.port
        );
        let way_out = "correct the user's \"host\" and \"port\", or let the function run in the workgroup's \
                       account and Region";
        return refused(ErrorKind::Mismatch, what, way_out);
    }
    let found = api.namespace(&of, cx).await;
    // Not on the tag's alone: the workgroup may be of another one, of which to say so.
    let found = found.map_err(|error| to_allow(error, namespace, "namespace/*"))?;
    let Some(found) = found.filter(|found| found.arn == namespace) else {
        let what = format!("and the user's workgroup {name:?} is of another one, {of:?}");
        let way_out = "let \"masterarn\" name the secret of the admin of the user's namespace";
        return refused(ErrorKind::Mismatch, what, way_out);
    };
    match found.secret {
        Some(its) if its == secret => Ok(own_place(user)),
        Some(its) => {
            let what = format!("whose admin's password is in {}", its.escape_debug());
            refused(ErrorKind::Mismatch, what, "let \"masterarn\" name that")
        }
        None => {
            let what = "whose admin's password is in no secret any more".to_owned();
            refused(ErrorKind::Mismatch, what, "let Secrets Manager manage it again")
        }
    }
}

/// The workgroup that a host names, where account and Region in it are those of the namespace.
fn workgroup_in(host: &str, namespace: &str) -> Option<String> {
    let arn: Vec<_> = namespace.split(':').collect();
    let &["arn", _, "redshift-serverless", region, account, id] = arn.as_slice() else {
        return None;
    };
    let host = host.to_ascii_lowercase();
    let (name, rest) = host.split_once('.')?;
    let domain = format!("{account}.{region}.redshift-serverless.amazonaws.com");
    // China's domain goes on, and a name may end with a dot.
    let is_domain = matches!(rest.strip_prefix(&domain)?, "" | "." | ".cn" | ".cn.");
    // As the API takes it: whatever else it is, it is no workgroup.
    let is_name = (3..=64).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    (is_domain
        && is_name
        && !account.is_empty()
        && !region.is_empty()
        && id.starts_with("namespace/"))
    .then(|| name.to_owned())
}

/// Says of a call that was denied on what it must be allowed, and where.
fn to_allow(error: Error, namespace: &str, resource: &str) -> Error {
    match (error.kind(), namespace.rsplit_once(':')) {
        (ErrorKind::Forbidden, Some((before, _))) => error.caused_by(format!(
            "allow it on {before}:{resource} in a policy of that role, as the stack's parameter AdminSecretArns does"
        )),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACE: &str = "arn:aws:redshift-serverless:us-east-1:111122223333:namespace/u-u-i-d";
    const DOMAIN: &str = "111122223333.us-east-1.redshift-serverless.amazonaws.com";

    #[test]
    fn parity_22_a_host_names_a_workgroup_of_the_namespaces_account_and_region() {
        let name = |host: &str| workgroup_in(host, NAMESPACE);
        assert_eq!(name(&format!("sales-1.{DOMAIN}")).as_deref(), Some("sales-1"));
        assert_eq!(
            name(&format!("Sales.{}.", DOMAIN.to_ascii_uppercase())).as_deref(),
            Some("sales")
        );
        for host in [
            DOMAIN.to_owned(),
            format!("wg.{DOMAIN}"),
            format!("sa_les.{DOMAIN}"),
            format!("sales.{DOMAIN}.example"),
            format!("sales.x.{DOMAIN}"),
            format!("sales.{}", DOMAIN.replace("1111", "4444")),
            format!("sales.{}", DOMAIN.replace("us-east-1", "eu-west-1")),
            format!("sales.{}", DOMAIN.replace("redshift-serverless", "redshift")),
            "warehouse.example.org".to_owned(),
            "10.0.0.7".to_owned(),
            "sales".to_owned(),
            String::new(),
        ] {
            assert_eq!(name(&host), None, "{host}");
        }
        let china = "arn:aws-cn:redshift-serverless:cn-north-1:111122223333:namespace/u";
        let host = "sales.111122223333.cn-north-1.redshift-serverless.amazonaws.com.cn";
        assert_eq!(workgroup_in(host, china).as_deref(), Some("sales"));
        for arn in [
            "",
            "arn",
            "arn:aws:redshift-serverless:::namespace/u",
            "arn:aws:redshift:us-east-1:111122223333:namespace/u",
            "arn:aws:redshift-serverless:us-east-1:111122223333:workgroup/u",
        ] {
            assert_eq!(workgroup_in(&format!("sales.{DOMAIN}"), arn), None, "{arn}");
        }
    }
}
