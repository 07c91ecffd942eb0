//! How MongoDB proves passwords by SCRAM: by which mechanisms, and what stands in a password's place.
//!
//! Sources: MongoDB specification "Authentication"; RFC 4013.

use fourstep::users::Login;
use fourstep::users::scram::{Hash, Scram};
use fourstep::{Error, ErrorKind, ExposeSecret, Result, hex};
use md5::{Digest as _, Md5};

/// Fewer rounds than this make the exchange easy to guess from. Source: RFC 7677, section 4.
const FEWEST_ROUNDS: u32 = 4096;

/// More would keep this side busy for seconds: what a server asks must have a bound.
const MOST_ROUNDS: u32 = 200_000;

/// Begins an exchange as this login's user.
///
/// # Errors
/// Those of [`Scram::begin`].
pub(crate) fn begin(hash: Hash, login: &Login) -> Result<Scram> {
    Scram::begin(hash, &login.username, FEWEST_ROUNDS..=MOST_ROUNDS)
}

/// What stands in the place of the password: by SCRAM-SHA-1 an MD5 hash.
///
/// # Errors
/// [`ErrorKind::Malformed`] where SASLprep forbids a character of it.
pub(crate) fn password(hash: Hash, login: &Login) -> Result<Vec<u8>> {
    let password = login.password.expose_secret();
    match hash {
        Hash::Sha256 => match stringprep::saslprep(password) {
            Ok(prepared) => Ok(prepared.into_owned().into_bytes()),
            Err(_) => Err(Error::new(
                ErrorKind::Malformed,
                "the password holds a character that SCRAM-SHA-256 does not take (a control \
                 character, or one that Unicode does not assign)",
            )),
        },
        Hash::Sha1 => {
            let hash = Md5::digest(format!("{}:mongo:{password}", login.username));
            Ok(hex(&hash).into_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(username: &str, password: &str) -> Login {
        Login::new("db.example", 27017, username, password)
    }

    #[test]
    fn parity_11_a_password_is_prepared_as_the_server_does() {
        // A no-break space counts as a space, and a ligature as its letters.
        let prepared = password(Hash::Sha256, &login("u", "a\u{a0}\u{fb01}")).unwrap();
        assert_eq!(prepared, "a fi".as_bytes());
        let error = password(Hash::Sha256, &login("u", "canary\u{7}")).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        let hash = password(Hash::Sha1, &login("u", "a\u{7}")).unwrap();
        assert_eq!(hash.len(), 32);
    }
}
