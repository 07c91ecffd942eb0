//! How a statement fails, and what may be repeated of what a server says.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;

/// The longest message of a server that is quoted, in characters.
const LONGEST_QUOTE: usize = 200;

/// How a statement failed.
#[derive(Debug)]
pub enum Failure<R> {
    /// The server refused it.
    Refused(R),
    /// The connection was lost, the answer makes no sense, or none came before the deadline.
    Lost(Error),
}

/// What a server says when it refuses a statement.
pub trait Refusal {
    /// As an error of a statement that carries no secret. `what` describes the statement.
    fn of_statement(&self, what: &str) -> Error;
}

impl<R: Refusal> Failure<R> {
    /// As an error of a statement that carries no secret. `what` describes the statement.
    pub fn of(self, what: &str) -> Error {
        self.sorted(|refusal| refusal.of_statement(what))
    }

    /// As an error, of which `sort` says what a refusal means.
    pub fn sorted(self, sort: impl FnOnce(&R) -> Error) -> Error {
        match self {
            Self::Refused(refusal) => sort(&refusal),
            Self::Lost(error) => error,
        }
    }

    /// What a refusal means, where that need not be an error, as at a login and at the change of a
    /// password.
    ///
    /// # Errors
    /// Those of `decide`, and that there was no answer.
    pub fn decided<T>(self, decide: impl FnOnce(R) -> Result<T>) -> Result<T> {
        match self {
            Self::Refused(refusal) => decide(refusal),
            Self::Lost(error) => Err(error),
        }
    }

    /// The same failure, and what was under way where there was no answer.
    #[must_use]
    pub fn while_doing(self, what: &str) -> Self {
        match self {
            Self::Lost(error) => Self::Lost(error.while_doing(what)),
            refused @ Self::Refused(_) => refused,
        }
    }

    /// The same failure of a statement that changes `what`: without an answer it is not known whether it
    /// did.
    #[must_use]
    pub fn of_change(self, what: &str) -> Self {
        match self {
            Self::Lost(cause) => Self::Lost(unknown(what, cause)),
            refused @ Self::Refused(_) => refused,
        }
    }
}

/// The error of a change of `what` of which it is not known whether it was made.
#[must_use]
pub fn unknown(what: &str, cause: Error) -> Error {
    let what = format!("{what} may or may not have been changed, and a retry finds out");
    Error::new(ErrorKind::Unreachable, what).caused_by(cause)
}

/// Waits for the server's answer to `what`, as long as the invocation lasts.
///
/// # Errors
/// [`Failure::Lost`], saying to what there was no answer.
pub async fn answer<T, R>(
    cx: &Invocation,
    what: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T, Failure<R>> {
    let answer = cx.deadline().bound(what, Duration::MAX, work).await.map_err(Failure::Lost)?;
    let lost = |error: Error| Failure::Lost(error.while_doing(format!("no answer to {what}")));
    answer.map_err(lost)
}

impl<R> From<Error> for Failure<R> {
    fn from(error: Error) -> Self {
        Self::Lost(error)
    }
}

/// The text of a server's error. Whoever was told a password may repeat it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerMessage(String);

impl ServerMessage {
    /// What the server wrote.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to be compared and not to be shown.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Forgets a text that repeats the password, and any text of a server that was told it in
    /// cleartext (`told`), because it may repeat it in any form.
    pub fn redact(&mut self, password: &SecretString, told: bool) {
        if told {
            "(not shown: the server was sent the password)".clone_into(&mut self.0);
        } else if self.0.contains(password.expose_secret()) {
            "(not shown: it repeats the password)".clone_into(&mut self.0);
        }
    }

    /// The text, shortened and with control characters escaped, and the server's `code`. Only of an
    /// answer to what carries no secret.
    pub fn quote(&self, code: &str) -> String {
        let text: String = self.0.chars().take(LONGEST_QUOTE).collect();
        format!("the server said {text:?} ({code})")
    }
}

/// The SQLSTATE, if this is one: five digits and capital letters. Anything else is not shown.
pub fn sqlstate(code: &str) -> Option<&str> {
    let real = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    (code.len() == 5 && code.bytes().all(real)).then_some(code)
}
