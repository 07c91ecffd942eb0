//! The form in which a new password reaches the server.

use fourstep::{Environment, Error, ErrorKind, ExposeSecret, Result, SecretString};
use postgres_protocol::escape::escape_literal;
use postgres_protocol::password::md5;

use crate::session::ChannelSecurity;
use crate::verifier;
use crate::wire::Method;

/// `POSTGRES_PASSWORD_FORMAT`: what stands in the statement that changes a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PasswordFormat {
    /// A SCRAM-SHA-256 verifier, from which nobody learns the password.
    #[default]
    ScramSha256,
    /// An MD5 hash, with which whoever reads it can log in. For servers that know nothing else.
    Md5,
    /// The password itself, for a server whose extensions check it. Whoever reads the server's
    /// statement log reads it too.
    Plaintext,
}

impl PasswordFormat {
    /// Reads the variable; absent means SCRAM.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming it.
    pub(crate) fn read(environment: &Environment) -> Result<Self> {
        let formats = [
            ("scram-sha-256", Self::ScramSha256),
            ("md5", Self::Md5),
            ("plaintext", Self::Plaintext),
        ];
        Ok(environment.choice("POSTGRES_PASSWORD_FORMAT", &formats)?.unwrap_or_default())
    }

    /// Refuses a form that would give the password away, or lock the user out.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]; nothing was sent.
    pub(crate) fn check(self, channel: ChannelSecurity) -> Result<()> {
        let refused = |why: &str| {
            Err(Error::new(ErrorKind::Unsupported, "POSTGRES_PASSWORD_FORMAT was not followed")
                .caused_by(why))
        };
        match self {
            Self::ScramSha256 => Ok(()),
            _ if !channel.weak_authentication => refused(
                "anything but scram-sha-256 would show the password on a connection without TLS; \
                 use TLS, or set ALLOW_WEAK_AUTHENTICATION",
            ),
            // pg_hba.conf may demand SCRAM, which an MD5 hash cannot answer.
            Self::Md5 if channel.method == Method::ScramSha256 => refused(
                "the server checks this user's password with SCRAM-SHA-256, which is stronger than \
                 md5, and might refuse it after that; leave the variable out",
            ),
            Self::Md5 | Self::Plaintext => Ok(()),
        }
    }

    /// The password as a literal of SQL. `rounds` are those of a verifier.
    ///
    /// # Errors
    /// Those of [`verifier::of`].
    pub(crate) fn literal(
        self,
        username: &str,
        password: &SecretString,
        rounds: u32,
    ) -> Result<Literal> {
        // A verifier consists of letters, digits and `$:+/=-`, and so needs no quoting.
        Ok(Literal(match self {
            Self::ScramSha256 => format!("'{}'", verifier::of(password, rounds)?),
            Self::Md5 => format!("'{}'", md5(password.expose_secret().as_bytes(), username)),
            Self::Plaintext => escape_literal(password.expose_secret()),
        }))
    }
}

/// What stands behind PASSWORD. Has no `Debug`: a verifier lets whoever knows it pose as the
/// server, the other forms as the user.
pub(crate) struct Literal(String);

impl Literal {
    /// The text, for the one statement that needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A digest for Amazon Redshift, which consists of letters, digits and `|`.
    ///
    /// # Errors
    /// Those of [`verifier::digest`].
    pub(crate) fn digest(password: &SecretString) -> Result<Self> {
        Ok(Self(format!("'{}'", verifier::digest(password)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_verifier_is_plain_whatever_the_password(password in ".{1,40}") {
            let password = password.into();
            for (format, begin) in
                [(PasswordFormat::ScramSha256, "'SCRAM-SHA-256$4096:"), (PasswordFormat::Md5, "'md5")]
            {
                let literal = format.literal("app", &password, verifier::ROUNDS).unwrap();
                let inner = literal.expose().trim_matches('\'');
                prop_assert!(literal.expose().starts_with(begin));
                let plain = |c: char| c.is_ascii_alphanumeric() || "$:+/=-".contains(c);
                prop_assert!(inner.chars().all(plain));
            }
        }
    }

    #[test]
    fn what_would_weaken_or_lock_out_is_refused() {
        use PasswordFormat::{Md5, Plaintext, ScramSha256};
        for (format, method, weak, fine) in [
            (ScramSha256, Method::ScramSha256, false, true),
            (ScramSha256, Method::Md5, false, true),
            (Md5, Method::Md5, true, true),
            (Md5, Method::Md5, false, false),
            (Md5, Method::ScramSha256, true, false),
            (Plaintext, Method::ScramSha256, true, true),
            (Plaintext, Method::ScramSha256, false, false),
        ] {
            let checked = format.check(ChannelSecurity { method, weak_authentication: weak });
            assert_eq!(checked.is_ok(), fine, "{format:?} {method:?} {weak}");
        }
    }

    #[test]
    fn the_variable_is_read_or_refused_by_name() {
        for (text, format) in [
            ("", PasswordFormat::ScramSha256),
            ("scram-sha-256", PasswordFormat::ScramSha256),
            (" md5 ", PasswordFormat::Md5),
            ("plaintext", PasswordFormat::Plaintext),
        ] {
            let environment = Environment::from([("POSTGRES_PASSWORD_FORMAT", text)]);
            assert_eq!(PasswordFormat::read(&environment).unwrap(), format);
        }
        let environment = Environment::from([("POSTGRES_PASSWORD_FORMAT", "canary")]);
        let error = PasswordFormat::read(&environment).unwrap_err().to_string();
        assert!(error.contains("POSTGRES_PASSWORD_FORMAT") && !error.contains("canary"), "{error}");
    }
}
