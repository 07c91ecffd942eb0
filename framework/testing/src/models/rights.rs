//! What an account may do, and what is written on it.

use std::collections::BTreeSet;

use super::Account;

/// One privilege in one database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The database it is granted in. Where a transaction is of one database, so are the grants
    /// that it makes.
    pub database: String,
    /// What it allows.
    pub privilege: String,
}

impl Grant {
    /// A privilege in a database.
    pub fn new(database: &str, privilege: &str) -> Self {
        Self { database: database.to_owned(), privilege: privilege.to_owned() }
    }
}

/// What a rotator writes on an account that it makes: PostgreSQL keeps it as the role's comment,
/// MySQL as the user's attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The user that this one alternates with.
    pub partner: String,
    /// The secret that both belong to.
    pub secret: String,
}

/// An account beside its password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// What it may do.
    pub grants: BTreeSet<Grant>,
    /// Who made it, if a rotator did.
    pub mark: Option<Mark>,
    /// What its own user wrote there, as a user of MySQL's can.
    pub claim: Option<Mark>,
    /// Whether it may not log in whatever the password.
    pub locked: bool,
    /// Whether it may do everything.
    pub superuser: bool,
    /// Whether it may make and alter other accounts.
    pub creates_roles: bool,
}

impl Account {
    /// This account with these grants.
    #[must_use]
    pub fn with_grants(mut self, grants: impl IntoIterator<Item = Grant>) -> Self {
        self.rights.grants.extend(grants);
        self
    }

    /// Whether anybody can log in to it: an account is made without a password, or locked.
    pub fn is_live(&self) -> bool {
        !self.rights.locked && !self.password.is_empty()
    }
}
