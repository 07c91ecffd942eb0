//! Settings read from environment variables, each refused by name if it cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

use strsim::damerau_levenshtein;

use crate::error::{Error, ErrorKind, Result};

/// How many letters a name may differ in from one that is read, to be taken for it.
const SLIPS: usize = 2;

/// How the names begin that the Lambda runtime and the SDK set.
const FOREIGN: [&str; 3] = ["_", "AWS_", "LAMBDA_"];

/// The environment variables of this process, or of a test.
///
/// An empty variable is the same as an absent one: CloudFormation parameters that are left out
/// arrive empty.
///
/// ```
/// use fourstep::Environment;
///
/// let environment = Environment::from([("EXCLUDE_NUMBERS", "Yes"), ("PASSWORD_LENGTH", "many")]);
/// assert!(environment.flag("EXCLUDE_NUMBERS").unwrap());
/// assert_eq!(
///     environment.number("PASSWORD_LENGTH").unwrap_err().to_string(),
///     "the environment variable PASSWORD_LENGTH is not a whole number",
/// );
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, OsString>,
    /// The names that were asked for.
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        let named = std::env::vars_os()
            .filter_map(|(name, value)| name.into_string().ok().map(|name| (name, value)));
        named.collect()
    }

    /// What to say of variables that nothing reads and whose names are near one that is read: slips of
    /// the hand, which would otherwise leave a setting at its default without a word. To be called
    /// once everything was read.
    pub(crate) fn slips(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = self.values.iter().filter(|(name, value)| {
            let foreign = FOREIGN.iter().any(|prefix| name.starts_with(prefix));
            name.len() > 2 * SLIPS && !foreign && !value.is_empty() && !asked.contains(*name)
        });
        let slip = |name: &String| {
            let spelt = name.to_ascii_uppercase().replace('-', "_");
            // Every start pays for this: names of other letters are not compared.
            let letters = count_letters(&spelt);
            let near = asked.iter().filter(|one| {
                let counts = letters.iter().zip(count_letters(one));
                counts.map(|(here, there)| here.abs_diff(there)).sum::<usize>() <= 2 * SLIPS
            });
            let distances = near.map(|one| (damerau_levenshtein(&spelt, one), one));
            let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
            (distance <= SLIPS).then(|| {
                format!("nothing reads the environment variable {name:?}; {nearest} is read")
            })
        };
        unread.filter_map(|(name, _)| slip(name)).collect()
    }

    /// A variable's text; `None` if it is absent or empty.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it is not Unicode.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        match self.values.get(name) {
            None => Ok(None),
            Some(value) => match value.to_str() {
                Some("") => Ok(None),
                Some(text) => Ok(Some(text)),
                None => Err(refused(name, "is not Unicode text")),
            },
        }
    }

    /// A variable's truth: true, 1, y, yes; false, 0, n, no, empty or absent; in any case.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for anything else.
    pub fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.flag_if_set(name)?.unwrap_or(false))
    }

    /// As [`flag`](Self::flag), but `None` if absent or empty.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for anything that is neither true nor false.
    pub fn flag_if_set(&self, name: &str) -> Result<Option<bool>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        parse_flag(text).map(Some).ok_or_else(|| refused(name, "is neither true nor false"))
    }

    /// A variable's whole number; `None` if it is absent or empty.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for anything else.
    pub fn number(&self, name: &str) -> Result<Option<usize>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| refused(name, "is not a whole number"))
    }

    /// What a variable's text stands for among `choices`; `None` if it is absent or empty.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for anything else, naming the choices.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(name)?.map(str::trim) else { return Ok(None) };
        let chosen = choices.iter().find(|(word, _)| *word == text);
        chosen.map(|(_, choice)| Some(*choice)).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            refused(name, &format!("must be one of {}", words.join(", ")))
        })
    }
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let values = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { values, asked: Arc::default() }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names only: on Lambda the values include the function's credentials.
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}

/// A [`ErrorKind::Malformed`] error about one environment variable. `what` must not quote it.
pub(crate) fn refused(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("the environment variable {name} {what}"))
}

pub(crate) fn parse_flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "y" | "yes" => Some(true),
        "false" | "0" | "n" | "no" | "" => Some(false),
        _ => None,
    }
}

/// How often each letter stands in a name, some letters counted as one. One slip, such as a letter
/// for another, changes at most two of the counts, each by one.
fn count_letters(name: &str) -> [usize; 32] {
    let mut counts = [0; 32];
    for letter in name.chars() {
        if let Some(count) = counts.get_mut(letter as usize % 32) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_near_one_that_is_read_is_said() {
        let environment = Environment::from([
            ("PASSWORD_LENGHT", "20"),
            ("exclude_numbers", "true"),
            ("EXCLUDE-NUMBERS", "true"),
            ("PASSWORD_LENGTH", ""),
            ("AWS_REGIONS", "x"),
            ("_PASSWORD_LENGTH", "x"),
            ("TZ", ":UTC"),
            ("OWN_SETTING_OF_SOMEBODY", "x"),
            ("EXCLUDE_NUMBER", ""),
            ("PASSWÖRDLENGTH", "20"),
            ("PASSWORD_LENGTH_IN_ALL", "20"),
        ]);
        assert!(environment.slips().is_empty(), "nothing was read yet");
        environment.number("PASSWORD_LENGTH").unwrap();
        environment.flag("EXCLUDE_NUMBERS").unwrap();
        environment.text("AWS_REGION").unwrap();
        environment.text("TLS").unwrap();
        let slips = environment.clone().slips();
        let named = |name: &str| slips.iter().any(|slip| slip.contains(&format!("{name:?}")));
        assert!(named("PASSWORD_LENGHT") && named("exclude_numbers") && named("EXCLUDE-NUMBERS"));
        assert!(named("PASSWÖRDLENGTH"), "two letters differ: {slips:?}");
        assert_eq!(slips.len(), 4, "{slips:?}");
        assert!(slips.iter().any(|slip| slip.ends_with("; PASSWORD_LENGTH is read")), "{slips:?}");
    }

    #[test]
    fn booleans_in_every_spelling() {
        for (text, expected) in [
            ("true", Some(true)),
            ("YES", Some(true)),
            ("y", Some(true)),
            ("1", Some(true)),
            ("False", Some(false)),
            ("no", Some(false)),
            ("N", Some(false)),
            ("0", Some(false)),
            ("on", None),
            ("2", None),
        ] {
            let flag = Environment::from([("FLAG", text)]).flag("FLAG");
            match expected {
                Some(expected) => assert_eq!(flag.unwrap(), expected, "{text}"),
                None => assert_eq!(
                    flag.unwrap_err().to_string(),
                    "the environment variable FLAG is neither true nor false"
                ),
            }
        }
        assert!(!Environment::from([("FLAG", "")]).flag("FLAG").unwrap());
        assert!(!Environment::default().flag("FLAG").unwrap());
    }

    #[test]
    fn debug_shows_names_only() {
        let environment = Environment::from([("AWS_SESSION_TOKEN", "canary")]);
        assert_eq!(format!("{environment:?}"), r#"{"AWS_SESSION_TOKEN"}"#);
    }
}
