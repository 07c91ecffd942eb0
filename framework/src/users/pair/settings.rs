//! What the function's configuration says about pairs of users.

use crate::config::{Environment, refused};
use crate::error::Result;

/// The setting that lets the second user of a pair lose what it has beside the first.
pub(super) const DROP_EXTRA_RIGHTS: &str = "DROP_EXTRA_RIGHTS";

/// What the function's configuration says about pairs.
#[derive(Debug, Clone, Default)]
pub(crate) struct PairSettings {
    pub(super) pairs: Vec<(String, String)>,
    pub(super) adopted: Vec<String>,
    /// Users of pairs of which the second may lose what it has beside the first.
    pub(super) leveled: Vec<String>,
}

impl PairSettings {
    /// Reads `USER_PAIRS` (`app=app_b,...`), `ADOPT_USERS` (`app_clone,...`) and
    /// `DROP_EXTRA_RIGHTS` (`app_clone,...`).
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub(crate) fn read(environment: &Environment) -> Result<Self> {
        let name = "USER_PAIRS";
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in words(environment, name)? {
            let pair_admin = pair.split_once('=').map(|(one, other)| (one.trim(), other.trim()));
            let Some((one, other)) = pair_admin.filter(|(one, other)| {
                !one.is_empty() && !other.is_empty() && one != other && !other.contains('=')
            }) else {
                return Err(refused(name, "must list pairs of different users, as app=app_b"));
            };
            let known = |user: &str| pairs.iter().any(|(a, b)| a == user || b == user);
            if known(one) || known(other) {
                return Err(refused(name, "names a user in more than one pair"));
            }
            pairs.push((one.to_owned(), other.to_owned()));
        }
        let adopted = words(environment, "ADOPT_USERS")?;
        Ok(Self { pairs, adopted, leveled: words(environment, DROP_EXTRA_RIGHTS)? })
    }

    /// The other user of the pair that names this one.
    pub(crate) fn partner(&self, user: &str) -> Option<&str> {
        self.pairs.iter().find_map(|(one, other)| match user {
            _ if user == one => Some(other.as_str()),
            _ if user == other => Some(one.as_str()),
            _ => None,
        })
    }
}

/// The words of a list separated by commas.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the variable.
pub(crate) fn words(environment: &Environment, name: &str) -> Result<Vec<String>> {
    let text = environment.text(name)?.unwrap_or_default();
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    Ok(words.map(str::to_owned).collect())
}
