//! What the strategy does with the proxy secrets of a pair, where there are such.

use super::Alternating;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{Finding, SecretReader};
use crate::secret::{Current, Secret};
use crate::users::proxy_secrets::{Behind, Subject};
use crate::users::{Alternates, Login};

/// What speaks against the proxy secrets of a pair, where one reason is enough.
pub(super) fn first(errors: Vec<Error>) -> Error {
    let none = || Error::new(ErrorKind::Internal, "an error without a cause");
    errors.into_iter().next().unwrap_or_else(none)
}

/// The rotated secret, as its pair's proxy secrets are concerned with it.
pub(super) fn subject<'a>(
    arn: &'a str,
    current: &'a Current,
    login: &'a Login,
    others: &SecretReader<'a>,
) -> Subject<'a> {
    Subject { arn, current, login, calls: others.calls() }
}

impl<S: Alternates> Alternating<S> {
    /// The user in use must come through the proxy before the other one gets another password. Where the
    /// proxy has another password of it, that is put right first.
    pub(super) async fn keep_in_use(
        &self,
        behind: &Behind<'_>,
        (secret, current): (&Secret, &Login),
        other: &str,
        cx: &Invocation,
    ) -> Result<()> {
        behind.catch_up(cx).await?;
        self.proxies.until_learned(&self.database, (secret, current), other, cx).await
    }

    /// What a preflight finds of the pair's proxy secrets.
    pub(super) async fn at_proxy(
        &self,
        subject: Subject<'_>,
        next: &str,
        cx: &Invocation,
    ) -> Vec<Finding> {
        match self.proxies.look(subject, next).await {
            Ok(None) => Vec::new(),
            Ok(Some(behind)) => behind.preflight(&self.database, cx).await,
            Err(errors) => errors.into_iter().map(Finding::Fails).collect(),
        }
    }
}
