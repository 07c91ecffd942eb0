//! Passwords: AWS's settings and defaults, chosen without bias from the operating system's
//! random generator.
//!
//! Source of the settings and of the punctuation set: the API reference of GetRandomPassword, and
//! the environment variables of AWS's rotation templates. Generating here saves a call and the
//! permission `secretsmanager:GetRandomPassword`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use secrecy::SecretString;

use crate::config::{Environment, parse_flag, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::uniform::Uniform;

const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NUMBERS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// The longest password GetRandomPassword makes.
const LONGEST: usize = 4096;

/// Bits of a password that nobody will ever guess: 15 characters of the default alphabet.
const STRONG: f64 = 96.0;

/// How many whole passwords are drawn before giving up on one that holds every required type.
/// The unluckiest settings need about 2,000 on average (four types of 1, 1, 1 and 32 characters,
/// length four), so reaching this is out of the question.
const MOST_DRAWS: usize = 200_000;

/// Which passwords to make. Every setting has AWS's name and default.
///
/// ```
/// use fourstep::{Environment, ExposeSecret, PasswordPolicy};
///
/// let environment = Environment::from([("PASSWORD_LENGTH", "20"), ("EXCLUDE_PUNCTUATION", "yes")]);
/// let policy = PasswordPolicy::read(&environment, "/@\"'\\").unwrap();
/// let password = policy.generate().unwrap();
/// assert_eq!(password.expose_secret().len(), 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordPolicy {
    length: usize,
    shortest: usize,
    longest: usize,
    /// Whether each password needs a lower-case letter, a capital one and a digit.
    mixed: bool,
    exclude_characters: String,
    exclude_numbers: bool,
    exclude_punctuation: bool,
    exclude_uppercase: bool,
    exclude_lowercase: bool,
    require_each_included_type: bool,
}

/// AWS's defaults, with no character excluded.
impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            length: 32,
            shortest: 1,
            longest: LONGEST,
            mixed: false,
            exclude_characters: String::new(),
            exclude_numbers: false,
            exclude_punctuation: false,
            exclude_uppercase: false,
            exclude_lowercase: false,
            require_each_included_type: true,
        }
    }
}

impl PasswordPolicy {
    /// Reads `PASSWORD_LENGTH`, `EXCLUDE_CHARACTERS`, `EXCLUDE_NUMBERS`, `EXCLUDE_PUNCTUATION`,
    /// `EXCLUDE_UPPERCASE`, `EXCLUDE_LOWERCASE` and `REQUIRE_EACH_INCLUDED_TYPE`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable, for a value that cannot be read and for
    /// settings that no password can meet.
    pub fn read(environment: &Environment, exclude_by_default: &str) -> Result<Self> {
        let excluded = environment.text("EXCLUDE_CHARACTERS")?.unwrap_or(exclude_by_default);
        let required = environment.flag_if_set("REQUIRE_EACH_INCLUDED_TYPE")?;
        let default = Self::default();
        let policy = Self {
            length: environment.number("PASSWORD_LENGTH")?.unwrap_or(default.length),
            exclude_characters: excluded.to_owned(),
            exclude_numbers: environment.flag("EXCLUDE_NUMBERS")?,
            exclude_punctuation: environment.flag("EXCLUDE_PUNCTUATION")?,
            exclude_uppercase: environment.flag("EXCLUDE_UPPERCASE")?,
            exclude_lowercase: environment.flag("EXCLUDE_LOWERCASE")?,
            require_each_included_type: required.unwrap_or(default.require_each_included_type),
            ..default
        };
        policy.check().map_err(|(setting, what)| refused(setting, &what))?;
        Ok(policy)
    }

    /// This policy for a target that takes no password of more bytes, whatever a variable or a tag says.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn no_longer_than(mut self, longest: usize) -> Result<Self> {
        self.longest = longest.min(LONGEST);
        self.check().map_err(|(setting, what)| refused(setting, &what))?;
        Ok(self)
    }

    /// This policy for a server that takes passwords of so many characters only, with a lower-case
    /// letter, a capital letter and a digit in each, and without `excluded`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the setting, where it leaves no such password.
    ///
    /// ```
    /// use fourstep::{ExposeSecret, PasswordPolicy};
    ///
    /// let policy = PasswordPolicy::default().mixed(8..=64, "'\"\\/@").unwrap();
    /// let password = policy.generate().unwrap();
    /// let password = password.expose_secret();
    /// assert!(password.contains(|c: char| c.is_ascii_digit()) && !password.contains('@'));
    /// assert!(PasswordPolicy::default().mixed(8..=31, "").is_err());
    /// ```
    pub fn mixed(mut self, lengths: RangeInclusive<usize>, excluded: &str) -> Result<Self> {
        (self.shortest, self.longest) = lengths.into_inner();
        self.mixed = true;
        self.exclude_characters.push_str(excluded);
        // A variable or a tag of the secret may have said it.
        self.check().map_err(|(setting, what)| {
            let what = format!("{setting} (or the secret's tag) {what}");
            Error::new(ErrorKind::Malformed, what).caused_by("it is what this server demands")
        })?;
        Ok(self)
    }

    /// This policy with what the secret's tags change: `fourstep:password-length`,
    /// `fourstep:exclude-numbers`, `-punctuation`, `-uppercase`, `-lowercase` and
    /// `fourstep:require-each-included-type`. Whoever may tag a secret must not be able to weaken
    /// it: no tag makes passwords easier to guess than the function's own settings do, unless
    /// they stay beyond 2^96 guesses.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the tag.
    pub fn with_tags(&self, tags: &BTreeMap<String, String>) -> Result<Self> {
        let mut policy = self.clone();
        for (name, value) in tags {
            let Some(setting) = name.strip_prefix("fourstep:") else { continue };
            let tag = |what: &str| {
                Error::new(ErrorKind::Malformed, format!("the secret's tag {name} {what}"))
            };
            let flag = || parse_flag(value).ok_or_else(|| tag("is neither true nor false"));
            match setting {
                "password-length" => {
                    policy.length =
                        value.trim().parse().map_err(|_| tag("is not a whole number"))?;
                }
                "exclude-numbers" => policy.exclude_numbers = flag()?,
                "exclude-punctuation" => policy.exclude_punctuation = flag()?,
                "exclude-uppercase" => policy.exclude_uppercase = flag()?,
                "exclude-lowercase" => policy.exclude_lowercase = flag()?,
                "require-each-included-type" => policy.require_each_included_type = flag()?,
                _ => {}
            }
        }
        let all = |what: &str| {
            Error::new(ErrorKind::Malformed, format!("the secret's tags fourstep:... {what}"))
        };
        policy.check().map_err(|(setting, what)| all(&format!("mean that {setting} {what}")))?;
        if policy.bits() < self.bits().min(STRONG) {
            return Err(all("make passwords too easy to guess; make them longer"));
        }
        Ok(policy)
    }

    /// What to say of passwords that somebody with the server's hash of one could guess.
    pub(crate) fn weakness(&self) -> Option<String> {
        let bits = self.bits();
        (bits < STRONG).then(|| {
            format!(
                "PASSWORD_LENGTH and the EXCLUDE_... settings make passwords of {bits:.0} bits, which \
                 can be guessed; make them longer, to {STRONG:.0} bits or more"
            )
        })
    }

    /// Makes a password: every password that meets the policy is equally likely.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the operating system has no random bytes to give.
    pub fn generate(&self) -> Result<SecretString> {
        let types = self.types();
        let alphabet: Vec<char> = types.iter().flat_map(|characters| characters.chars()).collect();
        let mut source = Uniform::default();
        for _ in 0..MOST_DRAWS {
            // Whole passwords are drawn and thrown away: placing one character of each type first
            // would make some passwords likelier than others.
            let mut password = String::with_capacity(self.length);
            for _ in 0..self.length {
                password.extend(alphabet.get(source.below(alphabet.len())?));
            }
            if !(self.require_each_included_type || self.mixed)
                || types.iter().all(|characters| password.contains(|c| characters.contains(c)))
            {
                return Ok(password.into());
            }
        }
        Err(Error::new(ErrorKind::Internal, "no password met the policy"))
    }

    /// The characters of each type that is included and not empty.
    fn types(&self) -> Vec<String> {
        let all = self.each_type().into_iter();
        all.map(|(_, characters)| characters).filter(|one| !one.is_empty()).collect()
    }

    /// The characters of each type, none where it is excluded, and what excludes it.
    fn each_type(&self) -> [(&'static str, String); 4] {
        [
            ("EXCLUDE_LOWERCASE", self.exclude_lowercase, LOWERCASE),
            ("EXCLUDE_UPPERCASE", self.exclude_uppercase, UPPERCASE),
            ("EXCLUDE_NUMBERS", self.exclude_numbers, NUMBERS),
            ("EXCLUDE_PUNCTUATION", self.exclude_punctuation, PUNCTUATION),
        ]
        .map(|(setting, excluded, all)| {
            let left = |c: &char| !excluded && !self.exclude_characters.contains(*c);
            let setting = if excluded { setting } else { "EXCLUDE_CHARACTERS" };
            (setting, all.chars().filter(left).collect())
        })
    }

    /// How many bits a guesser must guess.
    fn bits(&self) -> f64 {
        let alphabet: usize =
            self.types().iter().map(|characters| characters.chars().count()).sum();
        self.length as f64 * (alphabet.max(1) as f64).log2()
    }

    /// The setting that no password can meet, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let types = self.types();
        if types.is_empty() {
            let what = "and the other exclusions leave no character";
            return Err(("EXCLUDE_CHARACTERS", what.to_owned()));
        }
        if let Some((setting, _)) =
            self.each_type().into_iter().take(3).find(|(_, left)| self.mixed && left.is_empty())
        {
            let what = "must leave lower-case letters, capital letters and digits";
            return Err((setting, what.to_owned()));
        }
        if !(self.shortest..=self.longest).contains(&self.length) {
            let what = format!("must be {} to {}", self.shortest, self.longest);
            return Err(("PASSWORD_LENGTH", what));
        }
        if self.require_each_included_type && self.length < types.len() {
            let what = "is too short for one character of each type";
            return Err(("PASSWORD_LENGTH", what.to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests;
