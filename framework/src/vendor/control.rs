//! What a vendor says of a key that is wrong, and what follows from it.

use crate::error::{Error, ErrorKind};
use crate::rotator::{Finding, Verdict};

/// What speaks against a vendor's proof, by its answer about a wrong key.
pub(super) fn control(asked: Result<Option<Verdict>, Error>) -> Option<Finding> {
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

/// Ends a rotation at a vendor that lets in a key which is wrong, before a key is made or dies: no
/// answer to `verify` says anything there. One that cannot be asked now is asked by what follows.
pub(super) fn heeds_keys(asked: Result<Option<Verdict>, Error>) -> Result<(), Error> {
    match control(asked) {
        Some(Finding::Fails(error)) => Err(error.caused_by("nothing was changed")),
        Some(Finding::Warns(_)) | None => Ok(()),
    }
}
