//! What an admin does to another account: sets its password. And what it must have the right to.
//!
//! Sources: Transact-SQL reference, "ALTER LOGIN" and "ALTER USER", "Permissions"; "Metadata Visibility
//! Configuration": who may alter accounts of a kind sees them all, but not what roles they have.

use async_trait::async_trait;
use fourstep::users::driver::{lacks_rights, never_changed};
use fourstep::users::{Administered, LoggedIn, Login};
use fourstep::{Error, ErrorKind, Finding, Result};

use crate::Sqlserver;
use crate::change::{How, Prepared, too_long};
use crate::errors::UNCHANGED;
use crate::session::{At, Session, database, flag, same};
use crate::sql::{self, Account, Kind, Statement};

/// An account whose password an admin sets.
struct Found {
    account: Account,
    /// It is the admin's own.
    own: bool,
    /// Nobody can log in with it, and how that is changed.
    shut: Option<Error>,
    /// The admin sees every role that it may have.
    roles_seen: bool,
}

/// The account that this user's login leads to: as at a login, a contained user of that name goes before
/// a login.
///
/// # Errors
/// [`ErrorKind::Forbidden`] where the admin lacks the right to change it, without which it does not see it
/// either, or to see what a contained user may do; [`ErrorKind::NotFound`] where there is none.
async fn find(admin: &mut At<'_>, user: &str) -> Result<Found> {
    let LoggedIn { login, session, cx } = admin;
    let literal = sql::text("username", user)?;
    let name = sql::name(&login.username);
    let rights = session.ask("a look at the admin's rights", sql::RIGHTS, cx).await?;
    let [any_login, any_user, containment, roles, any_roles]: [Option<String>; 5] = rights;
    if containment.as_deref() != Some("0") {
        let needed = [(any_user, "ALTER ANY USER"), (roles, "VIEW DEFINITION")];
        let missing = needed.iter().filter(|(has, _)| !flag(has.as_deref()));
        let missing: Vec<_> = missing.map(|(_, right)| *right).collect();
        if !missing.is_empty() {
            let place = sql::name(database(login));
            let give = format!("USE {place}; GRANT {} TO {name}", missing.join(", "));
            return Err(lacks_rights([give.as_str()])
                .caused_by("if the admin's user there has another name, give it to that"));
        }
        let query = sql::contained_user(&literal);
        let rows = session.rows("a look at the contained user", &query, cx).await?;
        let row = rows.into_iter().next().and_then(|row| <[Option<String>; 2]>::try_from(row).ok());
        if let Some([Some(name), own]) = row {
            let account = named(Kind::ContainedUser, name, user)?;
            let own = flag(own.as_deref());
            return Ok(Found { account, own, shut: None, roles_seen: true });
        }
    }
    if !flag(any_login.as_deref()) {
        if session.identity()?.account.kind == Kind::ContainedUser {
            return Err(no_login_s_admin(user, database(login)));
        }
        let give = format!("USE master; GRANT ALTER ANY LOGIN TO {name}");
        return Err(lacks_rights([give.as_str()]));
    }
    let rows = session.rows("a look at the login", &sql::login(&literal), cx).await?;
    let row = rows.into_iter().next().and_then(|row| <[Option<String>; 4]>::try_from(row).ok());
    let Some([Some(name), own, disabled, locked]) = row else {
        let what = format!(
            "there is neither a login {user:?} nor a contained user in {:?}",
            database(login)
        );
        let way = "create it, or correct \"username\" or \"dbname\"; Windows logins have no password here";
        return Err(Error::new(ErrorKind::NotFound, what).caused_by(way));
    };
    let account = named(Kind::Login, name, user)?;
    let shut = shut(&account, flag(disabled.as_deref()), flag(locked.as_deref()));
    let roles_seen = flag(any_roles.as_deref());
    Ok(Found { account, own: flag(own.as_deref()), shut, roles_seen })
}

/// An account by the name that the server has for it: no other text of a server that knows the admin's
/// password is used.
fn named(kind: Kind, name: String, user: &str) -> Result<Account> {
    if same(&name, user) {
        return Ok(Account { kind, name });
    }
    let what = "the server answers with another account than it was asked for";
    Err(Error::new(ErrorKind::Unsupported, what))
}

/// The error of an admin that has no right to anything outside of its database.
fn no_login_s_admin(user: &str, database: &str) -> Error {
    let what = format!(
        "there is no contained user {user:?} in {database:?}, and the admin, which is one, alters no login"
    );
    Error::new(ErrorKind::Forbidden, what)
        .caused_by("correct \"username\" or \"dbname\", or let masterarn name a login")
}

fn shut(account: &Account, disabled: bool, locked: bool) -> Option<Error> {
    let name = sql::name(&account.name);
    let (what, way) = match (disabled, locked) {
        (true, _) => ("is disabled", format!("have this run: ALTER LOGIN {name} ENABLE")),
        (_, true) => (
            "is locked out after refused passwords",
            format!(
                "look for whoever has an old password; then wait until the policy lets it in, or have an \
                 administrator run ALTER LOGIN {name} WITH PASSWORD = ... UNLOCK and store that password"
            ),
        ),
        _ => return None,
    };
    Some(Error::new(ErrorKind::Forbidden, format!("{} {what}", account.shown())).caused_by(way))
}

#[async_trait]
impl Administered for Sqlserver {
    async fn prepare_admin(&self, at: &mut At<'_>) -> Result<()> {
        at.session.identity().map(drop)
    }

    async fn prepare_reset(&self, admin: &mut At<'_>, target: &Login) -> Result<Prepared> {
        let found = find(admin, &target.username).await;
        let account = found.map_err(|error| error.caused_by(UNCHANGED))?.account;
        let lock = Some(account.lock());
        if too_long(&target.password) {
            return Ok(Prepared { lock, how: How::TooLong });
        }
        let statement = Statement::set_password(&account, &target.password, None)?;
        Ok(Prepared { lock, how: How::Statement { statement, own: false } })
    }

    /// A contained user proves no login by the same name: an owner of the database makes one at will. Only a
    /// login's password expires.
    fn proven(&self, session: &Session) -> Option<String> {
        let expired = || Account { kind: Kind::Login, name: session.login.username.clone() };
        let identity = session.identity().map(|identity| identity.account.lock());
        Some(identity.unwrap_or_else(|_| expired().lock()))
    }

    async fn objections(&self, admin: &mut At<'_>, user: &str) -> Result<Vec<Error>> {
        let found = find(admin, user).await?;
        let read_only =
            admin.session.identity()?.read_only && found.account.kind == Kind::ContainedUser;
        let mut objections = Vec::new();
        if read_only {
            objections.push(crate::preflight::read_only());
        }
        let never = |why: &str| never_changed(found.account.shown(), why);
        if found.own {
            objections.push(never("it is the admin itself"));
        }
        let kind = found.account.kind;
        let query = sql::powers(kind, &sql::text("username", user)?);
        let rows =
            admin.session.rows("a look at what the account may do", &query, admin.cx).await?;
        if !rows.is_empty() {
            objections.push(never(&powers(kind, &rows.concat())));
        }
        objections.extend(found.shut);
        Ok(objections)
    }

    async fn remarks(
        &self,
        admin: &mut At<'_>,
        user: &str,
        _: Option<&str>,
    ) -> Result<Vec<Finding>> {
        let found = find(admin, user).await?;
        let replication = admin.session.identity()?.replication(found.account.kind);
        let unseen = (!found.roles_seen).then(|| {
            let name = sql::name(&admin.login.username);
            Finding::Warns(format!(
                "the admin does not see user-defined server roles, and would change a login that has \
                 rights by one of them: have this run: USE master; GRANT VIEW ANY DEFINITION TO {name}"
            ))
        });
        Ok(replication.into_iter().chain(unseen).collect())
    }
}

/// What an account has, in words from here: the server's own are not shown.
fn powers(kind: Kind, said: &[Option<String>]) -> String {
    let known = sql::powerful(kind).concat();
    let said = |name: &&str| said.iter().flatten().any(|one| one == name);
    let held: Vec<_> = known.into_iter().filter(said).collect();
    match held.as_slice() {
        [] => "it may change others".to_owned(),
        held => format!("it has {}", held.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_the_server_is_shown() {
        let said = ["sysadmin", "the-admin-s-password"].map(|text| Some(text.to_owned()));
        assert_eq!(powers(Kind::Login, &said), "it has sysadmin");
        assert_eq!(powers(Kind::Login, &said[1..]), "it may change others");
        assert_eq!(named(Kind::Login, "App".to_owned(), "app").unwrap().name, "App");
        let error = named(Kind::Login, "the-admin-s-password".to_owned(), "app").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(!error.to_string().contains("password"), "{error}");
    }
}
