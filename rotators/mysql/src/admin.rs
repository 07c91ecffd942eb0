//! What an admin does to another user's account: sets its password.
//!
//! A secret names a user, and the server may have several accounts of that name. The one whose
//! password is set is the one by which the server would let this function in, as the single-user
//! strategy changes the one that let it in; the others are not touched.

use async_trait::async_trait;
use fourstep::users::{Administered, Change, Login};
use fourstep::{Error, ErrorKind, Fence, Finding, SecretString, Turn};

use crate::alternate::{AccountName, look, plugin, power, settings_of};
use crate::change::{self, Gate, UNCHANGED, exchange};
use crate::errors::NoChange;
use crate::password::PasswordFormat;
use crate::server::Flavour;
use crate::session::Session;
use crate::sql::{self, Statement};
use crate::wire::Plugin;
use crate::{Mysql, hosts};

/// An account whose password an admin sets.
struct Found {
    name: AccountName,
    plugin: Plugin,
    /// Whether an older password is still valid too.
    retained: bool,
}

impl Mysql {
    /// A session of the admin's in which names come quoted, and strings take a backslash as it is.
    ///
    /// # Errors
    /// Those of a login; a refused password is one.
    pub(crate) async fn admin_session(&self, admin: &Login, turn: &Turn) -> Result<Session, Error> {
        let mut session = self.log_in_as_admin(admin, turn).await?;
        session.listen_longer();
        let what = "the session's settings";
        session.run(what, sql::READING, turn).await.map_err(|failure| failure.of(what))?;
        Ok(session)
    }

    /// The statement that sets other accounts' passwords.
    pub(crate) fn password_of(
        &self,
        session: &Session,
        accounts: &[(AccountName, Plugin)],
        password: &SecretString,
        unlock: bool,
    ) -> Statement {
        let accounts: Vec<_> =
            accounts.iter().map(|(name, plugin)| (name.sql(), *plugin)).collect();
        match session.server.flavour {
            Flavour::Mysql => Statement::alter_accounts(&accounts, password, unlock),
            Flavour::Mariadb => {
                let plaintext = self.format == PasswordFormat::Plaintext;
                Statement::alter_hashes(&accounts, password, plaintext, unlock)
            }
        }
    }

    async fn reset(
        &self,
        session: &mut Session,
        admin: &Login,
        target: &Login,
        gate: Gate<'_>,
        turn: &Turn,
    ) -> Result<(), NoChange> {
        let unchanged = |error: Error| NoChange::Failed(error.caused_by(UNCHANGED));
        let found = self.resettable(session, admin, target, turn).await.map_err(unchanged)?;
        if let Some(error) = self.may_alter_users(session, turn).await.map_err(unchanged)? {
            return Err(unchanged(error));
        }
        let account = found.name.host.as_deref().unwrap_or_default();
        // The user's own, which alternating users take, and that of a change by the user itself.
        let locks = [target.username.clone(), format!("{}@{account}", target.username)];
        change::begin(session, &locks, turn).await.map_err(NoChange::Failed)?;
        let accounts = [(found.name.clone(), found.plugin)];
        let statement = self.password_of(session, &accounts, &target.password, false);
        exchange(session, &statement, gate, turn).await?;
        if found.retained {
            let discard = format!("ALTER USER {} DISCARD OLD PASSWORD", found.name.sql());
            if session.run("DISCARD OLD PASSWORD", &discard, turn).await.is_err() {
                turn.warn("the password was changed, but an older one may still be valid");
            }
        }
        Ok(())
    }

    /// The account to be reset, if it may be.
    async fn resettable(
        &self,
        session: &mut Session,
        admin: &Login,
        target: &Login,
        turn: &Turn,
    ) -> Result<Found, Error> {
        if let Some(error) = session.server.obstacle() {
            return Err(error);
        }
        let user = &target.username;
        let never = |why: String| {
            let what = format!("user {user:?} is never changed");
            Error::new(ErrorKind::Unsupported, what).caused_by(format!(
                "{why}; let it change its own password (ROTATION_STRATEGY=single-user)"
            ))
        };
        if *user == admin.username {
            return Err(never("it is the admin itself".to_owned()));
        }
        let mut accounts = settings_of(session, user, turn).await?;
        if accounts.is_empty() {
            let what = format!("user {user:?} does not exist");
            return Err(
                Error::new(ErrorKind::NotFound, what).caused_by("create it, or correct the name")
            );
        }
        let rows = look(session, "SELECT USER()", turn).await?;
        let here = rows.into_iter().flatten().flatten().next().unwrap_or_default();
        let client = here.rsplit_once('@').map(|(_, client)| client).unwrap_or_default();
        let host = hosts::matching(accounts.keys().map(String::as_str), client);
        let host = host.map(str::to_owned).ok_or_else(|| unclear(user, &accounts))?;
        let name = AccountName::new(user, &host);
        let settings = accounts.remove(&host).unwrap_or_default();
        if let Some(why) = power(session, &name, turn).await? {
            return Err(never(why));
        }
        if settings.locked {
            let account = name.sql();
            let what = format!("account {account} is locked; ALTER USER {account} ACCOUNT UNLOCK");
            return Err(Error::new(ErrorKind::Forbidden, what));
        }
        let plugin = plugin(&name, &settings)?;
        let weak = self.transport.allow_weak_authentication;
        match self.format.obstacle_of(session, plugin, weak) {
            Some(error) => Err(error),
            None => Ok(Found { name, plugin, retained: settings.retained }),
        }
    }
}

/// The error of a user with several accounts of which it is not clear which one this function logs
/// in by.
fn unclear<T>(user: &str, accounts: &std::collections::BTreeMap<String, T>) -> Error {
    let named: Vec<_> = accounts.keys().map(|host| AccountName::new(user, host).sql()).collect();
    let what = format!(
        "user {user:?} has several accounts, and which of them this function logs in by is not \
         clear; keep one, or use the strategy single-user"
    );
    Error::new(ErrorKind::Unsupported, what).caused_by(named.join(", "))
}

#[async_trait]
impl Administered for Mysql {
    async fn reset_password(
        &self,
        admin: &Login,
        target: &Login,
        fence: &Fence<'_>,
        turn: &Turn,
    ) -> Result<Change, Error> {
        let mut session = self.admin_session(admin, turn).await?;
        let gate = || -> change::Passing<'_> { Box::pin(fence.pass()) };
        let outcome = self.reset(&mut session, admin, target, &gate, turn).await;
        session.close(turn).await;
        let named = |error: Error| {
            error.while_doing(format!("cannot set the password of {}", target.account()))
        };
        match outcome {
            Ok(()) => Ok(Change::Made),
            Err(NoChange::Value(why)) => Ok(Change::Refused(named(why))),
            Err(NoChange::Failed(error)) => Err(named(error)),
            Err(NoChange::NotPrimary | NoChange::CurrentRequired) => {
                Err(named(change::current_required()))
            }
        }
    }

    async fn preflight_reset(
        &self,
        admin: &Login,
        target: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        let mut session = self.admin_session(admin, turn).await?;
        let mut findings = Vec::new();
        if let Err(error) = self.resettable(&mut session, admin, target, turn).await {
            findings.push(Finding::Fails(error));
        }
        findings.extend(self.may_alter_users(&mut session, turn).await?.map(Finding::Fails));
        session.close(turn).await;
        Ok(findings)
    }
}
