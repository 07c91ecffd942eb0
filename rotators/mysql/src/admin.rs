//! What an admin does to another user's account: sets its password.
//!
//! A secret names a user, and the server may have several accounts of that name. The one whose
//! password is set is the one by which the server would let this function in, as the single-user
//! strategy changes the one that let it in; the others are not touched.

use async_trait::async_trait;
use fourstep::users::driver::lacks_rights;
use fourstep::users::{Administered, LoggedIn, Login};
use fourstep::{Error, ErrorKind, Finding, Invocation, Result, SecretString};

use crate::alternate::{AccountName, Own, look, mentions, plugin, power, settings_of};
use crate::change::{How, Prepared, UNCHANGED};
use crate::password::PasswordFormat;
use crate::server::Flavour;
use crate::session::{At, Session};
use crate::sql::{self, Statement};
use crate::wire::Plugin;
use crate::{Mysql, hosts};

impl Mysql {
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

    /// Makes ready to set the password of the target's account, if that may be.
    async fn resettable(
        &self,
        session: &mut Session,
        admin: &Login,
        target: &Login,
        cx: &Invocation,
    ) -> Result<Prepared> {
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
        let mut accounts = settings_of(session, user, cx).await?;
        if accounts.is_empty() {
            let what = format!("user {user:?} does not exist");
            return Err(
                Error::new(ErrorKind::NotFound, what).caused_by("create it, or correct the name")
            );
        }
        let rows = look(session, "SELECT USER()", cx).await?;
        let here = rows.into_iter().flatten().flatten().next().unwrap_or_default();
        let client = here.rsplit_once('@').map(|(_, client)| client).unwrap_or_default();
        let host = hosts::matching(accounts.keys().map(String::as_str), client);
        let host = host.map(str::to_owned).ok_or_else(|| unclear(user, &accounts))?;
        let name = AccountName::new(user, &host);
        let settings = accounts.remove(&host).unwrap_or_default();
        if let Some(why) = power(session, &name, cx).await? {
            return Err(never(why));
        }
        if settings.locked {
            let account = name.sql();
            let what = format!("account {account} is locked");
            let way = format!("have this run: ALTER USER {account} ACCOUNT UNLOCK");
            return Err(Error::new(ErrorKind::Forbidden, what).caused_by(way));
        }
        let plugin = plugin(&name, &settings)?;
        self.obstacle_of(session, plugin).map_or(Ok(()), Err)?;
        let discard = || format!("ALTER USER {} DISCARD OLD PASSWORD", name.sql());
        let how = How::Others {
            discard: settings.retained.then(discard),
            statement: self.password_of(session, &[(name, plugin)], &target.password, false),
        };
        // The user's own, which alternating users take, and that of a change by the user itself.
        Ok(Prepared { locks: vec![user.clone(), format!("{user}@{host}")], how })
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
    // The user's schema is nothing that the admin must have a right on.
    const ADMIN_ENTERS_DATABASE: bool = false;

    /// Names come quoted from then on, and strings take a backslash as it is.
    async fn prepare_admin(&self, at: &mut At<'_>) -> Result<()> {
        at.session.server.usable()?;
        at.session.listen_longer();
        let what = "the session's settings";
        at.session.run(what, sql::READING, at.cx).await.map_err(|failure| failure.of(what))?;
        Ok(())
    }

    async fn prepare_reset(&self, admin: &mut At<'_>, target: &Login) -> Result<Prepared> {
        let LoggedIn { login, session, cx } = admin;
        let prepared = self.resettable(session, login, target, cx).await;
        prepared.map_err(|error| error.caused_by(UNCHANGED))
    }

    async fn objections(&self, admin: &mut At<'_>, _: &str) -> Result<Vec<Error>> {
        let lacks = Own::read(&mut admin.session, admin.cx).await?.lacks("CREATE USER");
        Ok(lacks.iter().map(|statement| lacks_rights([statement.as_str()])).collect())
    }

    async fn remarks(
        &self,
        admin: &mut At<'_>,
        user: &str,
        partner: Option<&str>,
    ) -> Result<Vec<Finding>> {
        let Some(partner) = partner else { return Ok(Vec::new()) };
        Ok(mentions(&mut admin.session, [user, partner], admin.cx).await?.into_iter().collect())
    }
}
