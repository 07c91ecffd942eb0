//! How a password is proven: the ways that are answered here.
//!
//! Sources: MySQL 9.7 reference manual, section 8.4.1, "Authentication Plugins", and the pages of
//! its developers' documentation on the authentication phase; MariaDB documentation, "Connection".

use fourstep::{ExposeSecret, SecretString};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// An authentication plugin that checks a password and is answered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plugin {
    /// `mysql_native_password`: what MariaDB uses unless told otherwise, and MySQL until 8.4 where
    /// it is turned on. A challenge, answered with SHA-1.
    Native,
    /// `caching_sha2_password`: what MySQL uses since 8.0. A challenge, answered with SHA-256, if
    /// the server has seen the password since it was set; else the password itself, inside TLS.
    CachingSha2,
    /// `sha256_password`: the password itself, inside TLS. Deprecated, but MySQL asks for it by the
    /// name of many a user that does not exist, so that nobody can find out which do.
    Sha256,
}

impl Plugin {
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        [Self::Native, Self::CachingSha2, Self::Sha256]
            .into_iter()
            .find(|plugin| plugin.name().as_bytes() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
            Self::Sha256 => "sha256_password",
        }
    }

    /// The answer to the server's challenge, from which whoever sees both learns nothing but a way
    /// to check guesses. `None` if the plugin has none and wants the password itself.
    pub(crate) fn answer(self, password: &SecretString, challenge: &[u8]) -> Option<Vec<u8>> {
        let password = password.expose_secret().as_bytes();
        let (first, second) = match self {
            Self::Sha256 => return None,
            Self::Native => {
                let first = sha1(&[password]);
                (first.clone(), sha1(&[challenge, &sha1(&[&first])]))
            }
            Self::CachingSha2 => {
                let first = sha256(&[password]);
                let twice = sha256(&[&first]);
                (first, sha256(&[&twice, challenge]))
            }
        };
        Some(first.iter().zip(second).map(|(one, other)| one ^ other).collect())
    }
}

/// What a server keeps of a password by `mysql_native_password`, as it writes it: `*` and the
/// hexadecimal SHA-1 of the SHA-1.
pub(crate) fn native_hash(password: &SecretString) -> String {
    let hash = sha1(&[&sha1(&[password.expose_secret().as_bytes()])]);
    format!("*{}", hex(&hash))
}

/// A name for an account that is short, the same in every version of this program, and nobody
/// else's.
pub(crate) fn account_key(account: &str) -> String {
    let hash = sha256(&[account.as_bytes()]);
    hex(hash.get(..16).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn sha1(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    digest(&SHA256, &parts.concat()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_native_hash_is_the_server_s() {
        // MariaDB 10.11: SELECT PASSWORD('two').
        let hash = native_hash(&"two".into());
        assert_eq!(hash, "*A41BEE51488264C01B96DE959A9142AF1A75205E");
    }

    #[test]
    fn answers_undo_into_what_the_server_keeps() {
        let (password, challenge) = ("canary".into(), [7_u8; 20]);
        let answer = Plugin::Native.answer(&password, &challenge).unwrap();
        let kept = sha1(&[&sha1(&[b"canary"])]);
        let mask = sha1(&[&challenge, &kept]);
        let first: Vec<u8> = answer.iter().zip(mask).map(|(one, other)| one ^ other).collect();
        assert_eq!(sha1(&[&first]), kept);
        let answer = Plugin::CachingSha2.answer(&password, &challenge).unwrap();
        let kept = sha256(&[&sha256(&[b"canary"])]);
        let mask = sha256(&[&kept, &challenge]);
        let first: Vec<u8> = answer.iter().zip(mask).map(|(one, other)| one ^ other).collect();
        assert_eq!(sha256(&[&first]), kept);
    }

    #[test]
    fn only_these_plugins_are_known() {
        assert_eq!(Plugin::named(b"caching_sha2_password"), Some(Plugin::CachingSha2));
        assert_eq!(Plugin::named(b"mysql_native_password"), Some(Plugin::Native));
        assert_eq!(Plugin::named(b"sha256_password"), Some(Plugin::Sha256));
        for name in ["mysql_clear_password", "client_ed25519", "sha256", ""] {
            assert_eq!(Plugin::named(name.as_bytes()), None);
        }
    }
}
