//! What a step may do, decided from labels and token alone: pure, no input or output.
//!
//! The order of the checks is that of AWS's rotation templates, which alarms and runbooks know;
//! the step's name is checked earlier, when the event is decoded.

use crate::error::{Error, ErrorKind, Result};
use crate::ids::VersionId;
use crate::replicas::only_the_primary;
use crate::store::{AWSCURRENT, AWSPENDING, SecretDescription};

/// Whether a step has anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The token carries AWSPENDING: do the step.
    Proceed,
    /// The token is AWSCURRENT already: an earlier run finished.
    AlreadyCurrent,
}

/// Decides from the labels of a secret what a step for `token` may do.
///
/// # Errors
/// [`ErrorKind::NotStaged`] if rotation is turned off (an absent setting counts as on), if the
/// token has no label, or if it carries neither AWSCURRENT nor AWSPENDING.
/// [`ErrorKind::Unsupported`] if the secret is a replica.
pub fn decide(secret: &SecretDescription, token: &VersionId) -> Result<Decision> {
    if secret.rotation_enabled == Some(false) {
        return Err(not_staged("rotation is not enabled for this secret".to_owned()));
    }
    if secret.labels.get(token).is_none_or(Vec::is_empty) {
        return Err(not_staged(format!("version {token} has no staging label")));
    }
    if secret.has(token, AWSCURRENT) {
        return Ok(Decision::AlreadyCurrent);
    }
    if !secret.has(token, AWSPENDING) {
        return Err(not_staged(format!("version {token} is not labelled AWSPENDING")));
    }
    only_the_primary(secret)?;
    Ok(Decision::Proceed)
}

fn not_staged(what: String) -> Error {
    Error::new(ErrorKind::NotStaged, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(enabled: Option<bool>, labels: &[&str], expected: &Expect) {
        let token = VersionId::from_store("t");
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let secret = SecretDescription {
            rotation_enabled: enabled,
            labels: [
                (VersionId::from_store("other"), vec![AWSCURRENT.to_owned()]),
                (token.clone(), labels),
            ]
            .into_iter()
            .collect(),
            ..SecretDescription::default()
        };
        let decision = decide(&secret, &token);
        expected.assert_eq(&decision.map_or_else(|e| e.to_string(), |d| format!("{d:?}")));
    }

    #[test]
    fn parity_03_rotation_turned_off_is_refused_first() {
        let refused = expect!["rotation is not enabled for this secret"];
        check(Some(false), &[AWSPENDING], &refused);
        check(Some(false), &[AWSCURRENT], &refused);
    }

    #[test]
    fn parity_04_rotation_never_configured_is_accepted() {
        check(None, &[AWSPENDING], &expect!["Proceed"]);
    }

    #[test]
    fn parity_05_an_unknown_token_is_refused() {
        check(Some(true), &[], &expect!["version t has no staging label"]);
        let missing = decide(&SecretDescription::default(), &VersionId::from_store("t"));
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotStaged);
    }

    #[test]
    fn parity_06_a_token_that_is_current_has_nothing_to_do() {
        check(Some(true), &[AWSCURRENT], &expect!["AlreadyCurrent"]);
        check(Some(true), &[AWSPENDING, AWSCURRENT], &expect!["AlreadyCurrent"]);
    }

    #[test]
    fn parity_07_a_token_with_another_label_only_is_refused() {
        check(Some(true), &["AWSPREVIOUS"], &expect!["version t is not labelled AWSPENDING"]);
        check(Some(true), &["mine"], &expect!["version t is not labelled AWSPENDING"]);
    }

    #[test]
    fn a_replica_is_refused_before_anything_is_stored() {
        let token = VersionId::from_store("t");
        let secret = SecretDescription {
            arn: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:app/db-AbCdEf".to_owned(),
            primary_region: Some("us-east-1".to_owned()),
            labels: [(token.clone(), vec![AWSPENDING.to_owned()])].into_iter().collect(),
            ..SecretDescription::default()
        };
        assert_eq!(decide(&secret, &token).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_pending_token_proceeds() {
        check(Some(true), &["mine", AWSPENDING], &expect!["Proceed"]);
    }
}
