//! The label that a key is issued with: whose it is, for which version, and when.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::ids::VersionId;
use crate::uniform::hex;

/// What every label begins with.
const MARK: &str = "fourstep";

/// The label of one key: 55 letters, digits and hyphens, which vendors take as a name.
///
/// It holds the secret's ARN and the version's id as digests only, because vendors limit names and
/// show them to everyone: neither can be read from it, both can be compared. The moment stands in it
/// for vendors that do not say when a key was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    secret: String,
    version: String,
    issued: u64,
}

impl Label {
    /// The label of a key that is issued now, for this version of the secret with this ARN.
    pub fn new(arn: &str, version: &VersionId, now: SystemTime) -> Self {
        let issued = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { secret: digest(arn, 10), version: digest(&version.to_string(), 8), issued }
    }

    /// Reads a label; `None` if it is none of ours.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut next = || parts.next();
        let (mark, secret, version, issued) = (next()?, next()?, next()?, next()?);
        let hexadecimal = |text: &str, digits| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let whole = mark == MARK
            && hexadecimal(secret, 20)
            && hexadecimal(version, 16)
            && hexadecimal(issued, 8)
            && next().is_none();
        let issued = u64::from_str_radix(issued, 16).ok()?;
        whole.then(|| Self { secret: secret.to_owned(), version: version.to_owned(), issued })
    }

    /// What all labels of this secret begin with.
    pub(super) fn beginning(&self) -> String {
        format!("{MARK}-{}-", self.secret)
    }

    /// Whether it was made for the same secret.
    pub fn same_secret(&self, other: &Self) -> bool {
        self.secret == other.secret
    }

    /// Whether it was made for the same version of the same secret.
    pub fn same_version(&self, other: &Self) -> bool {
        self.same_secret(other) && self.version == other.version
    }

    /// When it was made, to the second.
    pub fn issued(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.issued)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{MARK}-{}-{}-{:08x}", self.secret, self.version, self.issued)
    }
}

fn digest(text: &str, bytes: usize) -> String {
    let mut digits = hex(&Sha256::digest(text.as_bytes()));
    digits.truncate(2 * bytes);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(arn: &str, version: &str, seconds: u64) -> Label {
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        Label::new(arn, &VersionId::from_store(version.to_owned()), now)
    }

    #[test]
    fn a_label_is_read_as_it_was_written_and_tells_whose_it_is() {
        let one = label("arn:one", &"t".repeat(64), 1_795_305_600);
        let text = one.to_string();
        assert_eq!(text.len(), 55);
        assert_eq!(Label::read(&text).as_ref(), Some(&one));
        assert!(one.same_version(&label("arn:one", &"t".repeat(64), 7)));
        let next = label("arn:one", &"u".repeat(64), 7);
        assert!(one.same_secret(&next) && !one.same_version(&next));
        assert!(!one.same_secret(&label("arn:two", &"t".repeat(64), 7)));
        assert_eq!(one.issued(), UNIX_EPOCH + Duration::from_secs(1_795_305_600));
    }

    #[test]
    fn what_people_name_their_keys_is_no_label() {
        let good = label("arn:one", "t", 7).to_string();
        for text in ["", "fourstep", "my key", "fourstep-a-b-c", &format!("{good}-2"), &good[1..]] {
            assert_eq!(Label::read(text), None, "{text}");
        }
    }
}
