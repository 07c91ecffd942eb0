//! The statements that make the second user of a pair act as the first, and give one of them its
//! password.

use std::collections::{BTreeMap, BTreeSet};

use fourstep::Result;
use fourstep::users::{Install, Mark, Ownership};
use serde_json::{Map, Value, json};

use crate::alternate::compose::{Composed, Step, lone, plugin};
use crate::alternate::quoting::{AccountName, quote_literal};
use crate::alternate::role::whose::ATTRIBUTE;
use crate::alternate::settings::Settings;
use crate::server::Flavour;
use crate::wire::Plugin;

/// A role of an account's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) name: AccountName,
    /// Whether a new session has it in force.
    pub(crate) default: bool,
}

/// Both users as they are.
pub(crate) struct Users<'a> {
    pub(crate) first: &'a str,
    pub(crate) second: &'a str,
    /// Of the first and of the second, by their hosts.
    pub(crate) settings: [BTreeMap<String, Settings>; 2],
    /// Those of the second, by its hosts.
    pub(crate) roles: BTreeMap<String, Vec<Role>>,
}

impl Users<'_> {
    /// The first and the second user's account for a host.
    pub(crate) fn names(&self, host: &str) -> [AccountName; 2] {
        [self.first, self.second].map(|user| AccountName::new(user, host))
    }

    /// The roles of the second user's account for this host, but for the first user's.
    pub(crate) fn beside(&self, host: &str) -> impl Iterator<Item = &AccountName> {
        let [first, _] = self.names(host);
        let roles = self.roles.get(host).into_iter().flatten();
        roles.map(|role| &role.name).filter(move |name| **name != first)
    }

    /// What has to be done, before anything is known of the rights that the second has beside.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](fourstep::ErrorKind::Unsupported) for accounts of which there
    /// cannot be two alike.
    pub(crate) fn compose(&self, install: &Install<'_>, ownership: Ownership) -> Result<Composed> {
        let [first, second] = &self.settings;
        if let Some(host) = second.keys().find(|host| !first.contains_key(*host)) {
            let [first, second] = self.names(host);
            return Err(lone(&second, &first));
        }
        let mark = install.pair.mark(self.first);
        // The words of an operator who gives it to this secret replace what stands there.
        let mark = |found: &Settings| {
            let wanted =
                ownership == Ownership::Adopted || !found.attributes.contains_key(ATTRIBUTE);
            wanted.then(|| mark.clone()).filter(|mark| claim(found).as_ref() != Some(mark))
        };
        match install.target == self.second {
            true => self.second_turn(mark, &install.pair.mark(self.first)),
            false => self.first_turn(mark),
        }
    }

    /// The first is what the other is made like. What is missing of the other is given to it, and
    /// nothing is taken: it is in use.
    fn first_turn(&self, mark: impl Fn(&Settings) -> Option<Mark>) -> Result<Composed> {
        let mut composed = Composed::default();
        let [first, second] = &self.settings;
        for (host, found) in second {
            let [_, name] = self.names(host);
            composed.found.steps.extend(self.edge(host, true));
            let claim = mark(found).map(|mark| (ATTRIBUTE.to_owned(), mark.to_json()));
            composed.found.steps.extend(patch(&name, claim.into_iter().collect()));
        }
        for (host, settings) in first {
            let [name, _] = self.names(host);
            let plugin = plugin(&name, settings)?;
            composed.found.steps.extend(discard_old_password(&name, settings));
            composed.found.finish.extend((!settings.locked).then_some((name, plugin)));
        }
        Ok(composed)
    }

    /// Whatever the login of the second is to be, before it is let in.
    fn second_turn(
        &self,
        mark: impl Fn(&Settings) -> Option<Mark>,
        new: &Mark,
    ) -> Result<Composed> {
        let mut composed = Composed::default();
        composed.found.unlock = true;
        let [first, second] = &self.settings;
        let mut locked = Vec::new();
        for (host, wanted) in first {
            let [role, name] = self.names(host);
            let plugin = plugin(&role, wanted)?;
            match second.get(host) {
                None => {
                    composed.found.steps.push(Step::new(create(&name, &role, wanted, plugin, new)));
                }
                Some(found) => {
                    composed.found.steps.extend(self.edge(host, false));
                    composed.found.steps.extend(login(&name, wanted, found, mark(found)));
                }
            }
            match wanted.locked {
                false => composed.found.finish.push((name, plugin)),
                true if second.get(host).is_none_or(|found| found.locked) => {}
                true => locked.push(Step::new(format!("ALTER USER {} ACCOUNT LOCK", name.sql()))),
            }
        }
        composed.found.steps.extend(locked);
        Ok(composed)
    }

    /// Gives the second user's account the first's as its role and default role, where it has not.
    /// Other default roles stay with one that is in use.
    fn edge(&self, host: &str, in_use: bool) -> Vec<Step> {
        let [role, name] = self.names(host);
        let none = Vec::new();
        let roles = self.roles.get(host).unwrap_or(&none);
        let grant = format!("GRANT {} TO {}", role.sql(), name.sql());
        let granted = roles.iter().any(|one| one.name == role);
        let default = roles.iter().filter(|one| one.default).map(|one| &one.name);
        let default: BTreeSet<_> = default.collect();
        let mut wanted = BTreeSet::from([&role]);
        if in_use {
            wanted.extend(&default);
        }
        let listed: Vec<_> = wanted.iter().map(|role| role.sql()).collect();
        let set = format!("ALTER USER {} DEFAULT ROLE {}", name.sql(), listed.join(", "));
        let steps = [(!granted).then_some(grant), (wanted != default).then_some(set)];
        steps.into_iter().flatten().map(Step::new).collect()
    }
}

/// The password alone, for a user that has what it needs; nothing for what somebody locked.
///
/// # Errors
/// As [`Users::compose`].
pub(crate) fn password(user: &str, settings: &BTreeMap<String, Settings>) -> Result<Composed> {
    let mut composed = Composed::default();
    for (host, settings) in settings.iter().filter(|(_, settings)| !settings.locked) {
        let name = AccountName::new(user, host);
        let plugin = plugin(&name, settings)?;
        composed.found.finish.push((name, plugin));
    }
    Ok(composed)
}

/// Nobody can log in as what this makes: it is locked, and has no password that anybody knows. A
/// plain CREATE USER means an empty password, which password policies refuse. There is no moment in
/// which it does not act as the first.
pub(crate) fn create(
    name: &AccountName,
    role: &AccountName,
    settings: &Settings,
    plugin: Plugin,
    mark: &Mark,
) -> String {
    let mut attributes = own(&settings.attributes);
    attributes.insert(ATTRIBUTE.to_owned(), mark.to_json());
    format!(
        "CREATE USER {} IDENTIFIED WITH '{}' BY RANDOM PASSWORD DEFAULT ROLE {} {} ACCOUNT LOCK \
         ATTRIBUTE {}",
        name.sql(),
        plugin.name(),
        role.sql(),
        settings.clauses(Flavour::Mysql),
        quote_literal(&Value::Object(attributes).to_string())
    )
}

/// Brings what belongs to an account's login to what it should be, and writes the claim.
pub(crate) fn login(
    name: &AccountName,
    wanted: &Settings,
    found: &Settings,
    mark: Option<Mark>,
) -> Vec<Step> {
    let clauses = wanted.clauses_over(found);
    let alter = format!("ALTER USER {} {clauses}", name.sql());
    let alter = (!clauses.is_empty()).then(|| Step::new(alter));
    let attributes = attributes(name, wanted, found, mark.as_ref());
    attributes.into_iter().chain(alter).chain(discard_old_password(name, found)).collect()
}

/// Drops a second password.
fn discard_old_password(name: &AccountName, found: &Settings) -> Option<Step> {
    found.retained.then(|| Step::new(format!("ALTER USER {} DISCARD OLD PASSWORD", name.sql())))
}

/// Attributes without the claim.
fn own(attributes: &Map<String, Value>) -> Map<String, Value> {
    let mut own = attributes.clone();
    own.remove(ATTRIBUTE);
    own
}

fn claim(settings: &Settings) -> Option<Mark> {
    settings.attributes.get(ATTRIBUTE).and_then(Mark::from_json)
}

/// Brings comment and attributes to what they should be. The server merges: null takes a key away,
/// and an object would be merged with what is there.
fn attributes(
    name: &AccountName,
    wanted: &Settings,
    found: &Settings,
    mark: Option<&Mark>,
) -> Vec<Step> {
    let (wanted, found) = (own(&wanted.attributes), own(&found.attributes));
    let differs = |key: &&String| wanted.get(*key) != found.get(*key);
    let nothing = |key: &String| (key.clone(), Value::Null);
    let gone: Map<_, _> = found.keys().filter(differs).map(nothing).collect();
    let mut set: Map<_, _> = wanted.clone().into_iter().filter(|(key, _)| differs(&key)).collect();
    set.extend(mark.map(|mark| (ATTRIBUTE.to_owned(), mark.to_json())));
    [gone, set].into_iter().filter_map(|one| patch(name, one)).collect()
}

/// Merges this into an account's attributes.
fn patch(name: &AccountName, attributes: Map<String, Value>) -> Option<Step> {
    let patch = quote_literal(&json!(attributes).to_string());
    let alter = || Step::new(format!("ALTER USER {} ATTRIBUTE {patch}", name.sql()));
    (!attributes.is_empty()).then(alter)
}
