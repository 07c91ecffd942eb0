//! What an admin does to another account: sets its password. And what it must have the right to.
//!
//! Sources: Transact-SQL reference, "ALTER LOGIN" and "ALTER USER", "Permissions"; "Metadata Visibility
//! Configuration": who may alter accounts of a kind sees them all.

use async_trait::async_trait;
use fourstep::users::driver::lacks_rights;
use fourstep::users::{AdminSession, Administered, Login};
use fourstep::{Error, ErrorKind, Finding, Invocation};

use crate::Sqlserver;
use crate::change::{How, Prepared, too_long};
use crate::errors::UNCHANGED;
use crate::session::{Session, database, flag};
use crate::sql::{self, Account, Kind, Statement};

/// An account whose password an admin sets.
struct Found {
    account: Account,
    /// It is the admin's own.
    own: bool,
    /// Nobody can log in with it, and how that is changed.
    shut: Option<Error>,
}

/// The account that this user's login leads to: as at a login, a contained user of that name goes before
/// a login.
///
/// # Errors
/// [`ErrorKind::Forbidden`] where the admin lacks the right to change it, without which it does not see it
/// either; [`ErrorKind::NotFound`] where there is none.
async fn find(
    admin: &mut AdminSession<Session>,
    user: &str,
    cx: &Invocation,
) -> Result<Found, Error> {
    let AdminSession { login, session } = admin;
    let literal = sql::text("username", user)?;
    let name = sql::name(&login.username);
    let rights = session.ask("a look at the admin's rights", sql::RIGHTS, cx).await?;
    let [any_login, any_user, containment]: [Option<String>; 3] = rights;
    if containment.as_deref() != Some("0") {
        if !flag(any_user.as_deref()) {
            let give = format!("GRANT ALTER ANY USER TO {name}");
            let place = format!("USE {}; {give}", sql::name(database(login)));
            return Err(lacks_rights([place.as_str()]));
        }
        let query = sql::contained_user(&literal);
        let rows = session.rows("a look at the contained user", &query, cx).await?;
        let row = rows.into_iter().next().and_then(|row| <[Option<String>; 2]>::try_from(row).ok());
        if let Some([Some(name), own]) = row {
            let account = Account { kind: Kind::ContainedUser, name };
            return Ok(Found { account, own: flag(own.as_deref()), shut: None });
        }
    }
    if !flag(any_login.as_deref()) {
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
    let account = Account { kind: Kind::Login, name };
    let shut = shut(&account, flag(disabled.as_deref()), flag(locked.as_deref()));
    Ok(Found { account, own: flag(own.as_deref()), shut })
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
    async fn prepare_admin(
        &self,
        session: &mut Session,
        _: &Login,
        _: &Invocation,
    ) -> Result<(), Error> {
        session.identity().map(drop)
    }

    async fn prepare_reset(
        &self,
        admin: &mut AdminSession<Session>,
        target: &Login,
        cx: &Invocation,
    ) -> Result<Prepared, Error> {
        let found = find(admin, &target.username, cx).await;
        let account = found.map_err(|error| error.caused_by(UNCHANGED))?.account;
        let lock = Some(account.lock());
        if too_long(&target.password) {
            return Ok(Prepared { lock, how: How::TooLong });
        }
        let statement = Statement::set_password(&account, &target.password, None)?;
        Ok(Prepared { lock, how: How::Statement { statement, own: false } })
    }

    async fn objections(
        &self,
        admin: &mut AdminSession<Session>,
        user: &str,
        cx: &Invocation,
    ) -> Result<Vec<Error>, Error> {
        let found = find(admin, user, cx).await?;
        let read_only =
            admin.session.identity()?.read_only && found.account.kind == Kind::ContainedUser;
        let mut objections = Vec::new();
        if read_only {
            objections.push(crate::preflight::read_only());
        }
        let never = |why: String| {
            let what = format!("{} is never changed by an admin", found.account.shown());
            Error::new(ErrorKind::Unsupported, what).caused_by(format!(
                "{why}; let it change its own password (ROTATION_STRATEGY=single-user)"
            ))
        };
        if found.own {
            objections.push(never("it is the admin itself".to_owned()));
        }
        let query = sql::powers(found.account.kind, &sql::text("username", user)?);
        let rows = admin.session.rows("a look at what the account may do", &query, cx).await?;
        let powers: Vec<_> = rows.into_iter().flatten().flatten().collect();
        if !powers.is_empty() {
            objections.push(never(format!("it has {}", powers.join(", "))));
        }
        objections.extend(found.shut);
        Ok(objections)
    }

    async fn remarks(
        &self,
        admin: &mut AdminSession<Session>,
        user: &str,
        _: Option<&str>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        let kind = find(admin, user, cx).await?.account.kind;
        Ok(admin.session.identity()?.replication(kind).into_iter().collect())
    }
}
