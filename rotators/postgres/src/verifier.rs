//! What a server keeps of a password, as it would make it itself: a SCRAM-SHA-256 verifier at PostgreSQL,
//! a salted digest at Amazon Redshift.
//!
//! Sources: RFC 5803, section 2; PostgreSQL documentation, `pg_authid` and `scram_iterations`; Amazon
//! Redshift Database Developer Guide, CREATE USER.

use std::borrow::Cow;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use fourstep::users::scram::{Hash, Keys};
use fourstep::{ExposeSecret, Result, SecretString, hex, random_bytes};
use ring::digest;

/// The rounds of a server that does not say otherwise.
pub(crate) const ROUNDS: u32 = 4096;

/// The most that are made, whatever the server's setting is. Every login of an application makes them
/// again; at 128 MB these take the function some five seconds.
const MOST_ROUNDS: u32 = 100_000;

/// As many rounds as the session's `scram_iterations` says, which came with PostgreSQL 16: by the
/// server's configuration, or by `ALTER ROLE ... SET`.
pub(crate) fn rounds(setting: Option<&str>) -> u32 {
    let set = setting.and_then(|text| text.parse().ok()).filter(|rounds| *rounds > 0);
    set.unwrap_or(ROUNDS).min(MOST_ROUNDS)
}

/// The verifier of this password.
///
/// # Errors
/// [`Internal`](fourstep::ErrorKind::Internal) where the system gives no random bytes.
pub(crate) fn of(password: &SecretString, rounds: u32) -> Result<String> {
    Ok(salted(password, &random_bytes()?, rounds))
}

/// The digest of this password that Amazon Redshift takes in place of it.
///
/// # Errors
/// As [`of`].
pub(crate) fn digest(password: &SecretString) -> Result<String> {
    Ok(digested(password, &random_bytes()?))
}

fn digested(password: &SecretString, salt: &[u8; 32]) -> String {
    let digest = salted_digest(password, salt);
    format!("sha256|{}|{}", hex(digest.as_ref()), hex(salt))
}

/// SHA-256 of the password and the salt behind it.
pub(crate) fn salted_digest(password: &SecretString, salt: &[u8]) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(password.expose_secret().as_bytes());
    context.update(salt);
    context.finish()
}

/// The password in the form in which SCRAM takes it. As the server does: what SASLprep forbids is taken as
/// it is.
pub(crate) fn prepared(password: &SecretString) -> Cow<'_, str> {
    let password = password.expose_secret();
    stringprep::saslprep(password).unwrap_or(password.into())
}

fn salted(password: &SecretString, salt: &[u8; 16], rounds: u32) -> String {
    let at_least_one = NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN);
    let keys = Keys::derive(Hash::Sha256, prepared(password).as_bytes(), salt, at_least_one);
    let [salt, stored, server] =
        [&salt[..], keys.stored().as_ref(), keys.server()].map(|bytes| BASE64.encode(bytes));
    format!("SCRAM-SHA-256${rounds}:{salt}${stored}:{server}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with the hashlib of Python. SASLprep replaces characters of the second password.
    const KEPT: [(&str, &str); 2] = [
        (
            "pencil",
            "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$\
             zHCdol2044/ZyWzPLi7oxApCkamKw9Z+E4U/QApd/5Y=:\
             dd5peBOitVnLNFu7VmwP+HiDaaw4OUCv396eVCWhYiE=",
        ),
        (
            "soft\u{ad}hyphen\u{2168}",
            "SCRAM-SHA-256$50000:AAECAwQFBgcICQoLDA0ODw==$\
             JQC1vIzNdrLB0tE+03ljozVuIG/uoX0JqYjyNB6U5p0=:\
             82ztLOpsjZgS2af+SnnzlE++6eQHkgqLsWLw/g+G6Pw=",
        ),
    ];

    #[test]
    fn a_verifier_is_what_the_server_makes() {
        for (password, kept) in KEPT {
            let (rounds, rest) =
                kept.strip_prefix("SCRAM-SHA-256$").unwrap().split_once(':').unwrap();
            let salt = BASE64.decode(rest.split_once('$').unwrap().0).unwrap();
            let made = salted(&password.into(), &salt.try_into().unwrap(), rounds.parse().unwrap());
            assert_eq!(made, kept);
        }
    }

    /// Computed with the hashlib of Python.
    #[test]
    fn a_digest_is_what_redshift_keeps() {
        let salt = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let kept = "sha256|7e0a4b4c23db3150c994864912a0816739b5f4598d9275420d7c3335a2128d07|\
                    000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        assert_eq!(digested(&"Pencil-1".into(), &salt), kept);
    }

    #[test]
    fn the_rounds_are_the_server_s_within_a_bound() {
        for (setting, expected) in [
            (None, 4096),
            (Some("4096"), 4096),
            (Some("1"), 1),
            (Some("50000"), 50_000),
            (Some("2147483647"), 100_000),
            (Some("0"), 4096),
            (Some("many"), 4096),
        ] {
            assert_eq!(rounds(setting), expected, "{setting:?}");
        }
    }
}
