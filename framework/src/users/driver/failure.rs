//! How a statement fails, and what may be repeated of what a server says.

use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;

/// The longest message of a server that is quoted, in characters.
const LONGEST_QUOTE: usize = 200;

/// How a statement failed.
#[derive(Debug)]
pub enum Failure<R> {
    /// The server refused it.
    Refused(R),
    /// The connection was lost, or the answer makes no sense.
    Lost(Error),
    /// The deadline passed before an answer came.
    Late(Error),
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
            Self::Lost(error) | Self::Late(error) => error,
        }
    }
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
