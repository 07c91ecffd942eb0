//! What the fuzzer reaches of this crate, behind the feature `fuzzing`: the parts that read a
//! server's bytes or write statements. See `fuzz/` at the root of the repository.

use fourstep::net::Stream;
use fourstep::users::{Attempt, Login};
use fourstep::{Result, SecretString};

use crate::errors::ServerError;
use crate::password::{Literal, PasswordFormat};
use crate::sql;
use crate::wire::{Wire, log_in};

/// A name as an identifier of a statement.
pub fn quote_identifier(name: &str) -> String {
    sql::quote_identifier(name)
}

/// A change to one password, whose verifier takes thousands of rounds of HMAC to compute.
pub struct Change(Literal);

impl Change {
    /// A change to this password.
    pub fn to(password: &SecretString) -> Self {
        let rounds = crate::verifier::ROUNDS;
        Self(PasswordFormat::ScramSha256.literal("app", password, rounds).expect("random bytes"))
    }

    /// The statement that makes it.
    pub fn statement(&self, username: &str) -> String {
        sql::set_password(username, &self.0, false)
    }
}

/// What is shown of a server's ErrorResponse with this body, of one that knows `password`.
pub fn quoted(body: &[u8], password: &SecretString) -> String {
    let mut error = ServerError::parse(body);
    error.message.redact(password, false);
    error.quote()
}

/// A login against whatever answers: whether it let the user in, and how much of what the server
/// said the driver would be told.
///
/// # Errors
/// Those of the login.
pub async fn log_in_over(
    stream: impl Stream + 'static,
    login: &Login,
    weak_authentication: bool,
) -> Result<Option<usize>> {
    let mut wire = Wire { stream: Box::new(stream), weak_authentication };
    Ok(match log_in(&mut wire, login).await? {
        Attempt::Accepted(accepted) => Some(accepted.messages.len()),
        Attempt::Refused(_) => None,
    })
}
