//! What is to be done to make a user's accounts what another's are: checked, and put in order.

use std::collections::BTreeSet;

use fourstep::users::{Install, Mark, Standing};
use fourstep::{Error, ErrorKind, Turn};
use serde_json::{Map, Value, json};

use crate::alternate::accounts::{ATTRIBUTE, marker_role};
use crate::alternate::plan::{self, Step};
use crate::alternate::rights::{AccountName, Object, Right, Rights};
use crate::alternate::settings::Settings;
use crate::alternate::text::text;
use crate::alternate::users::{self, Account, User};
use crate::server::Flavour;
use crate::session::Session;
use crate::wire::Plugin;

/// What is done, in this order.
#[derive(Debug, Default)]
pub(crate) struct Composed {
    pub(crate) steps: Vec<Step>,
    /// The accounts that get the password then, in one statement.
    pub(crate) finish: Vec<(AccountName, Plugin)>,
    /// Whether they may log in from then on.
    pub(crate) unlock: bool,
    /// What an operator should know.
    pub(crate) warnings: Vec<String>,
}

/// Both users as they are.
pub(crate) struct Users {
    pub(crate) source: User,
    pub(crate) target: User,
}

impl Users {
    pub(crate) async fn read(
        session: &mut Session,
        [source, target]: [&str; 2],
        turn: &Turn,
    ) -> Result<Self, Error> {
        let read = users::read(session, source, turn).await?;
        let other = match source == target {
            true => read.clone(),
            false => users::read(session, target, turn).await?,
        };
        Ok(Self { source: read, target: other })
    }

    /// Leaves out rights on tables and columns that were dropped, which the server keeps and gives
    /// to nobody. Returns what is left out.
    pub(crate) async fn drop_stale(
        &mut self,
        session: &mut Session,
        turn: &Turn,
    ) -> Result<BTreeSet<String>, Error> {
        let table = |right: &Right| match right {
            Right::Held { on: Object::Table(schema, table), .. } => {
                Some((schema.clone(), table.clone()))
            }
            _ => None,
        };
        let mut tables = BTreeSet::new();
        for (host, source) in &self.source {
            let none = Rights::new();
            let held = self.target.get(host).map_or(&none, |target| &target.rights);
            tables.extend(source.rights.symmetric_difference(held).filter_map(table));
        }
        let columns = users::columns(session, &tables, turn).await?;
        let mut stale = BTreeSet::new();
        let is_there = |of: &(String, String), column: &Option<String>| {
            let there = columns.get(of);
            there.is_some_and(|all| column.as_ref().is_none_or(|column| all.contains(column)))
        };
        for account in self.source.values_mut().chain(self.target.values_mut()) {
            account.rights.retain(|right| {
                let Right::Held { on, column, .. } = right else { return true };
                let Some(of) = table(right).filter(|of| tables.contains(of)) else { return true };
                let keep = is_there(&of, column);
                if !keep {
                    stale.insert(on.sql());
                }
                keep
            });
        }
        Ok(stale)
    }

    /// What has to be done, before anything is known of the admin.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for accounts of which there cannot be two alike.
    pub(crate) fn compose(
        &self,
        flavour: Flavour,
        install: &Install<'_>,
        standing: Standing,
    ) -> Result<Composed, Error> {
        let Install { source, target, .. } = *install;
        let mut composed = Composed::default();
        if source == target {
            // Only the password, and nothing for what somebody locked.
            for (host, account) in self.target.iter().filter(|(_, one)| !one.settings.locked) {
                let name = AccountName::new(target, host);
                composed.finish.push((name.clone(), plugin(&name, &account.settings)?));
            }
            return Ok(composed);
        }
        let mark = install.pair.mark(source);
        if let Some(host) = self.target.keys().find(|host| !self.source.contains_key(*host)) {
            return Err(lone(&AccountName::new(target, host), &AccountName::new(source, host)));
        }
        if flavour == Flavour::Mariadb && matches!(standing, Standing::Absent | Standing::Adopted) {
            let role = text(&marker_role(target, &mark));
            composed.steps.push(Step::of_users(format!("CREATE ROLE IF NOT EXISTS {role}")));
        }
        let (mut give, mut take) = (Vec::new(), Vec::new());
        for (host, wanted) in &self.source {
            let name = AccountName::new(target, host);
            let plugin = plugin(&AccountName::new(source, host), &wanted.settings)?;
            let found = match self.target.get(host) {
                Some(found) => found.clone(),
                None => {
                    let text = create(flavour, &name, &wanted.settings, plugin, &mark);
                    composed.steps.push(Step::of_users(text));
                    made(wanted)
                }
            };
            let is_new = !self.target.contains_key(host);
            let adopted = standing == Standing::Adopted && !is_new;
            let mark = (adopted && flavour == Flavour::Mysql).then_some(&mark);
            composed.steps.extend(attributes(&name, wanted, &found, mark));
            let difference = plan::difference(flavour, wanted, &found, &name);
            give.extend(difference.give);
            take.extend(difference.take);
            if found.settings.retained {
                let text = format!("ALTER USER {} DISCARD OLD PASSWORD", name.sql());
                take.push(Step::of_users(text));
            }
            match wanted.settings.locked {
                false => composed.finish.push((name, plugin)),
                true if found.settings.locked => {}
                true => {
                    take.push(Step::of_users(format!("ALTER USER {} ACCOUNT LOCK", name.sql())));
                }
            }
        }
        composed.steps.extend(give);
        composed.steps.extend(take);
        composed.unlock = true;
        Ok(composed)
    }
}

/// An account right after [`create`].
fn made(wanted: &Account) -> Account {
    let mut settings = wanted.settings.clone();
    (settings.locked, settings.retained) = (true, false);
    Account { rights: Rights::new(), default_roles: BTreeSet::new(), settings }
}

/// Nobody can log in as what this makes: it is locked, and has no password that anybody knows. A
/// plain CREATE USER means an empty password, which password policies refuse.
pub(crate) fn create(
    flavour: Flavour,
    name: &AccountName,
    settings: &Settings,
    plugin: Plugin,
    mark: &Mark,
) -> String {
    let (name, clauses) = (name.sql(), settings.clauses(flavour));
    match flavour {
        Flavour::Mysql => {
            let mut attributes = own(&settings.attributes);
            attributes.insert(ATTRIBUTE.to_owned(), mark.to_json());
            let attributes = text(&Value::Object(attributes).to_string());
            let plugin = plugin.name();
            format!(
                "CREATE USER {name} IDENTIFIED WITH '{plugin}' BY RANDOM PASSWORD {clauses} \
                 ACCOUNT LOCK ATTRIBUTE {attributes}"
            )
        }
        Flavour::Mariadb => {
            format!("CREATE USER {name} IDENTIFIED VIA unix_socket {clauses} ACCOUNT LOCK")
        }
    }
}

/// Attributes without the mark.
fn own(attributes: &Map<String, Value>) -> Map<String, Value> {
    let mut own = attributes.clone();
    own.remove(ATTRIBUTE);
    own
}

/// Brings comment and attributes to what they should be, and writes the mark of an adopted account.
/// The server merges: null takes a key away, and an object would be merged with what is there.
pub(crate) fn attributes(
    name: &AccountName,
    wanted: &Account,
    found: &Account,
    mark: Option<&Mark>,
) -> Vec<Step> {
    let (wanted, found) = (own(&wanted.settings.attributes), own(&found.settings.attributes));
    let differs = |key: &&String| wanted.get(*key) != found.get(*key);
    let nothing = |key: &String| (key.clone(), Value::Null);
    let gone: Map<_, _> = found.keys().filter(differs).map(nothing).collect();
    let mut set: Map<_, _> = wanted.clone().into_iter().filter(|(key, _)| differs(&key)).collect();
    if let Some(mark) = mark {
        set.insert(ATTRIBUTE.to_owned(), mark.to_json());
    }
    let alter = |patch: Map<String, Value>| {
        let patch = text(&json!(patch).to_string());
        Step::of_users(format!("ALTER USER {} ATTRIBUTE {patch}", name.sql()))
    };
    [gone, set].into_iter().filter(|patch| !patch.is_empty()).map(alter).collect()
}

/// How an account's password is checked, if it has one and nothing else.
pub(crate) fn plugin(name: &AccountName, settings: &Settings) -> Result<Plugin, Error> {
    let plugin = Plugin::named(settings.plugin.as_bytes()).filter(|_| !settings.other_factors);
    plugin.ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "account {} does not log in by one password that is known here; use \
                 caching_sha2_password or mysql_native_password for it, or drop it",
                name.sql()
            ),
        )
    })
}

/// The error about an account of the idle user that the user in use has no counterpart of. It is
/// not clear which of the two should change.
fn lone(account: &AccountName, counterpart: &AccountName) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "account {} has no counterpart {}; drop it, or create the counterpart",
            account.sql(),
            counterpart.sql()
        ),
    )
}
