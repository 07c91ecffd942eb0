//! The label that a key is issued with: whose it is, for which version, and when.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::ids::VersionId;

/// What every label begins with.
const MARK: &str = "fourstep";

/// How many digits of 32 each part has: of the secret, of the version and the attempt, and of the moment.
const DIGITS: [usize; 3] = [16, 13, 7];

/// The label of one key: 47 letters, digits and hyphens, which vendors take as a name; some take 50.
///
/// It holds the secret's ARN and the version's id as digests only, because vendors limit names and
/// show them to everyone: neither can be read from it, both can be compared. The moment stands in it
/// for vendors that do not say when a key was made, to the second; and what is left of that second,
/// so that no two attempts have one label: some vendors refuse a name that is taken, by a key whose
/// answer was lost too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// 80 bits of a digest.
    secret: u128,
    /// 40 bits of a digest.
    version: u128,
    attempt: u128,
    issued: u64,
}

impl Label {
    /// The label of a key that is issued now, for this version of the secret with this ARN.
    pub fn new(arn: &str, version: &VersionId, now: SystemTime) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (secret, version) = (digest(arn, 10), digest(&version.to_string(), 5));
        // In steps of 64 nanoseconds, a second has less than 2^24.
        let attempt = u128::from(since.subsec_nanos() >> 6);
        Self { secret, version, attempt, issued: since.as_secs() }
    }

    /// Reads a label; `None` if it is none of ours.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mark = parts.next()?;
        let mut number = |digits| {
            let text = parts.next().filter(|text| text.len() == digits)?;
            let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            u128::from_str_radix(text, 32).ok().filter(|_| plain)
        };
        let [secret, made_for, issued] = DIGITS.map(&mut number);
        let (secret, made_for, issued) = (secret?, made_for?, u64::try_from(issued?).ok()?);
        let (version, attempt) = (made_for >> 24, made_for & 0xff_ffff);
        let whole = mark == MARK && parts.next().is_none();
        whole.then_some(Self { secret, version, attempt, issued })
    }

    /// What all labels of this secret begin with.
    pub(super) fn beginning(&self) -> String {
        format!("{MARK}-{}-", digits(self.secret, DIGITS[0]))
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
        let made_for = digits((self.version << 24) | self.attempt, DIGITS[1]);
        let issued = digits(self.issued.into(), DIGITS[2]);
        write!(formatter, "{}{made_for}-{issued}", self.beginning())
    }
}

/// The last digits of a number to the base of 32: 0 to 9 and a to v.
fn digits(number: u128, count: usize) -> String {
    let digit = |at| {
        u32::try_from((number >> (5 * at)) & 31).ok().and_then(|one| char::from_digit(one, 32))
    };
    (0..count).rev().filter_map(digit).collect()
}

/// So many bytes of a digest.
fn digest(text: &str, bytes: usize) -> u128 {
    let all = Sha256::digest(text.as_bytes());
    all.iter().take(bytes).fold(0, |number, byte| (number << 8) | u128::from(*byte))
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
        assert_eq!(text.len(), 47);
        assert_eq!(Label::read(&text).as_ref(), Some(&one));
        assert!(one.same_version(&label("arn:one", &"t".repeat(64), 7)));
        let next = label("arn:one", &"u".repeat(64), 7);
        assert!(one.same_secret(&next) && !one.same_version(&next));
        assert!(!one.same_secret(&label("arn:two", &"t".repeat(64), 7)));
        assert_eq!(one.issued(), UNIX_EPOCH + Duration::from_secs(1_795_305_600));
    }

    #[test]
    fn two_attempts_in_one_second_have_two_labels_of_one_version() {
        let version = VersionId::from_store("t".repeat(64));
        let at = |nanoseconds| {
            Label::new("arn:one", &version, UNIX_EPOCH + Duration::new(1_795_305_600, nanoseconds))
        };
        let all = [0, 64, 1_000_000, 999_999_999].map(at);
        let texts: std::collections::BTreeSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 4, "{texts:?}");
        for one in &all {
            assert_eq!(one.to_string().len(), 47);
            assert_eq!(Label::read(&one.to_string()).as_ref(), Some(one));
            assert!(one.same_version(&all[0]) && one.issued() == all[0].issued());
        }
    }

    #[test]
    fn what_people_name_their_keys_is_no_label() {
        let good = label("arn:one", "t", 7).to_string();
        let (longer, signed) = (format!("{good}-2"), good.replacen("-0", "-+", 1));
        assert!(signed.contains('+'));
        let strange = ["", "fourstep", "my key", "fourstep-a-b-c"];
        for text in strange.into_iter().chain([&longer[..], &good[1..], &good[..46], &signed]) {
            assert_eq!(Label::read(text), None, "{text}");
        }
    }
}
