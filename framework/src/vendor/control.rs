//! What a vendor says of a key that is wrong, and what follows from it.

use crate::error::{Error, ErrorKind, Result};
use crate::rotator::{Finding, Verdict};

/// What speaks against a vendor's proof, by its answer about a wrong key.
pub(super) fn control(asked: Result<Option<Verdict>>) -> Option<Finding> {
    let let_in = || {
        let error = Error::new(ErrorKind::Unsupported, "the vendor lets in a key that is wrong");
        error.caused_by("so nothing proves that a new one works: verify by another request")
    };
    match asked {
        Ok(Some(Verdict::Accepted)) => Some(Finding::Fails(let_in())),
        // Let in as well, under another id than the secret's.
        Err(error) if error.kind() == ErrorKind::Mismatch => Some(Finding::Fails(let_in())),
        Ok(Some(Verdict::Rejected(_)) | None) => None,
        Err(error) => Some(Finding::Warns(format!(
            "the vendor does not refuse a key that is wrong as it should, so a key that was revoked \
             is not known to be: {error}"
        ))),
    }
}

/// What speaks against a proof by a field that `verify` names, if the vendor does not look at it there.
pub(super) fn heeds_fields(unheeded: Option<String>) -> Option<Finding> {
    let field = unheeded?;
    let what = format!("the vendor lets the key in whatever the secret's field {field:?} says");
    Some(Finding::Fails(Error::new(ErrorKind::Unsupported, what).caused_by(
        "so nothing proves that it is about the key's account, and whoever may write the secret \
         could name another's: verify by a request that is refused then, or take it from the admin's \
         secret",
    )))
}

/// What speaks against the value in use, which preflight asked about; `unheeded` is asked of one that works.
pub(super) async fn in_use(
    verdict: Verdict,
    unheeded: impl Future<Output = Option<String>>,
) -> Option<Finding> {
    match verdict {
        Verdict::Accepted => heeds_fields(unheeded.await),
        Verdict::Rejected(why) => {
            let error = Error::new(ErrorKind::Rejected, "the vendor refuses AWSCURRENT");
            Some(Finding::Fails(error.caused_by(why)))
        }
    }
}

/// Ends a rotation at a vendor that lets in a key which is wrong, before a key is made or dies: no
/// answer to `verify` says anything there. One that cannot be asked now is asked by what follows.
pub(super) fn heeds_keys(asked: Result<Option<Verdict>>) -> Result<()> {
    match control(asked) {
        Some(Finding::Fails(error)) => Err(error.caused_by("nothing was changed")),
        Some(Finding::Warns(_)) | None => Ok(()),
    }
}
