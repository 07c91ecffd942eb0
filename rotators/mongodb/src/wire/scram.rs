//! SCRAM: proves that this side knows the password, and demands the same proof of the server.
//!
//! Sources: RFC 5802, RFC 7677, RFC 4013; MongoDB specification "Authentication" for what MongoDB
//! does otherwise: by SCRAM-SHA-1 an MD5 hash stands in the password's place.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use fourstep::users::Login;
use fourstep::{Error, ErrorKind, ExposeSecret, hex, random_bytes};
use md5::{Digest as _, Md5};
use ring::{digest, hmac, pbkdf2};

/// Fewer rounds than this make the exchange easy to guess from. Source: RFC 7677, section 4.
const FEWEST_ROUNDS: u32 = 4096;

/// More would keep this side busy for seconds: what a server asks must have a bound.
const MOST_ROUNDS: u32 = 200_000;

/// How a password is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Sha1,
    Sha256,
}

impl Mechanism {
    pub(crate) fn name(self) -> &'static str {
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

    fn digest(self) -> &'static digest::Algorithm {
        self.hmac().digest_algorithm()
    }

    /// What stands in the place of the password.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] where SASLprep forbids a character of it.
    fn password(self, login: &Login) -> Result<Vec<u8>, Error> {
        let password = login.password.expose_secret();
        match self {
            Self::Sha256 => match stringprep::saslprep(password) {
                Ok(prepared) => Ok(prepared.into_owned().into_bytes()),
                Err(_) => Err(Error::new(
                    ErrorKind::Malformed,
                    "the password holds a character that SCRAM-SHA-256 does not take (a control \
                     character, or one that Unicode does not assign)",
                )),
            },
            Self::Sha1 => {
                let hash = Md5::digest(format!("{}:mongo:{password}", login.username));
                Ok(hex(&hash).into_bytes())
            }
        }
    }
}

/// An exchange that has begun.
pub(crate) struct Scram<'a> {
    mechanism: Mechanism,
    login: &'a Login,
    nonce: String,
}

/// What only a server answers that knows the password, too.
pub(crate) struct Expected {
    key: hmac::Key,
    message: String,
}

impl<'a> Scram<'a> {
    /// # Errors
    /// [`ErrorKind::Internal`] where the system gives no random bytes.
    pub(crate) fn new(mechanism: Mechanism, login: &'a Login) -> Result<Self, Error> {
        Ok(Self { mechanism, login, nonce: BASE64.encode(random_bytes::<24>()?) })
    }

    /// The first message, without the words about channel binding.
    fn bare(&self) -> String {
        let name = self.login.username.replace('=', "=3D").replace(',', "=2C");
        format!("n={name},r={}", self.nonce)
    }

    pub(crate) fn first(&self) -> String {
        format!("n,,{}", self.bare())
    }

    /// Answers the server's challenge, by a proof that does not show the password.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] of a challenge that is none, or that a server has no reason for.
    pub(crate) fn answer(&self, challenge: &[u8]) -> Result<(String, Expected), Error> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| strange())?;
        let mut fields = challenge.split(',');
        let mut field = |name| fields.next().and_then(|field| field.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(rounds)) = (field("r="), field("s="), field("i="))
        else {
            return Err(strange());
        };
        let own = nonce.strip_prefix(&self.nonce).is_some_and(|rest| !rest.is_empty());
        let salt = BASE64.decode(salt).map_err(|_| strange())?;
        let rounds: NonZeroU32 = rounds.parse().map_err(|_| strange())?;
        if !own || !(FEWEST_ROUNDS..=MOST_ROUNDS).contains(&rounds.get()) {
            return Err(strange());
        }
        let password = self.mechanism.password(self.login)?;
        let mut salted = vec![0; self.mechanism.digest().output_len()];
        pbkdf2::derive(self.mechanism.pbkdf2(), rounds, &salt, &password, &mut salted);

        let keyed = |key: &[u8]| hmac::Key::new(self.mechanism.hmac(), key);
        let of_salted = |what: &[u8]| hmac::sign(&keyed(&salted), what);
        let client_key = of_salted(b"Client Key");
        let stored = digest::digest(self.mechanism.digest(), client_key.as_ref());
        let last = format!("c=biws,r={nonce}");
        let message = format!("{},{challenge},{last}", self.bare());
        let signature = hmac::sign(&keyed(stored.as_ref()), message.as_bytes());
        let proof =
            client_key.as_ref().iter().zip(signature.as_ref()).map(|(one, other)| one ^ other);
        let proof = BASE64.encode(proof.collect::<Vec<_>>());
        let expected = Expected { key: keyed(of_salted(b"Server Key").as_ref()), message };
        Ok((format!("{last},p={proof}"), expected))
    }
}

impl Expected {
    /// # Errors
    /// [`ErrorKind::Unsupported`] of a server that does not know the password.
    pub(crate) fn check(&self, answer: &[u8]) -> Result<(), Error> {
        let signature =
            answer.strip_prefix(b"v=").and_then(|signature| BASE64.decode(signature).ok());
        let known = signature.is_some_and(|signature| {
            hmac::verify(&self.key, self.message.as_bytes(), &signature).is_ok()
        });
        if known { Ok(()) } else { Err(unproven()) }
    }
}

fn strange() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the server's challenge is none that SCRAM knows, or asks for too few or too many rounds; \
         nothing of the password was sent",
    )
}

pub(crate) fn unproven() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the server did not prove that it knows the password; it may be an impostor",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn login(username: &str, password: &str) -> Login {
        Login::new("db.example", 27017, username, password)
    }

    fn begun<'a>(mechanism: Mechanism, login: &'a Login, nonce: &str) -> Scram<'a> {
        Scram { mechanism, login, nonce: nonce.to_owned() }
    }

    /// RFC 7677, section 3.
    #[test]
    fn the_exchange_of_the_standard() {
        let login = login("user", "pencil");
        let scram = begun(Mechanism::Sha256, &login, "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                          s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (answer, expected) = scram.answer(challenge).unwrap();
        assert!(answer.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{answer}");
        expected.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
    }

    #[test]
    fn parity_05_a_server_that_does_not_know_the_password_is_found_out() {
        let login = login("user", "pencil");
        let scram = begun(Mechanism::Sha1, &login, "abc");
        let (_, expected) = scram.answer(b"r=abcdef,s=c2FsdA==,i=10000").unwrap();
        for answer in [&b"v=AAAA"[..], b"v=", b"", b"e=other-error", b"v=!"] {
            let error = expected.check(answer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }

    #[test]
    fn a_challenge_without_reason_is_not_answered() {
        let login = login("user", "pencil");
        let scram = begun(Mechanism::Sha256, &login, "abc");
        for challenge in [
            "r=abc,s=c2FsdA==,i=4096",
            "r=xbcdef,s=c2FsdA==,i=4096",
            "r=abcdef,s=c2FsdA==,i=1",
            "r=abcdef,s=c2FsdA==,i=4294967295",
            "r=abcdef,s=!,i=4096",
            "r=abcdef,i=4096",
            "m=extension,r=abcdef,s=c2FsdA==,i=4096",
            "",
        ] {
            assert!(scram.answer(challenge.as_bytes()).is_err(), "{challenge}");
        }
    }

    #[test]
    fn parity_11_a_password_is_prepared_as_the_server_does() {
        // A no-break space counts as a space, and a ligature as its letters.
        let prepared = Mechanism::Sha256.password(&login("u", "a\u{a0}\u{fb01}")).unwrap();
        assert_eq!(prepared, "a fi".as_bytes());
        let error = Mechanism::Sha256.password(&login("u", "canary\u{7}")).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        let hash = Mechanism::Sha1.password(&login("u", "a\u{7}")).unwrap();
        assert_eq!(hash.len(), 32);
    }

    #[test]
    fn a_name_takes_no_field_of_its_own() {
        let login = login("a,r=b", "x");
        assert_eq!(begun(Mechanism::Sha1, &login, "abc").first(), "n,,n=a=2Cr=3Db,r=abc");
    }

    proptest! {
        #[test]
        fn any_challenge_is_answered_or_refused(challenge in prop::collection::vec(any::<u8>(), 0..80)) {
            let login = login("user", "pencil");
            let _ = begun(Mechanism::Sha1, &login, "abc").answer(&challenge);
        }
    }
}
