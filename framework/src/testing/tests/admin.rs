//! What the rotators share that work through an admin.

use crate::error::{Error, ErrorKind};
use crate::rotator::Versions;
use crate::secret::{Previous, Secret};
use crate::testing::models::{Accounts, Server, Session, SharedServer};

/// How many versions without a label are tried.
const MOST_OTHERS: usize = 8;

/// Who logs in, and with what.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl Login {
    pub(super) fn read(what: &str, secret: &Secret) -> Result<Self, Error> {
        let document = secret.document().map_err(|error| error.while_doing(what))?;
        let field = |name| document.required(name).map(str::to_owned);
        Ok(Self { user: field("username")?, password: field("password")? })
    }
}

/// The admin's session.
pub(super) async fn admin(server: &Server) -> Result<Session, Error> {
    let session = server.log_in(SharedServer::ADMIN, SharedServer::ADMIN_PASSWORD).await?;
    session.ok_or_else(|| Error::new(ErrorKind::Rejected, "the admin does not log in"))
}

/// Refuses to touch an account that is more than an application's: whoever may write the secret
/// could otherwise have it reset to a password of their own.
pub(super) fn guard(accounts: &Accounts, user: &str) -> Result<(), Error> {
    let rights = accounts.get(user).map(|account| &account.rights);
    let powerful = rights.is_some_and(|rights| rights.superuser || rights.creates_roles);
    if user == SharedServer::ADMIN || powerful {
        return Err(Error::new(ErrorKind::Unsupported, format!("user {user:?} is never reset"))
            .caused_by("it is the admin, a superuser or may create roles"));
    }
    Ok(())
}

/// Differences of the pending secret from the current one, other than in these fields: promoting
/// it would revert an edit.
pub(super) fn check_same(current: &Secret, pending: &Secret, but: &[&str]) -> Result<(), Error> {
    match current.document()?.difference(pending.document()?, but) {
        None => Ok(()),
        Some(field) => Err(Error::new(
            ErrorKind::Mismatch,
            format!("AWSPENDING differs from AWSCURRENT in {field:?}"),
        )),
    }
}

/// The logins tried in this step: none is tried twice.
pub(super) struct Tries<'a> {
    server: &'a Server,
    refused: Vec<Login>,
}

impl<'a> Tries<'a> {
    pub(super) fn new(server: &'a Server) -> Self {
        Self { server, refused: Vec::new() }
    }

    pub(super) async fn works(&mut self, login: &Login) -> Result<bool, Error> {
        if self.refused.contains(login) {
            return Ok(false);
        }
        let session = self.server.log_in(&login.user, &login.password).await?;
        if session.is_none() {
            self.refused.push(login.clone());
        }
        Ok(session.is_some())
    }

    /// The first that logs in of AWSPREVIOUS, then `between`, then the newest versions without a
    /// label, of those that name one of these users. The store is asked only when it comes to it.
    pub(super) async fn older(
        &mut self,
        versions: &Versions<'_>,
        users: &[&str],
        between: Option<&Login>,
    ) -> Result<Option<Login>, Error> {
        let previous = versions.previous().await?;
        for login in named(previous, users).iter().chain(between) {
            if self.works(login).await? {
                return Ok(Some(login.clone()));
            }
        }
        for login in named(versions.others().await?, users).into_iter().take(MOST_OTHERS) {
            if self.works(&login).await? {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }
}

fn named(versions: impl IntoIterator<Item = Previous>, users: &[&str]) -> Vec<Login> {
    let logins =
        versions.into_iter().filter_map(|one| Login::read("an older version", one.secret()).ok());
    logins.filter(|login| users.contains(&login.user.as_str())).collect()
}
