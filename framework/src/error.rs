//! The one error type: a kind an operator can act on, what was attempted, and why it failed.

use std::fmt;

use crate::step::Step;

/// What went wrong, sorted by what an operator does next.
///
/// The name of the kind is the `error_type` of the Lambda diagnostic and a field of the log line,
/// so alarms can match it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The version is not staged for rotation, or rotation is turned off. Look at the labels.
    NotStaged,
    /// A secret, version, value or database does not exist. Create it, or correct the name.
    NotFound,
    /// Something else changed the secret or the account meanwhile, and the change was not made; retry.
    Conflict,
    /// Two versions name different hosts or accounts. Clear AWSPENDING, or correct the secret.
    Mismatch,
    /// An event, a secret document or a setting cannot be read. The message names the field.
    Malformed,
    /// A permission is missing in IAM, KMS, or the target.
    Forbidden,
    /// The target refused the credential itself.
    Rejected,
    /// A name does not resolve, a connection fails, or the other side is failing.
    Unreachable,
    /// The server's certificate or TLS set-up cannot be trusted.
    Tls,
    /// A service or server refuses more load. Retry later, or raise the limit.
    Throttled,
    /// The time allowed was used up, or too little was left to begin.
    OutOfTime,
    /// The target or its configuration cannot do what was asked. Change the setting named.
    Unsupported,
    /// A defect in the rotator itself. Please report it.
    Internal,
}

/// What can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl ErrorKind {
    /// Every kind, in the order in which they are documented.
    pub const ALL: [Self; 13] = [
        Self::NotStaged,
        Self::NotFound,
        Self::Conflict,
        Self::Mismatch,
        Self::Malformed,
        Self::Forbidden,
        Self::Rejected,
        Self::Unreachable,
        Self::Tls,
        Self::Throttled,
        Self::OutOfTime,
        Self::Unsupported,
        Self::Internal,
    ];

    /// The kind's name, as it stands in logs and in the Lambda diagnostic.
    ///
    /// ```
    /// assert_eq!(fourstep::ErrorKind::OutOfTime.name(), "OutOfTime");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::NotStaged => "NotStaged",
            Self::NotFound => "NotFound",
            Self::Conflict => "Conflict",
            Self::Mismatch => "Mismatch",
            Self::Malformed => "Malformed",
            Self::Forbidden => "Forbidden",
            Self::Rejected => "Rejected",
            Self::Unreachable => "Unreachable",
            Self::Tls => "Tls",
            Self::Throttled => "Throttled",
            Self::OutOfTime => "OutOfTime",
            Self::Unsupported => "Unsupported",
            Self::Internal => "Internal",
        }
    }

    /// Where the manual says what to do, as a path in Fourstep's repository.
    ///
    /// ```
    /// assert_eq!(fourstep::ErrorKind::OutOfTime.page(), "docs/errors.md#outoftime");
    /// ```
    pub fn page(self) -> String {
        format!("docs/errors.md#{}", self.name().to_ascii_lowercase())
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why a step failed.
///
/// `Debug` prints the same text as `Display`, because the Lambda runtime logs errors with `Debug`.
/// Neither message nor cause may hold a secret value; causes from drivers and SDKs are reduced to
/// safe text where they are caught.
///
/// ```
/// use fourstep::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unreachable, "cannot connect to db.example:5432")
///     .caused_by("connection refused");
/// assert_eq!(error.to_string(), "cannot connect to db.example:5432: connection refused");
/// assert_eq!(format!("{error:?}"), error.to_string());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    step: Option<Step>,
    attempted: String,
    cause: Option<String>,
}

impl Error {
    /// An error of `kind`. `attempted` says what was attempted, lower case, no full stop.
    pub fn new(kind: ErrorKind, attempted: impl Into<String>) -> Self {
        Self { kind, step: None, attempted: attempted.into(), cause: None }
    }

    /// Adds the cause, behind any cause already there. It must not hold a secret value.
    #[must_use]
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(match self.cause {
            Some(nearer) => format!("{nearer}: {cause}"),
            None => cause.to_string(),
        });
        self
    }

    /// Puts a wider description of what was attempted before this error's own.
    #[must_use]
    pub fn while_doing(mut self, attempted: impl fmt::Display) -> Self {
        self.attempted = format!("{attempted}: {}", self.attempted);
        self
    }

    /// Names the step that failed. The first name given stays.
    #[must_use]
    pub fn at(mut self, step: Step) -> Self {
        self.step.get_or_insert(step);
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The step that failed, where one was under way.
    pub fn step(&self) -> Option<Step> {
        self.step
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = self.step {
            write!(formatter, "{step}: ")?;
        }
        formatter.write_str(&self.attempted)?;
        match &self.cause {
            Some(cause) => write!(formatter, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for Error {}

impl From<Error> for lambda_runtime::Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.kind.name().to_owned(), error_message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_equals_display_and_the_first_step_stays() {
        let error = Error::new(ErrorKind::Tls, "cannot trust db.example:5432")
            .caused_by("unknown issuer")
            .caused_by("see TLS_CA_BUNDLE")
            .while_doing("cannot change the password")
            .at(Step::Set)
            .at(Step::Test);
        let text = "setSecret: cannot change the password: cannot trust db.example:5432: \
                    unknown issuer: see TLS_CA_BUNDLE";
        assert_eq!(format!("{error}"), text);
        assert_eq!(format!("{error:?}"), text);
        assert_eq!(format!("{error:#?}"), text);
    }

    #[test]
    fn the_diagnostic_type_is_the_kind() {
        for kind in ErrorKind::ALL {
            let diagnostic = lambda_runtime::Diagnostic::from(Error::new(kind, "x"));
            assert_eq!(diagnostic.error_type, format!("{kind:?}"));
        }
    }
}
