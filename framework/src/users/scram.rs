//! SCRAM: a client proves that it knows a password, without showing it, and demands the same proof of
//! the server.
//!
//! What differs from server to server is the backend's: in which messages the texts travel, how a password
//! is prepared, and how many rounds a server has a reason to ask for.
//!
//! Sources: RFC 5802, RFC 7677; RFC 5803, section 2, for what a server keeps.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};

use crate::error::{Error, ErrorKind, Result};
use crate::uniform::random_bytes;

/// With which digest a password is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SCRAM-SHA-1.
    Sha1,
    /// SCRAM-SHA-256.
    Sha256,
}

impl Hash {
    /// The mechanism, as SASL names it.
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        }
    }
}

/// What is made of a password: the key that proves it, and the server's.
pub struct Keys {
    client: hmac::Tag,
    server: hmac::Tag,
    hash: Hash,
}

impl Keys {
    /// Hashes a prepared password so many times.
    pub fn derive(hash: Hash, password: &[u8], salt: &[u8], rounds: NonZeroU32) -> Self {
        let mut salted = vec![0; hash.hmac().digest_algorithm().output_len()];
        pbkdf2::derive(hash.pbkdf2(), rounds, salt, password, &mut salted);
        let salted = hmac::Key::new(hash.hmac(), &salted);
        let of_salted = |what: &str| hmac::sign(&salted, what.as_bytes());
        Self { client: of_salted("Client Key"), server: of_salted("Server Key"), hash }
    }

    /// By what a server knows who has the password: StoredKey.
    pub fn stored(&self) -> impl AsRef<[u8]> {
        digest::digest(self.hash.hmac().digest_algorithm(), self.client.as_ref())
    }

    /// By what a server proves that it knows the password: ServerKey.
    pub fn server(&self) -> &[u8] {
        self.server.as_ref()
    }
}

/// An exchange that has begun.
pub struct Scram {
    hash: Hash,
    nonce: String,
    /// The first message, without the words about channel binding.
    bare: String,
    rounds: RangeInclusive<u32>,
    /// The server's setting of how many rounds there are.
    setting: Option<&'static str>,
}

/// What only a server answers that knows the password, too.
pub struct Expected {
    key: hmac::Key,
    message: String,
}

impl Scram {
    /// Begins an exchange, without channel binding, as this user, whose name may be empty where the server
    /// knows it. A server may ask for so many `rounds`: fewer would make the exchange easy to guess from,
    /// and more keep this side busy, which nothing interrupts.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where the system gives no random bytes.
    pub fn begin(hash: Hash, username: &str, rounds: RangeInclusive<u32>) -> Result<Self> {
        Ok(Self::with_nonce(hash, username, rounds, BASE64.encode(random_bytes::<24>()?)))
    }

    fn with_nonce(hash: Hash, username: &str, rounds: RangeInclusive<u32>, nonce: String) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        Self { hash, bare: format!("n={name},r={nonce}"), nonce, rounds, setting: None }
    }

    /// Names the server's setting of how many rounds there are, for whoever is to change it.
    pub fn with_setting(self, setting: &'static str) -> Self {
        Self { setting: Some(setting), ..self }
    }

    /// The first message.
    pub fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// Answers the server's challenge, by a proof that does not show the password, which is prepared as
    /// the server does that.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] of a challenge that is none, or that a server has no reason for.
    pub fn answer(&self, challenge: &[u8], password: &[u8]) -> Result<(String, Expected)> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| strange())?;
        let mut fields = challenge.split(',');
        let mut field = |name| fields.next().and_then(|field| field.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(rounds)) = (field("r="), field("s="), field("i="))
        else {
            return Err(strange());
        };
        let rounds: NonZeroU32 = rounds.parse().map_err(|_| strange())?;
        if !self.rounds.contains(&rounds.get()) {
            return Err(self.unreasonable(rounds));
        }
        let own = nonce.strip_prefix(&self.nonce).is_some_and(|rest| !rest.is_empty());
        let salt = BASE64.decode(salt).ok().filter(|_| own).ok_or_else(strange)?;
        let keys = Keys::derive(self.hash, password, &salt, rounds);

        let keyed = |key: &[u8]| hmac::Key::new(self.hash.hmac(), key);
        let last = format!("c=biws,r={nonce}");
        let message = format!("{},{challenge},{last}", self.bare);
        let signature = hmac::sign(&keyed(keys.stored().as_ref()), message.as_bytes());
        let pairs = keys.client.as_ref().iter().zip(signature.as_ref());
        let proof = BASE64.encode(pairs.map(|(one, other)| one ^ other).collect::<Vec<_>>());
        Ok((format!("{last},p={proof}"), Expected { key: keyed(keys.server()), message }))
    }

    fn unreasonable(&self, rounds: NonZeroU32) -> Error {
        let (least, most) = (self.rounds.start(), self.rounds.end());
        let bound = match rounds.get() < *least {
            true => format!("fewer than {least}"),
            false => format!("more than {most}"),
        };
        let what = format!("the server asks for {bound} rounds of {}", self.hash.mechanism());
        let error = Error::new(ErrorKind::Unsupported, what);
        let error = error.caused_by("nothing of the password was sent");
        match self.setting.filter(|_| rounds.get() > *most) {
            Some(setting) => error.caused_by(format!(
                "set {setting} to {most} at most at the server, then set the user's password anew"
            )),
            None => error,
        }
    }
}

impl Expected {
    /// # Errors
    /// [`ErrorKind::Unsupported`] of a server that does not know the password.
    pub fn check(&self, answer: &[u8]) -> Result<()> {
        let signature =
            answer.strip_prefix(b"v=").and_then(|signature| BASE64.decode(signature).ok());
        let known = signature.is_some_and(|signature| {
            hmac::verify(&self.key, self.message.as_bytes(), &signature).is_ok()
        });
        if known { Ok(()) } else { Err(unproven()) }
    }
}

fn strange() -> Error {
    Error::new(ErrorKind::Unsupported, "the server's challenge is none that SCRAM knows")
        .caused_by("nothing of the password was sent")
}

/// The error of a server that has not proven that it knows the password.
pub fn unproven() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the server did not prove that it knows the password; it may be an impostor",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn begun(hash: Hash, nonce: &str) -> Scram {
        Scram::with_nonce(hash, "user", 4096..=200_000, nonce.to_owned())
    }

    /// RFC 7677, section 3.
    #[test]
    fn the_exchange_of_the_standard() {
        let scram = begun(Hash::Sha256, "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                          s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (answer, expected) = scram.answer(challenge, b"pencil").unwrap();
        assert!(answer.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{answer}");
        expected.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
    }

    /// RFC 5802, section 5.
    #[test]
    fn the_exchange_of_the_older_standard() {
        let scram = begun(Hash::Sha1, "fyko+d2lbbFgONRv9qkxdawL");
        let challenge = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let (answer, expected) = scram.answer(challenge, b"pencil").unwrap();
        assert!(answer.ends_with("p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), "{answer}");
        expected.check(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=").unwrap();
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        let scram = begun(Hash::Sha1, "abc");
        let (_, expected) = scram.answer(b"r=abcdef,s=c2FsdA==,i=10000", b"pencil").unwrap();
        for answer in [&b"v=AAAA"[..], b"v=", b"", b"e=other-error", b"v=!"] {
            let error = expected.check(answer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }

    #[test]
    fn a_challenge_without_reason_is_not_answered() {
        let scram = begun(Hash::Sha256, "abc");
        for (challenge, why) in [
            ("r=abc,s=c2FsdA==,i=4096", "none that SCRAM knows"),
            ("r=xbcdef,s=c2FsdA==,i=4096", "none that SCRAM knows"),
            ("r=abcdef,s=!,i=4096", "none that SCRAM knows"),
            ("r=abcdef,i=4096", "none that SCRAM knows"),
            ("m=extension,r=abcdef,s=c2FsdA==,i=4096", "none that SCRAM knows"),
            ("r=abcdef,s=c2FsdA==,i=0", "none that SCRAM knows"),
            ("", "none that SCRAM knows"),
            ("r=abcdef,s=c2FsdA==,i=1", "fewer than 4096 rounds of SCRAM-SHA-256"),
            ("r=abcdef,s=c2FsdA==,i=4294967295", "more than 200000 rounds of SCRAM-SHA-256"),
        ] {
            let Err(error) = scram.answer(challenge.as_bytes(), b"pencil") else {
                panic!("{challenge} was answered");
            };
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            let error = error.to_string();
            assert!(error.contains(why) && error.contains("nothing of the password"), "{error}");
        }
        let named = begun(Hash::Sha256, "abc").with_setting("the_rounds");
        let error = named.answer(b"r=abcdef,s=c2FsdA==,i=200001", b"pencil").err().unwrap();
        assert!(error.to_string().contains("set the_rounds to 200000 at most"), "{error}");
    }

    #[test]
    fn a_name_takes_no_field_of_its_own() {
        let scram = Scram::with_nonce(Hash::Sha1, "a,r=b", 1..=1, "abc".to_owned());
        assert_eq!(scram.first(), "n,,n=a=2Cr=3Db,r=abc");
    }

    proptest! {
        #[test]
        fn any_challenge_is_answered_or_refused(challenge in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = begun(Hash::Sha1, "abc").answer(&challenge, b"pencil");
        }
    }
}
