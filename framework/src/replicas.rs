//! Secrets that are replicated to other Regions: only the primary rotates, and its replicas follow.

use crate::error::{Error, ErrorKind, Result};
use crate::invocation::shortened;
use crate::rotator::Finding;
use crate::shell::word;
use crate::store::{Replica, SecretDescription};

/// The most bytes of what the service says about one replica.
const LONGEST_MESSAGE: usize = 500;

const NOT_BEFORE: &str =
    "nothing was stored; WAIT_FOR_REPLICAS is set, and no rotation begins before: retry";

/// Refuses a secret that is a replica: nothing can be stored in it, and its password is the primary's.
///
/// # Errors
/// [`ErrorKind::Unsupported`], naming both Regions.
pub(crate) fn only_the_primary(secret: &SecretDescription) -> Result<()> {
    // arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME
    let here = secret.arn.split(':').nth(3).unwrap_or_default();
    let Some(primary) = secret.primary_region.as_deref().filter(|primary| *primary != here) else {
        return Ok(());
    };
    let what = format!(
        "this secret is a replica in {here} of the one in {primary}, and only the primary rotates"
    );
    Err(Error::new(ErrorKind::Unsupported, what).caused_by(format!(
        "rotate it in {primary}; or, if {here} is to go on without {primary}, make it a secret of its \
         own with `aws secretsmanager stop-replication-to-replica --region {} --secret-id {}`, \
         and see to it that its \"host\" takes writes",
        word(here),
        word(&secret.arn)
    )))
}

/// What preflight says of a secret's replicas. None keeps the primary from rotating, unless they are
/// waited for.
pub(crate) fn findings(secret: &SecretDescription, waits: bool) -> Vec<Finding> {
    let mut findings = Vec::from_iter(only_the_primary(secret).err().map(Finding::Fails));
    let refused = if waits { all_in_sync(secret).err() } else { None };
    if let Some(refused) = refused {
        findings.push(Finding::Fails(refused));
    } else {
        findings.extend(secret.replicas.iter().filter_map(|one| behind(&secret.arn, one)));
    }
    findings
}

/// The same where a schedule is set without rotating. Secrets Manager stores a copy of the secret for that
/// test, which replicas may still be getting: nothing is told of those.
pub(crate) fn findings_of_test(secret: &SecretDescription, waits: bool) -> Vec<Finding> {
    let mut secret = secret.clone();
    secret.replicas.retain(|one| !is_under_way(one));
    findings(&secret, waits)
}

fn is_under_way(replica: &Replica) -> bool {
    replica.status == "InProgress"
}

/// Refuses to begin a rotation before every replica has what it is about to replace.
///
/// # Errors
/// [`ErrorKind::Conflict`] while one lags, [`ErrorKind::Unsupported`] where one failed.
pub(crate) fn all_in_sync(secret: &SecretDescription) -> Result<()> {
    match not_in_sync(secret, NOT_BEFORE)? {
        Some(late) => Err(Error::new(ErrorKind::Conflict, late).caused_by(NOT_BEFORE)),
        None => Ok(()),
    }
}

/// Which replicas do not have what the primary has yet, in a sentence.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where one never will: it failed. `so` says how the rotation stands then.
pub(crate) fn not_in_sync(secret: &SecretDescription, so: &str) -> Result<Option<String>> {
    let failed = secret.replicas.iter().filter(|one| !is_under_way(one) && one.status != "InSync");
    let failed = failed.filter_map(|one| match behind(&secret.arn, one) {
        Some(Finding::Warns(said)) => Some(said),
        _ => None,
    });
    let failed: Vec<_> = failed.collect();
    if !failed.is_empty() {
        return Err(Error::new(ErrorKind::Unsupported, failed.join("; ")).caused_by(so));
    }
    let late = secret.replicas.iter().filter(|one| is_under_way(one));
    let late = late.map(|one| one.region.as_str());
    let late = late.collect::<Vec<_>>().join(", ");
    Ok((!late.is_empty()).then(|| format!("replicas are not in sync yet: {late}")))
}

/// A replica that does not have what the primary has.
fn behind(arn: &str, replica: &Replica) -> Option<Finding> {
    let Replica { region, status, message, key } = replica;
    let message = message.as_deref().map(|text| shortened(text.to_owned(), LONGEST_MESSAGE));
    let said = message.map(|text| format!(": {text}")).unwrap_or_default();
    // Without it the replica would be made anew with AWS's own key.
    let key = key.as_ref().map(|key| format!(",KmsKeyId={key}")).unwrap_or_default();
    let (arn, replica) = (word(arn), word(&format!("Region={region}{key}")));
    match status.as_str() {
        "InSync" => None,
        "InProgress" => Some(Finding::Warns(format!(
            "the replica in {region} is not in sync yet (InProgress{said}): readers there have an \
             older password"
        ))),
        _ => Some(Finding::Warns(format!(
            "the replica in {region} is not in sync ({status}{said}): it does not get the new password; \
             correct what is named, then repeat `aws secretsmanager replicate-secret-to-regions \
             --secret-id {arn} --add-replica-regions {replica}`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-AbCdEf";

    fn secret(primary: Option<&str>, replicas: &[(&str, &str, Option<&str>)]) -> SecretDescription {
        let replica = |(region, status, message): &(&str, &str, Option<&str>)| Replica {
            region: (*region).to_owned(),
            status: (*status).to_owned(),
            message: message.map(str::to_owned),
            key: message.map(|_| "alias/secrets".to_owned()),
        };
        SecretDescription {
            arn: ARN.to_owned(),
            primary_region: primary.map(str::to_owned),
            replicas: replicas.iter().map(replica).collect(),
            ..SecretDescription::default()
        }
    }

    #[test]
    fn a_replica_is_refused_and_a_primary_is_not() {
        for primary in [None, Some("us-east-1")] {
            only_the_primary(&secret(primary, &[])).unwrap();
        }
        let error = only_the_primary(&secret(Some("eu-west-1"), &[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        expect![
            "this secret is a replica in us-east-1 of the one in eu-west-1, and only the primary rotates: \
             rotate it in eu-west-1; or, if us-east-1 is to go on without eu-west-1, make it a secret of \
             its own with `aws secretsmanager stop-replication-to-replica --region us-east-1 --secret-id \
             arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-AbCdEf`, and see to it that its \
             \"host\" takes writes"
        ]
        .assert_eq(&error.to_string());
    }

    #[test]
    fn what_fails_is_told_at_once_and_what_is_late_by_its_region() {
        let of = |replicas: &[_]| not_in_sync(&secret(Some("us-east-1"), replicas), "so it is");
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[("eu-west-1", "InSync", None)]), Ok(None));
        let late = [
            ("eu-west-1", "InSync", None),
            ("eu-west-2", "InProgress", None),
            ("eu-west-3", "InProgress", None),
        ];
        let told = "replicas are not in sync yet: eu-west-2, eu-west-3".to_owned();
        assert_eq!(of(&late), Ok(Some(told)));
        let failed = ("eu-north-1", "Failed", Some("the key is disabled"));
        let error = of(&[late[1], failed]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains("eu-north-1") && text.contains("the key is disabled"), "{text}");
        assert!(text.ends_with("so it is") && !text.contains("eu-west-2"), "{text}");
    }

    #[test]
    fn what_is_behind_is_told_and_stops_nothing() {
        let replicas = [
            ("eu-west-1", "InSync", None),
            ("eu-west-2", "InProgress", None),
            ("eu-west-3", "Failed", Some("Secret name app/db already exists in this region")),
        ];
        let secret = secret(Some("us-east-1"), &replicas);
        let found = findings(&secret, false).into_iter().map(|finding| match finding {
            Finding::Warns(text) => text,
            Finding::Fails(error) => panic!("{error}"),
        });
        expect![
            "the replica in eu-west-2 is not in sync yet (InProgress): readers there have an older password\n\
             the replica in eu-west-3 is not in sync (Failed: Secret name app/db already exists in this \
             region): it does not get the new password; correct what is named, then repeat `aws \
             secretsmanager replicate-secret-to-regions --secret-id \
             arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-AbCdEf --add-replica-regions \
             Region=eu-west-3,KmsKeyId=alias/secrets`"
        ]
        .assert_eq(&found.collect::<Vec<_>>().join("\n"));
    }

    /// The service's words, and names that others may have chosen.
    #[test]
    fn a_key_that_is_named_like_a_command_is_one_word() {
        let failed = [("eu-west-3", "Failed", Some("no"))];
        let mut secret = secret(Some("us-east-1"), &failed);
        secret.replicas[0].key = Some("alias/x;$(touch made)".to_owned());
        secret.arn = format!("{ARN};$(touch made)");
        let [Finding::Warns(said)] = &findings(&secret, false)[..] else { panic!() };
        let command = format!(
            "--secret-id '{ARN};$(touch made)' --add-replica-regions \
             'Region=eu-west-3,KmsKeyId=alias/x;$(touch made)'`"
        );
        assert!(said.ends_with(&command), "{said}");
    }

    /// createSecret refuses then, so preflight must not call a rotation ready.
    #[test]
    fn what_is_behind_fails_a_rotation_that_waits_for_it() {
        for (status, kind) in
            [("InProgress", ErrorKind::Conflict), ("Failed", ErrorKind::Unsupported)]
        {
            let replicas = [("eu-west-1", "InSync", None), ("eu-west-2", status, None)];
            match &findings(&secret(Some("us-east-1"), &replicas), true)[..] {
                [Finding::Fails(error)] => assert_eq!(error.kind(), kind, "{error}"),
                other => panic!("{other:?}"),
            }
            assert!(findings(&secret(Some("us-east-1"), &replicas[..1]), true).is_empty());
            // The copy that a test is made of is on its way there.
            for waits in [false, true] {
                let tested = findings_of_test(&secret(Some("us-east-1"), &replicas), waits);
                assert_eq!(tested.is_empty(), status == "InProgress", "{tested:?}");
            }
        }
    }
}
