//! What the fuzzer reaches of what is read about users, and of the statements that are made of it.

use std::collections::BTreeSet;

use fourstep::users::Mark;
use serde_json::{Map, Value};

use crate::alternate::copy::compose::Users;
use crate::alternate::copy::plan::{Step, difference};
use crate::alternate::copy::read::{Account, User};
use crate::alternate::copy::rights::{self, Right, Rights};
use crate::alternate::copy::{self, compare, needs};
use crate::alternate::quoting::AccountName;
use crate::alternate::settings::{self, Settings};
use crate::alternate::{pattern, plugin, role};
use crate::hosts;
use crate::server::Flavour;

/// The user that statements are for. Its name would break out of any quotes.
pub const USER: &str = "o'x`y\"\\";

/// The host of the account that rights are for.
const HOST: &str = "10.%";

fn flavour(mariadb: bool) -> Flavour {
    if mariadb { Flavour::Mariadb } else { Flavour::Mysql }
}

/// What an account may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(Rights);

impl Grants {
    /// Lines of SHOW GRANTS; `None` if one is not understood.
    pub fn read(lines: &str) -> Option<Self> {
        let lines = lines.split('\n').filter(|line| !line.is_empty());
        rights::read(lines).ok().map(Self)
    }

    /// How many rights these are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// These and those.
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    fn account(&self) -> Account {
        let role = |right: &Right| match right {
            Right::Role { role, option: false } => Some(role.clone()),
            _ => None,
        };
        let default_roles: BTreeSet<_> = self.0.iter().filter_map(role).collect();
        Account { rights: self.0.clone(), default_roles, settings: Settings::default() }
    }

    fn difference(&self, other: &Self) -> impl Iterator<Item = Step> {
        let name = AccountName::new(USER, HOST);
        let difference = difference(&self.account(), &other.account(), &name);
        difference.give.into_iter().chain(difference.take)
    }

    /// The statements by which an account with those rights comes to these.
    pub fn statements_over(&self, other: &Self) -> Vec<String> {
        self.difference(other).map(|step| step.text).collect()
    }
}

/// An admin with these rights.
#[derive(Debug)]
pub struct Admin<'a>(pub &'a Grants);

impl Admin<'_> {
    /// The statements that give it what it lacks to bring an account from the second to the first.
    pub fn lacks(&self, [wanted, found]: [&Grants; 2]) -> Vec<String> {
        let steps: Vec<_> = wanted.difference(found).collect();
        let admin = needs::Admin { rights: &self.0.0 };
        admin.lacks(&steps, &AccountName::new(USER, HOST).sql())
    }
}

/// What an account is set to.
#[derive(Debug, Clone)]
pub struct Kept {
    host: String,
    settings: Settings,
}

impl Kept {
    /// A row of the server's tables; `None` if it is not understood.
    pub fn read(row: Vec<Option<String>>, mariadb: bool) -> Option<Self> {
        let (host, settings) = settings::read(flavour(mariadb), row)?;
        Some(Self { host, settings })
    }

    /// The pattern of hosts.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Comment and attributes.
    pub fn attributes(&self) -> &Map<String, Value> {
        &self.settings.attributes
    }

    /// The clauses of ALTER USER that make these settings of those.
    pub fn clauses_over(&self, other: &Self) -> String {
        self.settings.clauses_over(&other.settings)
    }

    fn user(&self) -> User {
        let settings = self.settings.clone();
        let account = Account { rights: Rights::new(), default_roles: BTreeSet::new(), settings };
        User::from([(self.host.clone(), account)])
    }

    /// The statement that makes an account like this one. `None` if there can be no such account.
    pub fn create(&self, mark: [&str; 2], mariadb: bool) -> Option<String> {
        let name = AccountName::new(USER, &self.host);
        let plugin = plugin(&name, &self.settings).ok()?;
        if mariadb {
            return Some(copy::compose::create(&name, &self.settings));
        }
        let [partner, secret] = mark.map(str::to_owned);
        let first = AccountName::new(&partner, &self.host);
        let mark = Mark { partner, secret };
        Some(role::compose::create(&name, &first, &self.settings, plugin, &mark))
    }

    /// The statements that bring an account of MySQL's from those settings to these.
    pub fn statements_over(&self, other: &Self) -> Vec<String> {
        let name = AccountName::new(USER, &self.host);
        let steps = role::compose::login(&name, &self.settings, &other.settings, None);
        steps.into_iter().map(|step| step.text).collect()
    }

    /// What testSecret would say on MariaDB of a user with this account whose partner has that one.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        compare::between(&Users { source: self.user(), target: other.user() }, USER)
    }
}

/// Whether a name fits a pattern of a server's.
pub fn is_like(name: &str, pattern: &str) -> bool {
    pattern::is_like(name, pattern)
}

/// The one of these patterns by which a server lets `client` in, if that is clear.
pub fn matching<'a>(patterns: &[&'a str], client: &str) -> Option<&'a str> {
    hosts::matching(patterns.iter().copied(), client)
}
