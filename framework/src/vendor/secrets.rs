//! The secrets that a rotation compares, and the admin's, which it reads.

use crate::error::{Error, ErrorKind, Result};
use crate::ids::SecretId;
use crate::rotator::{SecretReader, SetContext};
use crate::secret::Secret;

/// Pending must be current with another credential: any other difference is an edit of AWSCURRENT
/// that promoting pending would revert.
pub(super) fn check(fields: &[String], versions: &SetContext<'_>) -> Result<()> {
    let mismatch = |what: String| Err(Error::new(ErrorKind::Mismatch, what));
    let (current, pending) = (versions.current(), versions.pending());
    match (current.secret().document(), pending.secret().document()) {
        (Ok(current), Ok(pending)) => {
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            match current.difference(pending, &fields) {
                None => Ok(()),
                Some(field) => mismatch(format!(
                    "AWSPENDING differs from AWSCURRENT in {field:?} too, so AWSCURRENT was edited \
                     since AWSPENDING was made"
                )),
            }
        }
        (Err(_), Err(_)) => Ok(()),
        _ => {
            mismatch("one of AWSCURRENT and AWSPENDING is a JSON object and one is not".to_owned())
        }
    }
}

/// The admin's secret, read where there is one.
pub(super) async fn admin(
    secret: Result<Option<SecretId>>,
    secrets: &SecretReader<'_>,
) -> Result<Option<Secret>> {
    let Some(secret) = secret? else { return Ok(None) };
    match secrets.current(&secret).await {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(error.while_doing(format!("cannot read the admin secret {secret}"))),
    }
}
