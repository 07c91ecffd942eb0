//! Why a user is not taken for one of the pair.

use crate::error::{Error, ErrorKind};

/// The error about an account that no rotation touches.
pub(crate) fn protected(user: &str, why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("user {user:?} is never changed")).caused_by(why)
}

/// The error about a user that is not known to be ours.
pub(crate) fn unproven(user: &str) -> Error {
    let what = format!("user {user:?} is not known to be this secret's");
    Error::new(ErrorKind::Unsupported, what)
}

/// The error about users whose marks name `user`, of which none is the one that its name leads to: a
/// mark can be copied by whoever may comment on a role of their own.
pub(super) fn ambiguous(user: &str, names: &[&String]) -> Error {
    let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    let what = format!("which user is the other half of {user:?} is not certain");
    Error::new(ErrorKind::Unsupported, what).caused_by(format!(
        "a mark says so of {}; say which it is in USER_PAIRS, as {user}=OTHER",
        names.join(" and ")
    ))
}
