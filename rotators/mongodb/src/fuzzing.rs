//! Entrances for the fuzzer: whatever parses what a server says.

use bson::raw::RawDocument;
use fourstep::users::Login;
use fourstep::users::scram::Hash;

use crate::errors::ServerError;
use crate::user::User;
use crate::wire::{Hello, scram};

/// Reads an answer as each of those that there are.
pub fn answer(bytes: &[u8]) {
    let Ok(answer) = RawDocument::from_bytes(bytes) else { return };
    let _ = (Hello::read(answer), ServerError::of(answer), ServerError::of_majority(answer));
    if let Some(user) = User::read(answer) {
        assert!(user.differences(&user).is_empty());
        let _ = (user.mark(), user.power(), user.writes_marks("admin"));
    }
}

/// Answers a challenge of SCRAM. A server that does not know the password proves nothing.
pub fn challenge(challenge: &[u8], proof: &[u8]) {
    let login = Login::new("db.example", 27017, "app", "pencil");
    let Ok(scram) = scram::begin(Hash::Sha1, &login) else { return };
    if let Ok((_, expected)) = scram.answer(challenge, b"pencil") {
        assert!(expected.check(proof).is_err());
    }
}
